//! Answers of two boot config services to the requests of the same machines, compared. Pure.
//!
//! An answer is compared by what a machine notices: its status, its media type and its body. JSON is compared by value
//! and `/metadata` by its lines, whose order is random in bootcfg and matchbox. Bodies of refusals are not compared:
//! boot-server's name a reason. Differences that are documented for the old server's version are counted apart.

mod documented;
mod version;

use std::collections::BTreeMap;
use std::fmt::Write;

use similar::TextDiff;

use crate::inventory::Inventory;
use crate::plan::{Asked, Plan};

pub use documented::Documented;
pub use version::{UnknownVersion, Version};

/// Lines around a change.
const CONTEXT: usize = 3;
/// Names in a heading.
const NAMED: usize = 3;

/// An answer of a boot config service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status code of HTTP.
    pub status: u16,
    /// Media type without parameters; empty if there is none.
    pub media_type: String,
    /// Body, as text.
    pub body: String,
}

/// Requests to compare, and the machines that send each; no machine sends the first script's request alone.
pub type Requests = BTreeMap<String, Vec<String>>;

/// Returns all requests that the machines of a plan can send.
#[must_use]
pub fn requests(plan: &Plan, inventory: &Inventory, with_pixiecore: bool) -> Requests {
    const ENDPOINTS: [&str; 6] = [
        "/ipxe",
        "/grub",
        "/metadata",
        "/cloud",
        "/ignition",
        "/generic",
    ];
    let mut requests = Requests::new();
    requests.insert("/boot.ipxe".to_owned(), Vec::new());
    for (machine, listed) in plan.machines.iter().zip(&inventory.machines) {
        let query = machine
            .request
            .split_once('?')
            .map_or("", |(_, query)| query);
        let mut targets: Vec<String> = ENDPOINTS.map(|path| format!("{path}?{query}")).into();
        if let Ok(booted) = &machine.outcome {
            let configs = booted.configs.iter();
            let asked = configs.filter(|config| config.asked == Asked::ByKernelOption);
            targets.extend(asked.map(|config| config.request.clone()));
        }
        if let (true, Some(mac)) = (with_pixiecore, listed.macs.first()) {
            targets.push(format!("/pixiecore/v1/boot/{mac}"));
        }
        for target in targets {
            let senders = requests.entry(target).or_default();
            if senders.last() != Some(&machine.name) {
                senders.push(machine.name.clone());
            }
        }
    }
    requests
}

/// Difference between two answers to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Summary of the difference in a few words.
    pub what: &'static str,
    /// Both sides: a line, or a unified diff.
    pub detail: String,
}

/// Result of comparing all answers.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Differences with the endpoint, an example of the request and the machines that send it.
    pub differences: Vec<(String, Vec<String>, Difference)>,
    /// Intended differences from the other server's version, with an example of the request and their number.
    pub documented: BTreeMap<Documented, (String, usize)>,
    /// Endpoints that the other server answers for no machine, with the number of answers here.
    pub not_offered: BTreeMap<String, usize>,
    /// Number of requests compared.
    pub compared: usize,
    /// Number of those whose JSON is equal by value and not by its bytes.
    pub equal_json: usize,
}

/// Compares the answers of the other server (first), which has this version, with those here, by request.
#[must_use]
pub fn compare(version: Version, requests: &Requests, answers: &[(Answer, Answer)]) -> Comparison {
    let mut comparison = Comparison {
        compared: answers.len(),
        ..Comparison::default()
    };
    let both = || requests.iter().zip(answers);
    let mut offered: BTreeMap<&str, bool> = BTreeMap::new();
    for ((request, _), (there, _)) in both() {
        *offered.entry(endpoint(request)).or_default() |= there.status == 200;
    }
    let mut seen: BTreeMap<(String, String), usize> = BTreeMap::new();
    for ((request, senders), (there, here)) in both() {
        let endpoint = endpoint(request);
        if !offered.get(endpoint).copied().unwrap_or_default() {
            if here.status == 200 {
                *comparison
                    .not_offered
                    .entry(endpoint.to_owned())
                    .or_default() += 1;
            }
            continue;
        }
        let Some(difference) = difference(endpoint, there, here) else {
            comparison.equal_json += usize::from(there.status == 200 && there.body != here.body);
            continue;
        };
        if let Some(kind) = documented::documented(version, request, there, here) {
            let (_, count) = comparison
                .documented
                .entry(kind)
                .or_insert_with(|| (request.clone(), 0));
            *count += 1;
            continue;
        }
        let key = (endpoint.to_owned(), difference.detail.clone());
        match seen.get(&key) {
            Some(index) => {
                if let Some((_, names, _)) = comparison.differences.get_mut(*index) {
                    names.extend(senders.iter().cloned());
                }
            }
            None => {
                seen.insert(key, comparison.differences.len());
                let found = (request.clone(), senders.clone(), difference);
                comparison.differences.push(found);
            }
        }
    }
    comparison
}

/// Returns the path of a request; all machines' requests to Pixiecore's API have one.
fn endpoint(request: &str) -> &str {
    let path = request.split('?').next().unwrap_or_default();
    match path.starts_with("/pixiecore/") {
        true => "/pixiecore/v1/boot",
        false => path,
    }
}

