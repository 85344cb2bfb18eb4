//! Why a machine failed: the causes that fit, best first, each with its evidence and what to try.

use maud::{Markup, html};

use super::link::row_id;
use super::text::{clean, time};
use super::view::Machine;
use crate::diagnosis::{Finding, Proof};

/// From this weight on, a cause was seen to happen; from the next on, it fits all that was seen.
const SEEN: u8 = 90;
const FITS: u8 = 60;

/// The causes for a machine's failure.
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

/// How sure a finding is, in words.
fn likelihood(weight: u8) -> &'static str {
    match weight {
        SEEN.. => "seen to happen",
        FITS.. => "fits what was seen",
        _ => "possible",
    }
}

/// A proof, linked to the packet that it is.
fn evidence(machine: &Machine, proof: &Proof) -> Markup {
    let when = proof.at_us.map(|at_us| time(machine.zero_us(), at_us));
    let row = proof.frame.and_then(|frame| machine.diagram.row_of(frame));
    html! {
        @if let Some(when) = when { span.t { (when) " s" } " " }
        (clean(&proof.text))
        @if let Some(frame) = proof.frame {
            " "
            @match row {
                Some(row) => a href={ "#" (row_id(machine, row)) } { "packet #" (frame) },
                None => span.t { "packet #" (frame) },
            }
        }
    }
}

/// With a full stop, where it ends in no other mark.
pub(super) fn ended(text: &str) -> String {
    let text = text.trim();
    if text.ends_with(['.', '!', '?', '…', ':', '`']) || text.is_empty() {
        text.to_owned()
    } else {
        format!("{text}.")
    }
}

/// With a capital letter and a full stop.
pub(super) fn sentence(text: &str) -> String {
    let text = clean(text);
    let text = text.trim();
    let mut letters = text.chars();
    let sentence: String = letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default();
    ended(&sentence)
}
