//! Section of a rehearsal: settings in the configs that no check covers, by machine.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::text::clean;
use super::view::Page;

/// Renders the section; empty for other runs, and if everything was checked.
pub(super) fn unproven(page: &Page) -> Markup {
    let Some(rehearsal) = &page.run.rehearsal else {
        return html! {};
    };
    // Settings shared by many machines appear once.
    let mut alike: BTreeMap<&[String], Vec<&str>> = BTreeMap::new();
    for (machine, things) in &rehearsal.unproven {
        alike.entry(things).or_default().push(machine);
    }
    html! {
        @if !alike.is_empty() {
            section aria-labelledby="unproven" {
                h2 #unproven { "Not checked" }
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
