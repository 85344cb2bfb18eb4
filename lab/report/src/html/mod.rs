//! Self-contained page of a run: `index.html`.
//!
//! The page is made from the run's folder alone, so that it can be rebuilt. It has no scripts and loads nothing
//! from the network; all output of machines is escaped text.

#[cfg(test)]
mod browser;
mod checks;
mod console;
mod findings;
#[cfg(test)]
mod fixture;
pub mod gather;
mod link;
mod machine;
mod overview;
mod rehearsal;
mod sequence;
mod services;
mod stages;
#[cfg(test)]
mod tests;
mod text;
pub mod view;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use view::Page;

/// Style sheet; contains no output of machines.
const STYLE: &str = include_str!("style.css");

/// Content security policy: only images of the run's folder may be loaded. Even if output of a machine were
/// taken for markup, it could neither run nor send anything.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' file:; base-uri 'none'; form-action 'none'";

/// Renders the head of a page: style, policy and title.
pub(crate) fn head(title: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            meta http-equiv="Content-Security-Policy" content=(POLICY);
            title { (title) }
            style { (PreEscaped(STYLE)) }
        }
    }
}

/// Renders the page as HTML.
#[must_use]
pub fn render(page: &Page) -> String {
    let run = &page.run;
    let failed = run
        .nodes()
        .filter(|node| node.verdict.word() != "pass")
        .count();
    let sign = if failed == 0 { "✓" } else { "✗" };
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            (head(&format!("{sign} run {}", run.run_id)))
            body {
                (sequence::shapes())
                main {
                    (overview::header(page))
                    (overview::troubles(page))
                    (overview::table(page))
                    (rehearsal::unproven(page))
                    (machine::units(page))
                    footer {
                        p { "This page is made from the files in its folder: " a href="run.json" { "run.json" } ", "
                            a href="junit.xml" { "junit.xml" } ", " a href="events.jsonl" { "events.jsonl" } "." }
                        p { "Times are in seconds since the machine's power-on; # is a packet's number in the capture." }
                    }
                }
            }
        }
    };
    markup.into_string()
}
