//! Console messages about a config's application, from the stand-in's agent and initramfs, Ignition,
//! coreos-cloudinit, and systemd about units of the config.

use super::Outcome;
use super::signatures::{ConfigNews, config_news, without_prompt, without_stamp};

/// Returns the meaning of a console line after the kernel's start, if it is about a config. `brought_in` are the
/// configs that the machine received; `wants_cloud_config` is true if one is expected.
pub(super) fn meaning(
    line: &str,
    brought_in: &[&str],
    wants_cloud_config: bool,
) -> Option<Outcome> {
    // The agent may print while a shell waits at its prompt.
    let bare = without_prompt(without_stamp(line.trim()).trim_start());
    let (news, signature) = config_news(bare)?;
    match news {
        ConfigNews::Applied => Some(Outcome::Done),
        ConfigNews::Failed => Some(Outcome::Failed),
        ConfigNews::Nothing => Some(match wants_cloud_config {
            true => Outcome::Failed,
            false => Outcome::Noted,
        }),
        ConfigNews::UnitFailed => {
            let unit = unit_after(signature.text, bare)?;
            brings_in(brought_in, unit).then_some(Outcome::Failed)
        }
    }
}

/// The unit that a line of systemd is about, when systemd could not start it.
pub(crate) fn failed_unit(line: &str) -> Option<&str> {
    match config_news(line)? {
        (ConfigNews::UnitFailed, signature) => unit_after(signature.text, line),
        _ => None,
    }
}

/// The unit behind systemd's text: `[FAILED] Failed to start NAME - DESCRIPTION.` since version 249,
/// `Failed to start DESCRIPTION.` before.
fn unit_after<'l>(text: &str, line: &'l str) -> Option<&'l str> {
    let (_, rest) = line.split_once(text)?;
    let unit = rest.split_once(" - ").map_or(rest, |(unit, _)| unit);
    let unit = unit.trim().trim_end_matches('.');
    (!unit.is_empty()).then_some(unit)
}

/// True if a config has this unit, by name or description, or the template of which it is an instance.
pub(super) fn brings_in(configs: &[&str], unit: &str) -> bool {
    let template = unit.split_once('@').and_then(|(name, rest)| {
        let (instance, kind) = rest.rsplit_once('.')?;
        (!instance.is_empty()).then(|| format!("{name}@.{kind}"))
    });
    configs.iter().any(|config| {
        let has = |unit: &str| names(config, unit);
        has(unit) || template.as_deref().is_some_and(has)
    })
}

/// True if the config has a unit of this name or description, as a whole value.
fn names(config: &str, unit: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || "-_.@\\".contains(c);
    config.match_indices(unit).any(|(at, _)| {
        let (before, after) = (config.get(..at), config.get(at + unit.len()..));
        let ends = before.is_none_or(|text| !text.ends_with(is_part));
        ends && after.is_none_or(|text| !text.starts_with(is_part))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "#cloud-config\ncoreos:\n  units:\n    - name: lab-node1.service\n      content: |\n        [Unit]\n        Description=Marks node1\n";

    #[test]
    fn meaning_of_the_agents_failure_is_failed() {
        let line = "guest-agent: FAILED: /proc/nothing: Permission denied";
        assert_eq!(meaning(line, &[], true), Some(Outcome::Failed));
        let stamped =
            "[   12.345678] stand-in: FAILED: Ignition's fetch stage ended with exit code 1";
        assert_eq!(meaning(stamped, &[], true), Some(Outcome::Failed));
    }

    #[test]
    fn meaning_of_nothing_applied_is_failed_only_where_a_cloud_config_is_expected() {
        let line =
            "guest-agent: nothing applied: the user-data is an Ignition config, not a cloud-config";
        assert_eq!(meaning(line, &[], true), Some(Outcome::Failed));
        assert_eq!(meaning(line, &[], false), Some(Outcome::Noted));
    }

    #[test]
    fn meaning_of_a_text_that_only_quotes_the_agent_is_none() {
        assert_eq!(
            meaning("login hint: guest-agent: FAILED means trouble", &[], true),
            None
        );
    }

    #[test]
    fn meaning_of_a_failed_unit_is_failed_only_when_the_config_brought_it_in() {
        let by_name = "[FAILED] Failed to start lab-node1.service - Marks node1.";
        let by_description = "[FAILED] Failed to start Marks node1.";
        let by_image = "[FAILED] Failed to start node1.service - Another.";
        assert_eq!(meaning(by_name, &[CONFIG], true), Some(Outcome::Failed));
        assert_eq!(
            meaning(by_description, &[CONFIG], true),
            Some(Outcome::Failed)
        );
        assert_eq!(meaning(by_image, &[CONFIG], true), None);
        assert_eq!(meaning(by_name, &[], true), None);
    }

    #[test]
    fn brings_in_of_an_instance_finds_its_template() {
        let config = "coreos:\n  units:\n    - name: mark@.service\n";
        assert!(brings_in(&[config], "mark@one.service"));
        assert!(!brings_in(&[config], "mark@one.socket"));
        assert!(!brings_in(&[config], "landmark@one.service"));
        assert!(!brings_in(&[config], "mark.service"));
    }
}
