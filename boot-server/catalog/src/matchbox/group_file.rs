//! `groups/<id>.json`: which machines, what they get, and the values of their templates.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use boot_server_proto::json;
use serde::Deserialize;

use crate::labels::normal_mac;
use crate::loader::{FoundGroup, Place};
use crate::matching::Group;
use crate::problem::{Problem, Severity};
use crate::profile::unknown_keys;
use crate::requirements::Names;
use crate::template::go_json_map;

const KEYS: &[&str] = &["id", "name", "profile", "selector", "metadata"];

const SHAPE: &str = "a group is {\"id\", \"name\", \"profile\": \"ID\", \"selector\": {\"mac\": \
                     \"…\"}, \"metadata\": {}}; values of `selector` are strings";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    id: String,
    name: String,
    profile: String,
    selector: BTreeMap<String, String>,
    metadata: serde_json::Map<String, serde_json::Value>,
}

/// Reads a group whose file has this name before `.json`, and tells what is wrong with it. `others` are the
/// names of all groups' files.
pub(super) fn parse(
    path: &Path,
    text: Arc<str>,
    id: &str,
    others: &BTreeSet<String>,
    names: &mut Names,
) -> (Option<FoundGroup>, Vec<Problem>) {
    let file: File = match json::from_str(&text) {
        Ok(file) => file,
        Err(error) => {
            return (None, vec![Problem::of_json(path, &text, &error, SHAPE)]);
        }
    };
    let mut problems = Vec::new();
    // The id of an unused group misleads no reader: no file refers to a group.
    if file.id != id && others.contains(&file.id) {
        let message = format!("mismatched id: `{}` in the file `{id}.json`", file.id);
        let help = format!("write \"id\": \"{id}\"; the file name is the id");
        let problem = Problem::of_file(Severity::Warning, path, message, help);
        problems.push(problem.of_rule("id-mismatch").at_key(&text, "id"));
    }
    let mut tell = |rule, severity, message: String, help: &str, at: &str| {
        let problem = Problem::of_file(severity, path, message, help);
        problems.push(problem.of_rule(rule).at_first(&text, at));
    };
    if file.profile.is_empty() {
        let message = format!("missing `profile` in group `{id}`");
        tell(
            "missing-key",
            Severity::Error,
            message,
            "add \"profile\": \"ID\", for profiles/ID.json",
            "{",
        );
        return (None, problems);
    }
    let mut selector = BTreeMap::new();
    for (key, value) in file.selector {
        if !key.eq_ignore_ascii_case("mac") {
            selector.insert(key, value);
            continue;
        }
        match normal_mac(&value) {
            Some(mac) => {
                selector.insert(key, mac);
            }
            None => {
                let message = format!("invalid MAC in group `{id}`: {key} `{value}`");
                let at = serde_json::Value::from(value.as_str()).to_string();
                tell(
                    "unmatchable-mac",
                    Severity::Error,
                    message,
                    "write it as 52:54:00:12:34:56",
                    &at,
                );
                // It is not served so; but what is said of it is not to be of a group that requires less.
                selector.insert(key, value);
            }
        }
    }
    let unknown = unknown_keys(path, &text, None, KEYS).into_iter();
    problems.extend(unknown.map(|problem| match selector.is_empty() {
        true => problem.or_matches_all("selector", id),
        false => problem,
    }));
    let (line, column) = json::place_of_key(&text, "profile").unwrap_or_default();
    let id: Arc<str> = id.into();
    let name = match file.name.is_empty() {
        true => Arc::clone(&id),
        false => file.name.into(),
    };
    let group = Group {
        id,
        name,
        profile_id: names.share(&file.profile),
        require: names.requirements(&selector),
        metadata: go_json_map(&file.metadata),
        number: 0,
    };
    let place = Place {
        path: path.into(),
        text,
        line,
        column,
    };
    (Some(FoundGroup { group, place }), problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<Group>, Vec<String>) {
        let path = Path::new("groups/a.json");
        let (found, problems) = parse(
            path,
            text.into(),
            "a",
            &["b".into()].into(),
            &mut Names::default(),
        );
        let told = problems.iter().map(Problem::to_string).collect();
        (found.map(|found| found.group), told)
    }

    #[test]
    fn a_mac_is_normalised_and_the_file_names_a_group_without_a_name() {
        let (group, problems) =
            read(r#"{"id":"a","profile":"p","selector":{"mac":"52-54-00-A1-9C-AE","OS":"X"}}"#);
        let group = group.unwrap();
        assert_eq!(problems, [""; 0]);
        assert_eq!(&*group.name, "a");
        assert_eq!(group.require.text(), "OS=X,mac=52:54:00:a1:9c:ae");
    }

    #[test]
    fn every_problem_is_told_with_its_place() {
        let (_, problems) = read(
            "{\"id\": \"b\",\n \"profile\": \"p\", \"select\": {},\n \"selector\": {\"mac\": \"x\"}}",
        );
        assert_eq!(
            problems,
            [
                "groups/a.json:1:2: mismatched id: `b` in the file `a.json`",
                "groups/a.json:3:22: invalid MAC in group `a`: mac `x`",
                "groups/a.json:2:18: unknown key `select` (ignored)",
            ]
        );
        let (group, problems) = read("{\"id\": \"a\"}");
        assert!(group.is_none());
        assert_eq!(
            problems,
            ["groups/a.json:1:1: missing `profile` in group `a`"]
        );
        let (_, problems) = read("{\"id\": \"a\",\n \"selector\": {\"n\": 1}}");
        assert!(problems[0].starts_with("groups/a.json:2:"), "{problems:?}");
    }
}
