//! How a set of units is run, whatever command asked for it: the flags of a run, the host looked at, machines
//! booted, results written and shown.

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

use super::faults::nothing_is_executed;
use super::images::Chosen as ChosenImage;
use super::terminal::Look;
use super::{Folders, exit, remote};
use crate::cell::host::Stays;
use crate::cell::message::Asset;
use crate::diagnosis::JudgedNode;
use crate::evidence::Depth;
use crate::hypervisor::accel::{AccelChoice, Accelerator, Chosen, choose};
use crate::preflight;
use crate::remote::Host;
use crate::report::faults::FaultResult;
use crate::report::junit::Consoles;
use crate::report::live::Live;
use crate::report::whole::Whole;
use crate::report::{self, RunSummary, UnitSummary};
use crate::runner::keep::Keep;
use crate::runner::places::{Places, available_mib};
use crate::runner::{AttemptOutcome, Policy, Setting, Unit, UnitOutcome};
use crate::scenario::Image;
use crate::untrusted::plain;
use image::fitted;
use interrupt::Interrupt;
use watch::{Lost, watch_run, writer};

pub(super) use image::image_of;

/// How a run is done.
#[derive(Debug, Clone, Args)]
pub(super) struct Conduct {
    /// What executes the machines
    #[arg(long, value_enum, default_value_t)]
    accel: AccelChoice,
    /// Machines at once: a number, or `auto` by cores; never more than fit into free memory
    #[arg(long, value_name = "N", default_value = "auto")]
    jobs: Jobs,
    /// Try a scenario that failed this often again; the first attempt's evidence stays
    #[arg(long, value_name = "N", default_value_t = 0)]
    retries: u32,
    /// What it means for the exit code when a machine passed only when tried again
    #[arg(long, value_enum, default_value_t)]
    flaky_result: FlakyResult,
    /// Start no further scenario once one has failed
    #[arg(long)]
    fail_fast: bool,
    /// Leave cells alive, with everything in them, and say how to look into them
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    keep: Keep,
    /// Put network and machines on this libvirt of the host's, e.g. `qemu:///system`, as root; `lab gc` removes what a
    /// killed run leaves there
    #[arg(long, value_name = "URI")]
    connect: Option<String>,
    #[command(flatten)]
    depth: Depth,
    /// Where the run's folder is made
    #[arg(long, value_name = "DIR", default_value = "runs")]
    artifacts: PathBuf,
    /// Also write the JUnit report here
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Quote the console of every machine in the JUnit report, also of those that passed
    #[arg(long)]
    junit_all_consoles: bool,
    /// Also write every event here, a JSON line each, as it happens
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// How long cells stay that are left alive.
    #[arg(skip)]
    stays: Stays,
    /// Show no progress: only the table and where the artifacts are
    #[arg(long)]
    quiet: bool,
    /// Write without colours [also: NO_COLOR, CLICOLOR=0; CLICOLOR_FORCE=1 for colours everywhere]
    #[arg(long)]
    no_color: bool,
}

/// `--jobs`: machines at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Jobs {
    /// By cores.
    Auto,
    /// This many.
    Number(NonZeroUsize),
}

impl FromStr for Jobs {
    type Err = String;

    fn from_str(text: &str) -> Result<Jobs, String> {
        match text {
            "auto" => Ok(Jobs::Auto),
            number => number
                .parse()
                .map(Jobs::Number)
                .map_err(|_| "write `auto`, or a number from 1 on".into()),
        }
    }
}

/// `--flaky-result`: what a pass that came only on a retry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum FlakyResult {
    /// A success.
    #[default]
    Pass,
    /// A failure, exit code 101.
    Fail,
}

/// Why nothing was run, and the exit code for it.
pub(super) struct Refusal {
    pub(super) code: u8,
    pub(super) message: String,
}

impl Refusal {
    /// Tells it; the result is the exit code.
    pub(super) fn tell(self) -> u8 {
        // What is wrong with files was told where it was found.
        if !self.message.is_empty() {
            eprintln!("{}", plain(&self.message));
        }
        self.code
    }
}

pub(super) fn refuse(code: u8, message: impl std::fmt::Display) -> Refusal {
    Refusal {
        code,
        message: format!("lab: {message}"),
    }
}

/// What is run.
#[derive(Debug)]
pub(super) struct Order {
    /// The run's id.
    pub(super) run_id: String,
    /// The units.
    pub(super) units: Vec<Unit>,
    /// What they boot.
    pub(super) image: ChosenImage,
    /// Whether their scenarios are spelled as the image's system has it.
    pub(super) is_fitted: bool,
    /// What is served below `/assets/` in the place of the image's folder; nothing for that.
    pub(super) assets: Vec<Asset>,
    /// Which part of the units it is.
    pub(super) shard: Option<String>,
    /// The whole selection.
    pub(super) whole: Option<Whole>,
}

