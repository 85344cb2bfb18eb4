//! Execution of a set of units for any command: flags of a run, host checks, machines, results, reports.

mod boot_programs;
mod child_time;
mod connect;
mod github;
mod image;
mod interrupt;
mod watch;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Instant;

use clap::{Args, ValueEnum};
use lab_model::diagnosis::JudgedNode;
use lab_model::results::{AttemptOutcome, Unit, UnitOutcome};
use lab_model::scenario::{Image, Replacements};
use lab_report::exit_code::ExitCode;
use lab_report::faults::FaultResults;
use lab_report::junit::Consoles;
use lab_report::live::{Events, Live};
use lab_report::table::Colour;
use lab_report::whole::Whole;
use lab_report::{RunSummary, UnitSummary};

use super::images::Chosen as ChosenImage;
use super::programs::sibling;
use super::remote;
use crate::capture::EvidenceOptions;
use crate::cell::host::Lifetime;
use crate::cell::message::Asset;
use crate::cli::Folders;
use crate::cli::error::{CliError, refuse};
use crate::cli::terminal::OutputStyle;
use crate::hypervisor::accel::{AccelChoice, Accelerator, Chosen, choose};
use crate::preflight;
use crate::remote::Host;
use crate::runner::capacity::{Capacity, available_mib};
use crate::runner::keep::{Keep, instructions};
use crate::runner::{Policy, RunConfig};
use child_time::ChildTime;
use image::fitted;
use interrupt::Interrupt;
use watch::{Lost, watch_run, writer};

pub(super) use boot_programs::ReplacementArguments;
pub(super) use image::{image_of, image_of_empty_part};

/// Flags that control a run.
#[derive(Debug, Clone, Args)]
pub(super) struct RunOptions {
    /// Accelerator: kvm, tcg or auto
    #[arg(long, value_enum, default_value_t)]
    accel: AccelChoice,
    /// Number of machines at once, or `auto` for the number of cores; limited by free memory
    #[arg(long, value_name = "N", default_value = "auto")]
    jobs: Jobs,
    /// Number of retries of a failed scenario; the evidence of all attempts is kept
    #[arg(long, value_name = "N", default_value_t = 0)]
    retries: u32,
    /// Exit status for a machine that passed only on a retry
    #[arg(long, value_enum, default_value_t)]
    flaky_result: FlakyResult,
    /// Start no further scenarios after the first failure
    #[arg(long)]
    fail_fast: bool,
    /// Keep cells running with everything in them, and print how to attach
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    keep: Keep,
    /// Use this libvirt of the host instead of a private one, as root, e.g. `qemu:///system`; `lab gc` removes
    /// what a killed run leaves there
    #[arg(long, value_name = "URI")]
    connect: Option<String>,
    #[command(flatten)]
    depth: EvidenceOptions,
    /// Folder in which the run's folder is created
    #[arg(long, value_name = "DIR", default_value = "runs")]
    artifacts: PathBuf,
    /// Write an additional copy of the JUnit report to this file
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Quote the console of every machine in the JUnit report, also of those that passed
    #[arg(long)]
    junit_all_consoles: bool,
    /// Write all events to this file as JSON lines, as they happen
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Lifetime of cells that are kept running.
    #[arg(skip)]
    stays: Lifetime,
    /// Show no progress, only the table and the path of the artifacts
    #[arg(long)]
    quiet: bool,
    /// Disable colours [also: NO_COLOR, CLICOLOR=0; CLICOLOR_FORCE=1 forces colours]
    #[arg(long)]
    no_color: bool,
}

/// Value of `--jobs`: number of machines at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Jobs {
    /// Number of cores.
    Auto,
    /// Fixed number.
    Number(NonZeroUsize),
}

/// Value of `--jobs` that cannot be parsed.
#[derive(Debug, thiserror::Error)]
#[error("must be `auto` or a number of at least 1")]
struct JobsError;

impl FromStr for Jobs {
    type Err = JobsError;

    fn from_str(text: &str) -> Result<Jobs, JobsError> {
        match text {
            "auto" => Ok(Jobs::Auto),
            number => number.parse().map(Jobs::Number).map_err(|_| JobsError),
        }
    }
}

/// Value of `--flaky-result`: treatment of a machine that passed only on a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum FlakyResult {
    /// Count as success
    #[default]
    Pass,
    /// Count as failure (exit code 101)
    Fail,
}

