//! `lab run`: select, check the host, boot, judge, report.

use std::io::{IsTerminal, stdout};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::{Folders, exit};
use crate::hypervisor::accel::{AccelChoice, Accelerator, choose};
use crate::preflight;
use crate::report::live::Live;
use crate::report::table::Colour;
use crate::report::{self, RunSummary, UnitSummary};
use crate::runner::places::{Places, available_mib};
use crate::runner::{self, Setting, Unit};
use crate::scenario::{self, DataCheck, Firmware, Image, Scenario};

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
    /// Don't look into the data directories before: what is wrong there is for the machines to find
    #[arg(long)]
    unchecked_data: bool,
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

/// Runs and returns the exit code.
pub(super) async fn run(folders: Folders, arguments: RunArguments) -> u8 {
    match attempt(&folders, &arguments).await {
        Ok(code) => code,
        Err(Refusal { code, message }) => {
            eprintln!("{message}");
            code
        }
    }
}

/// Why nothing was run, and the exit code for it.
struct Refusal {
    code: u8,
    message: String,
}

fn refuse(code: u8, message: impl std::fmt::Display) -> Refusal {
    Refusal {
        code,
        message: format!("lab: {message}"),
    }
}

async fn attempt(folders: &Folders, arguments: &RunArguments) -> Result<u8, Refusal> {
    let started = std::time::Instant::now();
    let now = jiff::Zoned::now();
    let units = select(folders, arguments)?;
    let wanted: Vec<(&Scenario, Firmware)> = units
        .iter()
        .map(|unit| (&*unit.scenario, unit.firmware))
        .collect();
    let lacks = preflight::lacks(&wanted);
    if !lacks.is_empty() {
        let lines: Vec<String> = lacks
            .iter()
            .map(|lack| format!("\n  {}\n    {}", lack.what, lack.remedy))
            .collect();
        return Err(refuse(
            exit::HOST_UNSUPPORTED,
            format!("this host is not ready:{}", lines.concat()),
        ));
    }
    let image = super::images::stand_in(folders).map_err(|why| refuse(exit::INTERNAL, why))?;
    let chosen = choose(arguments.accel, &image.join(Image::KERNEL))
        .await
        .map_err(|why| refuse(exit::HOST_UNSUPPORTED, why))?;
    eprintln!("Accelerator: {}.", chosen.reason);

    let internal =
        |what: &str, error: std::io::Error| refuse(exit::INTERNAL, format!("{what}: {error}"));
    let run_id = new_run_id();
    let artifacts = report::artifacts::create(&arguments.artifacts, &now, &run_id)
        .map_err(|error| internal(&arguments.artifacts.display().to_string(), error))?;
    let setting = Setting {
        run_id: run_id.clone(),
        artifacts: artifacts.clone(),
        image,
        boot_server: sibling("boot-server").map_err(|why| refuse(exit::INTERNAL, why))?,
        accelerator: chosen.accelerator,
        places: places(arguments.jobs, chosen.accelerator),
    };
    let mut files = vec![create_file(&artifacts.join("events.jsonl"))?];
    if let Some(path) = &arguments.events {
        files.push(create_file(path)?);
    }
    let live = Live::new(&units, files);
    let outcomes = watch_run(units, &setting, live)
        .await
        .map_err(|error| internal("events.jsonl", error))?;

    let mut run = RunSummary {
        run_id,
        started: now.timestamp().to_string(),
        seconds: started.elapsed().as_secs_f64(),
        accelerator: chosen.reason,
        units: Vec::new(),
    };
    for outcome in &outcomes {
        let timelines = outcome.timelines();
        let summary = UnitSummary::judged(outcome, &timelines);
        report::artifacts::write_unit(outcome, &summary, &timelines)
            .map_err(|error| internal(&outcome.artifacts.display().to_string(), error))?;
        run.units.push(summary);
    }
    let junit = report::artifacts::write_run(&artifacts, &run)
        .map_err(|error| internal(&artifacts.display().to_string(), error))?;
    if let Some(path) = &arguments.junit {
        std::fs::write(path, junit)
            .map_err(|error| internal(&path.display().to_string(), error))?;
    }
    let colour = if stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        Colour::On
    } else {
        Colour::Off
    };
    print!("{}", report::table::render(&run, colour));
    println!("Artifacts: {}", artifacts.display());
    Ok(run.exit_code())
}

