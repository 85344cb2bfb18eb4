//! `config.yaml`: the groups of the bootcfg layout, and everything that is wrong with it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_saphyr::Spanned;

use super::{shape, wire};
use crate::labels::normal_mac;
use crate::loader::{FoundGroup, Place};
use crate::matching::Group;
use crate::problem::{Problem, Severity};
use crate::requirements::Names;
use crate::template::{Metadata, value_from_json};
use crate::yaml::{self, DuplicateKeys};

/// The only version of the file there ever was.
const API_VERSION: &str = "v1alpha1";

/// Reads the text of a groups file, and tells what is wrong with it.
pub(crate) fn parse(
    path: &Path,
    text: &Arc<str>,
    names: &mut Names,
) -> (Vec<FoundGroup>, Vec<Problem>) {
    let file: wire::File = match yaml::parse(text, DuplicateKeys::Refuse) {
        Ok(file) => file,
        Err(error) => {
            let help = "write `api_version: v1alpha1` and a list `groups`; each group has `name`, `spec`, and the mappings `require` and `metadata`";
            let problem =
                Problem::of_file(Severity::Error, path, error.message, help).of_rule("syntax");
            let problem = problem.at(Arc::clone(text), error.line, error.column);
            let mut problems = shape::problems(path, text);
            // Unless it is told there in better words.
            if !problems.iter().any(|told| told.line == problem.line) {
                problems.insert(0, problem);
            }
            return (Vec::new(), problems);
        }
    };
    let shared_path: Arc<Path> = path.into();
    let mut problems = Vec::new();
    if file.has_unknown {
        problems.extend(shape::problems(path, text));
    }
    problems.extend(wrong_version(path, text, file.api_version.as_ref()));
    let mut groups = Vec::new();
    for (index, group) in file.groups.unwrap_or_default().into_iter().enumerate() {
        let starts = yaml::place(&group.referenced);
        let group = group.value;
        let named_at = group.name.as_ref().map_or(starts, place);
        let name = group
            .name
            .map_or_else(|| format!("#{}", index + 1), |name| name.value);
        let Some(spec) = group.spec.filter(|spec| !spec.value.is_empty()) else {
            problems.push(
                Problem::of_file(
                    Severity::Error,
                    path,
                    format!("missing `spec` in group `{name}`"),
                    "add `spec: ID`, for `specs/ID/spec.json`",
                )
                .of_rule("missing-key")
                .at(Arc::clone(text), named_at.0, named_at.1),
            );
            continue;
        };
        let require = group.require.unwrap_or_default();
        problems.extend(bad_macs(path, text, &name, &require));
        let (line, column) = place(&spec);
        let require = require
            .into_iter()
            .map(|(key, value)| (key, value.map_or_else(String::new, |v| v.value)));
        let name: Arc<str> = name.into();
        let group = Group {
            id: Arc::clone(&name),
            name,
            profile_id: names.share(&spec.value),
            require: names.requirements(require),
            metadata: to_metadata(&group.metadata.unwrap_or_default()),
            number: groups.len(),
        };
        let place = Place {
            path: Arc::clone(&shared_path),
            text: Arc::clone(text),
            line,
            column,
        };
        groups.push(FoundGroup { group, place });
    }
    (groups, problems)
}

fn place<T>(spanned: &Spanned<T>) -> (usize, usize) {
    yaml::place(&spanned.referenced)
}

fn to_metadata(json: &BTreeMap<String, serde_json::Value>) -> Metadata {
    json.iter()
        .map(|(key, value)| (Arc::from(key.as_str()), value_from_json(value)))
        .collect()
}

fn wrong_version(path: &Path, text: &Arc<str>, found: Option<&Spanned<String>>) -> Option<Problem> {
    let help = format!("write `api_version: {API_VERSION}`");
    let Some(found) = found else {
        let message = "missing `api_version`";
        let problem = Problem::of_file(Severity::Error, path, message, help);
        return Some(problem.of_rule("missing-key").at(Arc::clone(text), 1, 1));
    };
    let (line, column) = place(found);
    (found.value != API_VERSION).then(|| {
        let message = format!("unsupported api_version `{}`", found.value);
        let problem = Problem::of_file(Severity::Error, path, message, help);
        problem
            .of_rule("api-version")
            .at(Arc::clone(text), line, column)
    })
}

