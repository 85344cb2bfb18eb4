//! The 191 requests recorded from bootcfg 0.2.0, asked of our server over loopback.
//!
//! Where we answer otherwise on purpose, the difference has a name here and its reason in
//! `docs/differences-bootcfg.md`; the test wants exactly that difference and no other, in exactly
//! as many answers as are known.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use boot_server::catalog::data_dir::DataDir;
use boot_server::event::EventSink;
use boot_server::net::http::{HttpServer, router};
use boot_server::net::neighbours::Neighbours;
use serde::Deserialize;
use support::{Answer, conformance, rows, send};

#[derive(Debug, Deserialize)]
struct Row {
    method: String,
    path: String,
    request_headers: BTreeMap<String, String>,
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

/// Where our answer is another than the reference's.
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

impl Row {
    fn difference(&self) -> Option<Difference> {
        let lines: Vec<&str> = self.body.lines().collect();
        let initrd = lines.iter().find(|line| line.starts_with("initrd "));
        if self.status == 404 {
            return Some(Difference::ReasonInNotFound);
        }
        if self.path.starts_with("/metadata") && !lines.is_sorted() {
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
        let mut lines: Vec<&str> = self.body.lines().collect();
        match self.difference() {
            None => self.body.clone(),
            Some(Difference::ReasonInNotFound) => {
                let reason = answer.body.lines().nth(1).unwrap_or_default();
                assert!(
                    reason.len() > 10,
                    "{}: no reason: {:?}",
                    self.path,
                    answer.body
                );
                format!("{}{reason}\n", self.body)
            }
            Some(Difference::MetadataSorted) => {
                lines.sort_unstable();
                lines.join("\n") + "\n"
            }
            Some(Difference::NoEmptyInitrdLine) => self.body.replace("initrd \n", ""),
            Some(Difference::InitrdLineEach) => self
                .body
                .replace("initrd /a /b \n", "initrd /a \ninitrd /b \n"),
        }
    }

    fn check(&self, answer: &Answer) -> Result<(), String> {
        let body = self.wanted_body(answer);
        let mut headers = self.headers.clone();
        if self.method != "HEAD" {
            headers.insert("content-length".into(), body.len().to_string());
        }
        let compared = [
            "accept-ranges",
            "content-length",
            "content-range",
            "content-type",
            "location",
            "x-content-type-options",
        ];
        let got: BTreeMap<String, String> = answer
            .headers
            .iter()
            .filter(|(name, _)| compared.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let wanted = (self.status, &headers, body.as_str());
        let got = (answer.status, &got, answer.body.as_str());
        match wanted == got {
            true => Ok(()),
            false => Err(format!(
                "{} {} {:?}\nwanted {wanted:?}\n   got {got:?}",
                self.method, self.path, self.request_headers
            )),
        }
    }
}

#[tokio::test]
async fn bootcfg_0_2_0_is_answered_to_the_byte_but_for_the_named_differences() {
    let racks = conformance().join("http");
    let (catalog, _) = DataDir::open(&racks.join("bootcfg-rack"), None, None).unwrap();
    let (sink, mut events) = EventSink::channel();
    let assets = Some(racks.join("assets"));
    let router = router(Arc::new(catalog), assets, Neighbours::default(), sink);
    let server = HttpServer::bind(([127, 0, 0, 1], 0).into(), router).unwrap();
    let address = server.local_addr().unwrap();
    tokio::spawn(server.serve(std::future::pending()));

    let rows: Vec<Row> = rows("http/bootcfg-0.2.0.jsonl");
    let mut differences: BTreeMap<Difference, u32> = BTreeMap::new();
    let mut failures = Vec::new();
    for row in &rows {
        let answer = send(address, &row.method, &row.path, &row.request_headers).await;
        if let Err(failure) = row.check(&answer) {
            failures.push(failure);
        }
        if let Some(difference) = row.difference() {
            *differences.entry(difference).or_default() += 1;
        }
        let event = events.recv().await.unwrap();
        let event = serde_json::to_value(event).unwrap();
        assert_eq!(event["status"], row.status, "{event}");
        assert_eq!(event["bytes"], answer.body.len() as u64, "{event}");
    }
    assert!(
        failures.is_empty(),
        "{} of {} rows differ:\n{}",
        failures.len(),
        rows.len(),
        failures.join("\n")
    );
    assert_eq!(rows.len(), 191);
    insta::assert_debug_snapshot!(differences);
}
