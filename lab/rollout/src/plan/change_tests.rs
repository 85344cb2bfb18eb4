//! Tests of the comparison of two plans.

use super::*;
use crate::plan::plan;
use crate::plan::testing::{MACHINES, RACK, directory, inventory, snapshot};

/// Returns the changes after replacing these files; an empty text removes one.
fn compared(files: &[(&'static str, &str)]) -> (Changes, Vec<String>) {
    let old = directory(RACK);
    let mut all: Vec<(&str, &str)> = RACK.to_vec();
    all.retain(|(name, _)| !files.iter().any(|(other, _)| other == name));
    all.extend(files.iter().filter(|(_, text)| !text.is_empty()));
    let new = directory(&all);
    let machines = inventory(MACHINES);
    let old = plan(&snapshot(old.path()), &machines);
    let new = plan(&snapshot(new.path()), &machines);
    (compare(&old, &new), changed(&old, &new))
}

fn file(name: &str) -> &'static str {
    let found = RACK.iter().find(|(known, _)| *known == name);
    found.unwrap().1
}

fn fates(changes: &Changes) -> Vec<(Fate, Vec<&str>)> {
    let sets = changes.sets.iter();
    sets.map(|set| {
        let machines = set.machines.iter().map(String::as_str).collect();
        (set.change.fate, machines)
    })
    .collect()
}

#[test]
fn nothing_changes_between_a_directory_and_itself() {
    let (changes, names) = compared(&[]);
    assert_eq!((changes.sets.len(), changes.same), (0, 6));
    assert_eq!(names, [""; 0]);
}

#[test]
fn the_same_change_of_several_machines_is_one() {
    let ignition = file("ignition/worker.json").replace("a.service", "b.service");
    let (changes, names) = compared(&[("ignition/worker.json", &ignition)]);
    assert_eq!(fates(&changes), [(Fate::Changes, vec!["w1", "w2"])]);
    assert_eq!(changes.same, 4);
    assert_eq!(names, ["w1", "w2"]);
    let diff = &changes.sets[0].change.diffs[0];
    assert_eq!(diff.what, "Ignition config");
    assert!(
        diff.text.contains("-        \"name\": \"a.service\"\n"),
        "JSON is spread over lines: {}",
        diff.text
    );
}

#[test]
fn machines_of_one_template_change_each_on_their_own() {
    let cloud = file("cloud/etcd.yaml").replace("name: {{.name}}\n", "name: m-{{.name}}\n");
    let (changes, _) = compared(&[("cloud/etcd.yaml", &cloud)]);
    assert_eq!(
        fates(&changes),
        [
            (Fate::Changes, vec!["node1"]),
            (Fate::Changes, vec!["node2"])
        ]
    );
}

#[test]
fn who_stops_matching_and_who_starts_is_told() {
    let config = file("config.yaml")
        .replace("52:54:00:00:00:02", "52:54:00:00:00:06")
        .replace("16e7d8a7", "16E7D8A7");
    let (changes, names) = compared(&[("config.yaml", &config)]);
    assert_eq!(
        fates(&changes),
        [
            (Fate::Stops, vec!["node1"]),
            (Fate::Stops, vec!["node2"]),
            (Fate::Starts, vec!["lost"])
        ]
    );
    assert_eq!(names, ["node1", "node2", "lost"]);
    let facts = &changes.sets[0].change.facts;
    assert!(
        facts[0].contains("`etcd1` requires uuid=16E7D8A7"),
        "{facts:?}"
    );
    assert_eq!(facts[1], "booted `etcd` by group `etcd1`");
}

#[test]
fn the_same_bytes_by_another_name_are_no_change_of_the_machine() {
    let config = file("config.yaml").replace("name: workers", "name: pool");
    let (changes, names) = compared(&[("config.yaml", &config)]);
    assert_eq!(fates(&changes), [(Fate::Renamed, vec!["w1", "w2"])]);
    assert_eq!(changes.sets[0].change.facts, ["group: `workers` → `pool`"]);
    assert_eq!(names, [""; 0]);
}

#[test]
fn a_config_that_is_lost_is_told_apart() {
    let (changes, names) = compared(&[("cloud/etcd.yaml", "")]);
    assert_eq!(names, ["node1", "node2"]);
    assert_eq!(changes.losing(), 2);
    let fact = &changes.sets[0].change.facts[0];
    insta::assert_snapshot!(fact);
}

#[test]
fn json_that_differs_in_white_space_alone_is_compared_as_it_is() {
    let (old, new) = readable("{\"a\":1}", "{\"a\": 1}");
    assert_eq!((&*old, &*new), ("{\"a\":1}", "{\"a\": 1}"));
    let (old, _) = readable("{\"a\":1}", "{\"a\": 2}");
    assert_eq!(old, "{\n  \"a\": 1\n}");
}

#[test]
fn a_change_in_the_middle_of_a_private_key_shows_nothing_of_it() {
    let key = |middle: &str| {
        let body: Vec<String> = (0..20).map(|n| format!("    MIIEline{n}\n")).collect();
        let body = body.concat().replace("line10", middle);
        format!(
            "#cloud-config\nwrite_files:\n- path: /k\n  content: |\n    -----BEGIN RSA PRIVATE KEY-----\n{body}    -----END RSA PRIVATE KEY-----\n"
        )
    };
    let mut files = RACK.to_vec();
    files.retain(|(name, _)| *name != "cloud/etcd.yaml");
    let planned = |text: &str| {
        let mut files = files.clone();
        files.push(("cloud/etcd.yaml", text));
        plan(&snapshot(directory(&files).path()), &inventory(MACHINES))
    };
    let changes = compare(&planned(&key("old")), &planned(&key("new")));
    let diff = &changes.sets[0].change.diffs[0];
    assert!(diff.text.contains("MIIEline9") && diff.text.contains("+    MIIEnew"));
    assert!(!diff.redacted.contains("MIIE"), "{}", diff.redacted);
    assert!(
        diff.redacted.contains("+    <private key"),
        "{}",
        diff.redacted
    );
}
