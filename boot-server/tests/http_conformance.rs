//! The 191 requests recorded from bootcfg 0.2.0, asked of our server over loopback.
//!
//! Where we answer otherwise on purpose, the difference has a name here and its reason in
//! `docs/differences-bootcfg.md`; the test wants exactly that difference and no other, in exactly
//! as many answers as are known.

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
    /// No `initrd` line where there is no initrd.
    NoEmptyInitrdLine,
    /// A line for each initrd.
    InitrdLineEach,
}

/// A row, to be answered as bootcfg did.
struct Compared<'a>(&'a Row);

impl Compared<'_> {
    fn difference(&self) -> Option<Difference> {
        let lines: Vec<&str> = self.0.body.lines().collect();
        let initrd = lines.iter().find(|line| line.starts_with("initrd "));
        if self.0.status == 404 {
            return Some(Difference::ReasonInNotFound);
        }
        if self.0.path.starts_with("/metadata") && !lines.is_sorted() {
            return Some(Difference::MetadataSorted);
        }
        match initrd?
            .trim_start_matches("initrd ")
            .split_whitespace()
            .count()
        {
            0 => Some(Difference::NoEmptyInitrdLine),
            1 => None,
            _ => Some(Difference::InitrdLineEach),
        }
    }

    /// The body we want, given what the server said where only it can know.
    fn wanted_body(&self, answer: &Answer) -> String {
        let mut lines: Vec<&str> = self.0.body.lines().collect();
        match self.difference() {
            None => self.0.body.clone(),
            Some(Difference::ReasonInNotFound) => {
                let reason = answer.body.lines().nth(1).unwrap_or_default();
                assert!(
                    reason.len() > 10,
                    "{}: no reason: {:?}",
                    self.0.path,
                    answer.body
                );
                format!("{}{reason}\n", self.0.body)
            }
            Some(Difference::MetadataSorted) => {
                lines.sort_unstable();
                lines.join("\n") + "\n"
            }
            Some(Difference::NoEmptyInitrdLine) => self.0.body.replace("initrd \n", ""),
            Some(Difference::InitrdLineEach) => self
                .0
                .body
                .replace("initrd /a /b \n", "initrd /a \ninitrd /b \n"),
        }
    }
}

#[tokio::test]
async fn bootcfg_0_2_0_is_answered_to_the_byte_but_for_the_named_differences() {
    let (address, mut events) = serve_rack("bootcfg-rack");

    let rows: Vec<Row> = rows("http/bootcfg-0.2.0.jsonl");
    let mut differences: BTreeMap<Difference, u32> = BTreeMap::new();
    let mut failures = Vec::new();
    for row in &rows {
        let answer = send(address, &row.method, &row.path, &row.request_headers).await;
        let compared = Compared(row);
        let body = compared.wanted_body(&answer);
        if let Err(failure) = row.compare(row.status, Some(&row.headers), &body, &answer) {
            failures.push(failure);
        }
        if let Some(difference) = compared.difference() {
            *differences.entry(difference).or_default() += 1;
        }
        let event = events.recv().await.unwrap();
        let event = serde_json::to_value(event).unwrap();
        assert_eq!(event["status"], row.status, "{event}");
        assert_eq!(event["bytes"], answer.body.len() as u64, "{event}");
    }
    assert_no_failures(&failures, rows.len());
    assert_eq!(rows.len(), 191);
    insta::assert_debug_snapshot!(differences);
}
