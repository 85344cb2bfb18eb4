//! The 257 requests recorded from matchbox 0.6.1, and the same from 0.9.0, asked of our server over
//! loopback.
//!
//! Where we answer otherwise on purpose, the difference has a name here and its reason in
//! `docs/differences-matchbox.md`; the test wants exactly that difference and no other, in exactly
//! as many answers as are known.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/row.rs"]
mod row;
mod support;

use std::collections::BTreeMap;

use row::{Row, assert_no_failures, serve_rack};
use support::{Answer, rows, send};

/// Reviewed difference from the reference's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Difference {
    /// The 404 says why, on a second line.
    ReasonInNotFound,
    /// `/metadata` is sorted.
    MetadataSorted,
    /// 0.6 had all initrds on one line, with a space at its end; 0.9 has a line each, without.
    InitrdLinesOf09,
    /// No `initrd` lines in GRUB's menu where there is no initrd.
    NoEmptyInitrdLine,
    /// Pixiecore's API, which 0.9 no longer has, is answered.
    PixiecoreAnswered,
    /// 0.6 sent `args` alone, which no Pixiecore reads.
    PixiecoreCmdline,
    /// 0.6 sent `null` for a profile that boots nothing.
    PixiecoreNothingToBoot,
    /// `/boot.ipxe` sends the label `arch`, as 0.11 does.
    ArchOf011,
}

/// Version under comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V06,
    V09,
}

fn difference(row: &Row, version: Version) -> Option<Difference> {
    let is_pixiecore = row.path.starts_with("/pixiecore/");
    if is_pixiecore && version == Version::V09 {
        return Some(Difference::PixiecoreAnswered);
    }
    if row.status == 404 {
        return Some(Difference::ReasonInNotFound);
    }
    if is_pixiecore && row.status == 200 {
        return Some(match row.body.as_str() {
            "null" => Difference::PixiecoreNothingToBoot,
            _ => Difference::PixiecoreCmdline,
        });
    }
    if row.path.starts_with("/boot.ipxe") && row.status == 200 {
        return Some(Difference::ArchOf011);
    }
    let lines: Vec<&str> = row.body.lines().collect();
    if row.path.starts_with("/metadata") && !lines.is_sorted() {
        return Some(Difference::MetadataSorted);
    }
    if row.path.starts_with("/ipxe") && version == Version::V06 {
        return Some(Difference::InitrdLinesOf09);
    }
    if row.path.starts_with("/grub") && row.body.contains("initrdefi \n") {
        return Some(Difference::NoEmptyInitrdLine);
    }
    None
}

/// The row as we want it answered, given what the server said where only it can know.
fn wanted(row: &Row, version: Version, answer: &Answer) -> (u16, String) {
    let body = row.body.clone();
    let reason = |line: &str| {
        let reason = answer.body.lines().nth(1).unwrap_or_default();
        let told = reason.len() > 10 || row.method == "HEAD";
        assert!(told, "{}: no reason: {:?}", row.path, answer.body);
        match row.method.as_str() {
            "HEAD" => String::new(),
            _ => format!("{line}\n{reason}\n"),
        }
    };
    let body = match difference(row, version) {
        None => body,
        Some(Difference::ReasonInNotFound) => reason("404 page not found"),
        Some(Difference::MetadataSorted) => {
            let mut lines: Vec<&str> = body.lines().collect();
            lines.sort_unstable();
            lines.join("\n") + "\n"
        }
        Some(Difference::InitrdLinesOf09) => {
            let lines = body
                .lines()
                .flat_map(|line| match line.strip_prefix("initrd ") {
                    Some(files) => files
                        .split_whitespace()
                        .map(|f| format!("initrd {f}"))
                        .collect(),
                    None => vec![line.to_owned()],
                });
            lines.collect::<Vec<_>>().join("\n") + "\n"
        }
        Some(Difference::ArchOf011) => body.replace(
            "&serial=${serial}",
            "&serial=${serial}&arch=${buildarch:uristring}",
        ),
        Some(Difference::NoEmptyInitrdLine) => body
            .replace("echo \"Loading initrd\"\ninitrdefi \n", "")
            .replace("echo \"Loading initrd\"\ninitrd \n", ""),
        Some(Difference::PixiecoreCmdline) => {
            body.replace(",\"args\":", ",\"cmdline\":\"a=b\",\"args\":")
        }
        Some(Difference::PixiecoreNothingToBoot) => return (404, reason("404 page not found")),
        Some(Difference::PixiecoreAnswered) => {
            let of_06 = rows::<Row>("http/matchbox-0.6.1.jsonl");
            let old = of_06
                .iter()
                .find(|old| old.path == row.path && old.method == row.method);
            return wanted(
                old.expect("the same requests were recorded"),
                Version::V06,
                answer,
            );
        }
    };
    (row.status, body)
}

async fn compare(version: Version, file: &str) -> BTreeMap<Difference, u32> {
    let (address, mut events) = serve_rack("matchbox-rack");

    let rows: Vec<Row> = rows(file);
    assert_eq!(rows.len(), 257);
    let mut differences: BTreeMap<Difference, u32> = BTreeMap::new();
    let mut failures = Vec::new();
    for row in &rows {
        let answer = send(address, &row.method, &row.path, &row.request_headers).await;
        let (status, body) = wanted(row, version, &answer);
        let found = difference(row, version);
        // An answer that 0.9 no longer gives has its own headers.
        let headers = match found {
            Some(Difference::PixiecoreAnswered | Difference::PixiecoreNothingToBoot) => None,
            // Its length is another.
            Some(Difference::ArchOf011) if row.method == "HEAD" => None,
            _ => Some(&row.headers),
        };
        if let Err(failure) = row.compare(status, headers, &body, &answer) {
            failures.push(failure);
        }
        if let Some(difference) = found {
            *differences.entry(difference).or_default() += 1;
        }
        let event = serde_json::to_value(events.recv().await.unwrap()).unwrap();
        assert_eq!(event["status"], status, "{event}");
    }
    assert_no_failures(&failures, rows.len());
    differences
}

#[tokio::test]
async fn matchbox_0_9_0_is_answered_to_the_byte_but_for_the_named_differences() {
    insta::assert_debug_snapshot!(compare(Version::V09, "http/matchbox-0.9.0.jsonl").await);
}

#[tokio::test]
async fn matchbox_0_6_1_is_answered_to_the_byte_but_for_the_named_differences() {
    insta::assert_debug_snapshot!(compare(Version::V06, "http/matchbox-0.6.1.jsonl").await);
}
