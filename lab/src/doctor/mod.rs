//! What this host can do, what is missing, and the command that brings it: `lab doctor`.
//!
//! `gather` asks the host and writes down raw answers ([`Host`]); everything else is pure and makes a list of
//! [`Finding`]s of them, always the same ones in the same order. What a run looks for before it starts is told
//! from the same tables (`preflight`).

mod firmware;
pub mod gather;
pub mod host;
mod kvm;
mod machines;
mod network;
pub mod packages;
mod privileges;
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

/// What findings are told together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// What executes the machines.
    Acceleration,
    /// What makes cells.
    Cells,
    /// What makes machines.
    Machines,
    /// What machines load first.
    BootPrograms,
    /// Images, and room for them and for runs.
    Images,
    /// The host's own network, which cells have nothing to do with.
    HostNetwork,
}

impl Group {
    /// As a heading.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Group::Acceleration => "Acceleration",
            Group::Cells => "Cells",
            Group::Machines => "Machines",
            Group::BootPrograms => "Boot programs",
            Group::Images => "Images, room",
            Group::HostNetwork => {
                "This host's own network: for a boot-server on the host; cells have a network of their own"
            }
        }
    }
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// As it should be.
    Ok,
    /// The lab runs; something is slower, not possible or in the way of something else.
    Warning,
    /// The lab does not run without it.
    Missing,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its name, which stays.
    pub id: &'static str,
    /// What it is told with.
    pub group: Group,
    /// What it is, in a few words.
    pub title: String,
    /// How it is.
    pub state: State,
    /// What was seen.
    pub what: String,
    /// What to do about it: a command where there is one. Nothing when all is well.
    pub remedy: Option<String>,
}

/// Names a finding before it is known how things are.
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

/// Everything that is looked at, by groups.
#[must_use]
pub fn examine(host: &Host) -> Vec<Finding> {
    let mut findings = kvm::examine(host);
    findings.extend(privileges::examine(host));
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
    // Stable: within a group by the order above.
    findings.sort_by_key(|finding| finding.group);
    findings
}

/// What it comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The lab runs, on this.
    Ready(Accelerator),
    /// So many things are missing.
    NotReady(usize),
}

impl Verdict {
    /// Of findings.
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

    /// In a sentence.
    #[must_use]
    pub fn sentence(self) -> String {
        match self {
            Verdict::Ready(Accelerator::Kvm) => "This host can run the lab, with KVM.".into(),
            Verdict::Ready(Accelerator::Tcg) => {
                "This host can run the lab, with TCG: machines run about ten times slower than on KVM.".into()
            }
            Verdict::NotReady(1) => "This host can't run the lab: one thing is missing.".into(),
            Verdict::NotReady(missing) => {
                format!("This host can't run the lab: {missing} things are missing.")
            }
        }
    }
}
