//! Explanation of Ignition's refusal of a config: its version. The binary's own message ("unsupported config
//! version") names neither the version it was given nor the ones it supports.
//!
//! Versions: `ignitionVersion: 1` (Ignition 0.1 to 0.2), `ignition.version` 2.x (0.3 to 0.35) and 3.x
//! (from 2.0 on); coreos/ignition `docs/migrating-configs.md`.

use crate::config::yaml::{self, Node, Value};

/// Says which version `config` is of and which ones Ignition speaks, or nothing when its version is
/// not what is wrong with it. `speaks` is the newest version of configs that this Ignition reads.
#[must_use]
pub fn explain(config: &str, speaks: &str) -> Option<String> {
    let refusal = |what: &str| {
        format!(
            "{what}, and the Ignition of this image speaks versions {}.0.0 to {speaks} only; it is \
             not translated: write it as version {speaks}",
            major(speaks)
        )
    };
    if !config.trim_start().starts_with('{') {
        let kind = config.lines().next().unwrap_or_default().trim_end();
        return kind.starts_with('#').then(|| {
            refusal(&format!(
                "the config is no Ignition config but begins with {kind:?}"
            ))
        });
    }
    let root = yaml::parse(config).ok()?;
    let given = root
        .entry("ignitionVersion")
        .or_else(|| root.entry("ignition")?.entry("version"))
        .and_then(text)?;
    let spoken = major(given) == major(speaks) && numbers(given) <= numbers(speaks);
    (!spoken).then(|| refusal(&format!("the config is of version {given}")))
}

fn text(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Scalar { text, .. } => Some(text),
        _ => None,
    }
}

fn major(version: &str) -> &str {
    version.split('.').next().unwrap_or_default()
}

/// `3.4.0-experimental` is none of the versions that are numbers alone, and after all of them.
fn numbers(version: &str) -> Vec<u64> {
    version
        .split('.')
        .map(|part| part.parse().unwrap_or(u64::MAX))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::explain;

    #[test]
    fn versions_1_and_2_are_named_with_the_ones_that_are_spoken() {
        for (config, version) in [
            (r#"{"ignitionVersion": 1, "storage": {}}"#, "version 1,"),
            (r#"{"ignition": {"version": "2.0.0"}}"#, "version 2.0.0,"),
            (r#"{"ignition": {"version": "2.4.0"}}"#, "version 2.4.0,"),
        ] {
            let why = explain(config, "3.3.0").unwrap();
            assert!(why.contains(version), "{why}");
            assert!(why.contains("versions 3.0.0 to 3.3.0 only"), "{why}");
        }
    }

    #[test]
    fn a_newer_minor_version_and_an_experimental_one_are_not_spoken() {
        assert!(explain(r#"{"ignition": {"version": "3.4.0"}}"#, "3.3.0").is_some());
        assert!(
            explain(
                r#"{"ignition": {"version": "3.3.0-experimental"}}"#,
                "3.3.0"
            )
            .is_some()
        );
    }

    #[test]
    fn a_spoken_version_is_not_what_is_wrong() {
        for version in ["3.0.0", "3.2.0", "3.3.0"] {
            let config = format!(r#"{{"ignition": {{"version": "{version}"}}, "x": 1}}"#);
            assert_eq!(explain(&config, "3.3.0"), None);
        }
        assert_eq!(explain("{broken", "3.3.0"), None);
        assert_eq!(explain("", "3.3.0"), None);
    }

    #[test]
    fn a_cloud_config_in_its_place_is_named() {
        let why = explain("#cloud-config\nhostname: a\n", "3.3.0").unwrap();
        assert!(why.contains("\"#cloud-config\""), "{why}");
    }
}
