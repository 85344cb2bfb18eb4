//! Resolution of `RUN[/SCENARIO[@FIRMWARE]][/NODE]` to folders.

use std::fs;
use std::path::{Path, PathBuf};

/// Folder of an attempt, and optionally one machine in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) attempt: PathBuf,
    pub(super) node: Option<String>,
}

/// Reasons that a text selects no attempt.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PlaceError {
    /// The folder has no attempts.
    #[error("not a run: {0} (no folder like `scenario@firmware/attempt-1`)")]
    NotARun(PathBuf),
    #[error("too many parts in `{what}`: `{more}` (use RUN/SCENARIO/NODE)")]
    TooManyParts { what: String, more: String },
    #[error("no attempt found: `{0}`")]
    NoAttempt(String),
    #[error("unknown run: `{what}` (no runs in {runs}, and no such file or folder)")]
    NoRuns { what: String, runs: PathBuf },
    #[error("unknown run, folder or file: `{what}` (newest runs in {runs}: {known})")]
    UnknownRun {
        what: String,
        runs: PathBuf,
        known: String,
    },
    #[error("unknown scenario in {run}: `{wanted}` (scenarios: {known})")]
    UnknownScenario {
        run: PathBuf,
        wanted: String,
        known: String,
    },
}

/// File that marks a folder as an attempt.
const ATTEMPT_FILE: &str = lab_model::evidence::saved::OUTLINE_FILE;

/// Returns the selected attempts: a list for each scenario and firmware, with attempts in order.
///
/// # Errors
/// [`PlaceError`].
pub(super) fn find(what: &str, runs: &Path) -> Result<Vec<Vec<Place>>, PlaceError> {
    let (base, rest) = base(what, runs)?;
    let mut rest = rest.as_slice();
    let mut units = if base.join(ATTEMPT_FILE).is_file() {
        vec![vec![base.clone()]]
    } else if !attempts(&base).is_empty() {
        vec![attempts(&base)]
    } else {
        let all = units(&base);
        if all.is_empty() {
            return Err(PlaceError::NotARun(base));
        }
        match rest {
            [] => all.into_iter().map(|(_, attempts)| attempts).collect(),
            [wanted, others @ ..] => {
                rest = others;
                chosen(&base, all, wanted)?
            }
        }
    };
    if let [wanted, others @ ..] = rest
        && wanted.starts_with("attempt-")
    {
        for unit in &mut units {
            unit.retain(|attempt| attempt.ends_with(wanted));
        }
        units.retain(|unit| !unit.is_empty());
        rest = others;
    }
    let rest: Vec<&String> = rest.iter().filter(|part| *part != "nodes").collect();
    let node = match rest.as_slice() {
        [] => None,
        [node] => Some((*node).clone()),
        [_, more, ..] => {
            return Err(PlaceError::TooManyParts {
                what: what.to_owned(),
                more: (*more).clone(),
            });
        }
    };
    if units.is_empty() {
        return Err(PlaceError::NoAttempt(what.to_owned()));
    }
    let place = |attempt: PathBuf| Place {
        attempt,
        node: node.clone(),
    };
    Ok(units
        .into_iter()
        .map(|unit| unit.into_iter().map(place).collect())
        .collect())
}

