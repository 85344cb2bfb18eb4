//! `lab doctor`: capabilities of this host, missing requirements, and the commands that install them.
//!
//! `gather` collects raw facts ([`Host`]); everything else is pure and derives a list of [`Finding`]s from them,
//! always the same ones in the same order. `preflight` checks a run's requirements with the same tables.

mod firmware;
pub mod gather;
pub mod host;
mod kvm;
mod machines;
mod network;
pub mod packages;
mod privileges;
pub mod programs;
pub mod render;
mod space;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

use serde::Serialize;

use crate::hypervisor::accel::Accelerator;
pub use firmware::{Firmware, uefi};
pub use host::Host;
pub use packages::Piece;
pub use privileges::{open_files, tun, user_namespaces};

/// Group of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// Accelerators of machines.
    Acceleration,
    /// Requirements of cells.
    Cells,
    /// Requirements of machines.
    Machines,
    /// Boot programs: the first files that machines load.
    BootPrograms,
    /// Images, and space for images and runs.
    Images,
    /// The host's own network, which cells do not use.
    HostNetwork,
}

impl Group {
    /// Returns the heading of the group.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Group::Acceleration => "Acceleration",
            Group::Cells => "Cells",
            Group::Machines => "Machines",
            Group::BootPrograms => "Boot programs",
            Group::Images => "Images, room",
            Group::HostNetwork => {
                "This host's network: matters for a boot-server on the host, not for cells"
            }
        }
    }
}

/// State of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// No problem found.
    Ok,
    /// The lab runs, but something is slow, unavailable or may interfere.
    Warning,
    /// Required, and missing.
    Missing,
}

/// Result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable id of the check.
    pub id: &'static str,
    pub group: Group,
    /// Title of a few words.
    pub title: String,
    pub state: State,
    /// Observation in a few words.
    pub what: String,
    /// Remedy, a command if possible; `None` if all is well.
    pub remedy: Option<String>,
}

/// Identity of a finding whose state is not yet known.
#[derive(Debug, Clone, Copy)]
struct Subject(Group, &'static str, &'static str);

impl Subject {
    fn ok(self, what: impl Into<String>) -> Finding {
        self.finding(State::Ok, what.into(), None)
    }

    fn warning(self, what: impl Into<String>, remedy: impl Into<String>) -> Finding {
        self.finding(State::Warning, what.into(), Some(remedy.into()))
    }

    fn missing(self, what: impl Into<String>, remedy: impl Into<String>) -> Finding {
        self.finding(State::Missing, what.into(), Some(remedy.into()))
    }

    fn finding(self, state: State, what: String, remedy: Option<String>) -> Finding {
        let Subject(group, id, title) = self;
        Finding {
            id,
            group,
            title: title.into(),
            state,
            what,
            remedy,
        }
    }
}

/// Returns all findings, by group.
#[must_use]
pub fn examine(host: &Host) -> Vec<Finding> {
    let mut findings = kvm::examine(host);
    findings.extend(privileges::examine(host));
    findings.extend(programs::examine(host));
    findings.extend(machines::examine(host));
    findings.extend(firmware::examine(host));
    findings.extend(space::examine(host));
    findings.extend(network::examine(host));
    let pieces = packages::PIECES.iter();
    findings.extend(
        pieces
            .filter(|piece| !piece.paths.is_empty())
            .map(|piece| piece.examine(host)),
    );
    // Stable sort: the order above is kept within a group.
    findings.sort_by_key(|finding| finding.group);
    findings
}

/// Overall result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The lab runs with this accelerator.
    Ready(Accelerator),
    /// Number of missing requirements.
    NotReady(usize),
}

impl Verdict {
    /// Derives the overall result from findings.
    #[must_use]
    pub fn of(findings: &[Finding]) -> Verdict {
        let missing = findings
            .iter()
            .filter(|finding| finding.state == State::Missing);
        match missing.count() {
            0 => {
                let kvm = findings.iter().find(|finding| finding.id == kvm::KVM);
                Verdict::Ready(match kvm.map(|finding| finding.state) {
                    Some(State::Ok) => Accelerator::Kvm,
                    _ => Accelerator::Tcg,
                })
            }
            missing => Verdict::NotReady(missing),
        }
    }

    /// Returns the result as a sentence.
    #[must_use]
    pub fn sentence(self) -> String {
        match self {
            Verdict::Ready(Accelerator::Kvm) => "This host can run the lab, with KVM.".into(),
            Verdict::Ready(Accelerator::Tcg) => {
                "This host can run the lab, with TCG: machines run about ten times slower than on KVM.".into()
            }
            Verdict::NotReady(1) => "This host cannot run the lab: one requirement is missing.".into(),
            Verdict::NotReady(missing) => {
                format!("This host cannot run the lab: {missing} requirements are missing.")
            }
        }
    }
}
