//! One self-contained page for a run: `index.html`.
//!
//! It is made from what lies in the run's folder and from nothing else, so that it can be made again. It
//! has no script and fetches nothing; whatever a machine said is text in it.

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
mod stages;
#[cfg(test)]
mod tests;
mod text;
pub mod view;

use maud::{DOCTYPE, PreEscaped, html};

use view::Page;

/// How everything looks; it holds no text of machines.
const STYLE: &str = include_str!("style.css");

/// What a browser may load for the page: pictures of the run's folder. Were a text of a machine ever taken
/// for markup, it could still run nothing and send nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' file:; base-uri 'none'; form-action 'none'";

/// The page as HTML.
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
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (sign) " run " (run.run_id) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (sequence::shapes())
                main {
                    (overview::header(page))
                    (overview::troubles(page))
                    (overview::table(page))
                    (rehearsal::unproven(page))
                    (machine::units(page))
                    footer {
                        p { "Everything above is made from the files of this folder: " a href="run.json" { "run.json" } ", "
                            a href="junit.xml" { "junit.xml" } ", " a href="events.jsonl" { "events.jsonl" } "." }
                        p { "Times are seconds since a machine's power-on; # is the number of a packet in the capture." }
                    }
                }
            }
        }
    };
    markup.into_string()
}
