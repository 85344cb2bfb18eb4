//! `config.yaml`: the groups of the bootcfg layout, and everything that is wrong with it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::catalog::labels::normal_mac;
use crate::catalog::matching::{Group, Groups};
use crate::catalog::problem::{Problem, Severity};
use crate::catalog::template::{Metadata, value_from_json};
use crate::catalog::yaml::{self, DuplicateKeys};

/// The only version of the file there ever was.
const API_VERSION: &str = "v1alpha1";

mod wire {
    use super::*;

    #[derive(Debug, Deserialize)]
    pub(super) struct File {
        pub(super) api_version: Option<Spanned<String>>,
        #[serde(default)]
        pub(super) groups: Option<Vec<Group>>,
    }

    #[derive(Debug, Deserialize)]
    pub(super) struct Group {
        pub(super) name: Option<String>,
        pub(super) spec: Option<Spanned<String>>,
        pub(super) require: Option<BTreeMap<String, Option<Spanned<String>>>>,
        pub(super) metadata: Option<BTreeMap<String, serde_json::Value>>,
    }
}

/// Where a group stands in the file, for problems found later.
#[derive(Debug, Clone)]
pub struct Place {
    /// Name of the group.
    pub group: String,
    /// The spec it names.
    pub spec_id: String,
    /// Line of the spec's name, counted from 1.
    pub line: usize,
    /// Column of the spec's name, counted from 1.
    pub column: usize,
}

/// The groups file, read.
#[derive(Debug, Default)]
pub struct GroupsFile {
    /// Its groups in matching order.
    pub groups: Groups,
    /// Where each group names its spec, in file order.
    pub places: Vec<Place>,
    /// What is wrong with it. The groups are to be used only when nothing is an error.
    pub problems: Vec<Problem>,
}

/// Reads the text of a groups file.
pub fn parse(path: &Path, text: &str) -> GroupsFile {
    let file: wire::File = match yaml::parse(text, DuplicateKeys::Refuse) {
        Ok(file) => file,
        Err(error) => {
            let help = "the file is `api_version: v1alpha1` and a list `groups`, each with `name`, \
                        `spec`, and mappings `require` and `metadata`";
            let problem = Problem::of_file(Severity::Error, path, error.message, help);
            return GroupsFile {
                problems: vec![problem.at(text, error.line, error.column)],
                ..GroupsFile::default()
            };
        }
    };
    let mut problems = unknown_keys(path, text);
    problems.extend(wrong_version(path, text, file.api_version.as_ref()));
    let mut groups = Vec::new();
    let mut places = Vec::new();
    for (index, group) in file.groups.unwrap_or_default().into_iter().enumerate() {
        let name = group.name.unwrap_or_else(|| format!("#{}", index + 1));
        let Some(spec) = group.spec.filter(|spec| !spec.value.is_empty()) else {
            problems.push(
                Problem::of_file(
                    Severity::Error,
                    path,
                    format!("group `{name}` names no spec"),
                    "add `spec: ID`, for `specs/ID/spec.json`",
                )
                .at_first(text, &name),
            );
            continue;
        };
        let require = group.require.unwrap_or_default();
        problems.extend(bad_macs(path, text, &name, &require));
        let (line, column) = place(&spec);
        places.push(Place {
            group: name.clone(),
            spec_id: spec.value.clone(),
            line,
            column,
        });
        let metadata = group.metadata.unwrap_or_default();
        groups.push(Group {
            name,
            spec_id: spec.value,
            require: require
                .into_iter()
                .map(|(key, value)| (key, value.map_or_else(String::new, |v| v.value)))
                .collect(),
            metadata: to_metadata(&metadata),
        });
    }
    problems.extend(same_requirements(path, text, &groups, &places));
    GroupsFile {
        groups: Groups::new(groups),
        places,
        problems,
    }
}

fn place<T>(spanned: &Spanned<T>) -> (usize, usize) {
    let number = |n: u64| usize::try_from(n).unwrap_or_default();
    let at = &spanned.referenced;
    (number(at.line()), number(at.column()))
}

fn to_metadata(json: &BTreeMap<String, serde_json::Value>) -> Metadata {
    json.iter()
        .map(|(key, value)| (Arc::from(key.as_str()), value_from_json(value)))
        .collect()
}

fn wrong_version(path: &Path, text: &str, found: Option<&Spanned<String>>) -> Option<Problem> {
    let help = format!("write `api_version: {API_VERSION}`");
    let Some(found) = found else {
        let message = "there is no `api_version`";
        return Some(Problem::of_file(Severity::Error, path, message, help).at(text, 1, 1));
    };
    let (line, column) = place(found);
    (found.value != API_VERSION).then(|| {
        let message = format!("api_version `{}` is not known", found.value);
        Problem::of_file(Severity::Error, path, message, help).at(text, line, column)
    })
}

