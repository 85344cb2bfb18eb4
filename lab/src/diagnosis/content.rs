//! Causes about differing bytes: changed in transit, or other than the scenario states.

use super::case::Case;
use super::nbp::proof;
use super::{Cause, Finding, Proof};
use crate::scenario::Sha256Hex;
use crate::timeline::{Sighting, StageName};

/// Detects an answer that was changed between service and machine.
pub(super) fn changed(case: &Case) -> Option<Finding> {
    let (sighting, told) = case.sightings(case.stage).iter().find_map(|one| {
        let content = one.content.as_ref()?;
        let difference = content.difference()?;
        Some((one, crate::verdict::told_difference(content, difference)))
    })?;
    let what = name(sighting);
    let from = sighting.content.as_ref().and_then(|c| c.from.as_deref());
    let from = from.map_or_else(String::new, |from| format!(" from {from}"));
    Some(Finding {
        cause: Cause::ChangedOnTheWay,
        sentence: format!("{what} was changed on its way to {}: {told}", case.node.name),
        evidence: vec![proof(sighting), Proof::of(format!("it arrived{from}"))],
        remedy: "look for what stands between service and machine (a proxy, a cache, a relay, a host that \
                 answers ARP for the server), and for a file that was replaced while it was served; \
                 compare the two with `sha256sum`"
            .into(),
        weight: 97,
    })
}

fn name(sighting: &Sighting) -> &str {
    sighting.subject.as_deref().unwrap_or("a file")
}

/// Detects a file that was sent correctly but has another hash than the scenario states.
pub(super) fn differs(case: &Case) -> Option<Finding> {
    let hashes = &case.node.expect.sha256;
    let expected: Vec<&Sha256Hex> = match case.stage {
        StageName::Nbp => hashes.boot_program.iter().collect(),
        StageName::Kernel => hashes.kernel.iter().collect(),
        StageName::Initrd => hashes.initrd.iter().collect(),
        StageName::CloudConfig => hashes.cloud_config.iter().collect(),
        StageName::Ignition => hashes.ignition.iter().collect(),
        _ => Vec::new(),
    };
    let first = expected.first()?;
    let (sighting, found) = case.sightings(case.stage).iter().find_map(|one| {
        let content = one.content.as_ref()?;
        let found = content.arrived.as_ref().or(content.sent.as_ref())?;
        let is_expected = expected.iter().any(|hash| hash.as_str() == found);
        (!is_expected && content.difference().is_none()).then_some((one, found))
    })?;
    Some(Finding {
        cause: Cause::ContentDiffers,
        sentence: format!(
            "{} has the SHA-256 {found}, and the scenario expects {first}",
            name(sighting)
        ),
        evidence: vec![proof(sighting)],
        remedy: "serve the file that the scenario states, or correct `[node.expect.sha256]` in \
                 scenario.toml when the file was replaced on purpose"
            .into(),
        weight: 95,
    })
}
