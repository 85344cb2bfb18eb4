//! Every verdict that once was wrong has a test whose comment begins with its row.

use std::fs;
use std::path::Path;

/// Rows of verdicts that were wrong: false passes, false failures, and wrong explanations.
const ROWS: [&str; 30] = [
    "V1: another host asks in the machine's name; a relay changes the config",
    "V2: the machine resets itself",
    "V3: a file of the config cannot be written",
    "V4: a text or random bytes as boot program",
    "V5: a unit prints what an answer on the console looks like",
    "V6: another host boots in the name of a machine without a cable",
    "V7: empty lists of expectations",
    "V8: no config is expected",
    "V9: `matched_by` is not judged",
    "V10: parts of different runs are merged",
    "V11: the console mentions texts of firmware",
    "V12: the wall clock steps",
    "V13: noise in the answer to a check",
    "V14: a DHCP server of the user's own",
    "V15: parts of a run of faults are merged",
    "V16: the disk of the artifacts is full",
    "V17: QEMU never answers",
    "V18: Ctrl-C while a cell starts",
    "V19: nothing answers after the offer, or after the boot program",
    "V20: what is served as a config is none",
    "V21: other lines of the console read as complaints about the config",
    "V22: kernel and initrd are of different releases",
    "V23: a redirect to another machine's config",
    "V24: a MAC selector in another notation",
    "V25: TFTP answers from another address, or late",
    "V26: two hosts with one MAC",
    "V27: captures of other kinds than whole Ethernet frames",
    "V28: captures with clients that do not ask to boot",
    "V29: few file descriptors; a full disk at the end",
    "V30: arguments that select nothing",
];

/// Comments in the sources of a folder and in those below it.
fn comments(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            comments(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let lines = text
                .lines()
                .filter_map(|line| line.trim().strip_prefix("/// V"));
            found.extend(lines.map(str::to_owned));
        }
    }
}

#[test]
fn rows_each_has_a_test_that_names_it() {
    let lab = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = Vec::new();
    for folder in ["model/src", "report/src", "src", "tests"] {
        comments(&lab.join(folder), &mut found);
    }
    let named = |number: &str| {
        let is_it = |comment: &String| {
            let mut rows = comment
                .split([':', '.'])
                .next()
                .unwrap_or_default()
                .split(", ");
            rows.any(|row| row.trim_start_matches('V') == number)
        };
        found.iter().any(is_it)
    };
    for (index, row) in ROWS.iter().enumerate() {
        let (name, _) = row.split_once(':').unwrap();
        let number = (index + 1).to_string();
        assert_eq!(name, format!("V{number}"));
        assert!(named(&number), "no test names the row `{row}`");
    }
}
