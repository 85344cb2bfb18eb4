//! Profile of a group's machines: kernel, initrds, options, and the files of their configs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use boot_server_proto::json;
use serde::{Deserialize, Serialize};

use super::BootSettings;
use super::nocloud::Seed;
use super::problem::Problem;
use super::template::value_from_json;

/// A profile (bootcfg: spec), in the words of both layouts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Profile {
    /// The id that groups name it by: its folder's or its file's name.
    pub id: Arc<str>,
    /// The id written in it.
    pub written_id: String,
    /// Kernel, initrds and options as written in the file.
    pub boot: Option<Boot>,
    /// Kernel, initrds and options as boot loaders' configs need them.
    pub settings: Option<Arc<BootSettings>>,
    /// File in `cloud/`.
    pub cloud_id: Option<Arc<str>>,
    /// File in `ignition/`.
    pub ignition_id: Option<Arc<str>>,
    /// File in `generic/`.
    pub generic_id: Option<Arc<str>>,
}

impl Profile {
    /// Returns the NoCloud seed that its machines are given; none for machines that boot without cloud-init.
    pub fn seed(&self) -> Option<Seed> {
        let settings = self.settings.as_ref()?;
        Seed::of_options(settings.options.iter().map(String::as_str))
    }

    /// Makes it boot these.
    pub fn with_boot(mut self, boot: Option<Boot>) -> Profile {
        self.settings = boot.as_ref().map(|boot| Arc::new(boot.settings()));
        self.boot = boot;
        self
    }
}

/// Returns an id as written in a profile; empty means none.
pub(super) fn id_of(text: String) -> Option<Arc<str>> {
    (!text.is_empty()).then(|| text.into())
}

/// The `boot` object. Absent lists stay absent, because answers show the difference as `null`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Boot {
    /// Kernel URL or path.
    pub kernel: String,
    /// Initrd URLs or paths.
    pub initrd: Option<Vec<String>>,
    /// Kernel options by key: bootcfg, and matchbox until 0.6.
    pub cmdline: Option<BTreeMap<String, serde_json::Value>>,
    /// Kernel options in order: matchbox from 0.5 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<Vec<String>>,
}

impl Boot {
    /// Returns the settings in the form that boot loaders' configs are rendered from: `cmdline` sorted by key,
    /// then `args` in their order.
    pub fn settings(&self) -> BootSettings {
        let cmdline = self.cmdline.iter().flatten().map(|(key, value)| {
            let value = value_from_json(value);
            // The reference's template shows a value only when it is true to Go's `if`.
            match value.is_true() {
                false => key.clone(),
                true => format!("{key}={value}"),
            }
        });
        BootSettings {
            kernel: self.kernel.clone(),
            initrd: self.initrd.clone().unwrap_or_default(),
            options: cmdline.chain(self.args.iter().flatten().cloned()).collect(),
        }
    }
}

/// Warnings of the keys of a JSON text that mean nothing; `within` is a key whose object is looked at instead.
pub(super) fn unknown_keys(
    path: &Path,
    text: &str,
    within: Option<&str>,
    known: &[&str],
) -> Vec<Problem> {
    let keys = json::keys(text, within).into_iter();
    keys.filter(|key| !known.iter().any(|name| json::is_key(&key.name, name)))
        .map(|key| Problem::unknown_key(path, &key.name, known).at(text, key.line, key.column))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn false_zero_null_and_empty_options_are_bare_keys() {
        let boot: Boot = serde_json::from_str(
            r#"{"kernel": "k", "args": ["z=1", "b"], "cmdline":
            {"a": "", "b": null, "c": false, "d": 0, "e": true, "f": 1, "g": "x y"}}"#,
        )
        .unwrap();
        assert_eq!(
            boot.settings().options,
            ["a", "b", "c", "d", "e=true", "f=1", "g=x y", "z=1", "b"]
        );
    }
}
