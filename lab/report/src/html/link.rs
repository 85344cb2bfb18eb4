//! Ids within the page and links to files of the run.

use std::path::{Component, Path};

use maud::{Markup, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::view::{Link, Machine};

/// Characters to escape in a path (RFC 3986 §3.3), including the colon, so that no file name becomes a URL
/// scheme.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'@')
    .remove(b'/');

/// Returns the `href` value of a path relative to the page.
pub(super) fn href(path: &Path) -> String {
    let names: Vec<String> = path
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_string_lossy()),
            _ => None,
        })
        .map(|name| utf8_percent_encode(&name, IN_PATH).to_string())
        .collect();
    names.join("/")
}

/// Returns the id of a row in a machine's diagram.
pub(super) fn row_id(machine: &Machine, index: usize) -> String {
    format!("{}-r{index}", machine.anchor)
}

/// Renders links to files on one line.
pub(super) fn files(links: &[Link]) -> Markup {
    html! {
        @if !links.is_empty() {
            ul.files {
                @for link in links {
                    li { a href=(href(&link.path)) { (link.text) } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_of_a_file_leads_out_of_the_run_or_becomes_a_scheme() {
        let told = |path: &str| href(Path::new(path));
        assert_eq!(
            told("a@bios/attempt-1/x.pcapng"),
            "a@bios/attempt-1/x.pcapng"
        );
        assert_eq!(told("javascript:alert(1)"), "javascript%3Aalert%281%29");
        assert_eq!(told("/etc/../passwd"), "etc/passwd");
        assert_eq!(told("a#2/b?c \"d\""), "a%232/b%3Fc%20%22d%22");
    }
}
