//! Parser of `fault.toml` and `case.toml`, which reports every mistake with its location, and selection by name.

use std::fs;
use std::path::Path;

use toml::de::DeTable;

use super::injection;
use super::model::{Change, Collection, Edit, Expectation, Fault, Injections};
use crate::diagnosis::Cause;
use crate::scenario::problem::{InvalidScenario, Problem, Source, Wrong, nearest, one_of};
use crate::scenario::read::{Item, Table};
use crate::scenario::{Firmware, Machines};
use crate::timeline::StageName;

pub(super) const BOOT_SECONDS_DEFAULT: u32 = 120;
const BOOT_SECONDS: std::ops::RangeInclusive<u32> = 10..=600;

const STAGES: [StageName; 15] = [
    StageName::PowerOn,
    StageName::Dhcp,
    StageName::Proxy,
    StageName::Nbp,
    StageName::Ipxe,
    StageName::Script,
    StageName::Kernel,
    StageName::Initrd,
    StageName::KernelUp,
    StageName::Ignition,
    StageName::Generic,
    StageName::UserlandUp,
    StageName::CloudConfig,
    StageName::ConfigApplied,
    StageName::Checks,
];

/// Loads the case of `collection` in `dir`.
///
/// # Errors
/// All mistakes in the case, in one report.
pub fn load(collection: Collection, dir: &Path) -> Result<Fault, InvalidScenario> {
    let path = dir.join(collection.file_name());
    let name = dir
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let title = format!("{} `{name}`", collection.noun());
    let text = fs::read_to_string(&path).map_err(|error| {
        let what = format!("cannot read {}: {error}", path.display());
        let (noun, file) = (collection.noun(), collection.file_name());
        let problem = Problem::nowhere(what, format!("a {noun} is a folder with a `{file}`"));
        InvalidScenario::new(title.clone(), vec![problem])
    })?;
    let source = Source::new(&path, text);
    let fault = parse(collection, &name, dir, &source);
    match fault {
        Some(fault) if source.is_sound() => Ok(fault),
        _ => Err(InvalidScenario::new(title, source.into_problems())),
    }
}

/// Loads all cases of `collection` below `root`, sorted by name.
///
/// # Errors
/// All mistakes in all cases, in one report.
pub fn load_all(collection: Collection, root: &Path) -> Result<Vec<Fault>, InvalidScenario> {
    let listed = fs::read_dir(root).map_err(|error| {
        let what = format!("cannot read {}: {error}", root.display());
        let help = format!("{}s are expected in this folder", collection.noun());
        let problem = Problem::nowhere(what, help);
        InvalidScenario::new(root.display().to_string(), vec![problem])
    })?;
    let mut dirs: Vec<_> = listed
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|dir| dir.join(collection.file_name()).is_file())
        .collect();
    dirs.sort();
    let mut faults = Vec::new();
    let mut problems = Vec::new();
    for dir in dirs {
        match load(collection, &dir) {
            Ok(fault) => faults.push(fault),
            Err(mut invalid) => problems.append(&mut invalid.problems),
        }
    }
    if problems.is_empty() {
        Ok(faults)
    } else {
        Err(InvalidScenario::new(root.display().to_string(), problems))
    }
}

/// Name of no case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {}: `{name}`; {help}", collection.noun())]
pub struct UnknownFault {
    /// Collection that has no case of this name.
    pub collection: Collection,
    /// Name as given by the user.
    pub name: String,
    /// Nearest name, or all names.
    pub help: String,
}

/// Returns the cases of these names, each once and in the given order; all cases if no name is given.
///
/// # Errors
/// The first unknown name.
pub fn select(
    collection: Collection,
    all: Vec<Fault>,
    names: &[String],
) -> Result<Vec<Fault>, UnknownFault> {
    if names.is_empty() {
        return Ok(all);
    }
    let mut selected: Vec<Fault> = Vec::new();
    for name in names {
        // Reports call a case by this name, too.
        let own = name.strip_prefix(collection.prefix());
        let name = own.and_then(|rest| rest.strip_prefix('/')).unwrap_or(name);
        let Some(fault) = all.iter().find(|fault| fault.name == name) else {
            let known = || all.iter().map(|fault| fault.name.as_str());
            let help = match nearest(name, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known: {}", one_of(known())),
            };
            return Err(UnknownFault {
                collection,
                name: name.to_owned(),
                help,
            });
        };
        if selected.iter().all(|other| other.name != name) {
            selected.push(fault.clone());
        }
    }
    Ok(selected)
}

