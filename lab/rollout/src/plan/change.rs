//! Two plans of the same machines compared: who changes, in what, who stops matching.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use boot_server_catalog::nocloud::SeedFile;
use boot_server_catalog::snapshot::{Folder, Refusal};
use similar::TextDiff;

use super::redact::redact;
use super::{Booted, Document, MachinePlan, Plan, folder_word};

/// Kind of change for a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// The machine booted, and will match no group.
    Stops,
    /// The machine booted, and will be refused what its group refers to.
    Breaks,
    /// The machine booted nothing, and will boot.
    Starts,
    /// The machine gets other bytes.
    Changes,
    /// The machine gets the same bytes, by a group or profile of another name.
    Renamed,
    /// Neither bytes nor names change.
    Same,
}

/// Changes for a machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Change {
    /// Kind of change.
    pub fate: Fate,
    /// True if the machine loses a config that it requests.
    pub loses_config: bool,
    /// Names that change, and reasons: a line each.
    pub facts: Vec<String>,
    /// Texts that change.
    pub diffs: Vec<Diff>,
}

/// The change of a text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Diff {
    /// Name of the changed part.
    pub what: &'static str,
    /// Unified diff of the texts.
    pub text: Arc<str>,
    /// The same of the texts without secrets, for others to read.
    pub redacted: Arc<str>,
}

/// The same change of one machine or of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeSet {
    /// Changes that the machines share.
    pub change: Change,
    /// Names of the machines.
    pub machines: Vec<String>,
}

/// Changes from one plan to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The same change together, in the order of the first machine of each; those that stop first.
    pub sets: Vec<ChangeSet>,
    /// Machines that change in nothing.
    pub same: usize,
}

/// Returns the names of the machines that will get other bytes, or that stop or start to boot.
#[must_use]
pub fn changed(old: &Plan, new: &Plan) -> Vec<String> {
    let before = by_name(old);
    new.machines
        .iter()
        .filter(|machine| {
            let old = before.get(machine.name.as_str());
            old.is_none_or(|old| gets(old) != gets(machine))
        })
        .map(|machine| machine.name.clone())
        .collect()
}

fn by_name(plan: &Plan) -> HashMap<&str, &MachinePlan> {
    let machines = plan.machines.iter();
    machines
        .map(|machine| (machine.name.as_str(), machine))
        .collect()
}

/// Returns all bytes that a machine gets; none if it boots nothing.
fn gets(machine: &MachinePlan) -> Option<Vec<(&'static str, Option<&str>)>> {
    let booted = machine.outcome.as_ref().ok()?;
    let mut texts = vec![("iPXE script", Some(&*booted.script.text))];
    texts.extend(booted.configs.iter().map(|config| {
        let served = config.served.as_ref().ok();
        (
            folder_word(config.folder),
            served.map(|document| &*document.text),
        )
    }));
    let files = booted.seed.iter().flat_map(|seed| &seed.files);
    texts.extend(files.map(|planned| {
        let served = planned.served.as_ref().ok();
        (planned.file.name(), served.map(|document| &*document.text))
    }));
    Some(texts)
}

/// Compares two plans.
#[must_use]
pub fn compare(old: &Plan, new: &Plan) -> Changes {
    let before = by_name(old);
    let mut differ = Differ {
        profile_word: new.layout.profile_word(),
        made: HashMap::new(),
    };
    let mut sets: Vec<ChangeSet> = Vec::new();
    let mut known: HashMap<Change, usize> = HashMap::new();
    let mut same = 0;
    for machine in &new.machines {
        let change = differ.change(before.get(machine.name.as_str()).copied(), machine);
        if change.fate == Fate::Same {
            same += 1;
            continue;
        }
        let index = *known.entry(change).or_insert_with_key(|change| {
            sets.push(ChangeSet {
                change: change.clone(),
                machines: Vec::new(),
            });
            sets.len() - 1
        });
        if let Some(set) = sets.get_mut(index) {
            set.machines.push(machine.name.clone());
        }
    }
    sets.sort_by_key(|set| (set.change.fate, !set.change.loses_config));
    Changes { sets, same }
}

impl ChangeSet {
    /// True if its machines get less than they got.
    #[must_use]
    pub fn is_loss(&self) -> bool {
        matches!(self.change.fate, Fate::Stops | Fate::Breaks) || self.change.loses_config
    }
}

impl Changes {
    /// Returns the number of machines with this fate.
    #[must_use]
    pub fn count(&self, fate: Fate) -> usize {
        match fate {
            Fate::Same => self.same,
            _ => {
                let sets = self.sets.iter().filter(|set| set.change.fate == fate);
                sets.map(|set| set.machines.len()).sum()
            }
        }
    }

    /// Returns the machines that no longer boot, whose reason is reported with their change.
    #[must_use]
    pub fn stopping(&self) -> HashSet<&str> {
        let sets = self.sets.iter();
        let sets = sets.filter(|set| matches!(set.change.fate, Fate::Stops | Fate::Breaks));
        sets.flat_map(|set| &set.machines)
            .map(String::as_str)
            .collect()
    }

    /// Returns the number of machines that lose a config which they asked for.
    #[must_use]
    pub fn losing(&self) -> usize {
        let sets = self.sets.iter().filter(|set| set.change.loses_config);
        sets.map(|set| set.machines.len()).sum()
    }
}

/// Served document, or the reason of a 404.
type Served = Result<Document, Refusal>;

/// An old and a new text.
type Pair = (Arc<str>, Arc<str>);

/// Compares machines, and keeps the diffs that it made: machines of a group mostly change alike.
struct Differ {
    profile_word: &'static str,
    made: HashMap<Pair, Pair>,
}

