//! What kind of user-data a text is: cloud-config, a script, an Ignition config, or nothing known.

use thiserror::Error;

use crate::config::{CloudConfig, ConfigError, Substitutions, yaml};

/// User-data, recognised and read.
#[derive(Debug)]
pub enum UserData {
    /// A `#cloud-config`.
    CloudConfig(Box<CloudConfig>),
    /// A script, run once; its whole text.
    Script(String),
    /// Meant for Ignition, which has run before if it was asked to.
    Ignition,
    /// An empty text.
    Empty,
}

/// Why user-data is not usable.
#[derive(Debug, Error)]
pub enum UserDataError {
    /// The first line is none that coreos-cloudinit knows.
    #[error("the first line is neither \"#cloud-config\" nor \"#!…\"")]
    Unrecognised,
    /// A cloud-config that does not read.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// Recognises `text` and reads it, after substitution of `$private_ipv4` and its like.
///
/// # Errors
/// [`UserDataError::Unrecognised`] or, for a cloud-config, [`UserDataError::Config`].
pub fn parse(text: &str, substitutions: &Substitutions) -> Result<UserData, UserDataError> {
    if text.is_empty() {
        return Ok(UserData::Empty);
    }
    let text = substitutions.apply(text);
    let header = text.lines().next().unwrap_or_default().trim_end();
    if header.starts_with("#!") {
        Ok(UserData::Script(text))
    } else if header == "#cloud-config" {
        Ok(UserData::CloudConfig(Box::new(CloudConfig::parse(&text)?)))
    } else if is_ignition(&text) {
        Ok(UserData::Ignition)
    } else {
        Err(UserDataError::Unrecognised)
    }
}

/// An Ignition config is a JSON object with a version; JSON is YAML.
fn is_ignition(text: &str) -> bool {
    text.trim_start().starts_with('{')
        && yaml::parse(text).is_ok_and(|node| {
            node.entry("ignitionVersion").is_some()
                || node
                    .entry("ignition")
                    .is_some_and(|ignition| ignition.entry("version").is_some())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Result<UserData, UserDataError> {
        parse(text, &Substitutions::default())
    }

    #[test]
    fn the_header_may_end_in_white_space_but_not_in_text() {
        assert!(matches!(
            kind("#cloud-config \r\nhostname: a\n"),
            Ok(UserData::CloudConfig(_))
        ));
        assert!(matches!(
            kind("#cloud-configs\n"),
            Err(UserDataError::Unrecognised)
        ));
        assert!(matches!(
            kind("\n#cloud-config\n"),
            Err(UserDataError::Unrecognised)
        ));
    }

    #[test]
    fn both_generations_of_ignition_configs_are_recognised() {
        assert!(matches!(
            kind("{\"ignitionVersion\": 1}"),
            Ok(UserData::Ignition)
        ));
        assert!(matches!(
            kind("{\"ignition\": {\"version\": \"3.3.0\"}}"),
            Ok(UserData::Ignition)
        ));
        assert!(matches!(
            kind("{\"hostname\": \"a\"}"),
            Err(UserDataError::Unrecognised)
        ));
    }
}
