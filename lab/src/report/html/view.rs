//! What the page shows, gathered: the run, its units, and each machine with everything seen of it.

use std::path::PathBuf;

use crate::diagnosis::Finding;
use crate::report::RunSummary;
use crate::report::sequence::Diagram;
use crate::scenario::Firmware;
use crate::timeline::Timeline;
use crate::verdict::NodeVerdict;

/// All of it.
#[derive(Debug, Clone)]
pub struct Page {
    /// The run.
    pub run: RunSummary,
    /// Its units, in its order.
    pub units: Vec<UnitView>,
}

impl Page {
    /// Every machine whose verdict counts, with its unit: those of the last attempts.
    pub fn machines(&self) -> impl Iterator<Item = (&UnitView, &Machine)> {
        self.units.iter().flat_map(|unit| {
            let last = unit.attempts.last();
            let machines = last.into_iter().flat_map(|attempt| &attempt.machines);
            machines.map(move |machine| (unit, machine))
        })
    }
}

/// A scenario on one firmware.
#[derive(Debug, Clone)]
pub struct UnitView {
    /// `scenario@firmware`.
    pub name: String,
    /// Scenario.
    pub scenario: String,
    /// Firmware.
    pub firmware: Firmware,
    /// The scenario in one sentence.
    pub summary: String,
    /// Its attempts, in order.
    pub attempts: Vec<AttemptView>,
}

/// One attempt at it.
#[derive(Debug, Clone)]
pub struct AttemptView {
    /// Which, from 1.
    pub number: u32,
    /// Files of the attempt as a whole.
    pub links: Vec<Link>,
    /// Why its evidence can't be shown.
    pub unreadable: Option<String>,
    /// Its machines, in the scenario's order.
    pub machines: Vec<Machine>,
}

/// A machine in an attempt.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Unique in the page; part of the ids of all that is shown of it.
    pub anchor: String,
    /// Its name.
    pub name: String,
    /// What it is told apart by: its UUID, MAC and memory, in words.
    pub facts: Vec<(&'static str, String)>,
    /// What became of it: by all attempts in the last one, else in this one.
    pub verdict: NodeVerdict,
    /// From power-on to its stop, in seconds.
    pub seconds: Option<f64>,
    /// What it went through; none when nothing was saved.
    pub timeline: Option<Timeline>,
    /// Why it failed, best first.
    pub findings: Vec<Finding>,
    /// What its pass does not prove.
    pub not_proven: Vec<String>,
    /// What went over the wire.
    pub diagram: Diagram,
    /// Its console: microseconds since the Unix epoch, and the line.
    pub console: Vec<(u64, String)>,
    /// Its files.
    pub links: Vec<Link>,
    /// A picture of its screen, relative to the page.
    pub screenshot: Option<PathBuf>,
}

impl Machine {
    /// When it was switched on, else when the first of it was seen.
    #[must_use]
    pub fn zero_us(&self) -> u64 {
        let stages = self.timeline.iter().flat_map(|timeline| &timeline.stages);
        let starts = stages.map(|stage| stage.start_us);
        let rows = self.diagram.rows.iter().map(|row| row.at_us);
        starts.min().or_else(|| rows.min()).unwrap_or_default()
    }
}

/// A file to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Relative to the page.
    pub path: PathBuf,
    /// What it is.
    pub text: String,
}