impl Differ {
    fn change(&mut self, old: Option<&MachinePlan>, new: &MachinePlan) -> Change {
        let none = |fate, facts| Change {
            fate,
            loses_config: false,
            facts,
            diffs: Vec::new(),
        };
        let before = old.map(|machine| &machine.outcome);
        match (before, &new.outcome) {
            (Some(Ok(was)), Ok(is)) => self.booted(was, is),
            (Some(Ok(was)), Err(refused)) => none(
                match refused.group {
                    None => Fate::Stops,
                    Some(_) => Fate::Breaks,
                },
                vec![
                    refused.reason.clone(),
                    format!("booted `{}` by group `{}`", was.profile, was.group),
                ],
            ),
            (Some(Err(was)), Ok(is)) => none(
                Fate::Starts,
                vec![
                    format!("boots `{}` by group `{}`", is.profile, is.group),
                    format!("before: {}", was.reason),
                ],
            ),
            (None, Ok(is)) => none(
                Fate::Starts,
                vec![format!("boots `{}` by group `{}`", is.profile, is.group)],
            ),
            (_, Err(_)) => none(Fate::Same, Vec::new()),
        }
    }

    fn booted(&mut self, was: &Booted, is: &Booted) -> Change {
        let word = self.profile_word;
        let mut change = Change {
            fate: Fate::Same,
            loses_config: false,
            facts: Vec::new(),
            diffs: Vec::new(),
        };
        for (what, was, is) in [
            ("group", &was.group, &is.group),
            (word, &was.profile, &is.profile),
        ] {
            if was != is {
                change.facts.push(format!("{what}: `{was}` → `{is}`"));
                change.fate = Fate::Renamed;
            }
        }
        if was.script.text != is.script.text {
            change.fate = Fate::Changes;
            let diff = self.diff("iPXE script", ("/ipxe", &was.script), ("/ipxe", &is.script));
            change.diffs.push(diff);
        }
        for folder in Folder::ALL {
            let served = |booted: &Booted| booted.config(folder).map(|it| it.served.clone());
            let pair = (served(was), served(is));
            self.document(folder_word(folder), pair, &mut change);
        }
        for file in SeedFile::ALL {
            let served = |booted: &Booted| {
                let planned = booted.seed.as_ref()?.file(file)?;
                Some(planned.served.clone())
            };
            let pair = (served(was), served(is));
            self.document(file.name(), pair, &mut change);
        }
        change
    }

    fn document(
        &mut self,
        what: &'static str,
        (was, is): (Option<Served>, Option<Served>),
        change: &mut Change,
    ) {
        let name = |document: &Document| match &document.file {
            Some(file) => file.clone(),
            None => what.to_owned(),
        };
        let refusal = is
            .as_ref()
            .and_then(|served| served.as_ref().err())
            .cloned();
        match (was.and_then(Result::ok), is.and_then(Result::ok)) {
            (None, None) => {}
            (Some(was), Some(is)) if was.text == is.text => {
                if was.file != is.file {
                    let fact =
                        format!("{what}: `{}` → `{}`, the same bytes", name(&was), name(&is));
                    change.facts.push(fact);
                    change.fate = change.fate.min(Fate::Renamed);
                }
            }
            (Some(was), Some(is)) => {
                change.fate = Fate::Changes;
                let diff = self.diff(what, (&name(&was), &was), (&name(&is), &is));
                change.diffs.push(diff);
            }
            (Some(was), None) => {
                change.fate = Fate::Changes;
                change.loses_config = true;
                let reason = match &refusal {
                    Some(refusal) => refusal.reason.as_str(),
                    None => "the machine neither requests one nor has one",
                };
                let fact = format!("{what}: no more `{}`: {reason}", name(&was));
                change.facts.push(fact);
            }
            (None, Some(is)) => {
                change.fate = Fate::Changes;
                let none = Document {
                    request: String::new(),
                    file: None,
                    text: "".into(),
                };
                let diff = self.diff(what, ("/dev/null", &none), (&name(&is), &is));
                change.diffs.push(diff);
            }
        }
    }

    fn diff(
        &mut self,
        what: &'static str,
        (old_name, old): (&str, &Document),
        (new_name, new): (&str, &Document),
    ) -> Diff {
        let key = (Arc::clone(&old.text), Arc::clone(&new.text));
        let (text, redacted) = self.made.entry(key).or_insert_with(|| {
            let (old, new) = readable(&old.text, &new.text);
            let unified = |old: &str, new: &str| -> Arc<str> {
                let diff = TextDiff::from_lines(old, new);
                let mut unified = diff.unified_diff();
                let unified = unified.context_radius(3).header(old_name, new_name);
                unified.to_string().into()
            };
            // Before they are cut into hunks: in the middle of a key nothing tells that it is one.
            (unified(&old, &new), unified(&redact(&old), &redact(&new)))
        });
        Diff {
            what,
            text: Arc::clone(text),
            redacted: Arc::clone(redacted),
        }
    }
}

/// Texts to be compared line by line: JSON that stands in one line is spread over several, unless the two
/// would not differ then.
fn readable(old: &str, new: &str) -> (String, String) {
    let spread = |text: &str| match text.trim_end().contains('\n') {
        true => None,
        false => {
            let json: serde_json::Value = serde_json::from_str(text).ok()?;
            serde_json::to_string_pretty(&json).ok()
        }
    };
    let spread_or_kept = |text: &str| spread(text).unwrap_or_else(|| text.to_owned());
    let (spread_old, spread_new) = (spread_or_kept(old), spread_or_kept(new));
    match spread_old == spread_new {
        true => (old.to_owned(), new.to_owned()),
        false => (spread_old, spread_new),
    }
}

#[cfg(test)]
#[path = "change_tests.rs"]
mod tests;