/// Units to run, and their image.
#[derive(Debug)]
pub(super) struct RunRequest {
    pub(super) run_id: String,
    pub(super) units: Vec<Unit>,
    /// Image to boot.
    pub(super) image: ChosenImage,
    /// True if the scenarios are adapted to the image.
    pub(super) is_fitted: bool,
    /// Files served below `/assets/` instead of the image's folder; empty to serve the image's folder.
    pub(super) assets: Vec<Asset>,
    /// Firmware and boot programs in place of the host's.
    pub(super) replacements: Replacements,
    /// Shard, as `M/N`.
    pub(super) shard: Option<String>,
    /// Complete selection, of all shards.
    pub(super) whole: Option<Whole>,
}

/// Finished run that is not yet reported.
#[derive(Debug)]
pub(super) struct Done {
    /// Summary of the run.
    pub(super) run: RunSummary,
    /// Outcomes with all evidence.
    pub(super) outcomes: Vec<UnitOutcome>,
    look: OutputStyle,
    /// URI of the host's libvirt, if machines use it.
    connect: Option<String>,
    /// Artifacts that could not be written.
    lost: Lost,
    interrupt: Interrupt,
}

/// Refuses a host that lacks requirements of the units, and names the remedies.
pub(super) fn check_host(units: &[Unit]) -> Result<(), CliError> {
    let wanted: Vec<_> = units
        .iter()
        .map(|unit| (&*unit.scenario, unit.firmware, &unit.injections))
        .collect();
    let missing = preflight::missing_requirements(&wanted);
    if !missing.is_empty() {
        return Err(refuse(ExitCode::HostUnsupported, preflight::told(&missing)));
    }
    Ok(())
}

fn internal(what: &str) -> impl FnOnce(std::io::Error) -> CliError + use<'_> {
    move |error| refuse(ExitCode::Internal, format!("{what}: {error}"))
}

impl RunOptions {
    /// Returns the options for persistent cells with displays.
    pub(super) fn staying(self, stays: Lifetime) -> RunOptions {
        RunOptions {
            keep: Keep::Always,
            stays,
            depth: EvidenceOptions {
                display: true,
                ..self.depth
            },
            ..self
        }
    }

    /// Creates the folder of a matrix.
    pub(super) fn matrix_folder(
        &self,
        now: &jiff::Zoned,
        run_id: &str,
    ) -> Result<PathBuf, CliError> {
        let place = self.artifacts.display().to_string();
        lab_report::artifacts::create(&self.artifacts, now, run_id).map_err(internal(&place))
    }

    /// Returns the options for a run whose folder is created in `folder`.
    pub(super) fn below(self, folder: PathBuf) -> RunOptions {
        RunOptions {
            artifacts: folder,
            ..self
        }
    }

    /// Returns the use of colours in tables.
    pub(super) fn colour(&self) -> Colour {
        OutputStyle::choose(self.quiet, self.no_color).table
    }

    /// Returns the URI of the host's libvirt, if machines use it.
    pub(super) fn connect(&self) -> Option<&str> {
        self.connect.as_deref()
    }

    /// Returns the remote host, if machines run on one.
    pub(super) fn remote(&self) -> Result<Option<Host>, CliError> {
        let host = remote::host_of(self.connect())?;
        if host.is_some() && self.keep != Keep::Never {
            let why = "--keep is unsupported on a remote host; use `lab up --detach`";
            return Err(refuse(ExitCode::InvalidInput, why));
        }
        Ok(host)
    }

