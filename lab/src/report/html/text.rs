//! Text of machines made fit for a page. That it is escaped is the templates' work.

use crate::report::amounts::seconds_between;

/// A line without control sequences; other control characters become visible.
pub(super) fn clean(text: &str) -> String {
    // Stripping takes tabs away as well.
    let plain = strip_ansi_escapes::strip_str(text.replace('\t', "    "));
    plain
        .chars()
        .map(|letter| match letter {
            '\n' => letter,
            letter if letter.is_control() || is_direction(letter) => '\u{fffd}',
            letter => letter,
        })
        .collect()
}

/// Marks that turn the direction of text: a name must not change how the text around it reads.
fn is_direction(letter: char) -> bool {
    matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A moment in seconds since power-on: `12.345`.
pub(super) fn time(zero_us: u64, at_us: u64) -> String {
    format!("{:.3}", seconds_between(zero_us, at_us))
}

/// At most this many characters, with an ellipsis where some are missing.
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
    fn control_sequences_vanish_and_control_characters_show() {
        assert_eq!(clean("\x1b[32mOK\x1b[0m\tof\r"), "OK    of");
        assert_eq!(clean("a\u{7f}b\u{202e}c"), "a\u{fffd}b\u{fffd}c");
        assert_eq!(clean("<script>"), "<script>", "left to the template");
    }

    #[test]
    fn what_is_too_long_ends_in_an_ellipsis() {
        assert_eq!(shorten("übermäßig", 4), "über…");
        assert_eq!(shorten("kurz", 4), "kurz");
    }
}