/// Splits `what` into its longest prefix that is a folder, here or among the runs, and the rest.
fn base(what: &str, runs: &Path) -> Result<(PathBuf, Vec<String>), PlaceError> {
    let parts: Vec<&str> = what.trim_end_matches('/').split('/').collect();
    for end in (1..=parts.len()).rev() {
        let (front, rest) = parts.split_at(end);
        let front = front.join("/");
        let front = if front.is_empty() {
            "/".to_owned()
        } else {
            front
        };
        let here = (what.contains('/') || front.starts_with('.')).then(|| PathBuf::from(&front));
        let among = Some(runs.join(&front));
        let by_id = (end == 1).then(|| run_of_id(runs, &front)).flatten();
        let alone = Some(PathBuf::from(&front));
        let found = [among, by_id, here, alone]
            .into_iter()
            .flatten()
            .find(|path| path.is_dir());
        if let Some(mut found) = found {
            let mut rest: Vec<String> = rest.iter().map(|part| (*part).to_owned()).collect();
            // A machine's own folder is explained within its attempt.
            if let (Some(name), Some(attempt)) =
                (found.file_name(), found.parent().and_then(Path::parent))
                && attempt.join(ATTEMPT_FILE).is_file()
                && found
                    .parent()
                    .is_some_and(|parent| parent.ends_with("nodes"))
            {
                rest.insert(0, name.to_string_lossy().into_owned());
                found = attempt.to_owned();
            }
            return Ok((found, rest));
        }
    }
    let mut known: Vec<String> = names(runs)
        .into_iter()
        .filter(|name| !name.starts_with('.'))
        .collect();
    known.reverse();
    known.truncate(5);
    let (what, runs) = (what.to_owned(), runs.to_owned());
    Err(match known.is_empty() {
        true => PlaceError::NoRuns { what, runs },
        false => PlaceError::UnknownRun {
            what,
            runs,
            known: known.join(", "),
        },
    })
}

/// Returns the run whose name ends with this id.
fn run_of_id(runs: &Path, id: &str) -> Option<PathBuf> {
    let ending = format!("-{id}");
    let name = names(runs)
        .into_iter()
        .find(|name| name.ends_with(&ending))?;
    Some(runs.join(name))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Returns the attempts in a unit's folder, in order.
fn attempts(unit: &Path) -> Vec<PathBuf> {
    let number = |name: &String| name.strip_prefix("attempt-")?.parse::<u32>().ok();
    let mut numbered: Vec<(u32, PathBuf)> = names(unit)
        .iter()
        .filter_map(|name| Some((number(name)?, unit.join(name))))
        .filter(|(_, path)| is_own(path) && is_own_file(&path.join(ATTEMPT_FILE)))
        .collect();
    numbered.sort();
    numbered.into_iter().map(|(_, path)| path).collect()
}

/// True for a folder that is not a symbolic link: a run's folder may come from somebody else.
fn is_own(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|file| file.is_dir())
}

fn is_own_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|file| file.is_file())
}

fn units(run: &Path) -> Vec<(String, Vec<PathBuf>)> {
    let own = names(run)
        .into_iter()
        .filter(|name| is_own(&run.join(name)));
    let all = own.map(|name| {
        let attempts = attempts(&run.join(&name));
        (name, attempts)
    });
    all.filter(|(_, attempts)| !attempts.is_empty()).collect()
}