/// The units asked for, in the order of their names.
fn select(folders: &Folders, arguments: &RunArguments) -> Result<Vec<Unit>, Refusal> {
    let data = if arguments.unchecked_data {
        DataCheck::Skip
    } else {
        DataCheck::Strict
    };
    let all = scenario::load_all(&folders.scenarios(), data).map_err(|error| Refusal {
        code: exit::INVALID_INPUT,
        message: format!("{:?}", miette::Report::new(error)),
    })?;
    let selected = scenario::select(all, &arguments.names).map_err(|error| Refusal {
        code: exit::NOTHING_SELECTED,
        message: format!("{:?}", miette::Report::new(error)),
    })?;
    let offered: Vec<String> = selected
        .iter()
        .map(|scenario| {
            let names: Vec<&str> = scenario.firmware.iter().map(|f| f.name()).collect();
            format!("{} ({})", scenario.name, names.join(", "))
        })
        .collect();
    let units: Vec<Unit> = selected
        .into_iter()
        .map(Arc::new)
        .flat_map(|scenario| {
            scenario
                .firmware
                .clone()
                .into_iter()
                .map(move |firmware| Unit {
                    scenario: Arc::clone(&scenario),
                    firmware,
                })
        })
        .filter(|unit| arguments.firmware.is_empty() || arguments.firmware.contains(&unit.firmware))
        .collect();
    if units.is_empty() {
        return Err(refuse(
            exit::NOTHING_SELECTED,
            if offered.is_empty() {
                format!("there is no scenario in {}", folders.scenarios().display())
            } else {
                format!(
                    "no scenario is run on that firmware; selected were {}",
                    offered.join(", ")
                )
            },
        ));
    }
    Ok(units)
}

/// Runs the units while showing and saving what happens; Ctrl-C and SIGTERM stop them.
async fn watch_run(
    units: Vec<Unit>,
    setting: &Setting,
    mut live: Live,
) -> std::io::Result<Vec<runner::UnitOutcome>> {
    let (stop, stopping) = watch::channel(false);
    let (progress, mut seen) = mpsc::unbounded_channel();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let course = runner::run(units, setting, progress, stopping);
    tokio::pin!(course);
    loop {
        tokio::select! {
            biased;
            Some(progress) = seen.recv() => {
                if let Some(line) = live.take(&progress)? {
                    eprintln!("{line}");
                }
            }
            outcomes = &mut course => return Ok(outcomes),
            Some(()) = interrupt.recv() => interrupted(&stop),
            Some(()) = terminate.recv() => interrupted(&stop),
        }
    }
}

fn interrupted(stop: &watch::Sender<bool>) {
    eprintln!("Interrupted: stopping the machines.");
    stop.send_replace(true);
}

fn places(jobs: Option<NonZeroUsize>, accelerator: Accelerator) -> Places {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    // Where memory can't be read, one machine of usual size at a time.
    let available = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| available_mib(&text))
        .unwrap_or(2048);
    Places::choose(jobs.map(NonZeroUsize::get), cores, available, accelerator)
}

fn create_file(path: &Path) -> Result<std::fs::File, Refusal> {
    std::fs::File::create(path)
        .map_err(|error| refuse(exit::INTERNAL, format!("{}: {error}", path.display())))
}

/// Six hexadecimal digits: part of every name, so that two runs never share one.
fn new_run_id() -> String {
    let id = uuid::Uuid::new_v4().simple().to_string();
    id.chars().take(6).collect()
}

/// The program of that name beside our own.
pub(super) fn sibling(name: &str) -> Result<PathBuf, String> {
    let ours = std::env::current_exe().map_err(|error| format!("our own program: {error}"))?;
    let path = ours.with_file_name(name);
    if path.exists() {
        Ok(path)
    } else {
        Err(format!(
            "{} is not there; `cargo build --workspace` makes it",
            path.display()
        ))
    }
}
