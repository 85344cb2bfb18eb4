//! `lab run`: select, check the host, boot, judge, report.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

use clap::{Args, ValueEnum};
use images::catalog::{Architecture, ImageName};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::images::Chosen;
use super::select::select;
use super::terminal::{self, Look};
use super::{Folders, exit, faults};
use crate::evidence::Depth;
use crate::hypervisor::accel::{AccelChoice, Accelerator, choose};
use crate::preflight;
use crate::report::live::Live;
use crate::report::{self, RunSummary, UnitSummary, github};
use crate::runner::keep::Keep;
use crate::runner::places::{Places, available_mib};
use crate::runner::shard::Shard;
use crate::runner::{self, Policy, Setting, Unit};
use crate::scenario::{Firmware, Fit, Image, Scenario};

/// `lab run`
#[derive(Debug, Args)]
pub(super) struct RunArguments {
    #[command(flatten)]
    pub(super) faults: faults::FaultArguments,
    /// Scenarios to run (faults with --faults); all when none is named
    #[arg(value_name = "NAME")]
    pub(super) names: Vec<String>,
    /// Only on this firmware (may be repeated)
    #[arg(long, value_name = "FIRMWARE")]
    pub(super) firmware: Vec<Firmware>,
    /// Boot this image instead of those that the scenarios name, e.g. `flatcar:stable` (lab images list)
    #[arg(long, value_name = "IMAGE", conflicts_with = "asked")]
    image: Option<ImageName>,
    /// What executes the machines
    #[arg(long, value_enum, default_value_t)]
    accel: AccelChoice,
    /// Machines at once: a number, or `auto` by cores; never more than fit into free memory
    #[arg(long, value_name = "N", default_value = "auto")]
    jobs: Jobs,
    /// Run the M-th of N parts of the scenarios, chosen by their names: for several machines
    #[arg(long, value_name = "M/N")]
    pub(super) shard: Option<Shard>,
    /// Try a scenario that failed this often again; the first attempt's evidence stays
    #[arg(long, value_name = "N", default_value_t = 0)]
    retries: u32,
    /// What it means for the exit code when a machine passed only when tried again
    #[arg(long, value_enum, default_value_t)]
    flaky_result: FlakyResult,
    /// Start no further scenario once one has failed
    #[arg(long)]
    fail_fast: bool,
    /// Run each scenario this often
    #[arg(long, value_name = "N", default_value = "1")]
    pub(super) repeat: NonZeroU32,
    /// Leave cells alive, with everything in them, and say how to look into them
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    keep: Keep,
    #[command(flatten)]
    depth: Depth,
    /// Don't look into the data directories before: what is wrong there is for the machines to find
    #[arg(long)]
    pub(super) unchecked_data: bool,
    /// Where the run's folder is made
    #[arg(long, value_name = "DIR", default_value = "runs")]
    artifacts: PathBuf,
    /// Also write the JUnit report here
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Also write every event here, a JSON line each, as it happens
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Show no progress: only the table and where the artifacts are
    #[arg(long)]
    quiet: bool,
    /// Write without colours [also: NO_COLOR, CLICOLOR=0; CLICOLOR_FORCE=1 for colours everywhere]
    #[arg(long)]
    no_color: bool,
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

pub(super) fn refuse(code: u8, message: impl std::fmt::Display) -> Refusal {
    Refusal {
        code,
        message: format!("lab: {message}"),
    }
}

async fn attempt(folders: &Folders, arguments: &RunArguments) -> Result<u8, Refusal> {
    let started = Instant::now();
    let now = jiff::Zoned::now();
    let look = Look::choose(arguments.quiet, arguments.no_color);
    let faults = faults::select(folders, arguments)?;
    let units = match &faults {
        Some(faults) => faults.units(arguments),
        None => select(folders, arguments)?,
    };
    check_memory(&units, arguments)?;
    if let (Some(shard), true) = (arguments.shard, units.is_empty()) {
        eprintln!("Shard {shard} has no scenario of those selected.");
    }
    let wanted: Vec<_> = units
        .iter()
        .map(|unit| (&*unit.scenario, unit.firmware, &unit.injections))
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
    let image = image_of(folders, arguments.image.as_ref(), &units)?;
    let executes = units.iter().any(|unit| unit.scenario.machines.is_virtual());
    let chosen = if executes {
        choose(arguments.accel, &image.folder.join(Image::KERNEL))
            .await
            .map_err(|why| refuse(exit::HOST_UNSUPPORTED, why))?
    } else {
        faults::nothing_is_executed()
    };
    if !arguments.quiet {
        eprintln!("Accelerator: {}.", chosen.reason);
    }

    let internal =
        |what: &str, error: std::io::Error| refuse(exit::INTERNAL, format!("{what}: {error}"));
    let run_id = new_run_id();
    let artifacts = report::artifacts::create(&arguments.artifacts, &now, &run_id)
        .map_err(|error| internal(&arguments.artifacts.display().to_string(), error))?;
    let units = fitted(units, &image.fit, &artifacts.join("scenarios"))?;
    let setting = Setting {
        run_id: run_id.clone(),
        artifacts: artifacts.clone(),
        image: image.folder.clone(),
        boot_server: sibling("boot-server").map_err(|why| refuse(exit::INTERNAL, why))?,
        accelerator: chosen.accelerator,
        places: places(arguments.jobs, chosen.accelerator),
        depth: arguments.depth,
        policy: Policy {
            retries: arguments.retries,
            fail_fast: arguments.fail_fast,
            keep: arguments.keep,
        },
    };
    let mut files = vec![create_file(&artifacts.join("events.jsonl"))?];
    if let Some(path) = &arguments.events {
        files.push(create_file(path)?);
    }
    let live = Live::new(&units, &artifacts, files, look.progress, std::io::stderr());
    let outcomes = watch_run(units, &setting, live)
        .await
        .map_err(|error| internal("events.jsonl", error))?;

    let mut run = RunSummary {
        run_id,
        started: now.timestamp().to_string(),
        seconds: started.elapsed().as_secs_f64(),
        accelerator: chosen.reason,
        shard: arguments.shard.map(|shard| shard.to_string()),
        flaky_fails: arguments.flaky_result == FlakyResult::Fail,
        units: Vec::new(),
        folder: artifacts.clone(),
    };
    for outcome in &outcomes {
        let summary = UnitSummary::of(outcome, &artifacts);
        for (attempt, summed_up) in outcome.attempts.iter().zip(&summary.attempts) {
            report::artifacts::write_attempt(attempt, summed_up)
                .map_err(|error| internal(&attempt.artifacts.display().to_string(), error))?;
        }
        run.units.push(summary);
    }
    let mut junit = report::artifacts::write_run(&run)
        .map_err(|error| internal(&artifacts.display().to_string(), error))?;
    let results = faults.map(|faults| faults.results(&outcomes, &artifacts));
    if let Some(results) = &results {
        junit = report::faults::write(results, &artifacts)
            .map_err(|error| internal(&artifacts.display().to_string(), error))?;
    }
    if let Some(path) = &arguments.junit {
        std::fs::write(path, junit)
            .map_err(|error| internal(&path.display().to_string(), error))?;
    }
    match &results {
        Some(results) => print!("{}", report::faults::render(results, look.table)),
        None => print!("{}", report::table::render(&run, look.table)),
    }
    println!("Artifacts: {}", artifacts.display());
    on_github(&run, &folders.scenarios);
    for (outcome, kept) in outcomes.iter().filter_map(|outcome| {
        let kept = outcome.attempts.last()?.kept.as_ref()?;
        Some((outcome, kept))
    }) {
        let unit = &outcome.unit;
        print!(
            "\n{}",
            kept.instructions(&run.run_id, &unit.name(), &unit.scenario)
        );
    }
    Ok(match results {
        Some(results) => report::faults::exit_code(&results, run.exit_code()),
        None => run.exit_code(),
    })
}

/// The image of all units: the one asked for, else the one that they name.
fn image_of(
    folders: &Folders,
    asked: Option<&ImageName>,
    units: &[Unit],
) -> Result<Chosen, Refusal> {
    let names: BTreeSet<&str> = units
        .iter()
        .map(|unit| unit.scenario.image.name.as_str())
        .collect();
    let name = match (asked, Vec::from_iter(names).as_slice()) {
        (Some(name), _) => name.clone(),
        (None, []) => stand_in()?,
        (None, [one]) => one
            .parse()
            .map_err(|bad| refuse(exit::INVALID_INPUT, bad))?,
        (None, several) => {
            let several = several.join(", ");
            let message = format!(
                "the scenarios name several images ({several}): run them one image at a time, or name one with --image"
            );
            return Err(refuse(exit::INVALID_INPUT, message));
        }
    };
    let chosen = super::images::choose(folders, &name).map_err(|failure| Refusal {
        code: failure.code,
        message: failure.message,
    })?;
    // What does not fit is refused before anything is made.
    let trial = tempfile::tempdir().map_err(|error| refuse(exit::INTERNAL, error))?;
    fitted(units.to_owned(), &chosen.fit, trial.path())?;
    if chosen.architecture != Architecture::Amd64 {
        let message = format!(
            "`{name}` is for {}, and the machines are amd64",
            chosen.architecture.name()
        );
        return Err(refuse(exit::HOST_UNSUPPORTED, message));
    }
    Ok(chosen)
}

fn stand_in() -> Result<ImageName, Refusal> {
    Image::STAND_IN
        .parse()
        .map_err(|bad| refuse(exit::INTERNAL, bad))
}

/// The units with their scenarios fitted to the image, each once, in `folder`; as they are where they name
/// it themselves and nothing has to be changed.
fn fitted(units: Vec<Unit>, fit: &Fit, folder: &Path) -> Result<Vec<Unit>, Refusal> {
    let mut done: BTreeMap<String, Arc<Scenario>> = BTreeMap::new();
    let mut fitted = Vec::new();
    for unit in units {
        if unit.scenario.image.name == fit.image {
            fitted.push(unit);
            continue;
        }
        let name = unit.scenario.name.clone();
        let scenario = match done.get(&name) {
            Some(scenario) => Arc::clone(scenario),
            None => {
                let own = std::path::absolute(folder.join(&name))
                    .map_err(|error| refuse(exit::INTERNAL, error))?;
                let scenario = fit
                    .apply(&unit.scenario, &own)
                    .map_err(|error| refuse(exit::INVALID_INPUT, error))?;
                let scenario = Arc::new(scenario);
                done.insert(name, Arc::clone(&scenario));
                scenario
            }
        };
        fitted.push(Unit { scenario, ..unit });
    }
    Ok(fitted)
}

/// On GitHub Actions: annotations on standard output, and the job's summary
/// (<https://docs.github.com/actions/reference/workflow-commands-for-github-actions>).
fn on_github(run: &RunSummary, scenarios: &Path) {
    if std::env::var_os("GITHUB_ACTIONS").is_none_or(|value| value != "true") {
        return;
    }
    print!("{}", github::annotations(run, &scenarios.to_string_lossy()));
    if let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY") {
        let path = PathBuf::from(path);
        let appended = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(github::summary(run).as_bytes()));
        // The verdicts stand; a summary that can't be written does not change them.
        if let Err(error) = appended {
            eprintln!("lab: the summary {}: {error}", path.display());
        }
    }
}

