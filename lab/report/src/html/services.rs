//! Output of the user's services beside a machine: an excerpt of each log, around what the page refers to.

use std::collections::BTreeSet;

use lab_model::diagnosis::Proof;
use lab_model::evidence::OutputStream;
use lab_model::timeline::Stage;
use maud::{Markup, html};

use super::link::files;
use super::text::{clean, shorten, time};
use super::view::{Machine, ServiceLog};

/// Number of lines shown from the beginning and from the end.
const FIRST: usize = 3;
const LAST: usize = 20;
/// Number of lines shown before and after a line that the page refers to.
const AROUND: usize = 2;
/// Maximum length of a line, in characters.
const MOST_CHARS: usize = 240;

/// Renders the logs of the services.
pub(super) fn logs(machine: &Machine) -> Markup {
    let zero_us = machine.zero_us();
    html! {
        @for (number, service) in machine.services.iter().enumerate() {
            @let referred = referred(machine, service);
            @let shown = shown(service, &referred);
            details.more open[!referred.proofs.is_empty()] {
                summary { (service.title) ": " (service.lines.len()) " lines" }
                @if !service.lines.is_empty() {
                    // The block scrolls, so it must be reachable by keyboard.
                    div.console tabindex="0" role="group" aria-label={ "log of " (service.name) } {
                        @for (position, index) in shown.iter().enumerate() {
                            @let before = position.checked_sub(1).and_then(|at| shown.get(at));
                            @let gap = before.map_or(*index, |before| index - before - 1);
                            @if gap > 0 { p.gap { (gap) " lines omitted" } }
                            @if let Some(line) = service.lines.get(*index) {
                                @let is_bad = referred.proofs.contains(index);
                                (one(zero_us, line, &id(machine, number, *index), is_bad))
                            }
                        }
                    }
                }
                (files(&service.links))
            }
        }
    }
}

fn one(zero_us: u64, line: &(u64, OutputStream, String), id: &str, is_bad: bool) -> Markup {
    let (at_us, stream, text) = line;
    let text = shorten(&clean(text), MOST_CHARS);
    html! {
        div.line.bad[is_bad] id=(id) {
            span.t { (time(zero_us, *at_us)) }
            @if is_bad { mark { (text) } } @else { span { (text) } }
            small { (stream.name()) }
        }
    }
}

/// Lines of a log that the page refers to, by index.
#[derive(Debug, Default)]
struct Referred {
    proofs: BTreeSet<usize>,
    stages: BTreeSet<usize>,
}

fn referred(machine: &Machine, service: &ServiceLog) -> Referred {
    let proofs = machine.findings.iter().flat_map(|found| &found.evidence);
    let proofs = proofs.filter(|proof| proof.service.as_ref() == Some(&service.name));
    let stages = machine
        .timeline
        .iter()
        .flat_map(|timeline| &timeline.stages);
    Referred {
        proofs: proofs.filter_map(|proof| line_of(service, proof)).collect(),
        stages: stages
            .filter_map(|stage| first_in(service, stage))
            .collect(),
    }
}

/// Returns the indices of the lines worth reading.
fn shown(service: &ServiceLog, referred: &Referred) -> Vec<usize> {
    let count = service.lines.len();
    let mut shown: BTreeSet<usize> = (0..FIRST.min(count)).collect();
    shown.extend(count.saturating_sub(LAST)..count);
    for index in referred.proofs.iter().chain(&referred.stages) {
        shown.extend(index.saturating_sub(AROUND)..(index + AROUND + 1).min(count));
    }
    shown.into_iter().collect()
}

/// Returns the last line of a service at the time of a proof, which is the one that the proof quotes.
fn line_of(service: &ServiceLog, proof: &Proof) -> Option<usize> {
    let at_us = proof.at_us?;
    service
        .lines
        .iter()
        .rposition(|(line_us, ..)| *line_us == at_us)
}

/// Returns the first line of a service while a stage lasted.
fn first_in(service: &ServiceLog, stage: &Stage) -> Option<usize> {
    let last_us = stage.events.last().map(|event| event.at_us);
    let until_us = stage.end_us.max(last_us)?;
    let span = stage.start_us..=until_us;
    service
        .lines
        .iter()
        .position(|(at_us, ..)| span.contains(at_us))
}

/// Returns the service whose line a proof quotes, and the line's id.
pub(super) fn printed<'m>(machine: &'m Machine, proof: &Proof) -> Option<(&'m str, String)> {
    let name = proof.service.as_ref()?;
    let mut services = machine.services.iter().enumerate();
    let (number, service) = services.find(|(_, service)| service.name == *name)?;
    let index = line_of(service, proof)?;
    Some((&service.name, id(machine, number, index)))
}

/// Returns the services that printed something while a stage lasted, each with the id of its first such line.
pub(super) fn during<'m>(machine: &'m Machine, stage: &Stage) -> Vec<(&'m str, String)> {
    let services = machine.services.iter().enumerate();
    let lines = services.filter_map(|(number, service)| {
        let index = first_in(service, stage)?;
        Some((service.name.as_str(), id(machine, number, index)))
    });
    lines.collect()
}

fn id(machine: &Machine, service: usize, line: usize) -> String {
    format!("{}-s{service}-l{line}", machine.anchor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(lines: usize) -> ServiceLog {
        let line = |number: usize| {
            (
                number as u64,
                OutputStream::Stderr,
                format!("line {number}"),
            )
        };
        ServiceLog {
            name: "kea".into(),
            title: "kea (dhcp)".into(),
            lines: (0..lines).map(line).collect(),
            links: Vec::new(),
        }
    }

    #[test]
    fn shown_lines_are_the_first_the_last_and_those_around_what_is_referred_to() {
        let referred = Referred {
            proofs: [40].into(),
            stages: [42].into(),
        };
        let shown = shown(&log(100), &referred);
        let expected: Vec<usize> = (0..3).chain(38..45).chain(80..100).collect();
        assert_eq!(shown, expected);
        assert!(super::shown(&log(0), &Referred::default()).is_empty());
    }
}