    /// Returns the paths of the run's files.
    pub(super) fn files(&self) -> remote::Files<'_> {
        remote::Files {
            artifacts: &self.artifacts,
            junit: self.junit.as_deref(),
            events: self.events.as_deref(),
        }
    }

    /// True if only results are shown.
    pub(super) fn quiet(&self) -> bool {
        self.quiet
    }

    /// Checks the host, runs the units and saves the result of each attempt.
    pub(super) async fn run(
        &self,
        folders: &Folders,
        request: RunRequest,
    ) -> Result<Done, CliError> {
        let started = Instant::now();
        let children = ChildTime::start();
        let now = jiff::Zoned::now();
        let look = OutputStyle::choose(self.quiet, self.no_color);
        let RunRequest {
            run_id,
            units,
            image,
            is_fitted,
            assets,
            replacements,
            shard,
            whole,
        } = request;
        if let Some(uri) = &self.connect {
            connect::check(uri, &units)?;
        }
        self.check_memory(&units)?;
        let interrupt = Interrupt::listen().map_err(internal("signals"))?;
        let chosen = tokio::select! {
            chosen = self.accelerator(folders, &units, &image.folder) => chosen?,
            () = interrupt.heard() => {
                return Err(refuse(ExitCode::Interrupted, "interrupted before the start"));
            }
        };
        if !self.quiet && !units.is_empty() {
            eprintln!("Accelerator: {}.", chosen.reason);
        }
        let artifacts = lab_report::artifacts::create(&self.artifacts, &now, &run_id)
            .map_err(internal(&self.artifacts.display().to_string()))?;
        let units = match is_fitted {
            true => fitted(units, &image.fit, &artifacts.join("scenarios"))?,
            false => units,
        };
        let units = boot_programs::replaced(units, replacements);
        let setting = RunConfig {
            run_id: run_id.clone(),
            artifacts: artifacts.clone(),
            connect: self.connect.clone(),
            image: image.folder.clone(),
            assets,
            programs: boot_programs::fetch(folders, &units)?,
            replacements,
            boot_server: sibling("boot-server").map_err(|why| refuse(ExitCode::Internal, why))?,
            accelerator: chosen.accelerator,
            places: places(self.jobs, chosen.accelerator),
            depth: self.depth,
            policy: Policy {
                retries: self.retries,
                fail_fast: self.fail_fast,
                keep: self.keep,
                stays: self.stays,
            },
        };
        let mut files = vec![create_file(
            artifacts.join("events.jsonl"),
            Events::WithoutConsoles,
        )?];
        if let Some(path) = &self.events {
            files.push(create_file(path.clone(), Events::All)?);
        }
        let live = Live::new(&units, &artifacts, files, look.progress, std::io::stderr());
        let lost = Lost::default();
        let on_attempt = writer(&artifacts, &lost);
        let outcomes = watch_run(units, &setting, on_attempt, live, &interrupt, &lost)
            .await
            .map_err(internal("signals"))?;
        let mut run = RunSummary {
            run_id,
            started: now.timestamp().to_string(),
            seconds: started.elapsed().as_secs_f64(),
            processor_seconds: children.seconds(),
            accelerator: chosen.reason,
            shard,
            whole,
            flaky_fails: self.flaky_result == FlakyResult::Fail,
            units: Vec::new(),
            rehearsal: None,
            folder: artifacts.clone(),
        };
        let summaries = outcomes.iter();
        run.units
            .extend(summaries.map(|outcome| UnitSummary::of(outcome, &artifacts)));
        Ok(Done {
            run,
            outcomes,
            look,
            connect: self.connect.clone(),
            lost,
            interrupt,
        })
    }

    /// Returns the accelerator of the machines.
    async fn accelerator(
        &self,
        folders: &Folders,
        units: &[Unit],
        image: &Path,
    ) -> Result<Chosen, CliError> {
        if !units.iter().any(|unit| unit.scenario.machines.is_virtual()) {
            return Ok(nothing_is_executed(units));
        }
        let cache = folders
            .cache()
            .map_err(|why| refuse(ExitCode::Internal, why))?;
        choose(self.accel, &image.join(Image::KERNEL), &cache)
            .await
            .map_err(|why| refuse(ExitCode::HostUnsupported, why))
    }

    /// Checks that there is memory for all machines at once, which cells that may be kept need.
    fn check_memory(&self, units: &[Unit]) -> Result<(), CliError> {
        if self.keep == Keep::Never {
            return Ok(());
        }
        let places = places(self.jobs, Accelerator::Tcg);
        for unit in units {
            let machines = unit.scenario.nodes.iter().map(|node| node.memory_mib);
            let wanted = places.all_at_once_mib(machines);
            if wanted > places.memory_mib {
                let message = format!(
                    "not enough memory: --keep runs all machines of a scenario at once; {} needs {wanted} MiB, {} MiB \
                     are free",
                    unit.name(),
                    places.memory_mib
                );
                return Err(refuse(ExitCode::HostUnsupported, message));
            }
        }
        Ok(())
    }
}

