//! Butane and Container Linux Configs → Ignition, each by its language or as one version of matchbox has it.

use ignition_translate::{
    ClcRefusal, Finding, Mismatch, Place, Refusal, Severity, translate_butane, translate_clc,
};
pub use ignition_translate::{Options, Output, indented};

use super::{Head, InvalidIgnition, Language, json_only, to_json};
use crate::problem::place_of;
use crate::raw_text;

/// Treatment of Ignition configs in matchbox's layout whose names do not end in `.ign` or `.ignition`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub enum IgnitionMode {
    /// Container Linux Configs become Ignition 2.2, as in matchbox 0.9.
    #[serde(rename = "as-0.9")]
    AsMatchbox09,
    /// Butane configs become Ignition 3.4 with every section written, as in matchbox 0.11.
    #[serde(rename = "as-0.11")]
    AsMatchbox011,
    /// Butane configs become Ignition of the version that they are for, as `butane` writes it.
    #[serde(rename = "as-butane")]
    AsButane,
    /// No translation: every config is Ignition JSON.
    #[serde(rename = "raw")]
    Raw,
}

/// A language that is translated to Ignition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigLanguage {
    /// Butane, of matchbox 0.10 and later.
    Butane,
    /// Container Linux Config, of matchbox 0.4 to 0.9.
    ContainerLinux,
}

impl ConfigLanguage {
    /// Returns the name of the language.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ConfigLanguage::Butane => "Butane config",
            ConfigLanguage::ContainerLinux => "Container Linux Config",
        }
    }
}

/// Something that a translator says about a config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// True if the config is refused because of it.
    pub is_error: bool,
    /// Line and column in the rendered config, counted from 1.
    pub place: (usize, usize),
    /// Problem in one sentence.
    pub message: String,
}

/// A config that was translated or refused.
#[derive(Debug, Clone)]
pub struct Translation {
    /// Language of the config.
    pub language: ConfigLanguage,
    /// Ignition in one line of JSON.
    pub result: Result<String, Refused>,
    /// Errors and warnings, in the order of the translator.
    pub notes: Vec<Note>,
}

/// A config that its language refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} refused: {} (line {} column {})", .language.name(), .first.message, .first.place.0, .first.place.1
)]
pub struct Refused {
    language: ConfigLanguage,
    first: Note,
}

impl Refused {
    /// Returns line and column of the first error in the rendered config.
    #[must_use]
    pub fn place(&self) -> (usize, usize) {
        self.first.place
    }
}

/// Returns the language that a rendered config is to be translated from; none for what is Ignition already, and for
/// everything when translation is off.
#[must_use]
pub fn language(text: &str, mode: Option<IgnitionMode>) -> Option<ConfigLanguage> {
    let is_ignition = is_json(text) && to_json(text, Language::Json).is_ok();
    match mode {
        Some(IgnitionMode::Raw) => None,
        _ if is_ignition => None,
        Some(IgnitionMode::AsMatchbox09) => Some(ConfigLanguage::ContainerLinux),
        Some(IgnitionMode::AsMatchbox011 | IgnitionMode::AsButane) => Some(ConfigLanguage::Butane),
        None => by_keys(text),
    }
}

/// Returns the language that the keys of a config tell: `variant` and `version` are of Butane,
/// `ignition_version` is of Ignition 1 in YAML, and JSON without them is an Ignition config.
fn by_keys(text: &str) -> Option<ConfigLanguage> {
    if text.starts_with('\u{feff}') {
        return None;
    }
    if is_json(text) {
        let json: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        return json.get("variant").map(|_| ConfigLanguage::Butane);
    }
    let has = |key| top_level_keys(text).any(|found| found == key);
    if has("ignition_version") {
        return None;
    }
    // A Container Linux Config has no `version`: a config with one alone is Butane whose `variant` is misspelt.
    match has("variant") || has("version") {
        true => Some(ConfigLanguage::Butane),
        false => Some(ConfigLanguage::ContainerLinux),
    }
}