/// Returns the units called `wanted`: by full name, or by scenario name.
fn chosen(
    run: &Path,
    all: Vec<(String, Vec<PathBuf>)>,
    wanted: &str,
) -> Result<Vec<Vec<PathBuf>>, PlaceError> {
    let names: Vec<String> = all.iter().map(|(name, _)| name.clone()).collect();
    let is_it = |name: &str| {
        name == wanted
            || name
                .split_once('@')
                .is_some_and(|(scenario, _)| scenario == wanted)
            || name.split_once('#').is_some_and(|(unit, _)| unit == wanted)
    };
    let found: Vec<Vec<PathBuf>> = all
        .into_iter()
        .filter(|(name, _)| is_it(name))
        .map(|(_, attempts)| attempts)
        .collect();
    if found.is_empty() {
        return Err(PlaceError::UnknownScenario {
            run: run.to_owned(),
            wanted: wanted.to_owned(),
            known: names.join(", "),
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (run, unit, attempt) in [
            ("20260101-120000-4f2a11", "pxe-dhcp@bios", 1),
            ("20260102-120000-77aa00", "pxe-dhcp@bios", 1),
            ("20260102-120000-77aa00", "ipxe-chainload@bios", 1),
            ("20260102-120000-77aa00", "ipxe-chainload@bios", 2),
            ("20260102-120000-77aa00", "ipxe-chainload@uefi", 1),
        ] {
            let folder = dir
                .path()
                .join(run)
                .join(unit)
                .join(format!("attempt-{attempt}"));
            fs::create_dir_all(folder.join("nodes/node1")).unwrap();
            fs::write(folder.join(ATTEMPT_FILE), "{}").unwrap();
        }
        std::os::unix::fs::symlink("20260102-120000-77aa00", dir.path().join("latest")).unwrap();
        dir
    }

    /// The folders found, relative to the run's, with the node.
    fn found(what: &str) -> Vec<String> {
        let runs = runs();
        let what = what.replace("RUNS", &runs.path().to_string_lossy());
        let places = find(&what, runs.path()).unwrap_or_else(|why| panic!("{why}"));
        let told = |place: Place| {
            let parts: Vec<String> = place
                .attempt
                .iter()
                .rev()
                .take(2)
                .map(|part| part.to_string_lossy().into())
                .collect();
            let node = place
                .node
                .map_or_else(String::new, |node| format!(" {node}"));
            format!("{} {}{node}", parts[1], parts[0])
        };
        places.into_iter().flatten().map(told).collect()
    }

    #[test]
    fn a_run_is_named_by_latest_by_its_id_by_its_name_and_by_its_folder() {
        for what in [
            "latest",
            "77aa00",
            "20260102-120000-77aa00",
            "RUNS/latest",
            "RUNS/latest/",
        ] {
            assert_eq!(found(what).len(), 4, "{what}");
        }
        assert_eq!(found("4f2a11"), ["pxe-dhcp@bios attempt-1"]);
    }

    #[test]
    fn a_scenario_is_named_with_or_without_its_firmware() {
        assert_eq!(
            found("latest/ipxe-chainload"),
            [
                "ipxe-chainload@bios attempt-1",
                "ipxe-chainload@bios attempt-2",
                "ipxe-chainload@uefi attempt-1"
            ]
        );
        assert_eq!(
            found("latest/ipxe-chainload@uefi"),
            ["ipxe-chainload@uefi attempt-1"]
        );
        assert_eq!(
            found("77aa00/pxe-dhcp/node1"),
            ["pxe-dhcp@bios attempt-1 node1"]
        );
        assert_eq!(
            found("latest/ipxe-chainload@bios/attempt-2/node1"),
            ["ipxe-chainload@bios attempt-2 node1"]
        );
    }

    #[test]
    fn a_folder_that_was_carried_elsewhere_is_enough() {
        let attempt = "RUNS/latest/ipxe-chainload@bios/attempt-1";
        assert_eq!(found(attempt), ["ipxe-chainload@bios attempt-1"]);
        assert_eq!(
            found(&format!("{attempt}/node1")),
            ["ipxe-chainload@bios attempt-1 node1"]
        );
        assert_eq!(
            found(&format!("{attempt}/nodes/node1")),
            ["ipxe-chainload@bios attempt-1 node1"]
        );
    }

    #[test]
    fn what_is_not_there_is_told_with_what_is() {
        let runs = runs();
        let why = |what: &str| find(what, runs.path()).unwrap_err();
        let gone = PlaceError::UnknownRun {
            what: "gone".into(),
            runs: runs.path().to_owned(),
            known: "latest, 20260102-120000-77aa00, 20260101-120000-4f2a11".into(),
        };
        assert_eq!(why("gone"), gone);
        let scenario = PlaceError::UnknownScenario {
            run: runs.path().join("latest"),
            wanted: "gone".into(),
            known: "ipxe-chainload@bios, ipxe-chainload@uefi, pxe-dhcp@bios".into(),
        };
        assert_eq!(why("latest/gone"), scenario);
        let more = PlaceError::TooManyParts {
            what: "latest/pxe-dhcp/node1/x".into(),
            more: "x".into(),
        };
        assert_eq!(why("latest/pxe-dhcp/node1/x"), more);
    }
}
