//! Checks inside the machine; failed ones show expected and actual values side by side.

use lab_model::timeline::CheckSeen;
use maud::{Markup, html};
use similar::{ChangeTag, TextDiff};

use super::text::{clean, shorten};
use super::view::Machine;
use crate::format::count;

/// Maximum length of one side, in characters.
const MOST_CHARS: usize = 4000;

/// Renders the checks of a machine; empty if none were made.
pub(super) fn checks(machine: &Machine) -> Markup {
    let checks = machine
        .timeline
        .iter()
        .flat_map(|timeline| &timeline.checks);
    let (held, differing): (Vec<&CheckSeen>, Vec<&CheckSeen>) =
        checks.partition(|check| check.holds);
    html! {
        @if !(held.is_empty() && differing.is_empty()) {
            h4 { "Inside the machine" }
            @for check in &differing { (difference(check)) }
            @if !held.is_empty() {
                details.more {
                    summary { (count(held.len(), "check holds", "checks hold")) }
                    ul.seen {
                        @for check in &held {
                            li.good {
                                span { "✓ " (clean(&check.check)) ": " code { (shorten(&clean(&check.expected), 200)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn difference(check: &CheckSeen) -> Markup {
    let expected = shorten(&clean(&check.expected), MOST_CHARS);
    let found = shorten(&clean(&check.found), MOST_CHARS);
    let diff = TextDiff::from_words(&expected, &found);
    html! {
        div.diff {
            h5 { "✗ " (clean(&check.check)) " differs" }
            div.sides {
                figure {
                    figcaption { "expected" }
                    (side(&diff, ChangeTag::Delete))
                }
                figure {
                    figcaption { "found" }
                    (side(&diff, ChangeTag::Insert))
                }
            }
        }
    }
}

/// Renders one side of the difference, with its own parts marked.
fn side<'t>(diff: &TextDiff<'t, 't, 't, str>, own: ChangeTag) -> Markup {
    let changes: Vec<(ChangeTag, &str)> = diff
        .iter_all_changes()
        .filter(|change| [ChangeTag::Equal, own].contains(&change.tag()))
        .map(|change| (change.tag(), change.value()))
        .collect();
    html! {
        pre {
            @if changes.is_empty() { span.none { "(nothing)" } }
            @for (tag, text) in changes {
                @match tag {
                    ChangeTag::Delete => del { (text) },
                    ChangeTag::Insert => ins { (text) },
                    ChangeTag::Equal => (text),
                }
            }
        }
    }
}
