//! Top of the page: result of the run, failures, and a table of all machines.

use lab_model::timeline::StageName;
use lab_model::verdict::NodeVerdict;
use maud::{Markup, html};

use super::findings::{ended, sentence};
use super::text::{clean, shorten};
use super::view::{Machine, Page, UnitView};
use crate::format::{self, count, seconds_between};

/// Maximum length of a reason in a card, in characters.
const MOST_CHARS: usize = 420;

/// Returns the style class and sign of a verdict; the word is shown next to the sign.
pub(super) fn sign(verdict: &NodeVerdict) -> (&'static str, &'static str) {
    match verdict.word() {
        "pass" => ("good", "✓"),
        "fail" | "leaked" => ("bad", "✗"),
        "flaky" => ("warn", "~"),
        "skipped" => ("quiet", "–"),
        _ => ("warn", "!"),
    }
}

/// Renders a verdict as sign and word.
pub(super) fn badge(verdict: &NodeVerdict) -> Markup {
    let (class, sign) = sign(verdict);
    html! { span.badge.(class) { span aria-hidden="true" { (sign) } " " (verdict.word()) } }
}

/// Renders the head of the page.
pub(super) fn header(page: &Page) -> Markup {
    let run = &page.run;
    html! {
        header.top {
            p.run { "run " code { (run.run_id) } " · " (began(&run.started)) }
            h1 { (headline(page)) }
            (proportions(page))
            p.setting {
                (count(page.units.len(), "unit (scenario on one firmware)", "units (scenarios on one firmware each)"))
                " in " (format::seconds(run.seconds)) ", on " (run.accelerator) "."
                @if run.rehearsal.is_none() { @for caveat in run.caveats() { " " (caveat) } }
            }
            @if run.rehearsal.is_some() {
                @for caveat in run.caveats() { p.setting { (caveat) } }
            }
        }
    }
}

/// Formats the start time for people; unchanged if it cannot be parsed.
fn began(started: &str) -> String {
    started.parse::<jiff::Timestamp>().map_or_else(
        |_| started.to_owned(),
        |at| at.strftime("%-d %B %Y, %H:%M UTC").to_string(),
    )
}

/// Returns the result of the run in one sentence.
fn headline(page: &Page) -> String {
    let all = page.run.nodes().count();
    let came_up = |word: &str| ["pass", "flaky", "leaked"].contains(&word);
    let up = page
        .run
        .nodes()
        .filter(|node| came_up(node.verdict.word()))
        .count();
    let machines = |number| count(number, "machine", "machines");
    match (up, all) {
        (_, 0) => "No machines were run.".into(),
        (up, all) if up == all && all == 1 => "The machine came up as expected.".into(),
        (up, all) if up == all => format!("All {} came up as expected.", machines(all)),
        (0, 1) => "The machine did not come up as expected.".into(),
        (0, all) => format!("None of {} came up as expected.", machines(all)),
        (up, all) => format!("{up} of {} came up as expected.", machines(all)),
    }
}

/// Renders the number of machines by verdict, as a bar and as text.
fn proportions(page: &Page) -> Markup {
    let mut groups: Vec<(&NodeVerdict, usize)> = Vec::new();
    for node in page.run.nodes() {
        match groups
            .iter_mut()
            .find(|(known, _)| known.word() == node.verdict.word())
        {
            Some((_, number)) => *number += 1,
            None => groups.push((&node.verdict, 1)),
        }
    }
    groups.sort_by_key(|(verdict, _)| verdict.word() != "pass");
    html! {
        @if !groups.is_empty() {
            div.bar aria-hidden="true" {
                @for (verdict, number) in &groups {
                    span.(sign(verdict).0) style={ "flex:" (number) } {}
                }
            }
            ul.legend {
                @for (verdict, number) in &groups { li { b { (number) } " " (badge(verdict)) } }
            }
        }
    }
}