fn difference(endpoint: &str, there: &Answer, here: &Answer) -> Option<Difference> {
    if there.status != here.status {
        let reason = match here.status {
            200 => "",
            _ => here.body.trim_end(),
        };
        let detail = format!("{} there, {} here\n{reason}", there.status, here.status);
        let what = "status";
        return Some(Difference { what, detail });
    }
    if there.status != 200 {
        return None;
    }
    if there.media_type != here.media_type {
        let detail = format!("{} there, {} here", there.media_type, here.media_type);
        let what = "media type";
        return Some(Difference { what, detail });
    }
    let (what, there, here) = match (json(there), json(here)) {
        (Some(one), Some(other)) if one == other => return None,
        (Some(one), Some(other)) => ("JSON", indented(&one), indented(&other)),
        _ if endpoint == "/metadata" => ("lines", sorted(&there.body), sorted(&here.body)),
        _ => ("text", there.body.clone(), here.body.clone()),
    };
    if there == here {
        return None;
    }
    let mut diff = TextDiff::from_lines(&there, &here)
        .unified_diff()
        .context_radius(CONTEXT)
        .header("there", "here")
        .to_string();
    diff.truncate(diff.trim_end().len());
    Some(Difference { what, detail: diff })
}

fn json(answer: &Answer) -> Option<serde_json::Value> {
    let is_json = answer.media_type == "application/json";
    is_json.then(|| serde_json::from_str(&answer.body).ok())?
}

fn indented(json: &serde_json::Value) -> String {
    format!("{json:#}\n")
}

fn sorted(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n") + "\n"
}

/// Renders a comparison as text.
#[must_use]
pub fn render(comparison: &Comparison) -> String {
    let mut text = String::new();
    for (request, senders, Difference { what, detail }) in &comparison.differences {
        let names = match senders.len() {
            0 => "every machine".to_owned(),
            count if count <= NAMED => senders.join(", "),
            count => {
                let first = senders.get(..NAMED).unwrap_or_default().join(", ");
                format!("{first} and {} more", count - NAMED)
            }
        };
        // Writing to a string does not fail.
        let _ = writeln!(text, "GET {request}\n  {names}: {what} differs\n{detail}\n");
    }
    for (kind, (request, count)) in &comparison.documented {
        let _ = writeln!(
            text,
            "Documented: {} ({count} answers, such as GET {request})",
            kind.describe()
        );
    }
    for (endpoint, count) in &comparison.not_offered {
        let _ = writeln!(
            text,
            "{endpoint}: answered here for {count} requests, and for none there"
        );
    }
    if comparison.equal_json > 0 {
        let _ = writeln!(
            text,
            "Equal as JSON, or with lines in another order: {} answers",
            comparison.equal_json
        );
    }
    let _ = writeln!(
        text,
        "Compared: {} requests; different: {}",
        comparison.compared,
        comparison.differences.len()
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, media_type: &str, body: &str) -> Answer {
        Answer {
            status,
            media_type: media_type.into(),
            body: body.into(),
        }
    }

    fn compared(rows: &[(&str, &str, Answer, Answer)]) -> Comparison {
        let mut requests = Requests::new();
        let mut answers = BTreeMap::new();
        for (request, machine, there, here) in rows {
            requests.insert((*request).to_owned(), vec![(*machine).to_owned()]);
            answers.insert(*request, (there.clone(), here.clone()));
        }
        let answers: Vec<(Answer, Answer)> = answers.into_values().collect();
        compare(Version::Matchbox09, &requests, &answers)
    }

    #[test]
    fn equal_answers_have_no_difference_whatever_their_order_of_lines_and_keys() {
        let json = |body| answer(200, "application/json", body);
        let text = |body| answer(200, "text/plain", body);
        let found = compared(&[
            (
                "/ignition?a",
                "a",
                json("{\"a\":1,\"b\":2}"),
                json("{ \"b\": 2, \"a\": 1 }"),
            ),
            ("/metadata?a", "a", text("B=2\nA=1\n"), text("A=1\nB=2\n")),
            ("/ipxe?a", "a", text("same"), text("same")),
            (
                "/ipxe?b",
                "b",
                answer(404, "", "404"),
                answer(404, "", "404\nwhy"),
            ),
        ]);
        assert_eq!(found.differences, []);
        assert_eq!((found.compared, found.equal_json), (4, 2));
    }

    #[test]
    fn documented_difference_is_counted_and_is_no_difference() {
        let text = |body| answer(200, "text/plain", body);
        let found = compared(&[(
            "/boot.ipxe",
            "",
            text("&serial=${serial}\n"),
            text("&serial=${serial}&arch=${buildarch:uristring}\n"),
        )]);
        assert_eq!(found.differences, []);
        let shown = render(&found);
        let line =
            "Documented: the first script sends other labels (1 answers, such as GET /boot.ipxe)\n";
        assert!(shown.contains(line), "{shown}");
    }

    #[test]
    fn different_answers_are_shown_once_for_all_their_machines() {
        let text = |body| answer(200, "text/plain", body);
        let found = compared(&[
            ("/ipxe?a", "a", text("x\ny\n"), text("x\nz\n")),
            ("/ipxe?b", "b", text("x\ny\n"), text("x\nz\n")),
            (
                "/cloud?a",
                "a",
                text("x"),
                answer(404, "text/plain", "404\nno group"),
            ),
            ("/cloud?b", "b", text("x"), answer(200, "text/html", "x")),
            ("/generic?a", "a", answer(404, "", ""), text("x")),
        ]);
        let rendered = render(&found);
        for part in [
            "a, b: text differs\n--- there\n+++ here\n@@ -1,2 +1,2 @@\n x\n-y\n+z\n",
            "status differs\n200 there, 404 here\n404\nno group\n",
            "media type differs\ntext/plain there, text/html here\n",
            "/generic: answered here for 1 requests, and for none there\n",
            "Compared: 5 requests; different: 3\n",
        ] {
            assert!(rendered.contains(part), "{part}\n{rendered}");
        }
    }
}
