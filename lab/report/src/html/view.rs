//! Content of the page: the run, its units, and each machine with its evidence.

use std::path::PathBuf;

use lab_model::diagnosis::Finding;
use lab_model::evidence::OutputStream;
use lab_model::scenario::Firmware;
use lab_model::timeline::Timeline;
use lab_model::verdict::NodeVerdict;

use crate::RunSummary;
use crate::sequence::Diagram;

/// Content of the whole page.
#[derive(Debug, Clone)]
pub struct Page {
    pub run: RunSummary,
    /// Units in the run's order.
    pub units: Vec<UnitView>,
}

impl Page {
    /// Returns the machines of the last attempts, whose verdicts count, with their units.
    pub fn machines(&self) -> impl Iterator<Item = (&UnitView, &Machine)> {
        self.units.iter().flat_map(|unit| {
            let last = unit.attempts.last();
            let machines = last.into_iter().flat_map(|attempt| &attempt.machines);
            machines.map(move |machine| (unit, machine))
        })
    }
}

/// Scenario on one firmware.
#[derive(Debug, Clone)]
pub struct UnitView {
    /// Unit name, `scenario@firmware`.
    pub name: String,
    pub scenario: String,
    pub firmware: Firmware,
    /// Summary of the scenario in one sentence.
    pub summary: String,
    /// Attempts in order.
    pub attempts: Vec<AttemptView>,
}

/// One attempt at a unit.
#[derive(Debug, Clone)]
pub struct AttemptView {
    /// Number of the attempt, from 1.
    pub number: u32,
    /// Links to files of the whole attempt.
    pub links: Vec<Link>,
    /// Reason why the evidence cannot be shown.
    pub unreadable: Option<String>,
    /// Machines in the scenario's order.
    pub machines: Vec<Machine>,
}

/// Machine in an attempt.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Unique anchor in the page; prefix of all ids of the machine.
    pub anchor: String,
    pub name: String,
    /// Identifying facts as text: UUID, MAC and memory.
    pub facts: Vec<(&'static str, String)>,
    /// Verdict: over all attempts in the last attempt, else of this attempt.
    pub verdict: NodeVerdict,
    /// Time from power-on to stop, in seconds.
    pub seconds: Option<f64>,
    /// Stages; `None` if no evidence was saved.
    pub timeline: Option<Timeline>,
    /// Causes of the failure, best first.
    pub findings: Vec<Finding>,
    /// Claims that the pass does not prove.
    pub not_proven: Vec<String>,
    /// Packets as a sequence diagram.
    pub diagram: Diagram,
    /// Console lines, each with its time in microseconds since the Unix epoch.
    pub console: Vec<(u64, String)>,
    /// Services of the user, in the scenario's order.
    pub services: Vec<ServiceLog>,
    /// Links to the machine's files.
    pub links: Vec<Link>,
    /// Path of the screenshot, relative to the page.
    pub screenshot: Option<PathBuf>,
}

impl Machine {
    /// Returns the time of power-on, else that of the first record.
    #[must_use]
    pub fn zero_us(&self) -> u64 {
        let stages = self.timeline.iter().flat_map(|timeline| &timeline.stages);
        let starts = stages.map(|stage| stage.start_us);
        let rows = self.diagram.rows.iter().map(|row| row.at_us);
        starts.min().or_else(|| rows.min()).unwrap_or_default()
    }
}

/// Output of a service of the user.
#[derive(Debug, Clone)]
pub struct ServiceLog {
    pub name: String,
    /// Name with roles or program.
    pub title: String,
    /// Lines of both streams, each with its time in microseconds since the Unix epoch.
    pub lines: Vec<(u64, OutputStream, String)>,
    /// Links to the complete logs.
    pub links: Vec<Link>,
}

/// Link to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Path relative to the page.
    pub path: PathBuf,
    /// Label of the link.
    pub text: String,
}