/// A run that is through, not yet told.
#[derive(Debug)]
pub(super) struct Done {
    /// What came of it.
    pub(super) run: RunSummary,
    /// The same with all that was seen.
    pub(super) outcomes: Vec<UnitOutcome>,
    look: Look,
    /// The host's libvirt, where machines are on that.
    connect: Option<String>,
    /// Artifacts that could not be written.
    lost: Lost,
    interrupt: Interrupt,
}

/// Refuses a host that lacks something which the units need, with what would bring it.
pub(super) fn check_host(units: &[Unit]) -> Result<(), Refusal> {
    let wanted: Vec<_> = units
        .iter()
        .map(|unit| (&*unit.scenario, unit.firmware, &unit.injections))
        .collect();
    let lacks = preflight::lacks(&wanted);
    if !lacks.is_empty() {
        return Err(refuse(exit::HOST_UNSUPPORTED, preflight::told(&lacks)));
    }
    Ok(())
}

fn internal(what: &str) -> impl FnOnce(std::io::Error) -> Refusal + use<'_> {
    move |error| refuse(exit::INTERNAL, format!("{what}: {error}"))
}

impl Conduct {
    /// The same with cells that stay, and displays to look at.
    pub(super) fn staying(self, stays: Stays) -> Conduct {
        Conduct {
            keep: Keep::Always,
            stays,
            depth: Depth {
                display: true,
                ..self.depth
            },
            ..self
        }
    }

    /// The host's libvirt, where machines are put on that.
    pub(super) fn connect(&self) -> Option<&str> {
        self.connect.as_deref()
    }

    /// The other host, where machines are put on that.
    pub(super) fn remote(&self) -> Result<Option<Host>, Refusal> {
        let host = remote::host_of(self.connect())?;
        if host.is_some() && self.keep != Keep::Never {
            let why =
                "--keep leaves cells on this host; `lab up --detach` leaves a lab on another one";
            return Err(refuse(exit::INVALID_INPUT, why));
        }
        Ok(host)
    }

