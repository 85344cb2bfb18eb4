//! Complete selection of a run in shards: every shard records the selection, the content of the scenarios and
//! the versions. Shards are merged only if these records agree.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use lab_model::results::Unit;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::RunSummary;

/// Maximum depth of a scenario's folder; `data/` of the bundled ones has three levels.
const DEPTH_MAX: usize = 16;
/// Maximum number of names in a message.
const NAMED_MAX: usize = 5;

/// Kind of a run's units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Scenarios.
    Scenarios,
    /// Faults (`--faults`).
    Faults,
    /// Adversarial cases (`--adversarial`).
    Adversarial,
}

/// Complete selection, before it was divided into shards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Whole {
    /// Kind of the units.
    pub kind: Kind,
    /// Names of all units selected, sorted.
    pub units: Vec<String>,
    /// SHA-256 of each scenario's folder and injections, by scenario.
    pub scenarios: BTreeMap<String, String>,
    /// Image with its version.
    pub image: String,
    /// Versions of the programs, by name.
    pub programs: BTreeMap<String, String>,
    /// SHA-256 of all of the above.
    pub sha256: String,
}

impl Whole {
    /// Describes a selection.
    ///
    /// # Errors
    /// When a scenario's folder can't be read.
    pub fn of(kind: Kind, units: &[Unit], image: &str) -> io::Result<Whole> {
        let mut scenarios = BTreeMap::new();
        for unit in units {
            let name = &unit.scenario.name;
            if !scenarios.contains_key(name) {
                // `--quick` takes fewer machines of the same folder.
                let nodes: Vec<&str> = unit
                    .scenario
                    .nodes
                    .iter()
                    .map(|n| n.name.as_str())
                    .collect();
                let beside = serde_json::to_vec(&(&unit.injections, nodes))?;
                scenarios.insert(name.clone(), folder_hash(&unit.scenario.dir, &beside)?);
            }
        }
        let mut names: Vec<String> = units.iter().map(Unit::name).collect();
        names.sort();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let mut whole = Whole {
            kind,
            units: names,
            scenarios,
            image: image.to_owned(),
            // All programs of the workspace have one version; the boot server is built together with this
            // program.
            programs: BTreeMap::from([("lab".to_owned(), version)]),
            sha256: String::new(),
        };
        whole.sha256 = hex::encode(Sha256::digest(serde_json::to_vec(&whole)?));
        Ok(whole)
    }

    /// Returns the first difference to another selection, as a sentence.
    fn difference(&self, other: &Whole) -> Option<String> {
        if self.kind != other.kind {
            return Some("one ran scenarios, the other faults or adversarial cases".into());
        }
        let apart = |ours: &Whole, theirs: &Whole| -> Vec<String> {
            let theirs: BTreeSet<&String> = theirs.units.iter().collect();
            let ours = ours.units.iter();
            ours.filter(|unit| !theirs.contains(unit))
                .cloned()
                .collect()
        };
        let (first, second) = (apart(self, other), apart(other, self));
        if !first.is_empty() {
            return Some(format!("only the first selected {}", listed(&first)));
        }
        if !second.is_empty() {
            return Some(format!("only the second selected {}", listed(&second)));
        }
        let differ = |ours: &BTreeMap<String, String>, theirs: &BTreeMap<String, String>| {
            let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
            let names = names.into_iter();
            let differ = names.filter(|name| ours.get(*name) != theirs.get(*name));
            differ.cloned().collect::<Vec<String>>()
        };
        let scenarios = differ(&self.scenarios, &other.scenarios);
        if !scenarios.is_empty() {
            let names = listed(&scenarios);
            return Some(format!("the files of {names} differ"));
        }
        if self.image != other.image {
            return Some(format!("the images are {} and {}", self.image, other.image));
        }
        let programs = differ(&self.programs, &other.programs);
        if !programs.is_empty() {
            return Some(format!("the versions of {} differ", listed(&programs)));
        }
        (self.units != other.units || self.sha256 != other.sha256)
            .then(|| "the selections differ".to_owned())
    }
}

