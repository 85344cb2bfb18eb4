//! Cause: the server has no boot script for this machine.

use boot_server_catalog::Labels;
use boot_server_catalog::explain::explain;
use boot_server_events::BootEvent;

use super::case::{Case, proof};
use super::nbp::refusal;
use super::{Cause, Finding, Proof};
use crate::timeline::{Outcome, StageName};

/// Maximum number of groups that are explained.
const SHOWN_GROUPS: usize = 6;

/// Detects that no group matches, or that the group's script does not exist.
pub(super) fn not_found(case: &Case) -> Option<Finding> {
    let refused = refusal(case, StageName::Script)?;
    let through = case
        .stage_events(StageName::Script)
        .iter()
        .any(|stage_event| {
            stage_event.outcome == Outcome::Done && stage_event.at_us > refused.at_us
        });
    if through || case.is_through(StageName::Kernel) {
        return None;
    }
    let (labels, query, reason) = asked(case);
    let mut evidence = vec![proof(refused)];
    evidence.extend(
        why_no_group(case, &labels, &query)
            .into_iter()
            .map(Proof::of),
    );
    let what = refused.subject.as_deref().unwrap_or("the boot script");
    let with = shown(&labels);
    let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
    Some(Finding {
        cause: Cause::ScriptNotFound,
        sentence: format!(
            "the server has no boot script for this machine ({what}; {with}){reason}"
        ),
        evidence,
        remedy: "correct the differing label in the group's requirements (a UUID is written in \
                 lowercase, a MAC with colons), or add a group for this machine or a default \
                 group without requirements; check that the group's profile exists"
            .into(),
        weight: 95,
    })
}

/// Returns the labels of the refused request, and the server's reason.
fn asked(case: &Case) -> (Labels, String, Option<String>) {
    let request = case.events().filter_map(|(_, event)| match event {
        BootEvent::HttpRequest {
            path,
            query,
            status: 400..,
            detail,
            ..
        } => Some((path, query, detail)),
        _ => None,
    });
    let mut requests = request.filter(|(path, ..)| {
        *path == "/ipxe" || *path == "/grub" || path.starts_with("/pixiecore/")
    });
    match requests.next() {
        Some((path, query, detail)) => {
            let mac = path.strip_prefix("/pixiecore/v1/boot/");
            let labels = mac.map_or_else(|| Labels::from_query(query), Labels::from_mac);
            (labels, query.clone(), Some(detail.to_string()))
        }
        // PXELINUX requests its UUID first, then its MAC.
        None => {
            let query = format!("uuid={}&mac={}", case.uuid, case.mac);
            (Labels::from_query(&query), query, None)
        }
    }
}

fn shown(labels: &Labels) -> String {
    let pairs: Vec<String> = labels
        .0
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    if pairs.is_empty() {
        "no labels".into()
    } else {
        pairs.join(", ")
    }
}

/// Explains for each group of the served data directory why it does not match this machine.
pub(super) fn why_no_group(case: &Case, labels: &Labels, query: &str) -> Option<String> {
    let catalog = case.attempt.beside.catalog.as_deref()?;
    let story = explain(catalog, labels, query).groups_text();
    let groups: Vec<&str> = story.lines().collect();
    let rest = groups.len().saturating_sub(SHOWN_GROUPS + 1);
    let mut lines: Vec<&str> = groups.into_iter().take(SHOWN_GROUPS + 1).collect();
    let more = format!("  and {rest} more");
    if rest > 0 {
        lines.push(&more);
    }
    Some(lines.join("\n"))
}