    /// Where files of the run go.
    pub(super) fn files(&self) -> remote::Files<'_> {
        remote::Files {
            artifacts: &self.artifacts,
            junit: self.junit.as_deref(),
            events: self.events.as_deref(),
        }
    }

    /// Whether only results are shown.
    pub(super) fn quiet(&self) -> bool {
        self.quiet
    }

    /// Looks at the host, runs the units, and writes what came of each attempt.
    pub(super) async fn run(&self, folders: &Folders, order: Order) -> Result<Done, Refusal> {
        let started = Instant::now();
        let now = jiff::Zoned::now();
        let look = Look::choose(self.quiet, self.no_color);
        let Order {
            run_id,
            units,
            image,
            is_fitted,
            assets,
            shard,
            whole,
        } = order;
        if let Some(uri) = &self.connect {
            connect::check(uri, &units)?;
        }
        self.check_memory(&units)?;
        let interrupt = Interrupt::listen().map_err(internal("signals"))?;
        let chosen = tokio::select! {
            chosen = self.accelerator(folders, &units, &image.folder) => chosen?,
            () = interrupt.heard() => {
                return Err(refuse(exit::INTERRUPTED, "interrupted before anything was started"));
            }
        };
        if !self.quiet && !units.is_empty() {
            eprintln!("Accelerator: {}.", chosen.reason);
        }
        let artifacts = report::artifacts::create(&self.artifacts, &now, &run_id)
            .map_err(internal(&self.artifacts.display().to_string()))?;
        let units = match is_fitted {
            true => fitted(units, &image.fit, &artifacts.join("scenarios"))?,
            false => units,
        };
        let setting = Setting {
            run_id: run_id.clone(),
            artifacts: artifacts.clone(),
            connect: self.connect.clone(),
            image: image.folder.clone(),
            assets,
            boot_server: sibling("boot-server").map_err(|why| refuse(exit::INTERNAL, why))?,
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
        let mut files = vec![create_file(artifacts.join("events.jsonl"))?];
        if let Some(path) = &self.events {
            files.push(create_file(path.clone())?);
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

    /// What executes the machines.
    async fn accelerator(
        &self,
        folders: &Folders,
        units: &[Unit],
        image: &Path,
    ) -> Result<Chosen, Refusal> {
        if !units.iter().any(|unit| unit.scenario.machines.is_virtual()) {
            return Ok(nothing_is_executed(units));
        }
        let cache = folders.cache().map_err(|why| refuse(exit::INTERNAL, why))?;
        choose(self.accel, &image.join(Image::KERNEL), &cache)
            .await
            .map_err(|why| refuse(exit::HOST_UNSUPPORTED, why))
    }

    /// A cell that may be kept runs all its machines at once, to the end.
    fn check_memory(&self, units: &[Unit]) -> Result<(), Refusal> {
        if self.keep == Keep::Never {
            return Ok(());
        }
        let places = places(self.jobs, Accelerator::Tcg);
        for unit in units {
            let machines = unit.scenario.nodes.iter().map(|node| node.memory_mib);
            let wanted = places.all_at_once_mib(machines);
            if wanted > places.memory_mib {
                let message = format!(
                    "--keep runs all machines of a scenario at once; {} needs {wanted} MiB for that, and {} MiB \
                     are free",
                    unit.name(),
                    places.memory_mib
                );
                return Err(refuse(exit::HOST_UNSUPPORTED, message));
            }
        }
        Ok(())
    }
}

impl Done {
    /// Says how to look into cells that stay.
    pub(super) fn tell_kept(&self) {
        for (outcome, kept) in self.outcomes.iter().filter_map(|outcome| {
            let kept = outcome.attempts.last()?.kept.as_ref()?;
            Some((outcome, kept))
        }) {
            let unit = &outcome.unit;
            print!(
                "\n{}",
                kept.instructions(
                    &self.run.run_id,
                    &unit.name(),
                    &unit.scenario,
                    self.connect.as_deref()
                )
            );
        }
    }

    /// The nodes of the attempt whose artifacts are in this folder of the run's.
    fn judged(&self, name: &Path) -> Option<&[JudgedNode]> {
        let attempts = self.outcomes.iter().flat_map(|outcome| &outcome.attempts);
        let is_there = |attempt: &&AttemptOutcome| attempt.artifacts == self.run.folder.join(name);
        let attempt = attempts.into_iter().find(is_there)?;
        Some(&attempt.nodes)
    }

    /// Writes the reports, shows the result, and returns the exit code.
    pub(super) fn conclude(
        &self,
        folders: &Folders,
        conduct: &Conduct,
        results: Option<&[FaultResult]>,
    ) -> Result<u8, Refusal> {
        let Done {
            run, look, lost, ..
        } = self;
        let artifacts = &run.folder;
        let place = artifacts.display().to_string();
        // The table is told whatever becomes of the files.
        let consoles = match conduct.junit_all_consoles {
            true => Consoles::All,
            false => Consoles::Failures,
        };
        let judged = |name: &Path| self.judged(name);
        let mut junit = match report::artifacts::write_run(run, consoles, &judged) {
            Ok(junit) => Some(junit),
            Err(error) => {
                lost.note(format!("{place}: {error}"));
                None
            }
        };
        if let Some(results) = results {
            match report::faults::write(results, artifacts) {
                Ok(written) => junit = Some(written),
                Err(error) => lost.note(format!("{place}: {error}")),
            }
        }
        if let (Some(path), Some(junit)) = (&conduct.junit, junit)
            && let Err(error) = std::fs::write(path, junit)
        {
            lost.note(format!("{}: {error}", path.display()));
        }
        match results {
            Some(results) => print!("{}", report::faults::render(results, look.table)),
            None => print!("{}", report::table::render(run, look.table)),
        }
        println!("Artifacts: {place}");
        github::tell(run, &folders.scenarios);
        let code = match results {
            Some(results) => report::faults::exit_code(results, run.exit_code()),
            None => run.exit_code(),
        };
        let lost = lost.all();
        if !lost.is_empty() {
            eprintln!("lab: artifacts are lost:");
            lost.iter().for_each(|what| eprintln!("  {what}"));
            eprintln!(
                "  The table above is what was judged; make room, and run again for its evidence."
            );
        }
        Ok(match code {
            _ if self.interrupt.is_heard() => exit::INTERRUPTED,
            exit::OK if !lost.is_empty() => exit::INTERNAL,
            code => code,
        })
    }
}

fn places(jobs: Jobs, accelerator: Accelerator) -> Places {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let asked = match jobs {
        Jobs::Auto => None,
        Jobs::Number(number) => Some(number.get()),
    };
    Places::choose(asked, cores, free_memory_mib(), accelerator)
}

/// Where memory can't be read, that of one machine of usual size.
fn free_memory_mib() -> usize {
    std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| available_mib(&text))
        .unwrap_or(2048)
}

fn create_file(path: PathBuf) -> Result<(PathBuf, std::fs::File), Refusal> {
    match std::fs::File::create(&path) {
        Ok(file) => Ok((path, file)),
        Err(error) => Err(refuse(
            exit::INTERNAL,
            format!("{}: {error}", path.display()),
        )),
    }
}

/// Six hexadecimal digits: part of every name, so that two runs never share one.
pub(super) fn new_run_id() -> String {
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