impl Done {
    /// Prints how to attach to cells that were kept.
    pub(super) fn tell_kept(&self) {
        for (outcome, kept) in self.outcomes.iter().filter_map(|outcome| {
            let kept = outcome.attempts.last()?.kept.as_ref()?;
            Some((outcome, kept))
        }) {
            let unit = &outcome.unit;
            print!(
                "\n{}",
                instructions(
                    kept,
                    &self.run.run_id,
                    &unit.name(),
                    &unit.scenario,
                    self.connect.as_deref()
                )
            );
        }
    }

    /// Returns the judged nodes of the attempt with this artifacts folder in the run's.
    fn judged(&self, name: &Path) -> Option<&[JudgedNode]> {
        let attempts = self.outcomes.iter().flat_map(|outcome| &outcome.attempts);
        let is_there = |attempt: &&AttemptOutcome| attempt.artifacts == self.run.folder.join(name);
        let attempt = attempts.into_iter().find(is_there)?;
        Some(&attempt.nodes)
    }

    /// Writes the reports, prints the results and returns the exit code.
    pub(super) fn conclude(
        &self,
        folders: &Folders,
        options: &RunOptions,
        results: Option<&FaultResults>,
    ) -> Result<ExitCode, CliError> {
        let Done {
            run, look, lost, ..
        } = self;
        let artifacts = &run.folder;
        let place = artifacts.display().to_string();
        // The table is printed even if files cannot be written.
        let consoles = match options.junit_all_consoles {
            true => Consoles::All,
            false => Consoles::Failures,
        };
        let judged = |name: &Path| self.judged(name);
        let mut junit = match lab_report::artifacts::write_run(run, &judged, consoles) {
            Ok(junit) => Some(junit),
            Err(error) => {
                lost.note(format!("{place}: {error}"));
                None
            }
        };
        if let Some(results) = results {
            match lab_report::faults::write(results, artifacts) {
                Ok(written) => junit = Some(written),
                Err(error) => lost.note(format!("{place}: {error}")),
            }
        }
        if let (Some(path), Some(junit)) = (&options.junit, junit)
            && let Err(error) = std::fs::write(path, junit)
        {
            lost.note(format!("{}: {error}", path.display()));
        }
        match results {
            Some(results) => print!("{}", lab_report::faults::render(results, look.table)),
            None => print!("{}", lab_report::table::render(run, look.table)),
        }
        println!("Artifacts: {place}");
        github::tell(run, &folders.scenarios);
        let code = match results {
            Some(results) => lab_report::faults::exit_code(results, run.exit_code()),
            None => run.exit_code(),
        };
        let lost = lost.all();
        if !lost.is_empty() {
            eprintln!("lab: cannot write artifacts:");
            lost.iter().for_each(|what| eprintln!("  {what}"));
            eprintln!(
                "  The verdicts above are valid; free disk space and run again to keep the evidence."
            );
        }
        Ok(match code {
            _ if self.interrupt.is_heard() => ExitCode::Interrupted,
            ExitCode::Ok if !lost.is_empty() => ExitCode::Internal,
            code => code,
        })
    }
}

fn places(jobs: Jobs, accelerator: Accelerator) -> Capacity {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let asked = match jobs {
        Jobs::Auto => None,
        Jobs::Number(number) => Some(number.get()),
    };
    Capacity::choose(asked, cores, free_memory_mib(), accelerator)
}

/// Falls back to the memory of one ordinary machine if free memory cannot be read.
fn free_memory_mib() -> usize {
    std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| available_mib(&text))
        .unwrap_or(2048)
}

fn create_file(
    path: PathBuf,
    events: Events,
) -> Result<(PathBuf, std::fs::File, Events), CliError> {
    match std::fs::File::create(&path) {
        Ok(file) => Ok((path, file, events)),
        Err(error) => Err(refuse(
            ExitCode::Internal,
            format!("{}: {error}", path.display()),
        )),
    }
}

/// Returns a placeholder for the accelerator if all machines are simulated or there are none.
fn nothing_is_executed(units: &[Unit]) -> Chosen {
    let why = match units.is_empty() {
        true => "no machine",
        false => "all machines are simulated",
    };
    Chosen {
        accelerator: Accelerator::Tcg,
        reason: format!("none ({why})"),
    }
}
