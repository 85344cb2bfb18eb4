//! Proof of a requirement, and its absence.

use super::require::{By, Requirement};
use crate::timeline::{Fact, Origin, Outcome, StageEvent, StageName};

/// Defect of a stage.
pub(super) struct Unmet {
    pub(super) stage: StageName,
    pub(super) waited_for: String,
    pub(super) why: String,
    pub(super) missing: Vec<String>,
    /// True if an error was observed, false if evidence is only missing.
    pub(super) went_wrong: bool,
}

impl Unmet {
    /// Order of stages for choosing the failed one: the others follow from it. A login may wait for a
    /// cloud-config that the server does not deliver.
    pub(super) fn order(&self) -> (StageName, bool) {
        match (self.stage, self.went_wrong) {
            (StageName::CloudConfig, true) => (StageName::UserlandUp, false),
            (stage, _) => (stage, true),
        }
    }
}

/// True if the observation proves the requirement. The lab's own servers must confirm it; a packet alone may
/// come from another host.
pub(super) fn proves(requirement: &Requirement, stage_event: &StageEvent) -> bool {
    let is_own = stage_event.impostor.is_none() && stage_event.claimed.is_none();
    let is_done = stage_event.outcome == Outcome::Done;
    is_own
        && is_of_server(requirement, stage_event)
        && match requirement.by {
            By::Machine => {
                is_done && ![Origin::Wire, Origin::Service].contains(&stage_event.origin)
            }
            By::MachineOfAnybody | By::MachineOfService => {
                is_done && stage_event.origin != Origin::Service
            }
            By::Service => {
                stage_event.origin == Origin::Service && stage_event.outcome != Outcome::Failed
            }
        }
}

/// True unless the observation is a DHCP answer of a host that is none of the required servers.
fn is_of_server(requirement: &Requirement, stage_event: &StageEvent) -> bool {
    match &stage_event.fact {
        Fact::DhcpAnswer { from, .. } | Fact::ProxyAnswer { from, .. } => {
            requirement.servers.is_empty() || requirement.servers.contains(from)
        }
        _ => true,
    }
}
