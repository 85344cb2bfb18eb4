//! `lab run`: select, check the host, boot, judge, report.

use std::io::{IsTerminal, stdout};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::{Folders, exit};
use crate::hypervisor::accel::{AccelChoice, Accelerator, Chosen, choose};
use crate::preflight;
use crate::runner::places::{Places, available_mib};
use crate::runner::{self, Setting, Unit};
use crate::scenario::{self, Firmware, Image, Scenario};

/// `lab run`
#[derive(Debug, Args)]
pub(super) struct RunArguments {
    /// Scenarios to run; all when none is named
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Only on this firmware (may be repeated)
    #[arg(long, value_name = "FIRMWARE")]
    firmware: Vec<Firmware>,
    /// What executes the machines
    #[arg(long, value_enum, default_value_t)]
    accel: AccelChoice,
    /// Machines at once [default: by cores and memory]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Where the run's folder is made
    #[arg(long, value_name = "DIR", default_value = "runs")]
    artifacts: PathBuf,
    /// Also write the JUnit report here
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Also write every event here, a JSON line each, as it happens
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
}
