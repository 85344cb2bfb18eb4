//! The kernel command line as coreos-cloudinit's `proc-cmdline` datasource reads it.

use thiserror::Error;

/// Reasons that a `cloud-config-url` is not used.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum CmdlineError {
    /// The value's scheme is not one the agent fetches.
    #[error("cloud-config-url {0:?} is neither an http:// nor an https:// URL")]
    NotHttp(String),
}

/// Returns the value of `cloud-config-url`; of several, the last one. `_` and `-` are the same in the key,
/// quotes are not taken off, and a key without a value is passed over.
///
/// # Errors
/// [`CmdlineError::NotHttp`] when the value is not an HTTP URL.
pub fn cloud_config_url(cmdline: &str) -> Result<Option<String>, CmdlineError> {
    let url = cmdline
        .split_whitespace()
        .filter_map(|token| token.split_once('='))
        .filter(|(key, value)| key.replace('_', "-") == "cloud-config-url" && !value.is_empty())
        .map(|(_, value)| value)
        .next_back();
    match url {
        Some(url) if !(url.starts_with("http://") || url.starts_with("https://")) => {
            Err(CmdlineError::NotHttp(url.to_owned()))
        }
        other => Ok(other.map(str::to_owned)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(cmdline: &str) -> Option<String> {
        cloud_config_url(cmdline).unwrap()
    }

    #[test]
    fn the_last_of_several_urls_wins() {
        let line = "cloud-config-url=http://a/1 quiet cloud-config-url=http://b/2\n";
        assert_eq!(url(line).as_deref(), Some("http://b/2"));
    }

    #[test]
    fn underscores_in_the_key_are_hyphens() {
        assert_eq!(
            url("cloud_config_url=http://a/?x=1&y=2").as_deref(),
            Some("http://a/?x=1&y=2")
        );
        assert_eq!(
            url("cloud-config_url=http://a/b_c").as_deref(),
            Some("http://a/b_c")
        );
    }

    #[test]
    fn keys_without_a_value_and_other_keys_are_passed_over() {
        assert_eq!(
            url("cloud-config-url cloud-config-url= xcloud-config-url=http://a/"),
            None
        );
        assert_eq!(
            url("cloud-config-url=http://a/ cloud-config-url=").as_deref(),
            Some("http://a/")
        );
    }

    #[test]
    fn quotes_are_part_of_the_value_and_make_it_no_url() {
        assert_eq!(
            cloud_config_url("cloud-config-url=\"http://a/\""),
            Err(CmdlineError::NotHttp("\"http://a/\"".into()))
        );
    }

    #[test]
    fn other_schemes_are_refused() {
        assert!(cloud_config_url("cloud-config-url=ftp://a/b").is_err());
    }
}
