//! Example sets of every version of bootcfg and matchbox: each is served whole, without a change of any file.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};

use boot_server::catalog::Labels;
use boot_server::catalog::check::labels_of;
use boot_server::catalog::data_dir::{DataDir, Source};
use boot_server::catalog::snapshot::{Folder, Snapshot};

fn sets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/examples")
}

fn open(set: &str) -> std::sync::Arc<Snapshot> {
    let (data_dir, problems) = DataDir::open(Source::of(sets().join(set)), None).unwrap();
    // The translators question some of what the examples of their time do.
    let other = problems
        .iter()
        .find(|problem| problem.rule != "translation-warning");
    assert_eq!(other, None, "{set}");
    data_dir.snapshot()
}

/// Version of the Ignition config that a query is answered with.
fn version(snapshot: &Snapshot, query: &str) -> String {
    let config = snapshot.config(Folder::Ignition, &Labels::from_query(query), query);
    let json: serde_json::Value = serde_json::from_str(&config.unwrap().text).unwrap();
    let version = json["ignition"]["version"].as_str();
    version.map_or_else(|| json["ignitionVersion"].to_string(), str::to_owned)
}

#[test]
fn every_group_of_every_set_is_served_all_that_its_profile_names() {
    let mut served = 0;
    let mut seen = Vec::new();
    for set in std::fs::read_dir(sets()).unwrap() {
        let set = set.unwrap();
        if !set.file_type().unwrap().is_dir() {
            continue;
        }
        let name = set.file_name().into_string().unwrap();
        let snapshot = open(&name);
        for group in snapshot.groups.iter() {
            let profile = snapshot.profile(&group.profile_id).unwrap();
            let (labels, query) = labels_of(group, snapshot.layout);
            if profile.boot.is_some() {
                let (booted, _) = snapshot.boot(&labels).unwrap();
                assert_eq!(booted.name, group.name, "{name}");
                served += 1;
            }
            for folder in Folder::ALL {
                if folder.file(profile).is_some() {
                    let config = snapshot.config(folder, &labels, &query).unwrap();
                    assert!(!config.text.contains("<no value>"), "{}", config.text);
                    served += 1;
                }
            }
        }
        seen.push(name);
    }
    seen.sort();
    assert_eq!(
        seen,
        [
            "bootcfg-0.1",
            "bootcfg-0.2",
            "bootcfg-0.3",
            "bootcfg-0.4",
            "matchbox-0.10",
            "matchbox-0.11",
            "matchbox-0.6",
            "matchbox-0.9"
        ]
    );
    assert!(served >= 30, "{served}");
}

#[test]
fn ignition_of_each_set_has_the_version_of_its_program() {
    for (set, query, wanted) in [
        ("bootcfg-0.2", "mac=52-54-00-40-02-01", "1"),
        ("bootcfg-0.2", "uuid=other", "1"),
        ("bootcfg-0.3", "mac=52-54-00-40-03-01", "1"),
        ("bootcfg-0.4", "uuid=other", "2.2.0"),
        ("matchbox-0.6", "uuid=other", "2.2.0"),
        (
            "matchbox-0.9",
            "mac=52-54-00-40-09-01&os=installed",
            "2.2.0",
        ),
        (
            "matchbox-0.10",
            "mac=52-54-00-40-10-01&os=installed",
            "3.4.0",
        ),
        ("matchbox-0.11", "uuid=other", "3.4.0"),
    ] {
        assert_eq!(version(&open(set), query), wanted, "{set}?{query}");
    }
}

#[test]
fn config_that_names_the_request_is_translated_with_it() {
    let snapshot = open("matchbox-0.9");
    let query = "mac=52-54-00-40-09-77&uuid=u1";
    let config = snapshot.config(Folder::Ignition, &Labels::from_query(query), query);
    let text = config.unwrap().text;
    assert!(
        text.contains("ignition%3F") && text.contains("uuid%3Du1%26os%3Dinstalled"),
        "{text}"
    );
}
