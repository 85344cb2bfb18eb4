//! Ignition configs as they are served: the version that was asked for by writing it, never another.
//!
//! Butane and Container Linux Configs are translated (`translate`) as matchbox translates them.
//! Version 1 (the one bootcfg 0.2.0 speaks) is read from JSON or YAML and written anew as JSON, as
//! the reference does. Specs 2 and 3, which the reference refused, are passed on byte for byte.

mod translate;
mod v1;

use boot_server_proto::json::{self, InvalidJson};

use super::yaml::InvalidYaml;
pub use translate::{
    ConfigLanguage, IgnitionMode, Note, Options, Output, Refused, Translation, indented, language,
    served, translate, translate_with, untranslated, version_of,
};

/// Reasons to refuse a text as an Ignition config.
#[derive(Debug, Clone, thiserror::Error)]
pub enum InvalidIgnition {
    /// The JSON is malformed or has the wrong shape.
    #[error("not an Ignition config: {0}")]
    Json(#[from] InvalidJson),
    /// The YAML is malformed or has the wrong shape.
    #[error("not an Ignition config in YAML: {0}")]
    Yaml(#[from] InvalidYaml),
    /// The version is missing or unknown.
    #[error(
        "unknown Ignition version: JSON needs `\"ignitionVersion\": 1` or \
         `\"ignition\": {{\"version\": \"2.x.y\" or \"3.x.y\"}}`, YAML needs `ignition_version: 1`"
    )]
    Version,
    /// The text is in another language, and translation is off or the file's name says that it is JSON.
    #[error(
        "not JSON: a file named *.ign or *.ignition, and every file with `[http] ignition = \"raw\"`, is served as it is; give a Butane or Container Linux Config a name such as *.yaml, or write Ignition JSON"
    )]
    NotJson,
    /// A Butane or Container Linux Config that its language refuses.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// JSON has no mark of its encoding.
    #[error(
        "the file begins with a byte order mark (U+FEFF), which JSON does not allow: save the file as UTF-8 without BOM"
    )]
    ByteOrderMark,
    /// A partition's size or start.
    #[error(
        "invalid size of partition `{label}`: {value}; write 512MiB or 10GiB in YAML, a number of \
         512-byte sectors in JSON"
    )]
    Dimension {
        /// Label of the partition.
        label: String,
        /// The value as written.
        value: String,
    },
}

impl InvalidIgnition {
    /// Returns line and column, counted from 1, when the error has a place.
    pub fn place(&self) -> Option<(usize, usize)> {
        match self {
            InvalidIgnition::Json(error) => Some((error.line, error.column)),
            InvalidIgnition::Yaml(error) => Some((error.line, error.column)),
            InvalidIgnition::Refused(refused) => Some(refused.place()),
            InvalidIgnition::Version
            | InvalidIgnition::NotJson
            | InvalidIgnition::ByteOrderMark
            | InvalidIgnition::Dimension { .. } => None,
        }
    }
}

/// Language of a config, decided by its file name as in the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// `*.yaml` and `*.yml`.
    Yaml,
    /// JSON: any other file name.
    Json,
}

impl Language {
    /// Returns the language by the extension of a file name.
    pub fn of_file(name: &str) -> Language {
        match name.rsplit_once('.') {
            Some((_, "yaml" | "yml")) => Language::Yaml,
            _ => Language::Json,
        }
    }
}

/// True if matchbox serves Ignition files of this name as they are: neither a template nor translated.
pub fn is_raw(name: &str) -> bool {
    name.ends_with(".ign") || name.ends_with(".ignition")
}

/// Keys that tell the version of a config.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Head {
    #[serde(rename = "ignitionVersion")]
    ignition_version: serde_json::Value,
    ignition: HeadOfSpec2,
}

/// The same from version 2 on.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct HeadOfSpec2 {
    version: serde_json::Value,
}

/// Returns the JSON to serve for a rendered config.
///
/// # Errors
/// See [`InvalidIgnition`].
pub fn to_json(text: &str, language: Language) -> Result<String, InvalidIgnition> {
    if language == Language::Yaml {
        return v1::from_yaml(text)?.to_json();
    }
    let head: Head = json::from_str(text)?;
    if head.ignition_version == serde_json::json!(1) {
        return v1::from_json(text)?.to_json();
    }
    match head.ignition.version.as_str() {
        Some(version) if version.starts_with("2.") || version.starts_with("3.") => {
            Ok(text.to_owned())
        }
        _ => Err(InvalidIgnition::Version),
    }
}

/// Returns the JSON to serve of a file that is not translated.
///
/// # Errors
/// See [`InvalidIgnition`].
pub fn json_only(text: &str) -> Result<String, InvalidIgnition> {
    if text.starts_with('\u{feff}') {
        return Err(InvalidIgnition::ByteOrderMark);
    }
    match text.trim_start().starts_with('{') {
        true => to_json(text, Language::Json),
        false => Err(InvalidIgnition::NotJson),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spec_3_is_passed_on_byte_for_byte() {
        let text = "{ \"ignition\": {\"version\": \"3.3.0\"} , \"x\": \"<&>\"}\n";
        assert_eq!(to_json(text, Language::Json).unwrap(), text);
    }

    #[test]
    fn an_unknown_version_is_refused() {
        for text in ["{}", r#"{"ignitionVersion": 2}"#, r#"{"ignition": {}}"#] {
            let error = to_json(text, Language::Json).unwrap_err();
            assert!(matches!(error, InvalidIgnition::Version), "{error}");
        }
        let yaml = "ignition:\n  version: 3.3.0\n";
        let error = to_json(yaml, Language::Yaml).unwrap_err();
        assert!(matches!(error, InvalidIgnition::Version), "{error}");
    }

    #[test]
    fn another_language_is_named_and_not_taken_for_an_empty_config() {
        let error = json_only("variant: fcos\nversion: 1.4.0\n").unwrap_err();
        assert!(matches!(error, InvalidIgnition::NotJson), "{error}");
        let error = json_only("\u{feff}{\"ignition\": {\"version\": \"3.4.0\"}}").unwrap_err();
        assert!(matches!(error, InvalidIgnition::ByteOrderMark), "{error}");
        let error = json_only("{\"ignition\": {}}").unwrap_err();
        assert!(matches!(error, InvalidIgnition::Version), "{error}");
        let text = "{\"ignition\": {\"version\": \"3.4.0\"}}\n";
        assert_eq!(json_only(text).unwrap(), text);
    }

    #[test]
    fn broken_json_tells_its_line() {
        let error = to_json("{\n\"ignitionVersion\":\n", Language::Json).unwrap_err();
        assert_eq!(error.place().map(|(line, _)| line), Some(3));
    }
}
