//! Of a rehearsal: what its configs ask for that nobody looked at, machine by machine.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::text::clean;
use super::view::Page;

/// The section; empty for a run that is no rehearsal, or one that looked at everything.
pub(super) fn unproven(page: &Page) -> Markup {
    let Some(rehearsal) = &page.run.rehearsal else {
        return html! {};
    };
    // The same things of many machines stand once.
    let mut alike: BTreeMap<&[String], Vec<&str>> = BTreeMap::new();
    for (machine, things) in &rehearsal.unproven {
        alike.entry(things).or_default().push(machine);
    }
    html! {
        @if !alike.is_empty() {
            section aria-labelledby="unproven" {
                h2 #unproven { "What was not looked at" }
                dl.unproven {
                    @for (things, machines) in &alike {
                        dt { (machines.join(", ")) }
                        @for thing in things.iter() { dd { (clean(thing)) } }
                    }
                }
            }
        }
    }
}