/// Runs the units while showing and saving what happens; Ctrl-C and SIGTERM stop them.
async fn watch_run(
    units: Vec<Unit>,
    setting: &Setting,
    mut live: Live<std::io::Stderr>,
) -> std::io::Result<Vec<runner::UnitOutcome>> {
    let (stop, stopping) = watch::channel(false);
    let (progress, mut seen) = mpsc::unbounded_channel();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut resized = signal(SignalKind::window_change())?;
    let mut ticks = tokio::time::interval(live.period());
    // A tick that came late is not made up for.
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let course = runner::run(units, setting, progress, stopping);
    tokio::pin!(course);
    loop {
        tokio::select! {
            biased;
            Some(progress) = seen.recv() => live.take(&progress)?,
            outcomes = &mut course => {
                live.end();
                return Ok(outcomes);
            }
            Some(()) = interrupt.recv() => interrupted(&stop, &mut live),
            Some(()) = terminate.recv() => interrupted(&stop, &mut live),
            Some(()) = resized.recv() => live.tick(Instant::now(), terminal::width()),
            now = ticks.tick() => live.tick(now.into_std(), terminal::width()),
        }
    }
}

fn interrupted(stop: &watch::Sender<bool>, live: &mut Live<std::io::Stderr>) {
    live.say("Interrupted: stopping the machines.");
    stop.send_replace(true);
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

/// A cell that may be kept runs all its machines at once, to the end.
fn check_memory(units: &[Unit], arguments: &RunArguments) -> Result<(), Refusal> {
    if arguments.keep == Keep::Never {
        return Ok(());
    }
    let places = places(arguments.jobs, Accelerator::Tcg);
    for unit in units {
        let wanted = places.all_at_once_mib(unit.scenario.nodes.iter().map(|node| node.memory_mib));
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

fn create_file(path: &Path) -> Result<std::fs::File, Refusal> {
    std::fs::File::create(path)
        .map_err(|error| refuse(exit::INTERNAL, format!("{}: {error}", path.display())))
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
