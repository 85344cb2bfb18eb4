//! `lab plan`: what each machine would get from a data directory, and what changes against another.

use std::path::{Path, PathBuf};

use boot_server::catalog::data_dir::{Layout, Snapshot, Source};
use boot_server::catalog::problem::{Problem, Severity};
use clap::{Args, ValueEnum};
use rollout::inventory::{Inventory, import};
use rollout::plan::change::compare;
use rollout::plan::report::{self, Colour};
use rollout::plan::revision::{Revision, RevisionError};
use rollout::plan::{ClientRequests, Plan, plan_with_requests};

use super::exit;
use super::inventory::{print, read_or_tell, tell};
use super::terminal::Look;
use crate::report::table;

/// `lab plan`
#[derive(Debug, Args)]
pub(super) struct PlanArguments {
    /// The data directory, in bootcfg's or matchbox's layout
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The machines: *.toml, *.yaml, *.json or *.csv [default: those that groups select by UUID or MAC]
    #[arg(long, value_name = "FILE")]
    machines: Option<PathBuf>,
    /// Show what changes since a revision of DIR's git repository, or against another directory
    #[arg(long, value_name = "REV|DIR")]
    against: Option<String>,
    /// How to show it; `markdown` is made for pull requests, and shows no secrets
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,
    /// Show one machine whole: every byte that it is served
    #[arg(long, value_name = "NAME", conflicts_with = "against")]
    show: Option<String>,
    /// Query of the URL of /boot.ipxe that DHCP names
    #[arg(long, value_name = "QUERY", default_value = "platform=${platform}")]
    boot_query: String,
    /// Layout of DIR, where it cannot be told by what is there
    #[arg(long, value_name = "LAYOUT")]
    layout: Option<LayoutName>,
    /// No colours
    #[arg(long)]
    no_color: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line each machine
    Table,
    /// For programs
    Json,
    /// For pull requests
    Markdown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LayoutName {
    /// config.yaml, specs/
    Bootcfg,
    /// groups/, profiles/
    Matchbox,
}

/// Plans and returns the exit code.
pub(super) fn run(arguments: &PlanArguments) -> u8 {
    match planned(arguments) {
        Ok((text, failing)) => match (print(&text), failing) {
            (exit::OK, true) => exit::FAILED,
            (code, _) => code,
        },
        Err(code) => code,
    }
}

/// The text to print, and whether a machine fails. The error is the exit code.
fn planned(arguments: &PlanArguments) -> Result<(String, bool), u8> {
    let snapshot = load(&arguments.directory, arguments.layout, None)?;
    let before = match &arguments.against {
        Some(against) => Some(Before::load(
            against,
            &arguments.directory,
            arguments.layout,
        )?),
        None => None,
    };
    let inventory = match &arguments.machines {
        Some(list) => read_or_tell(list)?,
        None => machines_of_groups(&snapshot, before.as_ref())?,
    };
    let requests = ClientRequests {
        boot_query: arguments.boot_query.clone(),
        ..ClientRequests::default()
    };
    let plan = plan_with_requests(&snapshot, &inventory, &requests);
    let failing = plan.failing().next().is_some();
    let look = Look::choose(true, arguments.no_color);
    let colour = match look.table {
        table::Colour::On => Colour::On,
        table::Colour::Off => Colour::Off,
    };
    if let Some(name) = &arguments.show {
        return shown(&plan, name, arguments.format, colour);
    }
    let before = before.map(|before| {
        let old = plan_with_requests(&before.snapshot, &inventory, &requests);
        (compare(&old, &plan), before.name)
    });
    let changes = before
        .as_ref()
        .map(|(changes, name)| (changes, name.as_str()));
    let text = match (arguments.format, changes) {
        (Format::Table, None) => report::table(&plan, colour),
        (Format::Table, Some((changes, name))) => report::changes(&plan, changes, name, colour),
        (Format::Markdown, changes) => report::markdown::render(&plan, changes),
        (Format::Json, changes) => report::json::render(&plan, changes).map_err(internal)?,
    };
    Ok((text, failing))
}

fn internal(error: impl std::fmt::Display) -> u8 {
    eprintln!("lab: {error}");
    exit::INTERNAL
}

fn shown(plan: &Plan, name: &str, format: Format, colour: Colour) -> Result<(String, bool), u8> {
    let Some(machine) = plan.machine(name) else {
        let names: Vec<&str> = plan.machines.iter().map(|one| one.name.as_str()).collect();
        let near = boot_server::catalog::problem::nearest(name, &names)
            .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        eprintln!("lab: there is no machine `{name}`{near}");
        return Err(exit::INVALID_INPUT);
    };
    let text = match format {
        Format::Json => report::json::render_one(plan, machine).map_err(internal)?,
        Format::Table | Format::Markdown => report::show(plan, machine, colour),
    };
    Ok((text, !machine.problems().is_empty()))
}

/// Loads a directory that could be served; `shown_as` names one that was taken out of a repository.
pub(super) fn load(
    directory: &Path,
    layout: Option<LayoutName>,
    shown_as: Option<&str>,
) -> Result<Snapshot, u8> {
    let source = Source {
        layout: layout.map(|layout| match layout {
            LayoutName::Bootcfg => Layout::Bootcfg,
            LayoutName::Matchbox => Layout::Matchbox,
        }),
        ..Source::of(directory)
    };
    let (snapshot, problems) = Snapshot::load(&source);
    let mut errors: Vec<Problem> = problems
        .into_iter()
        .filter(|problem| problem.severity == Severity::Error)
        .collect();
    if errors.is_empty() {
        return Ok(snapshot);
    }
    if let Some(shown_as) = shown_as {
        for error in &mut errors {
            let below = error.path.strip_prefix(directory);
            let below = below.map_or_else(|_| error.path.clone(), Path::to_owned);
            error.path = PathBuf::from(format!("{shown_as}:{}", below.display()));
        }
    }
    Err(tell(&errors))
}

/// What the plan is compared with.
pub(super) struct Before {
    pub(super) snapshot: Snapshot,
    pub(super) name: String,
}

impl Before {
    pub(super) fn load(against: &str, of: &Path, layout: Option<LayoutName>) -> Result<Before, u8> {
        let directory = Path::new(against);
        let is_path = against.contains('/');
        if directory.is_dir() {
            if !is_path && Revision::is_known(of, against) {
                eprintln!(
                    "lab: `{against}` is a directory and a revision; write `./{against}` or \
                     `refs/heads/{against}`"
                );
                return Err(exit::INVALID_INPUT);
            }
            return Ok(Before {
                snapshot: load(directory, layout, None)?,
                name: against.to_owned(),
            });
        }
        let revision = Revision::take_out(of, against).map_err(|error| {
            eprintln!("lab: {error}");
            match error {
                RevisionError::Folder(_) => exit::INTERNAL,
                _ => exit::INVALID_INPUT,
            }
        })?;
        let commit: String = revision.commit.chars().take(10).collect();
        let name = match revision.commit.starts_with(against) {
            true => commit,
            false => format!("{against} ({commit})"),
        };
        Ok(Before {
            snapshot: load(&revision.path(), layout, Some(against))?,
            name,
        })
    }
}

/// The machines that groups select, of before as well: one whose group is gone has to be seen.
pub(super) fn machines_of_groups(
    snapshot: &Snapshot,
    before: Option<&Before>,
) -> Result<Inventory, u8> {
    let mut snapshots = vec![snapshot];
    snapshots.extend(before.map(|before| &before.snapshot));
    let inventory = import::of_snapshots(&snapshots).inventory;
    if inventory.machines.is_empty() {
        eprintln!(
            "lab: no group selects a machine by UUID or MAC; name a list of machines with --machines"
        );
        return Err(exit::INVALID_INPUT);
    }
    eprintln!(
        "the machines are those that groups select by UUID or MAC: {}",
        inventory.machines.len()
    );
    Ok(inventory)
}
