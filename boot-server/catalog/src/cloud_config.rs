//! Check of user-data: a `#cloud-config` in YAML, or a `#!` script.
//!
//! The check is the reference's: the header and the syntax, so that a machine is refused a config
//! which its cloud-init would refuse as well. Rules for single keys are the lab's `validate`.

use super::raw_text;
use super::yaml::{self, InvalidYaml};

/// Reasons to refuse a text as user-data.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidUserData {
    /// The first line says nothing that coreos-cloudinit knows.
    #[error("unknown cloud-config type: the first line is neither `#cloud-config` nor `#!`")]
    Header,
    /// The YAML below the header.
    #[error("cloud-config is not YAML: {0}")]
    Yaml(#[from] InvalidYaml),
    /// YAML that coreos-cloudinit's library refuses.
    #[error("cloud-config is not YAML to coreos-cloudinit: {0}")]
    Refused(cloud_yaml::Refused),
    /// The YAML is in another encoding.
    #[error("cloud-config is not UTF-8")]
    NotUtf8,
    /// The YAML is a list or a single value.
    #[error("cloud-config is not a YAML mapping of keys")]
    NoMapping,
}

impl InvalidUserData {
    /// Returns line and column, counted from 1, when the error has a place.
    pub fn place(&self) -> Option<(usize, usize)> {
        match self {
            InvalidUserData::Header | InvalidUserData::NoMapping => Some((1, 1)),
            InvalidUserData::NotUtf8 => None,
            InvalidUserData::Yaml(error) => Some((error.line, error.column)),
            InvalidUserData::Refused(refused) => Some((refused.line, refused.column)),
        }
    }
}

/// Checks rendered user-data.
///
/// # Errors
/// See [`InvalidUserData`].
pub fn check(text: &str) -> Result<(), InvalidUserData> {
    let header = text.lines().next().unwrap_or_default();
    if header.starts_with("#!") {
        return Ok(());
    }
    if header.trim_end() != "#cloud-config" {
        return Err(InvalidUserData::Header);
    }
    if raw_text::is_raw(text) {
        return Err(InvalidUserData::NotUtf8);
    }
    if let Some(refused) = cloud_yaml::refused(text) {
        return Err(InvalidUserData::Refused(refused));
    }
    match yaml::parse_handed_on(text)? {
        serde_json::Value::Object(_) | serde_json::Value::Null => Ok(()),
        _ => Err(InvalidUserData::NoMapping),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_of_cloud_config_or_script_is_ok() {
        for text in [
            "#!/bin/sh\n: [",
            "#cloud-config  \n",
            "#cloud-config\nwrite_files:\n  - content: !!binary |\n      H4sIAAAAAAACA0tUyMnMS+UCAAov+xcHAAAA\n",
            "#cloud-config\nwrite_files:\n  - {encoding: gz, content: !!binary H4sIAAAAAAACA0tUyMnMS+UCAAov+xcHAAAA}\n",
            "#cloud-config\na: 1\n",
        ] {
            assert_eq!(check(text), Ok(()), "{text:?}");
        }
    }

    #[test]
    fn other_text_is_refused() {
        assert_eq!(check(""), Err(InvalidUserData::Header));
        assert_eq!(check("hostname: x\n"), Err(InvalidUserData::Header));
        assert_eq!(check("#cloud-configs\n"), Err(InvalidUserData::Header));
        assert_eq!(
            check("#cloud-config\n- a\n"),
            Err(InvalidUserData::NoMapping)
        );
        for text in [
            "#cloud-config\na: 1\n\tb: 2\n",
            "#cloud-config\nhostname: x\n\t\nb: 2\n",
            "#cloud-config\nhostname: x\n\t# c\n",
            "#cloud-config\nhostname: x\n...\nb: 2\n",
            "#cloud-config\n%YAML 1.2\n---\nhostname: x\n",
            "#cloud-config\na: !!binary \"*\"\n",
        ] {
            assert!(check(text).is_err(), "{text:?}");
        }
        let broken = check("#cloud-config\na: [\n").unwrap_err();
        assert!(broken.place() >= Some((2, 1)), "{broken:?}");
    }
}
