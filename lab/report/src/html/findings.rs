//! Causes of a machine's failure, best first, each with evidence and remedy.

use lab_model::diagnosis::{Finding, Proof};
use lab_model::evidence::packet::Frame;
use maud::{Markup, html};

use super::link::row_id;
use super::services;
use super::text::{clean, time};
use super::view::Machine;

/// Minimum weights: a cause that was observed, and one that fits all evidence.
const SEEN: u8 = 90;
const FITS: u8 = 60;

/// Renders the causes of a machine's failure.
pub(super) fn findings(machine: &Machine) -> Markup {
    html! {
        ol.findings {
            @for (rank, finding) in machine.findings.iter().enumerate() {
                (one(machine, finding, rank))
            }
        }
    }
}

fn one(machine: &Machine, finding: &Finding, rank: usize) -> Markup {
    html! {
        li.first[rank == 0] {
            p.cause {
                (sentence(&finding.sentence))
                " " span.weight title={ "weight " (finding.weight) " of 100" } { (likelihood(finding.weight)) }
            }
            p.remedy { b { "Try" } " " (ended(&clean(&finding.remedy))) }
            @if !finding.evidence.is_empty() {
                ul.evidence {
                    @for proof in &finding.evidence { li { (evidence(machine, proof)) } }
                }
            }
        }
    }
}

/// Describes the confidence in a finding.
fn likelihood(weight: u8) -> &'static str {
    match weight {
        SEEN.. => "observed",
        FITS.. => "consistent with the evidence",
        _ => "possible",
    }
}

/// Returns the text of a link to a packet.
fn numbered(frame: &Frame) -> String {
    let network = frame.network.as_deref();
    let network = network.map_or_else(String::new, |network| format!(" of {network}"));
    format!("packet #{}{network}", frame.number)
}

/// Renders a piece of evidence, linked to its packet.
fn evidence(machine: &Machine, proof: &Proof) -> Markup {
    let when = proof.at_us.map(|at_us| time(machine.zero_us(), at_us));
    let row = proof.frame.as_ref();
    let row = row.and_then(|frame| machine.diagram.row_of(frame));
    html! {
        @if let Some(when) = when { span.t { (when) " s" } " " }
        (clean(&proof.text))
        @if let Some((name, id)) = services::printed(machine, proof) {
            " " a href={ "#" (id) } { "log of " (name) }
        }
        @if let Some(frame) = &proof.frame {
            " "
            @match row {
                Some(row) => a href={ "#" (row_id(machine, row)) } { (numbered(frame)) },
                None => span.t { (numbered(frame)) },
            }
        }
    }
}

/// Adds a full stop if the text does not end in punctuation.
pub(super) fn ended(text: &str) -> String {
    let text = text.trim();
    if text.ends_with(['.', '!', '?', '…', ':', '`']) || text.is_empty() {
        text.to_owned()
    } else {
        format!("{text}.")
    }
}

/// Names of programs that are written in lower case at the start of a sentence, too.
const LOWER_CASE_NAMES: [&str; 6] = [
    "dnsmasq", "libvirt", "matchbox", "podman", "shim", "systemd",
];

/// Capitalises a text and adds a full stop. A name keeps its letters: `node1`, `undionly.kpxe`, `shim`.
pub(super) fn sentence(text: &str) -> String {
    let text = clean(text);
    let text = text.trim();
    let first_word = text.split_whitespace().next().unwrap_or_default();
    let is_word = first_word
        .trim_end_matches([',', ':', ';'])
        .chars()
        .all(char::is_alphabetic)
        && !LOWER_CASE_NAMES.contains(&first_word);
    let mut letters = text.chars();
    let sentence: String = match letters.next() {
        Some(first) if is_word => first.to_uppercase().chain(letters).collect(),
        _ => text.to_owned(),
    };
    ended(&sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentence_begins_with_a_capital_unless_with_a_name() {
        for (text, wanted) in [
            ("no DHCP server answered", "No DHCP server answered."),
            ("undionly.kpxe was loaded", "undionly.kpxe was loaded."),
            ("node2 restarted", "node2 restarted."),
            ("shim was loaded", "shim was loaded."),
            ("the unit `a` failed!", "The unit `a` failed!"),
            ("", ""),
        ] {
            assert_eq!(sentence(text), wanted);
        }
    }
}
