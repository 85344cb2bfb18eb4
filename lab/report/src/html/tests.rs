//! Tests of the page: its content, no references to other files, and no markup from the text of machines.

use std::collections::HashSet;

use super::fixture::{HOSTILE_NAME, large_page, page};
use super::render;
use crate::artifacts::write_page;
use crate::sample_run;

/// Every value of an attribute.
fn values<'h>(html: &'h str, attribute: &str) -> Vec<&'h str> {
    let start = format!(" {attribute}=\"");
    let parts = html.split(start.as_str()).skip(1);
    parts.filter_map(|part| part.split('"').next()).collect()
}

#[test]
fn the_top_says_which_machine_which_stage_why_and_what_to_try() {
    let html = render(&page());
    let top = html.split("Machines</h2>").next().unwrap();
    assert!(
        top.contains("1 of 3 machines came up as expected."),
        "{top}"
    );
    for told in [
        "node2</a>",
        "node3</a>",
        "b class=\"stage\">checks<",
        "answered no DISCOVER of",
        "<b>Try</b>",
    ] {
        assert!(top.contains(told), "{told} is missing in {top}");
    }
    assert!(
        !top.contains("node1</a>"),
        "a machine that came up is no trouble: {top}"
    );
}

#[test]
fn nothing_that_a_machine_says_becomes_markup() {
    let html = render(&page());
    assert!(
        html.contains("&lt;script&gt;window.hostile=1"),
        "it is shown"
    );
    for markup in ["<script", "<img", "\x1b", "onerror=hostile()\">"] {
        assert!(!html.contains(markup), "{markup} is in the page");
    }
    assert!(!html.contains(HOSTILE_NAME));
}

#[test]
fn the_page_is_whole_in_itself() {
    let html = render(&page());
    for foreign in [
        "http-equiv=\"refresh",
        "<link",
        "@import",
        "url(",
        "<iframe",
        "src=\"http",
    ] {
        assert!(!html.contains(foreign), "{foreign} is in the page");
    }
    for href in values(&html, "href") {
        assert!(!href.contains(':'), "{href} leads out of the run's folder");
    }
}

#[test]
fn every_link_within_the_page_leads_somewhere_and_every_id_is_there_once() {
    let html = render(&page());
    let ids = values(&html, "id");
    let known: HashSet<&str> = ids.iter().copied().collect();
    assert_eq!(ids.len(), known.len(), "an id is there twice");
    let inner: Vec<&str> = values(&html, "href")
        .into_iter()
        .filter_map(|href| href.strip_prefix('#'))
        .collect();
    let to_packets = inner.iter().filter(|id| id.contains("-r")).count();
    assert!(to_packets > 0, "evidence leads to packets");
    let to_logs = inner.iter().filter(|id| id.contains("-l")).count();
    assert!(to_logs > 3, "evidence and stages lead to logs of services");
    assert!(html.contains(">log of kea</a>") && html.contains("kea (dhcp): 60 lines"));
    for id in inner {
        assert!(known.contains(id), "#{id} leads nowhere");
    }
    for ids in values(&html, "aria-labelledby") {
        let all = ids.split(' ').all(|id| known.contains(id));
        assert!(all, "{ids} name nothing");
    }
}

#[test]
fn what_differs_inside_a_machine_is_shown_on_both_sides() {
    let html = render(&page());
    let (_, diff) = html.split_once("content differs").expect("a file differs");
    let sides = diff.split("</div>").next().unwrap();
    assert!(sides.contains("<del>"), "expected: {sides}");
    assert!(sides.contains("<ins>another</ins>"), "found: {sides}");
}

#[test]
fn a_run_whose_evidence_is_gone_still_has_its_verdicts() {
    let folder = tempfile::tempdir().unwrap();
    let run = sample_run::run(folder.path());
    let path = write_page(&run).unwrap();
    let html = std::fs::read_to_string(path).unwrap();
    assert!(
        html.contains("3 of 7 machines came up as expected."),
        "{html}"
    );
    assert!(html.contains("Cannot show the evidence: "), "it says so");
    // Of the first unit both attempts, of the second its machines alone.
    assert_eq!(
        html.matches("<details class=\"machine\"").count(),
        3 + 3 + 4
    );
    assert!(html.contains("Attempt 2 of 2"));
    let log = "href=\"pxe-dhcp@bios/attempt-2/nodes/node2/console.log\"";
    assert!(html.contains(log), "what is there can be opened");
}

#[test]
fn a_full_run_is_a_page_that_opens_fast() {
    let html = render(&large_page());
    assert_eq!(html.matches("<details class=\"machine\"").count(), 24);
    let megabytes = html.len() as f64 / 1e6;
    assert!(megabytes < 3.0, "{megabytes} MB");
}

#[test]
#[ignore = "writes the page for a person to look at: LAB_PAGE=FILE"]
fn the_made_up_page_is_written_to_look_at() {
    std::fs::write(std::env::var_os("LAB_PAGE").unwrap(), render(&page())).unwrap();
}
