//! 980 templates that were executed by Go, with the metadata and the query as a data directory and a request have them.
//!
//! `template/tests/conformance.rs` compares the engine, in both modes and with messages. Here JSON is read, labels are
//! decoded and values are put together as for a machine, as matchbox 0.9.0 did when the answers were confirmed with it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::path::Path;

use boot_server::catalog::Labels;
use boot_server::catalog::data_dir::{DataDir, Source};
use boot_server::catalog::snapshot::Folder;
use boot_server::catalog::template::{ConfigText, MissingKey, Why};
use serde_json::Value;

/// Recorded templates by the text of their metadata.
fn vectors() -> BTreeMap<String, Vec<Value>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("template/tests/conformance");
    let mut vectors: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for file in ["ordinary.jsonl", "odd.jsonl"] {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        for line in text.lines() {
            let vector: Value = serde_json::from_str(line).unwrap();
            let data = vector["data"].as_str().unwrap().to_owned();
            vectors.entry(data).or_default().push(vector);
        }
    }
    vectors
}

/// Opens a directory whose only group has this metadata, and no selector.
fn open(metadata: &str) -> Option<DataDir> {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["groups", "profiles"] {
        std::fs::create_dir(dir.path().join(folder)).unwrap();
    }
    let group = format!(r#"{{"id":"g","profile":"p","metadata":{metadata}}}"#);
    std::fs::write(dir.path().join("groups/g.json"), group).unwrap();
    std::fs::write(dir.path().join("profiles/p.json"), r#"{"id":"p"}"#).unwrap();
    let opened = DataDir::open(Source::of(dir.path()), None);
    opened.ok().map(|(data_dir, _)| data_dir)
}

/// Compares an answer with the recorded one; returns the difference.
fn compare(data_dir: Option<&DataDir>, vector: &Value) -> Option<String> {
    let recorded = &vector["strict"];
    let outcome = recorded["outcome"].as_str().unwrap();
    let Some(data_dir) = data_dir else {
        return (outcome != "data-error").then(|| "the directory is refused".to_owned());
    };
    let snapshot = data_dir.snapshot();
    let query = vector["query"].as_str().unwrap();
    let labels = Labels::from_query(query);
    let (group, text) = (
        snapshot.group(&labels).unwrap(),
        vector["template"].as_str().unwrap(),
    );
    let rendered = ConfigText::parse(text, MissingKey::Error).and_then(|template| {
        snapshot.rendered_text(&template, Folder::Generic, group, &labels, query)
    });
    let is_alike = match (&rendered, outcome) {
        (Ok(text), "ok") => recorded["output"] == text.as_str(),
        // Not UTF-8: refused on purpose, as `docs/differences-templates.md` says.
        (Err(error), "ok") => error.why == Why::NotText && recorded["output_hex"].is_string(),
        (Err(error), "parse-error") => error.why == Why::Syntax,
        (Err(error), "exec-error") => error.why != Why::Syntax,
        _ => false,
    };
    (!is_alike).then(|| format!("{rendered:?}"))
}

#[test]
fn templates_with_metadata_and_query_are_answered_as_by_matchbox() {
    let (mut compared, mut different) = (0, Vec::new());
    for (metadata, vectors) in vectors() {
        let data_dir = open(&metadata);
        for vector in &vectors {
            compared += 1;
            if let Some(found) = compare(data_dir.as_ref(), vector) {
                let (id, text, recorded) = (&vector["id"], &vector["template"], &vector["strict"]);
                different.push(format!("{id} {text}: {found}, recorded {recorded}"));
            }
        }
    }
    assert_eq!(different, Vec::<String>::new());
    assert_eq!(compared, 980);
}