fn is_json(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

/// Returns the keys of the outermost mapping of a YAML text in block style.
fn top_level_keys(text: &str) -> impl Iterator<Item = &str> {
    let is_content = |line: &&str| {
        let line = line.trim_start();
        !line.is_empty() && !line.starts_with(['#', '%']) && !line.starts_with("---")
    };
    let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let outermost = text.lines().find(is_content).map_or(0, indent);
    text.lines()
        .filter(is_content)
        .filter(move |line| indent(line) == outermost)
        .filter_map(|line| Some(line.split_once(':')?.0))
        .map(|key| key.trim().trim_matches(['"', '\'']))
}

/// Translates a rendered config, as a mode has it.
#[must_use]
pub fn translate(text: &str, language: ConfigLanguage, mode: Option<IgnitionMode>) -> Translation {
    let output = match mode {
        Some(IgnitionMode::AsButane) => Output::Ignition,
        _ => Output::Matchbox011,
    };
    let options = Options {
        files_dir: None,
        output,
    };
    translate_with(text, language, &options)
}

/// Translates a rendered config; options are those of Butane.
#[must_use]
pub fn translate_with(text: &str, language: ConfigLanguage, options: &Options<'_>) -> Translation {
    let bytes = raw_text::to_bytes(text.to_owned());
    let (result, notes) = match language {
        ConfigLanguage::Butane => {
            let translation = translate_butane(&bytes, options);
            let mut notes: Vec<Note> = translation.findings.iter().map(note).collect();
            let result = translation.result.map_err(|refusal| match &refusal {
                Refusal::HeaderTypes(mismatches) | Refusal::Types(mismatches) => {
                    notes.extend(mismatches.iter().map(mismatch));
                }
                Refusal::Yaml(error) => notes.push(error_at(error, error.place())),
                Refusal::Header(error) => notes.push(error_at(error, header(text))),
                Refusal::Source | Refusal::Generated => {}
            });
            (result, notes)
        }
        ConfigLanguage::ContainerLinux => {
            let translation = translate_clc(&bytes);
            let mut notes: Vec<Note> = translation.findings.iter().map(note).collect();
            let result = translation.result.map_err(|refusal| match &refusal {
                ClcRefusal::Types(mismatches) => notes.extend(mismatches.iter().map(mismatch)),
                ClcRefusal::Yaml(error) => notes.push(error_at(error, error.place())),
                ClcRefusal::Version(error) => {
                    notes.push(error_at(format!("invalid version: {error}"), None));
                }
                ClcRefusal::Source | ClcRefusal::Generated => {}
            });
            (result, notes)
        }
    };
    let result = result.map_err(|()| {
        let first = notes.iter().find(|note| note.is_error);
        Refused {
            language,
            first: first
                .cloned()
                .unwrap_or_else(|| error_at("the config is invalid", None)),
        }
    });
    Translation {
        language,
        result,
        notes,
    }
}

/// Returns the response for a rendered config of matchbox's layout whose name does not say that it is raw.
///
/// # Errors
/// See [`InvalidIgnition`].
pub fn served(text: &str, mode: Option<IgnitionMode>) -> Result<String, InvalidIgnition> {
    if mode == Some(IgnitionMode::Raw) || text.starts_with('\u{feff}') {
        return json_only(text);
    }
    match language(text, mode) {
        Some(language) => Ok(translate(text, language, mode).result?),
        None => match untranslated(text, mode) {
            Language::Json => json_only(text),
            Language::Yaml => to_json(text, Language::Yaml),
        },
    }
}

/// Returns the form of a config that is not translated: bootcfg 0.3 has matchbox's layout and Ignition 1 in YAML.
#[must_use]
pub fn untranslated(text: &str, mode: Option<IgnitionMode>) -> Language {
    match mode == Some(IgnitionMode::Raw) || is_json(text) || text.starts_with('\u{feff}') {
        true => Language::Json,
        false => Language::Yaml,
    }
}

/// Returns the version of the Ignition specification that a config in JSON is for.
#[must_use]
pub fn version_of(json: &str) -> Option<String> {
    let head: Head = boot_server_proto::json::from_str(json).ok()?;
    match head.ignition.version.as_str() {
        Some(version) => Some(version.to_owned()),
        None if head.ignition_version == serde_json::json!(1) => Some("1".to_owned()),
        None => None,
    }
}

fn note(finding: &Finding) -> Note {
    let place = finding.place.unwrap_or(START);
    let path = finding.path.to_string();
    Note {
        is_error: finding.severity == Severity::Error,
        place: (place.line, place.column),
        message: match path.as_str() {
            "$" => finding.reason.to_string(),
            path => format!("{} ({path})", finding.reason),
        },
    }
}

fn mismatch(mismatch: &Mismatch) -> Note {
    error_at(&mismatch.problem, Some(mismatch.at))
}

fn error_at(message: impl ToString, place: Option<Place>) -> Note {
    let place = place.unwrap_or(START);
    Note {
        is_error: true,
        place: (place.line, place.column),
        message: message.to_string(),
    }
}

const START: Place = Place { line: 1, column: 1 };

/// Returns the place of a config's version, or of its variant.
fn header(text: &str) -> Option<Place> {
    let (line, column) = place_of(text, "version").or_else(|| place_of(text, "variant"))?;
    Some(Place { line, column })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FCOS: &str = "variant: fcos\nversion: 1.4.0\n";
    const CLC: &str = "passwd:\n  users:\n    - name: core\n";

    fn version_of(text: &str, mode: Option<IgnitionMode>) -> String {
        let served = served(text, mode).unwrap();
        let json: serde_json::Value = serde_json::from_str(&served).unwrap();
        let version = json["ignition"]["version"].as_str();
        version.map_or_else(|| json["ignitionVersion"].to_string(), str::to_owned)
    }

    #[test]
    fn config_is_translated_by_its_own_language_unless_a_version_of_matchbox_is_chosen() {
        use IgnitionMode::{AsButane, AsMatchbox09, AsMatchbox011};
        for (text, mode, version) in [
            (FCOS, None, "3.4.0"),
            (FCOS, Some(AsMatchbox011), "3.4.0"),
            (FCOS, Some(AsButane), "3.3.0"),
            // To matchbox 0.9 these are unknown keys of a Container Linux Config.
            (FCOS, Some(AsMatchbox09), "2.2.0"),
            (CLC, None, "2.2.0"),
            (CLC, Some(AsMatchbox09), "2.2.0"),
            ("ignition_version: 1\n", None, "1"),
            (
                "# note\n---\n  variant: fcos\n  version: 1.1.0\n",
                Some(AsButane),
                "3.1.0",
            ),
            (
                "{\"variant\": \"fcos\", \"version\": \"1.5.0\"}",
                None,
                "3.4.0",
            ),
            ("{\"passwd\": {}}", Some(AsMatchbox09), "2.2.0"),
        ] {
            assert_eq!(version_of(text, mode), version, "{text:?} {mode:?}");
        }
    }

    #[test]
    fn ignition_json_is_passed_on_in_every_mode() {
        let text = "{ \"ignition\": {\"version\": \"3.0.0\"} }\n";
        for mode in ["as-0.9", "as-0.11", "as-butane", "raw"] {
            let mode: IgnitionMode = serde_json::from_value(mode.into()).unwrap();
            assert_eq!(served(text, Some(mode)).unwrap(), text);
        }
        assert_eq!(served(text, None).unwrap(), text);
    }

    #[test]
    fn refused_config_has_the_place_of_its_first_error() {
        for (text, mode, place, part) in [
            (
                "varient: fcos\nversion: 1.4.0\n",
                None,
                (2, 1),
                "missing `variant`",
            ),
            (
                "variant: fcos\nversion: 9.0.0\n",
                None,
                (2, 1),
                "fcos 9.0.0",
            ),
            (
                "variant: fcos\nversion: 1.4.0\nstorage: 5\n",
                None,
                (3, 10),
                "unmarshal",
            ),
            (
                "variant: fcos\nversion: 1.4.0\nstorage:\n  files:\n    - path: a\n",
                None,
                (5, 13),
                "path",
            ),
            ("variant: [\n", None, (1, 10), "YAML"),
            ("passwd: 5\n", None, (1, 9), "unmarshal"),
            (
                CLC,
                Some(IgnitionMode::AsMatchbox011),
                (1, 1),
                "missing `variant`",
            ),
            (
                "storage:\n  files:\n    - path: /a\n      contents:\n        local: b\n",
                None,
                (5, 16),
                "",
            ),
        ] {
            let error = served(text, mode).unwrap_err();
            assert_eq!(error.place(), Some(place), "{error}");
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn raw_mode_translates_nothing() {
        for text in [FCOS, CLC] {
            let error = served(text, Some(IgnitionMode::Raw)).unwrap_err();
            assert!(matches!(error, InvalidIgnition::NotJson), "{error}");
        }
    }
}
