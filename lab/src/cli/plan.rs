//! `lab plan`: shows what each machine would be served from a data directory, and the changes against another
//! one.

use std::path::{Path, PathBuf};

use boot_server_catalog::ignition::IgnitionMode;
use boot_server_catalog::load::Source;
use boot_server_catalog::problem::{Problem, Severity};
use boot_server_catalog::snapshot::{Layout, Snapshot};
use clap::{Args, ValueEnum};
use lab_report::exit_code::ExitCode;
use lab_report::table;
use rollout::inventory::{Inventory, import};
use rollout::plan::change::compare;
use rollout::plan::report::{self, Colour};
use rollout::plan::revision::{Revision, RevisionError};
use rollout::plan::{ClientRequests, Plan, plan_with_requests};

use super::ignition_mode::IgnitionName;
use super::inventory::{print, read_or_tell, tell};
use super::terminal::OutputStyle;

/// Arguments of `lab plan`.
#[derive(Debug, Args)]
pub(super) struct PlanArguments {
    /// Data directory in bootcfg or matchbox layout, or bootcfg's groups file in one (*.yaml)
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// List of machines: *.toml, *.yaml, *.json or *.csv [default: machines that groups select by UUID or MAC]
    #[arg(long, value_name = "FILE")]
    machines: Option<PathBuf>,
    /// Show the changes since a revision of DIR's git repository, or against another directory
    #[arg(long, value_name = "REV|DIR")]
    against: Option<String>,
    /// Output format; `markdown` suits pull requests and hides secrets
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,
    /// Show everything that one machine is served
    #[arg(long, value_name = "NAME", conflicts_with = "against")]
    show: Option<String>,
    /// Query string of the /boot.ipxe URL in the DHCP answer
    #[arg(long, value_name = "QUERY", default_value = "platform=${platform}")]
    boot_query: String,
    /// Layout of DIR, if it cannot be detected
    #[arg(long, value_name = "LAYOUT")]
    layout: Option<LayoutName>,
    /// Translation of Butane and Container Linux Configs, as `[http] ignition` of the server [default: by language]
    #[arg(long, value_name = "MODE")]
    ignition: Option<IgnitionName>,
    /// Print without colours
    #[arg(long)]
    no_color: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One line per machine
    Table,
    /// JSON for programs
    Json,
    /// Markdown for pull requests
    Markdown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LayoutName {
    /// bootcfg: config.yaml, specs/
    Bootcfg,
    /// matchbox: groups/, profiles/
    Matchbox,
}

impl From<LayoutName> for Layout {
    fn from(name: LayoutName) -> Layout {
        match name {
            LayoutName::Bootcfg => Layout::Bootcfg,
            LayoutName::Matchbox => Layout::Matchbox,
        }
    }
}

/// Form of a data directory, where it is not detected.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Form {
    pub(super) layout: Option<LayoutName>,
    pub(super) ignition: Option<IgnitionMode>,
}

/// Prints the plan and returns the exit code.
pub(super) fn run(arguments: &PlanArguments) -> ExitCode {
    match planned(arguments) {
        Ok((text, failing)) => match (print(&text), failing) {
            (ExitCode::Ok, true) => ExitCode::Failed,
            (code, _) => code,
        },
        Err(code) => code,
    }
}

/// Returns the text to print, and true if a machine fails. The error is the exit code.
fn planned(arguments: &PlanArguments) -> Result<(String, bool), ExitCode> {
    let form = Form {
        layout: arguments.layout,
        ignition: arguments.ignition.map(Into::into),
    };
    let snapshot = load(&arguments.directory, form, None)?;
    let before = match &arguments.against {
        Some(against) => Some(Before::load(against, &arguments.directory, form)?),
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
    let look = OutputStyle::choose(true, arguments.no_color);
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

fn internal(error: impl std::fmt::Display) -> ExitCode {
    eprintln!("lab: {error}");
    ExitCode::Internal
}

fn shown(
    plan: &Plan,
    name: &str,
    format: Format,
    colour: Colour,
) -> Result<(String, bool), ExitCode> {
    let Some(machine) = plan.machine(name) else {
        let names: Vec<&str> = plan.machines.iter().map(|one| one.name.as_str()).collect();
        let near = boot_server_catalog::problem::nearest(name, &names)
            .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        eprintln!("lab: unknown machine: `{name}`{near}");
        return Err(ExitCode::InvalidInput);
    };
    let text = match format {
        Format::Json => report::json::render_one(plan, machine).map_err(internal)?,
        Format::Table | Format::Markdown => report::show(plan, machine, colour),
    };
    Ok((text, !machine.problems().is_empty()))
}

/// Loads a directory that a server could serve; `shown_as` names one that was checked out from a repository.
pub(super) fn load(
    directory: &Path,
    form: Form,
    shown_as: Option<&str>,
) -> Result<Snapshot, ExitCode> {
    let source = Source {
        ignition: form.ignition,
        layout: form.layout.map(Into::into),
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
            let below = error.path.strip_prefix(&source.root);
            let below = below.map_or_else(|_| error.path.clone(), Path::to_owned);
            error.path = PathBuf::from(format!("{shown_as}:{}", below.display()));
        }
    }
    Err(tell(&errors))
}

/// Directory or revision that the plan is compared with.
pub(super) struct Before {
    pub(super) snapshot: Snapshot,
    pub(super) name: String,
}

impl Before {
    pub(super) fn load(against: &str, of: &Path, form: Form) -> Result<Before, ExitCode> {
        let directory = Path::new(against);
        let is_path = against.contains('/');
        let folder = Source::of(of).root;
        if directory.is_dir() || Source::of(directory).groups_file.is_some() {
            if !is_path && Revision::is_known(&folder, against) {
                eprintln!(
                    "lab: ambiguous --against: `{against}` is a directory and a revision; write `./{against}` or \
                     `refs/heads/{against}`"
                );
                return Err(ExitCode::InvalidInput);
            }
            return Ok(Before {
                snapshot: load(directory, form, None)?,
                name: against.to_owned(),
            });
        }
        let revision = Revision::take_out(&folder, against).map_err(|error| {
            eprintln!("lab: {error}");
            match error {
                RevisionError::Folder(_) => ExitCode::Internal,
                _ => ExitCode::InvalidInput,
            }
        })?;
        let commit: String = revision.commit.chars().take(10).collect();
        let name = match revision.commit.starts_with(against) {
            true => commit,
            false => format!("{against} ({commit})"),
        };
        // A groups file is the one of the same name.
        let groups_file = Source::of(of).groups_file;
        let then = match groups_file.as_deref().and_then(Path::file_name) {
            Some(file) => revision.path().join(file),
            None => revision.path(),
        };
        Ok(Before {
            snapshot: load(&then, form, Some(against))?,
            name,
        })
    }
}

/// Returns the machines that groups select, including groups of the older directory: a machine whose group was
/// removed must appear.
pub(super) fn machines_of_groups(
    snapshot: &Snapshot,
    before: Option<&Before>,
) -> Result<Inventory, ExitCode> {
    let mut snapshots = vec![snapshot];
    snapshots.extend(before.map(|before| &before.snapshot));
    let inventory = import::of_snapshots(&snapshots).inventory;
    if inventory.machines.is_empty() {
        eprintln!("lab: no machines: no group selects a UUID or MAC; pass a list with --machines");
        return Err(ExitCode::InvalidInput);
    }
    eprintln!(
        "Machines, as selected by groups: {}",
        inventory.machines.len()
    );
    Ok(inventory)
}
