//! Causes about the config's text: malformed, or with a unit that fails.

use boot_server_catalog::Labels;
use boot_server_catalog::nocloud::{SeedFile, SeedRequest};
use boot_server_catalog::snapshot::Folder;
use boot_server_events::BootEvent;

use super::case::{Case, proof};
use super::{Cause, Finding, Proof};
use crate::evidence::Observation;
use crate::timeline::{Fact, Outcome, StageName};

/// Byte order mark (U+FEFF), which Windows editors write.
const BOM: char = '\u{feff}';

/// Detects a config that was rejected because of its own text.
pub(super) fn invalid(case: &Case) -> Option<Finding> {
    refused_by_server(case).or_else(|| as_it_arrived(case))
}

fn finding(sentence: String, evidence: Vec<Proof>, weight: u8) -> Finding {
    Finding {
        cause: Cause::ConfigInvalid,
        sentence,
        evidence,
        remedy: "correct the file at that line: plain UTF-8 without a byte order mark, spaces and no tabs \
                 before keys, `#cloud-config` as its first line or a JSON object for Ignition; \
                 `lab validate DIR` names each mistake"
            .into(),
        weight,
    }
}

/// Detects a file that the service cannot turn into a config.
fn refused_by_server(case: &Case) -> Option<Finding> {
    let catalog = case.attempt.beside.catalog.as_deref()?;
    let (at_us, folder, query) = case.events().find_map(|(at_us, event)| match event {
        BootEvent::HttpRequest {
            path,
            query,
            status: 400..500,
            ..
        } => {
            let folder = match path.as_str() {
                "/cloud" => Folder::Cloud,
                "/ignition" => Folder::Ignition,
                _ => {
                    let asked = SeedRequest::parse(path, query).ok()?;
                    let is_user_data = asked.file == SeedFile::UserData;
                    return is_user_data.then_some((at_us, Folder::Cloud, asked.query));
                }
            };
            Some((at_us, folder, query.clone()))
        }
        _ => None,
    })?;
    let labels = Labels::from_query(&query);
    let group = catalog.group(&labels).ok()?;
    let profile = catalog.profile(&group.profile_id).ok()?;
    let file = folder.file(profile)?;
    let reason = match catalog.rendered(folder, file, group, &labels, &query) {
        Ok(_) => catalog.config(folder, &labels, &query).err()?.reason,
        Err(unrendered) if unrendered.template().is_some() => unrendered.to_string(),
        // A missing file is another cause.
        Err(_) => return None,
    };
    let sentence = format!("{file} cannot be served as a config: {reason}");
    let told = format!("the service rejects the file's content: {reason}");
    Some(finding(sentence, vec![Proof::at(at_us, told)], 97))
}

/// Returns the defect in the text of the received config.
fn as_it_arrived(case: &Case) -> Option<Finding> {
    let stages = [StageName::Ignition, StageName::CloudConfig];
    let (stage, (at_us, text)) = stages
        .into_iter()
        .filter_map(|stage| Some((stage, arrived(case, stage)?)))
        .next()?;
    let (line, what) = mistake(text, stage)?;
    let stage_event = case.stage_events(stage).last()?;
    let name = stage_event
        .served
        .as_deref()
        .or(stage_event.subject.as_deref())
        .unwrap_or("the config");
    let evidence = vec![
        Proof::at(at_us, format!("line {line}, as received: {what}")),
        proof(stage_event),
    ];
    Some(finding(
        format!("the config {name} is not valid, line {line}: {what}"),
        evidence,
        94,
    ))
}

/// Returns the text of the config that arrived at the machine's port.
fn arrived<'a>(case: &Case<'a>, stage: StageName) -> Option<(u64, &'a str)> {
    let done = case
        .stage_events(stage)
        .iter()
        .rfind(|one| one.outcome == Outcome::Done && one.impostor.is_none())?;
    let hash = done.content.as_ref()?.arrived.as_deref()?;
    case.attempt
        .records
        .iter()
        .find_map(|record| match &record.seen {
            Observation::Arrived { content, .. }
                if record.node.as_deref() == Some(&case.node.name) && content.sha256 == hash =>
            {
                Some((record.at_us, content.text.as_deref()?))
            }
            _ => None,
        })
}

/// Returns the first line that no reader of such configs accepts, and the reason.
fn mistake(text: &str, stage: StageName) -> Option<(usize, &'static str)> {
    let first = text.trim_start_matches(BOM).trim_start();
    if text.trim().is_empty() {
        return Some((1, "it is empty"));
    }
    if text.starts_with(BOM) {
        return Some((1, "it begins with a byte order mark"));
    }
    if first.starts_with('<') {
        return Some((1, "it is an HTML page"));
    }
    if stage == StageName::Ignition {
        return (!first.starts_with('{')).then_some((1, "it is not a JSON object"));
    }
    if !text.starts_with("#cloud-config") {
        return None;
    }
    let tab = text
        .lines()
        .position(|line| line.trim_start_matches(' ').starts_with('\t'))?;
    Some((tab + 1, "it is indented with a tab"))
}

/// Detects a unit of the config that systemd could not start.
pub(super) fn unit_failed(case: &Case) -> Option<Finding> {
    let failed = case
        .stage_events(StageName::ConfigApplied)
        .iter()
        .filter(|one| one.outcome == Outcome::Failed);
    let units: Vec<_> = failed
        .filter_map(|one| Some((one, failed_unit(&one.fact)?)))
        .collect();
    let (_, unit) = units.first()?;
    Some(Finding {
        cause: Cause::UnitFailed,
        sentence: format!("the unit {unit} of the config failed"),
        evidence: units.iter().take(4).map(|(one, _)| proof(one)).collect(),
        remedy: format!(
            "read `journalctl -u {unit}` in the machine, or its journal in the artifacts, and \
             correct the unit in the config; if the unit may fail, set `config_may_fail = true`"
        ),
        weight: 92,
    })
}

fn failed_unit(fact: &Fact) -> Option<&str> {
    match fact {
        Fact::UnitFailed { unit } => Some(unit),
        Fact::Console(line) => crate::timeline::failed_unit(line),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistake_of_a_config_names_its_line() {
        let cloud = |text| mistake(text, StageName::CloudConfig);
        assert_eq!(cloud("#cloud-config\nhostname: a\n"), None);
        assert_eq!(cloud("").map(|(line, _)| line), Some(1));
        assert_eq!(
            cloud("\u{feff}#cloud-config\n").map(|(line, _)| line),
            Some(1)
        );
        assert_eq!(cloud("<!doctype html>\n").map(|(line, _)| line), Some(1));
        assert_eq!(
            cloud("#cloud-config\na: b\n\tc: d\n").map(|(line, _)| line),
            Some(3)
        );
        assert_eq!(cloud("#!/bin/sh\n\techo\n"), None);
        assert!(mistake("[]", StageName::Ignition).is_some());
        assert_eq!(mistake("{}\n", StageName::Ignition), None);
    }
}
