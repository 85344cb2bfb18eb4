//! Folders of runs that somebody else made: whatever is in their files, and whatever links and FIFOs are among them,
//! they are refused with a reason, or explained, shown and merged without a byte from outside.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use lab_model::diagnosis::explain;
use lab_model::evidence::saved;
use lab_model::untrusted::plain;
use lab_report::{artifacts, faults, merge};

/// Text of the file that links lead to.
const SECRET: &str = "host-secret-4711";

/// Folder of the attempt.
const ATTEMPT: &str = "x@bios/attempt-1";

/// Files that a section may be, from the run's folder.
const FILES: [&str; 14] = [
    "run.json",
    "faults.json",
    "index.html",
    "x@bios",
    "x@bios/attempt-1",
    "x@bios/attempt-1/attempt.json",
    "x@bios/attempt-1/scenario.resolved.toml",
    "x@bios/attempt-1/evidence.jsonl",
    "x@bios/attempt-1/verdict.json",
    "x@bios/attempt-1/explain.txt",
    "x@bios/attempt-1/data/config.yaml",
    "x@bios/attempt-1/nets/net.pcapng",
    "x@bios/attempt-1/nodes/n/console.log",
    "x@bios/attempt-1/nodes/n/port.json.gz",
];

/// Takes the input for a folder: sections that begin with a line `== FILE`, `=> FILE` for a link that leads out, or
/// `=| FILE` for a FIFO.
pub(crate) fn check(data: &[u8]) {
    let stage = tempfile::tempdir().expect("a folder");
    let run = stage.path().join("run");
    fs::create_dir_all(run.join(ATTEMPT)).expect("a folder");
    fs::write(stage.path().join("secret"), SECRET).expect("a file");
    for section in sections(data) {
        let _ = put(
            &stage.path().join("secret"),
            &run.join(section.file),
            &section,
        );
    }
    attempt(&run.join(ATTEMPT));
    let summary = match merge::load(&run) {
        Ok(summary) => summary,
        Err(error) => return assert_plain(&error.to_string()),
    };
    let _ = faults::joined(std::slice::from_ref(&run));
    if let Ok(page) = artifacts::write_page(&summary) {
        let page = fs::read_to_string(page).expect("the page is text");
        assert!(!page.contains(SECRET), "the page shows a file of outside");
    }
    let into = stage.path().join("merged");
    fs::create_dir(&into).expect("a folder");
    if let Err(error) = merge::merge("4f2a11", vec![summary], &into) {
        assert_plain(&error.to_string());
    }
    assert_inside(&into);
    assert_eq!(
        fs::read_to_string(stage.path().join("secret"))
            .ok()
            .as_deref(),
        Some(SECRET)
    );
}

/// Explains the machines of the attempt.
fn attempt(folder: &Path) {
    let attempt = match saved::load(folder) {
        Ok(attempt) => attempt,
        Err(error) => return assert_plain(&error.to_string()),
    };
    for node in attempt.scenario.nodes.iter().take(4) {
        let text = explain(&attempt, node).text;
        assert!(!text.contains(SECRET));
        assert_eq!(text, explain(&attempt, node).text);
        assert_plain(&text);
    }
}

/// A file of the folder.
struct Section<'a> {
    file: &'static str,
    kind: Kind,
    bytes: &'a [u8],
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    File,
    Link,
    Fifo,
}

fn sections(data: &[u8]) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    let mut at = 0;
    // Where the current section's bytes begin.
    let mut begin = 0;
    for line in data.split_inclusive(|byte| *byte == b'\n') {
        if let Some((kind, file)) = heading(line) {
            end_last(&mut sections, data, begin, at);
            begin = at + line.len();
            let bytes = &[];
            sections.push(Section { file, kind, bytes });
        }
        at += line.len();
    }
    end_last(&mut sections, data, begin, at);
    sections
}

fn end_last<'a>(sections: &mut [Section<'a>], data: &'a [u8], begin: usize, end: usize) {
    if let Some(last) = sections.last_mut() {
        last.bytes = data.get(begin..end).unwrap_or_default();
    }
}

fn heading(line: &[u8]) -> Option<(Kind, &'static str)> {
    let line = std::str::from_utf8(line).ok()?.trim_end();
    let (mark, name) = line.split_once(' ')?;
    let kind = match mark {
        "==" => Kind::File,
        "=>" => Kind::Link,
        "=|" => Kind::Fifo,
        _ => return None,
    };
    let file = FILES.into_iter().find(|file| *file == name)?;
    Some((kind, file))
}

fn put(secret: &Path, path: &Path, section: &Section<'_>) -> std::io::Result<()> {
    if path.is_dir() {
        fs::remove_dir_all(path)?;
    } else if path.symlink_metadata().is_ok() {
        fs::remove_file(path)?;
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match section.kind {
        Kind::Link => symlink(secret, path),
        Kind::Fifo => {
            let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
            Ok(rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0)?)
        }
        Kind::File if section.file.ends_with(".gz") => {
            let mut packed = GzEncoder::new(fs::File::create(path)?, Compression::fast());
            packed.write_all(section.bytes)?;
            packed.finish().map(drop)
        }
        Kind::File => fs::write(path, section.bytes),
    }
}

/// Fails when a file below a folder has the secret, or is a link.
fn assert_inside(folder: &Path) {
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let kind = entry.file_type().expect("a kind");
            assert!(kind.is_dir() || kind.is_file(), "{:?}", entry.path());
            if kind.is_dir() {
                folders.push(entry.path());
                continue;
            }
            let bytes = fs::read(entry.path()).expect("a file");
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains(SECRET), "{:?}", entry.path());
        }
    }
}

/// Fails when a text that was made safe to print is not.
fn assert_plain(text: &str) {
    let clean = plain(text);
    let unsafe_letter = clean.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(unsafe_letter, None, "{clean:?}");
}