/// Parses the file; mistakes are added to `source`.
fn parse(collection: Collection, name: &str, dir: &Path, source: &Source) -> Option<Fault> {
    let (document, errors) = DeTable::parse_recoverable(source.text());
    if !errors.is_empty() {
        for error in errors {
            let wrong = Wrong::new(
                error.message(),
                "the file must be valid TOML (https://toml.io)",
            );
            source.wrong(error.span().unwrap_or(0..0), "here", wrong);
        }
        return None;
    }
    let title = match collection {
        Collection::Faults => "the fault",
        Collection::Adversarial => "the adversarial case",
    };
    let root = Table::root(source, &document, title);
    let summary = root
        .required("summary", "summary = \"No server answers DHCP\"")
        .and_then(|item| item.text());
    let scenario = root
        .required("scenario", "scenario = \"ipxe-chainload\"")
        .and_then(|item| item.text());
    let firmware = Firmware::ALL.map(|firmware| (firmware.name(), firmware));
    let firmware = root
        .required("firmware", "firmware = \"bios\"")
        .and_then(|item| item.choice(&firmware));
    let nodes = root
        .required("nodes", "nodes = [\"node1\"]")
        .and_then(|item| names(&item));
    let machines = [Machines::Virtual, Machines::Simulated].map(|one| (one.name(), one));
    let machines = root
        .optional("machines")
        .and_then(|item| item.choice(&machines));
    let boot_seconds = root
        .optional("boot_seconds")
        .and_then(|item| item.number(BOOT_SECONDS, "seconds"));
    let expect = root
        .required("expect", "[expect]")
        .and_then(|item| item.table("[expect]"))
        .and_then(expectation);
    let changes: Vec<Change> = root
        .optional("change")
        .and_then(|item| item.list())
        .unwrap_or_default()
        .iter()
        .filter_map(change)
        .collect();
    let injections = injection::read(&root, source);
    let breaks_nothing = changes.is_empty()
        && injections == Injections::default()
        && !dir.join("data").is_dir()
        && source.is_sound();
    if breaks_nothing {
        let what = format!("{title} has no effect");
        let help = "add a `[[change]]`, an injection, or files in its folder `data`";
        source.wrong(0..0, "here", Wrong::new(what, help));
    }
    root.finish();
    let expect = expect?;
    Some(Fault {
        collection,
        name: name.to_owned(),
        dir: dir.to_owned(),
        summary: summary?.value,
        scenario: scenario?.value,
        firmware: firmware?.value,
        nodes: nodes?,
        machines: machines.map_or(Machines::Virtual, |machines| machines.value),
        boot_seconds: boot_seconds.map_or(BOOT_SECONDS_DEFAULT, |seconds| seconds.value),
        changes,
        injections,
        expect: expect.what,
        victim: expect.victim,
        shown: expect.shown,
    })
}

fn names(item: &Item) -> Option<Vec<String>> {
    let list = item.list()?;
    if list.is_empty() {
        item.wrong(Wrong::new("`nodes` is empty", "name at least one node"));
    }
    list.iter()
        .map(|item| item.text().map(|text| text.value))
        .collect()
}

/// `[expect]`
struct Expected {
    what: Expectation,
    victim: Option<String>,
    shown: Vec<String>,
}

/// Returns the expected outcome, and the node it applies to.
fn expectation(table: Table) -> Option<Expected> {
    let node = table.optional("node").and_then(|item| item.text());
    let victim = node.map(|node| node.value);
    let shown = table.optional("shown").and_then(|item| item.list());
    let shown: Vec<String> = shown
        .unwrap_or_default()
        .iter()
        .filter_map(|item| item.parse(filled))
        .map(|text| text.value)
        .collect();
    let verdict = table
        .required("verdict", "verdict = \"fail\"")
        .and_then(|item| item.choice(&[("pass", true), ("fail", false)]))?;
    if verdict.value {
        table.finish();
        return Some(Expected {
            what: Expectation::Pass,
            victim,
            shown,
        });
    }
    let stages = STAGES.map(|stage| (stage.name(), stage));
    let causes = Cause::ALL.map(|cause| (cause.name(), cause));
    let stage = table
        .required("stage", "stage = \"dhcp\"")
        .and_then(|item| item.choice(&stages));
    let cause = table
        .required("cause", "cause = \"no-dhcp-server\"")
        .and_then(|item| item.choice(&causes));
    table.finish();
    let what = Expectation::Fail {
        stage: stage?.value,
        cause: cause?.value,
    };
    Some(Expected {
        what,
        victim,
        shown,
    })
}

fn change(item: &Item) -> Option<Change> {
    let table = item.table("[[change]]")?;
    let file = table
        .required("file", "file = \"data/config.yaml\"")
        .and_then(|item| item.parse(inside))?;
    let remove = table.optional("remove").and_then(|item| item.flag());
    let edit = if remove.is_some_and(|remove| remove.value) {
        Some(Edit::Remove)
    } else {
        let from = table
            .required("replace", "replace = \"text that is in the file\"")
            .and_then(|item| item.parse(filled));
        let to = table
            .required("with", "with = \"text in its place\"")
            .and_then(|item| item.text());
        from.zip(to).map(|(from, to)| Edit::Replace {
            from: from.value,
            to: to.value,
        })
    };
    table.finish();
    Some(Change {
        file: file.value,
        edit: edit?,
    })
}

fn filled(text: &str) -> Result<String, Wrong> {
    if text.is_empty() {
        return Err(Wrong::new("empty text", "write text that occurs there"));
    }
    Ok(text.to_owned())
}

/// Checks that a path stays inside the scenario's folder.
fn inside(text: &str) -> Result<String, Wrong> {
    use std::path::Component;
    let stays = Path::new(text)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if stays && !text.is_empty() {
        return Ok(text.to_owned());
    }
    Err(Wrong::new(
        format!("invalid path: `{text}` (outside the scenario's folder)"),
        "use a relative path, e.g. `data/config.yaml`",
    ))
}
