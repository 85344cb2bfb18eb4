//! Formatting of machine output for the page; escaping is done by the templates.

use crate::format::seconds_between;
pub(super) use lab_model::untrusted::plain as clean;

/// Formats a time in seconds since power-on: `12.345`.
pub(super) fn time(zero_us: u64, at_us: u64) -> String {
    format!("{:.3}", seconds_between(zero_us, at_us))
}

/// Truncates a text to this many characters, with an ellipsis.
pub(super) fn shorten(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_ends_in_an_ellipsis() {
        assert_eq!(shorten("übermäßig", 4), "über…");
        assert_eq!(shorten("kurz", 4), "kurz");
    }
}
