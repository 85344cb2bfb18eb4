//! Comparison of received bytes with those sent, those on disk and those that the scenario states.

use super::proof::Unmet;
use super::require::{By, Requirement};
use crate::timeline::{
    ContentSeen, Difference, Origin, Outcome, StageEvent, StageName, Timeline, Vantage,
};

/// Number of SHA-256 digits shown.
const SHOWN_DIGITS: usize = 12;

/// Detects an answer that arrived with other bytes than it was sent with.
pub(super) fn changed(timeline: &Timeline) -> Option<Unmet> {
    let all = timeline.stages.iter().flat_map(|stage| {
        let own = stage.events.iter();
        own.filter(|one| one.impostor.is_none())
            .map(|one| (stage.name, one))
    });
    let mut different = all.filter_map(|(stage, one)| {
        let content = one.content.as_ref()?;
        Some((stage, one, told(content, content.difference()?)))
    });
    let (stage, stage_event, difference) = different.next()?;
    Some(Unmet {
        stage,
        waited_for: "the bytes that the service sent".into(),
        why: format!("{difference}: {}", stage_event.text),
        missing: vec![format!("{stage} unchanged")],
        went_wrong: true,
    })
}

/// Detects a boot script from another host than the scenario's services: the stranger chooses where it leads, even if
/// that is the right script.
pub(super) fn foreign_script(timeline: &Timeline) -> Option<Unmet> {
    if timeline.vantage != Vantage::OwnPort {
        return None;
    }
    let mut own = timeline.stage(StageName::Script)?.events.iter();
    let (stage_event, from) = own.find_map(|one| {
        let content = one.content.as_ref()?;
        let from = content.from.as_deref()?;
        let is_foreign =
            !content.is_of_host && one.impostor.is_none() && one.outcome != Outcome::Failed;
        is_foreign.then_some((one, from))
    })?;
    Some(Unmet {
        stage: StageName::Script,
        waited_for: "boot scripts from the scenario's own services".into(),
        why: format!(
            "a script arrived from {from} that no service of the scenario sent: {}",
            stage_event.text
        ),
        missing: vec!["a boot without a script of another host".into()],
        went_wrong: true,
    })
}

/// Detects an answer with another hash than the scenario states.
pub(super) fn wrong<'s>(
    requirement: &Requirement,
    answers: impl Iterator<Item = &'s StageEvent>,
) -> Option<String> {
    let mut answers = answers;
    answers.find_map(|answer| {
        let content = answer.content.as_ref()?;
        let known = content
            .arrived
            .as_ref()
            .or(content.sent.as_ref())
            .or(content.on_disk.as_ref())?;
        let mut expected = requirement.sha256.iter();
        if requirement.sha256.is_empty() || expected.any(|one| one.as_str() == *known) {
            return None;
        }
        let wanted: Vec<&str> = requirement
            .sha256
            .iter()
            .map(|one| short(one.as_str()))
            .collect();
        Some(format!(
            "its SHA-256 is {}…, but the scenario expects {}…: {}",
            short(known),
            wanted.join("… or "),
            answer.text
        ))
    })
}

/// Describes the difference.
pub(crate) fn told(content: &ContentSeen, difference: Difference) -> String {
    let (known, who) = match difference {
        Difference::FromSent => (&content.sent, "those that the service sent"),
        Difference::FromDisk => (&content.on_disk, "the service's file on disk"),
    };
    let hash = |hash: &Option<String>| hash.as_deref().map_or("?", short).to_owned();
    format!(
        "the received bytes differ from {who} (SHA-256 {}… and {}…)",
        hash(&content.arrived),
        hash(known)
    )
}

/// Detects an answer at the machine's port that no service of the lab sent.
pub(super) fn unsent<'s>(
    requirement: &Requirement,
    timeline: &Timeline,
    proofs: impl Iterator<Item = &'s StageEvent>,
    answers: &'s [StageEvent],
) -> Option<String> {
    if timeline.vantage != Vantage::OwnPort {
        return None;
    }
    if requirement.by == By::MachineOfService {
        return stranger(requirement, answers);
    }
    if requirement.by != By::Machine {
        return None;
    }
    let known: Vec<&str> = proofs
        .filter_map(|proof| proof.content.as_ref())
        .flat_map(|content| [&content.arrived, &content.sent, &content.on_disk])
        .filter_map(|hash| hash.as_deref())
        .collect();
    // A packet alone does not show the query string of the request.
    let mut answers = answers.iter();
    let stray = answers.find(|answer| {
        let arrived = answer.content.as_ref().and_then(|c| c.arrived.as_deref());
        answer.origin == Origin::Wire
            && requirement.subject.is_of(answer)
            && answer.outcome == Outcome::Done
            && arrived.is_some_and(|arrived| !known.contains(&arrived))
    })?;
    let from = stray.content.as_ref().and_then(|c| c.from.as_deref());
    Some(format!(
        "an answer arrived from {} that no service of the scenario sent: {}",
        from.unwrap_or("another host"),
        stray.text
    ))
}

/// Detects an answer from a host that no service of the scenario has.
fn stranger(requirement: &Requirement, answers: &[StageEvent]) -> Option<String> {
    answers.iter().find_map(|answer| {
        let content = answer.content.as_ref()?;
        let from = content.from.as_deref().filter(|_| !content.is_of_host)?;
        let counts = requirement.subject.is_of(answer) && answer.outcome == Outcome::Done;
        counts.then(|| {
            format!(
                "an answer arrived from {from}, where no service of the scenario runs: {}",
                answer.text
            )
        })
    })
}

fn short(hash: &str) -> &str {
    hash.get(..SHOWN_DIGITS).unwrap_or(hash)
}
