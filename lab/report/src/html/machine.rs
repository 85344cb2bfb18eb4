//! Section of one machine: verdict, causes, packets, stages, checks and console.

use lab_model::timeline::StageName;
use lab_model::verdict::NodeVerdict;
use maud::{Markup, html};

use super::link::{files, href};
use super::overview::badge;
use super::text::clean;
use super::view::{AttemptView, Machine, Page, UnitView};
use super::{checks, console, findings, sequence, services, stages};
use crate::format;

/// Renders every unit with its machines.
pub(super) fn units(page: &Page) -> Markup {
    html! {
        @for unit in &page.units {
            section.unit {
                h2 { (unit.name) }
                p.summary { (unit.summary) }
                @for attempt in unit.attempts.iter().rev() { (attempt_of(unit, attempt)) }
            }
        }
    }
}

fn attempt_of(unit: &UnitView, attempt: &AttemptView) -> Markup {
    html! {
        @if unit.attempts.len() > 1 {
            h3.attempt { "Attempt " (attempt.number) " of " (unit.attempts.len()) }
        }
        @if let Some(why) = &attempt.unreadable {
            p.none { "Cannot show the evidence: " (clean(why)) }
        }
        @for machine in &attempt.machines { (details(machine)) }
        (files(&attempt.links))
    }
}

fn details(machine: &Machine) -> Markup {
    let passed = matches!(
        machine.verdict,
        NodeVerdict::Pass | NodeVerdict::Skipped { .. }
    );
    html! {
        details.machine id=(machine.anchor) open[!passed] {
            summary {
                span.name { (machine.name) }
                " " (badge(&machine.verdict))
                @if let NodeVerdict::Fail { stage, .. } = &machine.verdict { " " span.at { "at " (stage) } }
                @if let Some(seconds) = machine.seconds { " " span.time { (format::seconds(seconds)) } }
            }
            dl.facts {
                @for (name, value) in &machine.facts { div { dt { (name) } dd { code { (value) } } } }
            }
            (verdict(machine))
            @if !machine.findings.is_empty() {
                h4 { "Why" }
                (findings::findings(machine))
            }
            @if machine.timeline.is_some() {
                h4 { "On the wire" }
                (sequence::diagram(machine))
                (checks::checks(machine))
                h4 { "Stages" }
                (stages::chart(machine))
                h4 { "Serial console" }
                (console::console(machine))
                @if !machine.services.is_empty() {
                    h4 { "Services" }
                    (services::logs(machine))
                }
            }
            @if let Some(picture) = &machine.screenshot {
                h4 { "Screen" }
                img.screen src=(href(picture)) loading="lazy" alt={ "screenshot of " (machine.name) " at the end" };
            }
            (files(&machine.links))
        }
    }
}

/// Renders the verdict's details, if there are any.
fn verdict(machine: &Machine) -> Markup {
    let stopped = machine
        .timeline
        .as_ref()
        .and_then(|timeline| timeline.gave_up.as_ref());
    html! {
        @match &machine.verdict {
            NodeVerdict::Pass => {
                @if !machine.not_proven.is_empty() {
                    div.verdict {
                        dl {
                            dt { "Not proven" }
                            dd { ul { @for one in &machine.not_proven { li { (clean(one)) } } } }
                        }
                    }
                }
            },
            NodeVerdict::Fail { stage, waited_for, why, missing } => {
                div.verdict {
                    dl {
                        dt { "Stopped at" } dd { b.stage { (stage) } }
                        dt { "Waiting for" } dd { (clean(waited_for)) }
                        dt { "Reason" } dd { (clean(why)) }
                        // Failed checks are shown side by side below.
                        @if *stage != StageName::Checks && missing.iter().any(|one| one != waited_for && one != why) {
                            dt { "Missing" }
                            dd { ul { @for one in missing { li { (clean(one)) } } } }
                        }
                        @if let Some(reason) = stopped { dt { "Stopped because" } dd { (clean(&reason.to_string())) } }
                    }
                }
            }
            other => p.verdict { (findings::sentence(&other.sentence())) },
        }
    }
}