/// Reason why runs are not the parts of one run.
#[derive(Debug, thiserror::Error)]
pub enum PartsError {
    /// A folder, or a copy of it, is named twice.
    #[error("duplicate run: {first} and {second}; name each shard once")]
    Repeated {
        /// Folder of one.
        first: PathBuf,
        /// Folder of the other.
        second: PathBuf,
    },
    /// Two runs of the same shard.
    #[error("duplicate shard {shard}: {first} and {second}; name one run of each shard")]
    SameShard {
        /// Shard that is there twice, as `M/N`.
        shard: String,
        /// Folder of one.
        first: PathBuf,
        /// Folder of the other.
        second: PathBuf,
    },
    /// One run is not a shard, but others are.
    #[error("not a shard: {folder} (the other runs are shards); name the shards of one run")]
    Mixed {
        /// Folder of the run.
        folder: PathBuf,
    },
    /// A shard has no record of its selection.
    #[error(
        "missing record of the selection in {folder} (a shard of an older version); run all shards with one version"
    )]
    Unknown {
        /// Folder of the run.
        folder: PathBuf,
    },
    /// The shards belong to different runs.
    #[error("not shards of one run: {first} and {second} ({difference})")]
    Differ {
        /// Folder of one.
        first: PathBuf,
        /// Folder of the other.
        second: PathBuf,
        /// First difference between the runs.
        difference: Sentence,
    },
    /// Some units have no result in any shard.
    #[error("missing results of {units}: a shard was interrupted, or its run.json was changed")]
    Incomplete {
        /// Names of units.
        units: Sentence,
    },
    /// No shard has a unit.
    #[error("nothing to merge: no unit was run in {folders}")]
    Empty {
        /// Folders of runs, in none of which a unit ran.
        folders: Sentence,
    },
}

/// Text made from a comparison, for messages only.
#[derive(Debug)]
pub struct Sentence(String);

impl fmt::Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks that the runs are all shards of one run, or complete runs of different units.
///
/// # Errors
/// [`PartsError`].
pub fn check(runs: &[RunSummary]) -> Result<(), PartsError> {
    for (number, run) in runs.iter().enumerate() {
        for earlier in runs.iter().take(number) {
            let (first, second) = (earlier.folder.clone(), run.folder.clone());
            if earlier.run_id == run.run_id || first == second {
                return Err(PartsError::Repeated { first, second });
            }
            if let Some(shard) = run.shard.clone()
                && earlier.shard == run.shard
            {
                return Err(PartsError::SameShard {
                    shard,
                    first,
                    second,
                });
            }
        }
    }
    if runs.iter().all(|run| run.units.is_empty()) {
        let folders = runs.iter().map(|run| run.folder.display().to_string());
        let folders = Sentence(folders.collect::<Vec<_>>().join(", "));
        return Err(PartsError::Empty { folders });
    }
    if runs.iter().all(|run| run.shard.is_none()) {
        return side_by_side(runs);
    }
    if let Some(run) = runs.iter().find(|run| run.shard.is_none()) {
        let folder = run.folder.clone();
        return Err(PartsError::Mixed { folder });
    }
    of_one_whole(runs)
}

/// Whole runs of several selections: of one kind.
fn side_by_side(runs: &[RunSummary]) -> Result<(), PartsError> {
    let known = || {
        runs.iter()
            .filter_map(|run| Some((run, run.whole.as_ref()?)))
    };
    let Some((first, whole)) = known().next() else {
        return Ok(());
    };
    match known().find(|(_, other)| other.kind != whole.kind) {
        Some((second, other)) => Err(differ(first, second, whole, other)),
        None => Ok(()),
    }
}

fn of_one_whole(runs: &[RunSummary]) -> Result<(), PartsError> {
    let Some((first, whole)) = runs.iter().find_map(|run| Some((run, run.whole.as_ref()?))) else {
        // All parts are of a version that did not record it.
        return Ok(());
    };
    for run in runs {
        match &run.whole {
            None => {
                let folder = run.folder.clone();
                return Err(PartsError::Unknown { folder });
            }
            Some(other) if whole.difference(other).is_some() => {
                return Err(differ(first, run, whole, other));
            }
            Some(_) => {}
        }
    }
    let ran: BTreeSet<String> = runs
        .iter()
        .flat_map(|run| &run.units)
        .map(super::UnitSummary::name)
        .collect();
    let missing = whole.units.iter().filter(|unit| !ran.contains(*unit));
    let missing: Vec<String> = missing.cloned().collect();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(PartsError::Incomplete {
            units: Sentence(listed(&missing)),
        }),
    }
}