/// Renders the failures, machine by machine: stage, cause and remedy.
pub(super) fn troubles(page: &Page) -> Markup {
    let troubled: Vec<(&UnitView, &Machine)> = page
        .machines()
        .filter(|(_, machine)| !["pass", "skipped"].contains(&machine.verdict.word()))
        .collect();
    html! {
        @if !troubled.is_empty() {
            section aria-labelledby="wrong" {
                h2 #wrong { "Failures" }
                ul.cards { @for (unit, machine) in troubled { li { (card(unit, machine)) } } }
            }
        }
    }
}

fn card(unit: &UnitView, machine: &Machine) -> Markup {
    let (class, _) = sign(&machine.verdict);
    let best = machine.findings.first();
    let why = match (best, &machine.verdict) {
        (Some(best), _) => best.sentence.clone(),
        (None, NodeVerdict::Fail { why, .. }) => why.clone(),
        (None, verdict) => verdict.sentence(),
    };
    html! {
        article.card.(class) {
            p.where {
                (badge(&machine.verdict)) " "
                @if let NodeVerdict::Fail { stage, .. } = &machine.verdict {
                    "at " b.stage { (stage) }
                }
                @if let Some(seconds) = machine.seconds { " after " (format::seconds(seconds)) }
            }
            h3 { a href={ "#" (machine.anchor) } { (machine.name) } " " small { (unit.name) } }
            p.why { (shorten(&sentence(&why), MOST_CHARS)) }
            @if let Some(best) = best {
                p.remedy { b { "Try" } " " (shorten(&ended(&clean(&best.remedy)), MOST_CHARS)) }
            }
        }
    }
}

/// Renders the table of all machines.
pub(super) fn table(page: &Page) -> Markup {
    let longest = page
        .machines()
        .filter_map(|(_, machine)| machine.seconds)
        .fold(1.0, f64::max);
    html! {
        section aria-labelledby="machines" {
            h2 #machines { "Machines" }
            p.phases aria-hidden="true" {
                span.network { "network boot" }
                span.system { "kernel and system" }
                span.config { "config and checks" }
            }
            table {
                thead.unseen { tr { th { "machine" } th { "verdict" } th { "course" } th { "time" } } }
                @for unit in &page.units {
                    tbody {
                        tr.unit { th colspan="4" scope="rowgroup" { (unit.name) " " small { (unit.summary) } } }
                        @for machine in unit.attempts.last().iter().flat_map(|attempt| &attempt.machines) {
                            (line(machine, longest))
                        }
                    }
                }
            }
        }
    }
}

fn line(machine: &Machine, longest: f64) -> Markup {
    html! {
        tr {
            td { a href={ "#" (machine.anchor) } { (machine.name) } }
            td {
                (badge(&machine.verdict))
                @if let NodeVerdict::Fail { stage, .. } = &machine.verdict { " " small { "at " (stage) } }
            }
            td.course { (course(machine, longest)) }
            td.time { @if let Some(seconds) = machine.seconds { (format::seconds(seconds)) } @else { "–" } }
        }
    }
}

/// Renders a boot as three spans of time, on one scale for all machines.
fn course(machine: &Machine, longest: f64) -> Markup {
    let Some((timeline, seconds)) = machine.timeline.as_ref().zip(machine.seconds) else {
        return html! {};
    };
    let zero_us = machine.zero_us();
    let at = |name| {
        let stage = timeline.stage(name)?;
        Some(seconds_between(zero_us, stage.start_us).clamp(0.0, seconds))
    };
    let kernel = at(StageName::KernelUp).unwrap_or(seconds);
    let system = at(StageName::UserlandUp).unwrap_or(seconds).max(kernel);
    let stretches = [
        ("network", 0.0, kernel),
        ("system", kernel, system),
        ("config", system, seconds),
    ];
    let percent = |value: f64| format!("{:.2}%", value / longest * 100.0);
    html! {
        svg aria-hidden="true" height="10" {
            @for (class, from, to) in stretches {
                @if to > from {
                    rect.(class) x=(percent(from)) width=(percent(to - from)) y="1" height="8" {}
                }
            }
        }
    }
}
