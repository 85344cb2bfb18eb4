//! Classification of user-data: cloud-config, a script, an Ignition config, or unknown.

use std::io::Read;

use thiserror::Error;

use crate::config::{CloudConfig, ConfigError, Substitutions, yaml};

/// The first bytes of gzip (RFC 1952, 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Most text that is unpacked, in bytes.
const MAX_UNPACKED_BYTES: u64 = 64 * 1024 * 1024;

/// User-data, recognised and read.
#[derive(Debug)]
pub enum UserData {
    /// A parsed `#cloud-config`.
    CloudConfig(Box<CloudConfig>),
    /// A script, run once; its whole text.
    Script(String),
    /// Meant for Ignition, which has run before if it was asked to.
    Ignition,
    /// An empty text.
    Empty,
}

/// Reasons that user-data is unusable.
#[derive(Debug, Error)]
pub enum UserDataError {
    /// The first line is none that coreos-cloudinit knows.
    #[error("the first line is neither \"#cloud-config\" nor \"#!…\"")]
    Unrecognised,
    /// gzip that does not unpack.
    #[error("malformed gzip data: {0}")]
    Gzip(#[source] std::io::Error),
    /// The user-data is not UTF-8.
    #[error("not UTF-8 text: {0}")]
    NotText(#[from] std::string::FromUtf8Error),
    /// A cloud-config that does not read.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// Decodes the text of user-data: gzip is decompressed, whatever the server declared (`coreos-cloudinit.go`,
/// `decompressIfGzip`).
///
/// # Errors
/// [`UserDataError::Gzip`], [`UserDataError::NotText`].
pub fn unpack(bytes: Vec<u8>) -> Result<String, UserDataError> {
    if !bytes.starts_with(&GZIP_MAGIC) {
        return Ok(String::from_utf8(bytes)?);
    }
    let mut unpacked = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes.as_slice())
        .take(MAX_UNPACKED_BYTES)
        .read_to_end(&mut unpacked)
        .map_err(UserDataError::Gzip)?;
    Ok(String::from_utf8(unpacked)?)
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
    use std::io::Write;

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
    fn gzip_is_unpacked_by_its_first_bytes() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"#cloud-config\n").unwrap();
        let packed = encoder.finish().unwrap();
        assert_eq!(unpack(packed.clone()).unwrap(), "#cloud-config\n");
        assert_eq!(unpack(b"#!/bin/sh\n".to_vec()).unwrap(), "#!/bin/sh\n");
        let cut = packed.get(..packed.len() - 9).unwrap().to_vec();
        assert!(matches!(unpack(cut), Err(UserDataError::Gzip(_))));
        assert!(matches!(
            unpack(vec![0xff, 0xfe]),
            Err(UserDataError::NotText(_))
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