fn bad_macs(
    path: &Path,
    text: &Arc<str>,
    group: &str,
    require: &BTreeMap<String, Option<Spanned<String>>>,
) -> Vec<Problem> {
    let macs = require.iter().filter(|(key, _)| *key == "mac");
    macs.filter_map(|(_, value)| value.as_ref())
        .filter_map(|mac| {
            let help = match normal_mac(&mac.value) {
                Some(normal) if normal == mac.value => return None,
                Some(normal) => format!("write the normalized form: {normal}"),
                None => "write the MAC in lowercase with colons: 52:54:00:12:34:56".to_owned(),
            };
            let (line, column) = place(mac);
            let message = format!(
                "invalid MAC in group `{group}`: `{}` (no machine sends this value)",
                mac.value
            );
            let problem = Problem::of_file(Severity::Error, path, message, help);
            let problem = problem.of_rule("unmatchable-mac");
            Some(problem.at(Arc::clone(text), line, column))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<Group>, Vec<Problem>) {
        let path = Path::new("config.yaml");
        let (found, problems) = parse(path, &text.into(), &mut Names::default());
        (
            found.into_iter().map(|found| found.group).collect(),
            problems,
        )
    }

    fn problems(text: &str) -> Vec<String> {
        let (_, problems) = read(text);
        problems.iter().map(Problem::to_string).collect()
    }

    #[test]
    fn groups_are_read_with_metadata_of_any_shape() {
        let text = "---\napi_version: v1alpha1\ngroups:\n  - name: a\n    spec: s\n    require: \
                    {uuid: 7, os: }\n    metadata: {ips: [x, z], n: 1}\n  - spec: t\n";
        let (groups, problems) = read(text);
        assert_eq!(problems, []);
        let [a, b] = groups.as_slice() else {
            panic!("{groups:?}")
        };
        assert_eq!((&*a.name, &*b.name), ("a", "#2"));
        assert_eq!(a.require.get("uuid"), Some("7"));
        assert_eq!(a.require.get("os"), Some(""));
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
                "config.yaml:5:5: unknown key `requires` (ignored), and so group `#1` matches every machine",
                "config.yaml:1:14: unsupported api_version `v2`",
                "config.yaml:6:11: missing `spec` in group `b`",
                "config.yaml:11:12: invalid MAC in group `c`: `garbage` (no machine sends this value)",
            ]
        );
    }

    #[test]
    fn broken_yaml_and_a_wrong_shape_are_told_with_their_line() {
        assert!(problems("api_version: v1alpha1\ngroups: [\n")[0].starts_with("config.yaml:"));
        let wrong = problems("api_version: v1alpha1\ngroups:\n  - spec: [a]\n");
        assert!(wrong[0].starts_with("config.yaml:3:"), "{wrong:?}");
    }

    #[test]
    fn every_wrong_shape_is_told_at_once() {
        let text = "api_version: [v1]\ngroups:\n  - name: {a: b}\n    require: [uuid]\n  - just\n  \
                    - spec: s\n    metadata: 7\n    require: {mac: [a, b]}\n    requires: x\n";
        assert_eq!(
            problems(text),
            [
                "config.yaml:1:14: `api_version` is a list, not a text",
                "config.yaml:3:11: `name` of group 1 is a mapping, not a text",
                "config.yaml:4:14: `require` of group 1 is a list, not a mapping of names to values",
                "config.yaml:5:5: group 2 is a single value, not a mapping with `name`, `spec`, \
                 `require` and `metadata`",
                "config.yaml:7:15: `metadata` of group 3 is a single value, not a mapping of names \
                 to values",
                "config.yaml:8:20: label `mac` of group 3 is a list, not a string: each label has one value",
                "config.yaml:9:5: unknown key `requires` (ignored)",
            ]
        );
        assert_eq!(
            problems("- a\n"),
            ["config.yaml:1:1: the file is a list, not a mapping with `api_version` and `groups`"]
        );
    }
}