fn bad_macs(
    path: &Path,
    text: &str,
    group: &str,
    require: &BTreeMap<String, Option<Spanned<String>>>,
) -> Vec<Problem> {
    let macs = require.iter().filter(|(key, _)| *key == "mac");
    macs.filter_map(|(_, value)| value.as_ref())
        .filter_map(|mac| {
            let help = match normal_mac(&mac.value) {
                Some(normal) if normal == mac.value => return None,
                Some(normal) => format!("write it as labels are compared: {normal}"),
                None => "write it lowercase with colons: 52:54:00:12:34:56".to_owned(),
            };
            let (line, column) = place(mac);
            let message = format!(
                "group `{group}` requires mac `{}`, which no machine can have as its label",
                mac.value
            );
            Some(Problem::of_file(Severity::Error, path, message, help).at(text, line, column))
        })
        .collect()
}

fn same_requirements(path: &Path, text: &str, groups: &[Group], places: &[Place]) -> Vec<Problem> {
    let mut seen: BTreeMap<&BTreeMap<String, String>, &str> = BTreeMap::new();
    let mut problems = Vec::new();
    for (group, place) in groups.iter().zip(places) {
        if let Some(first) = seen.get(&group.require) {
            let message = format!(
                "group `{}` requires the same as group `{first}`, so it is never chosen",
                group.name
            );
            let help = "give it a requirement of its own, or remove it";
            problems.push(Problem::of_file(Severity::Warning, path, message, help).at(
                text,
                place.line,
                place.column,
            ));
        } else {
            seen.insert(&group.require, &group.name);
        }
    }
    problems
}

/// Keys that mean nothing: misspelt ones, most likely.
fn unknown_keys(path: &Path, text: &str) -> Vec<Problem> {
    const FILE_KEYS: &[&str] = &["api_version", "groups"];
    const GROUP_KEYS: &[&str] = &["name", "spec", "require", "metadata"];
    let Ok(serde_json::Value::Object(file)) = yaml::parse(text, DuplicateKeys::LastCounts) else {
        return Vec::new();
    };
    let groups = file.get("groups").and_then(serde_json::Value::as_array);
    let group_keys = groups
        .into_iter()
        .flatten()
        .filter_map(serde_json::Value::as_object)
        .flat_map(serde_json::Map::keys)
        .map(|key| (key, GROUP_KEYS));
    file.keys()
        .map(|key| (key, FILE_KEYS))
        .chain(group_keys)
        .filter(|(key, known)| !known.contains(&key.as_str()))
        .map(|(key, known)| {
            let message = format!("key `{key}` means nothing here and is ignored");
            let help = format!("known keys are {}", known.join(", "));
            Problem::of_file(Severity::Warning, path, message, help)
                .at_first(text, &format!("{key}:"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let file = parse(Path::new("config.yaml"), text);
        file.problems.iter().map(Problem::to_string).collect()
    }

    #[test]
    fn groups_are_read_with_metadata_of_any_shape() {
        let text = "---\napi_version: v1alpha1\ngroups:\n  - name: a\n    spec: s\n    require: \
                    {uuid: 7, os: }\n    metadata: {ips: [x, z], n: 1}\n  - spec: t\n";
        let file = parse(Path::new("config.yaml"), text);
        assert_eq!(file.problems, []);
        let groups: Vec<_> = file.groups.iter().collect();
        let [a, b] = groups.as_slice() else {
            panic!("{groups:?}")
        };
        assert_eq!((a.name.as_str(), b.name.as_str()), ("a", "#2"));
        assert_eq!(a.require.get("uuid").map(String::as_str), Some("7"));
        assert_eq!(a.require.get("os").map(String::as_str), Some(""));
        assert_eq!(
            a.metadata.get("ips").map(ToString::to_string).as_deref(),
            Some("[x z]")
        );
    }

    #[test]
    fn every_problem_is_told_with_its_place() {
        let text = "api_version: v2\ngroups:\n  - name: a\n    spec: s\n    requires: {}\n  - name: \
                    b\n    require: {mac: 52-54-00-00-00-01}\n  - name: c\n    spec: s\n    \
                    require:\n      mac: garbage\n  - name: d\n    spec: s\n";
        assert_eq!(
            problems(text),
            [
                "config.yaml:5:5: key `requires` means nothing here and is ignored",
                "config.yaml:1:14: api_version `v2` is not known",
                "config.yaml:6:11: group `b` names no spec",
                "config.yaml:11:12: group `c` requires mac `garbage`, which no machine can have \
                 as its label",
                "config.yaml:13:11: group `d` requires the same as group `a`, so it is never \
                 chosen",
            ]
        );
    }

    #[test]
    fn broken_yaml_and_a_wrong_shape_are_told_with_their_line() {
        assert!(problems("api_version: v1alpha1\ngroups: [\n")[0].starts_with("config.yaml:"));
        let wrong = problems("api_version: v1alpha1\ngroups:\n  - spec: [a]\n");
        assert!(wrong[0].starts_with("config.yaml:3:"), "{wrong:?}");
    }
}
