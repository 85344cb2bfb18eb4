//! Arguments of `lab run`.

use std::num::NonZeroU32;

use clap::Args;
use images::catalog::ImageName;
use lab_model::fault::{Collection, Fault};
use lab_model::results::shard::Shard;
use lab_model::scenario::Firmware;

use super::execution::{ReplacementArguments, RunOptions};
use super::select::Selection;

/// Arguments of `lab run`.
#[derive(Debug, Args)]
pub(in crate::cli) struct RunArguments {
    #[command(flatten)]
    pub(super) faults: FaultArguments,
    /// Scenarios to run, or cases with --faults or --adversarial [default: all]. A name with a slash is a path: of a
    /// scenario, or of a folder of scenarios
    #[arg(value_name = "NAME")]
    pub(super) names: Vec<String>,
    /// Run only on this firmware (may be repeated)
    #[arg(long, value_name = "FIRMWARE")]
    pub(super) firmware: Vec<Firmware>,
    /// Boot this image instead of the scenarios' own, e.g. `flatcar:stable` (see `lab images list`)
    #[arg(long, value_name = "IMAGE", conflicts_with = "cases")]
    pub(super) image: Option<ImageName>,
    /// Boot only the first machine of each scenario, on the first firmware
    #[arg(long, conflicts_with = "cases")]
    pub(super) quick: bool,
    /// Run part M of N, split by scenario name, to share a run among several computers
    #[arg(long, value_name = "M/N")]
    pub(super) shard: Option<Shard>,
    /// Number of times to run each scenario
    #[arg(long, value_name = "N", default_value = "1", value_parser = times)]
    pub(super) repeat: NonZeroU32,
    /// Skip validation of the data directories
    #[arg(long)]
    pub(super) unchecked_data: bool,
    #[command(flatten)]
    pub(super) replacements: ReplacementArguments,
    #[command(flatten)]
    pub(super) options: RunOptions,
}

impl RunArguments {
    /// Returns the selection of scenarios.
    pub(super) fn selection(&self) -> Selection<'_> {
        Selection {
            names: &self.names,
            firmware: &self.firmware,
            is_quick: self.quick,
            repeat: self.repeat,
            is_data_unchecked: self.unchecked_data,
        }
    }
}

/// Text that is not a number of repetitions.
#[derive(Debug, thiserror::Error)]
#[error("invalid number of repetitions: `{0}` (must be at least 1)")]
struct InvalidRepeat(String);

fn times(text: &str) -> Result<NonZeroU32, InvalidRepeat> {
    text.parse().map_err(|_| InvalidRepeat(text.to_owned()))
}

/// Heading of the flags that concern faults and adversarial cases.
const CASES: &str = "Faults and adversarial cases";

/// Flags that concern faults and adversarial cases.
#[derive(Debug, Args)]
pub(super) struct FaultArguments {
    /// Run faults instead of scenarios: each breaks one scenario on purpose and must be diagnosed as its file
    /// says
    #[arg(
        long,
        group = "cases",
        help_heading = CASES,
        conflicts_with_all = ["retries", "flaky_result", "fail_fast", "repeat", "unchecked_data"]
    )]
    faults: bool,
    /// Run adversarial cases instead of scenarios: hosts, servers and guests that lie
    #[arg(
        long,
        group = "cases",
        help_heading = CASES,
        conflicts_with_all = ["retries", "flaky_result", "fail_fast", "repeat", "unchecked_data"]
    )]
    adversarial: bool,
    /// Run the scenarios of the cases without their faults: each must pass
    #[arg(long, requires = "cases", help_heading = CASES)]
    pub(super) without_injection: bool,
    /// Run only the cases with this kind of machine
    #[arg(long, value_enum, value_name = "KIND", requires = "cases", help_heading = CASES)]
    machines: Option<MachinesArgument>,
}

/// Values of `--machines`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum MachinesArgument {
    /// Simulated machines only
    Simulated,
    /// Virtual machines only
    Virtual,
}

impl FaultArguments {
    /// Returns the collection of the cases; `None` if scenarios are requested.
    pub(super) fn collection(&self) -> Option<Collection> {
        match (self.faults, self.adversarial) {
            (true, _) => Some(Collection::Faults),
            (_, true) => Some(Collection::Adversarial),
            _ => None,
        }
    }

    /// True if a case has the requested kind of machine and one of these firmwares, or no firmware is requested.
    pub(super) fn wants(&self, fault: &Fault, firmware: &[Firmware]) -> bool {
        let kind = self
            .machines
            .is_none_or(|kind| fault.machines.is_virtual() == (kind == MachinesArgument::Virtual));
        kind && (firmware.is_empty() || firmware.contains(&fault.firmware))
    }
}