fn differ(first: &RunSummary, second: &RunSummary, one: &Whole, other: &Whole) -> PartsError {
    PartsError::Differ {
        first: first.folder.clone(),
        second: second.folder.clone(),
        difference: Sentence(one.difference(other).unwrap_or_default()),
    }
}

/// Names in a message, the first few of them.
fn listed(names: &[String]) -> String {
    let first: Vec<String> = names
        .iter()
        .take(NAMED_MAX)
        .map(|name| format!("`{name}`"))
        .collect();
    match names.len().checked_sub(NAMED_MAX) {
        Some(more @ 1..) => format!("{} and {more} more", first.join(", ")),
        _ => first.join(", "),
    }
}

/// SHA-256 of the paths and bytes of all files in a folder, and of `more`.
fn folder_hash(folder: &Path, more: &[u8]) -> io::Result<String> {
    let mut files = BTreeMap::new();
    collect(folder, "", DEPTH_MAX, &mut files)?;
    let mut hash = Sha256::new();
    for (name, path) in files {
        let content = file_hash(&mut File::open(path)?)?;
        // A name cannot contain the zero that ends it, and the hash has a fixed length.
        hash.update(name.as_bytes());
        hash.update([0]);
        hash.update(content);
    }
    hash.update([0]);
    hash.update(more);
    Ok(hex::encode(hash.finalize()))
}

fn file_hash(file: &mut File) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = file.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else {
            return Ok(hash.finalize().into());
        };
        hash.update(bytes);
    }
}

