//! The same words from the artifacts, wherever they lie; and every cause has its section in the guide.

use std::path::Path;

use super::*;
use crate::diagnosis::explain;
use crate::evidence::saved;

#[test]
fn every_cause_has_its_section_in_the_guide() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/troubleshooting.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let sections: Vec<&str> = guide
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .collect();
    for cause in Cause::ALL {
        let count = sections
            .iter()
            .filter(|title| **title == format!("`{cause}`"))
            .count();
        assert_eq!(count, 1, "section ### `{cause}` of docs/troubleshooting.md");
    }
    for title in sections {
        let known = Cause::ALL.iter().any(|cause| title == format!("`{cause}`"));
        assert!(
            known,
            "docs/troubleshooting.md tells of {title}, which is no cause"
        );
    }
}

#[test]
fn an_attempt_that_was_moved_is_explained_in_the_same_words() {
    let mut story = Story::chainload();
    story.attempt.wire = Wire::default();
    let up_us = story.last_us() - 3_000_000;
    story.stop_at(up_us);
    let here = tempfile::tempdir().unwrap();
    let folder = here.path().join("runs/1/ipxe-chainload@bios/attempt-1");
    std::fs::create_dir_all(&folder).unwrap();
    saved::save(&folder, &story.attempt).unwrap();
    let mut records = saved::RecordFile::create(&folder).unwrap();
    for record in &story.attempt.records {
        records.add(record).unwrap();
    }
    let before = explain(&saved::load(&folder).unwrap(), &story.node);
    assert!(before.text.contains("fail"), "{}", before.text);
    let elsewhere = tempfile::tempdir().unwrap();
    let moved = elsewhere.path().join("attempt");
    std::fs::rename(&folder, &moved).unwrap();
    let attempt = saved::load(&moved).unwrap();
    let node = attempt.scenario.node("node1").unwrap();
    let after = explain(&attempt, node);
    assert_eq!(
        (before.text, before.findings),
        (after.text.clone(), after.findings)
    );
    assert!(
        !after.text.contains(&*moved.to_string_lossy()),
        "{}",
        after.text
    );
}
