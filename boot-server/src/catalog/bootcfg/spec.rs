//! `spec.json`: how a machine boots and which configs it gets.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::catalog::BootSettings;
use crate::catalog::template::value_from_json;

/// Keys of the file and of its `boot` object.
const SPEC_KEYS: &[&str] = &["id", "boot", "cloud_id", "ignition_id"];
const BOOT_KEYS: &[&str] = &["kernel", "initrd", "cmdline"];

/// A spec as written; serialises as `/spec/<id>` and the Pixiecore API show it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spec {
    /// Its id; the folder's name is what groups refer to.
    #[serde(deserialize_with = "null_is_default")]
    pub id: String,
    /// What to boot.
    pub boot: Option<Boot>,
    /// File in `cloud/`; empty when it has none.
    #[serde(deserialize_with = "null_is_default")]
    pub cloud_id: String,
    /// File in `ignition/`; empty when it has none.
    #[serde(deserialize_with = "null_is_default")]
    pub ignition_id: String,
}

/// The `boot` object. Absent lists stay absent, because answers show the difference as `null`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Boot {
    /// Kernel URL or path.
    #[serde(deserialize_with = "null_is_default")]
    pub kernel: String,
    /// Initrd URLs or paths.
    pub initrd: Option<Vec<String>>,
    /// Kernel options.
    pub cmdline: Option<BTreeMap<String, serde_json::Value>>,
}

/// As in Go, `null` is the same as absent.
fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Boot {
    /// The settings in the form that boot loaders' configs are rendered from.
    pub fn settings(&self) -> BootSettings {
        let cmdline = self.cmdline.iter().flatten().map(|(key, value)| {
            let value = value_from_json(value);
            // The reference's template shows a value only when it is true to Go's `if`.
            let text = match gotmpl::is_true(&value) {
                true => value.to_string(),
                false => String::new(),
            };
            (key.clone(), text)
        });
        BootSettings {
            kernel: self.kernel.clone(),
            initrd: self.initrd.clone().unwrap_or_default(),
            cmdline: cmdline.collect(),
        }
    }
}

/// Reads a spec.
///
/// # Errors
/// The text is not JSON, or not of this shape.
pub fn parse(text: &str) -> serde_json::Result<Spec> {
    serde_json::from_str(text)
}

/// Keys of a spec that mean nothing, each with those that would: misspelt ones, most likely.
pub fn unknown_keys(text: &str) -> Vec<(String, &'static [&'static str])> {
    let Ok(serde_json::Value::Object(spec)) = serde_json::from_str(text) else {
        return Vec::new();
    };
    let boot = spec.get("boot").and_then(serde_json::Value::as_object);
    let boot_keys = boot.into_iter().flat_map(serde_json::Map::keys);
    spec.keys()
        .map(|key| (key, SPEC_KEYS))
        .chain(boot_keys.map(|key| (key, BOOT_KEYS)))
        .filter(|(key, known)| !known.contains(&key.as_str()))
        .map(|(key, known)| (key.clone(), known))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn false_zero_null_and_empty_options_are_bare_keys() {
        let spec = parse(
            r#"{"boot": {"kernel": "k", "cmdline":
            {"a": "", "b": null, "c": false, "d": 0, "e": true, "f": 1, "g": "x y"}}}"#,
        )
        .unwrap();
        let settings = spec.boot.unwrap().settings();
        let cmdline: Vec<(&str, &str)> = settings
            .cmdline
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(
            cmdline,
            [
                ("a", ""),
                ("b", ""),
                ("c", ""),
                ("d", ""),
                ("e", "true"),
                ("f", "1"),
                ("g", "x y")
            ]
        );
    }

    #[test]
    fn null_is_absent_and_misspelt_keys_are_found() {
        let text = r#"{"id": null, "cloud": "x", "boot": {"kernel": "k", "initrds": []}}"#;
        let spec = parse(text).unwrap();
        assert_eq!(spec.id, "");
        let unknown: Vec<String> = unknown_keys(text).into_iter().map(|(k, _)| k).collect();
        assert_eq!(unknown, ["cloud", "initrds"]);
    }
}