fn collect(
    folder: &Path,
    prefix: &str,
    depth: usize,
    files: &mut BTreeMap<String, PathBuf>,
) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let name = format!("{prefix}/{}", entry.file_name().to_string_lossy());
        // Links are followed, as the boot server does; dangling links are ignored.
        let Ok(about) = fs::metadata(&path) else {
            continue;
        };
        if about.is_file() {
            files.insert(name, path);
        } else if about.is_dir() && depth > 0 {
            collect(&path, &name, depth - 1, files)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lab_model::fault::Injections;
    use lab_model::scenario::{DataCheck, Firmware, Scenario};

    use super::*;
    use crate::sample_run;

    const NAMES: [&str; 2] = ["pxe-dhcp", "proxy-dhcp"];

    fn units(names: &[&str]) -> Vec<Unit> {
        let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
        let unit = |name: &&str| Unit {
            scenario: Arc::new(
                Scenario::load_with(&scenarios.join(name), DataCheck::Skip).unwrap(),
            ),
            firmware: Firmware::Bios,
            repetition: None,
            injections: Injections::default(),
        };
        names.iter().map(unit).collect()
    }

    fn whole(names: &[&str]) -> Whole {
        Whole::of(Kind::Scenarios, &units(names), "stand-in").unwrap()
    }

    /// Part `number` of two, which ran this unit of the whole.
    fn part(number: usize, whole: &Whole, ran: Option<&str>) -> RunSummary {
        let folder = tempfile::tempdir().unwrap();
        let mut run = sample_run::run(folder.path());
        run.run_id = format!("run{number}");
        run.folder = PathBuf::from(format!("/runs/{number}"));
        run.shard = Some(format!("{number}/2"));
        run.whole = Some(whole.clone());
        run.units.truncate(1);
        match ran {
            Some(ran) => {
                let unit = run.units.first_mut().unwrap();
                unit.scenario = ran.to_owned();
                unit.firmware = Firmware::Bios;
                unit.repetition = None;
            }
            None => run.units.clear(),
        }
        run
    }

    fn parts() -> [RunSummary; 2] {
        let whole = whole(&NAMES);
        [
            part(1, &whole, Some(NAMES[0])),
            part(2, &whole, Some(NAMES[1])),
        ]
    }

    #[test]
    fn check_parts_of_one_whole_are_joined() {
        assert!(check(&parts()).is_ok());
    }

    /// V10, first: the parts were selected from different scenarios.
    #[test]
    fn check_selections_that_differ_are_refused_by_name() {
        let [first, mut second] = parts();
        second.whole = Some(whole(&["proxy-dhcp"]));
        let told = check(&[first, second]).unwrap_err();
        assert!(matches!(told, PartsError::Differ { .. }), "{told}");
        assert!(told.to_string().contains("`pxe-dhcp@bios`"), "{told}");
    }

    type Change = fn(&mut Whole);

    #[test]
    fn check_each_kind_of_difference_is_refused() {
        let changes: [(Change, &str); 4] = [
            (|whole| whole.kind = Kind::Faults, "faults"),
            (
                |whole| drop(whole.scenarios.insert("pxe-dhcp".into(), "0".into())),
                "the files of `pxe-dhcp` differ",
            ),
            (|whole| whole.image = "flatcar@1".into(), "flatcar@1"),
            (
                |whole| drop(whole.programs.insert("lab".into(), "0".into())),
                "versions of `lab`",
            ),
        ];
        for (change, said) in changes {
            let [first, mut second] = parts();
            change(second.whole.as_mut().unwrap());
            let told = check(&[first, second]).unwrap_err().to_string();
            assert!(told.contains(said), "{told}");
        }
    }

    /// V10, second: an empty part is given twice.
    #[test]
    fn check_part_named_twice_is_refused_even_if_empty() {
        let whole = whole(&NAMES);
        let empty = part(1, &whole, None);
        let told = check(&[empty.clone(), empty.clone()]).unwrap_err();
        assert!(matches!(told, PartsError::Repeated { .. }), "{told}");
        let mut again = empty.clone();
        again.run_id = "another".into();
        again.folder = "/runs/another".into();
        let told = check(&[empty, again]).unwrap_err();
        assert!(matches!(told, PartsError::SameShard { .. }), "{told}");
    }

    #[test]
    fn check_parts_without_a_unit_of_the_whole_are_refused() {
        let whole = whole(&NAMES);
        let runs = [part(1, &whole, Some(NAMES[0])), part(2, &whole, None)];
        let told = check(&runs).unwrap_err();
        assert!(matches!(told, PartsError::Incomplete { .. }), "{told}");
        assert!(told.to_string().contains("`proxy-dhcp@bios`"), "{told}");
        let runs = [part(1, &whole, None), part(2, &whole, None)];
        let told = check(&runs).unwrap_err();
        assert!(matches!(told, PartsError::Empty { .. }), "{told}");
    }

    #[test]
    fn check_part_of_unknown_whole_among_others_is_refused() {
        let [first, mut second] = parts();
        second.whole = None;
        let told = check(&[first, second]).unwrap_err();
        assert!(matches!(told, PartsError::Unknown { .. }), "{told}");
        let [first, mut second] = parts();
        second.shard = None;
        let told = check(&[first, second]).unwrap_err();
        assert!(matches!(told, PartsError::Mixed { .. }), "{told}");
    }

    #[test]
    fn folder_hash_changes_with_every_file_and_name() {
        let folder = tempfile::tempdir().unwrap();
        let hash = || folder_hash(folder.path(), b"").unwrap();
        fs::create_dir(folder.path().join("data")).unwrap();
        fs::write(folder.path().join("data/a"), "1").unwrap();
        let first = hash();
        assert_eq!(hash(), first);
        fs::write(folder.path().join("data/a"), "2").unwrap();
        let second = hash();
        fs::rename(folder.path().join("data/a"), folder.path().join("data/b")).unwrap();
        let hashes = [
            first,
            second,
            hash(),
            folder_hash(folder.path(), b"x").unwrap(),
        ];
        let distinct: BTreeSet<&String> = hashes.iter().collect();
        assert_eq!(distinct.len(), hashes.len());
    }
}
