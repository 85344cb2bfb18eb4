//! What was checked inside the machine: for what differs, expected and found side by side.

use maud::{Markup, html};
use similar::{ChangeTag, TextDiff};

use super::text::{clean, shorten};
use super::view::Machine;
use crate::report::amounts::count;
use crate::timeline::CheckSeen;

/// Longest text of one side.
const MOST_CHARS: usize = 4000;

/// The checks of a machine; nothing when none was made.
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

/// One side of the difference; what only it has is marked.
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
