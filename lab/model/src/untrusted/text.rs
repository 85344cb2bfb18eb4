//! Sanitising of text from machines, captures and files for terminals, logs and pages.

/// Maximum length of an operating system command (`ESC ]`) that is removed as a whole, in characters.
const COMMAND_LIMIT: usize = 256;

/// Returns the text without terminal control sequences. Other control characters and bidirectional marks become
/// U+FFFD; line ends are kept and a tab becomes four spaces.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let after = &rest[letter.len_utf8()..];
        rest = match letter {
            '\u{1b}' => match sequence(after) {
                Some(behind) => behind,
                None => {
                    clean.push('\u{fffd}');
                    after
                }
            },
            '\n' => {
                clean.push('\n');
                after
            }
            '\t' => {
                clean.push_str("    ");
                after
            }
            // A Windows line end; `\r` alone would return to the start of the line.
            '\r' if after.is_empty() || after.starts_with('\n') => after,
            _ if is_unsafe(letter) => {
                clean.push('\u{fffd}');
                after
            }
            _ => {
                clean.push(letter);
                after
            }
        };
    }
    clean
}

/// Sanitises a text like [`plain`] for a single line: line ends become U+FFFD.
#[must_use]
pub fn plain_line(text: &str) -> String {
    plain(text).replace('\n', "\u{fffd}")
}

/// Escapes control characters and bidirectional marks in JSON, including those that JSON allows in strings.
#[must_use]
pub fn plain_json(json: &str) -> String {
    let mut clean = String::with_capacity(json.len());
    for letter in json.chars() {
        // Outside strings, JSON has no other control characters.
        if is_unsafe(letter) && !matches!(letter, '\n' | '\r' | '\t') {
            clean.push_str(&format!("\\u{:04x}", u32::from(letter)));
        } else {
            clean.push(letter);
        }
    }
    clean
}

/// True for control characters, including C1, and bidirectional marks (Unicode TR 9 §2).
fn is_unsafe(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{2028}' | '\u{2029}'
        )
        || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns the text behind a complete sequence that `ESC` began (ECMA-48 §5.4; OSC as in xterm).
fn sequence(after: &str) -> Option<&str> {
    let mut letters = after.char_indices();
    match letters.next()?.1 {
        '[' => {
            let (at, last) = letters.find(|(_, letter)| !matches!(letter, ' '..='?'))?;
            matches!(last, '@'..='~').then(|| &after[at + 1..])
        }
        ']' => {
            let (at, end) = letters
                .take(COMMAND_LIMIT)
                .find(|(_, letter)| letter.is_control())?;
            match end {
                '\u{7}' => Some(&after[at + 1..]),
                '\u{1b}' => after[at + 1..].strip_prefix('\\'),
                _ => None,
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_sequences_vanish_and_control_characters_show() {
        assert_eq!(plain("\x1b[32mOK\x1b[0m\tof\r"), "OK    of");
        assert_eq!(
            plain("a\u{7f}b\u{202e}c\u{9b}31m"),
            "a\u{fffd}b\u{fffd}c\u{fffd}31m"
        );
        assert_eq!(plain("\x1b]0;title\x07left\x1b]0;t\x1b\\!"), "left!");
        assert_eq!(plain("one\r\ntwo\rthree"), "one\ntwo\u{fffd}three");
        assert_eq!(plain("<script>"), "<script>");
    }

    #[test]
    fn plain_sequence_without_end_hides_nothing() {
        assert_eq!(plain("\x1b]0;title\nnext"), "\u{fffd}]0;title\nnext");
        assert_eq!(plain("\x1b[31"), "\u{fffd}[31");
        assert_eq!(plain("\x1bPq words"), "\u{fffd}Pq words");
        assert_eq!(plain("\x1b"), "\u{fffd}");
    }

    #[test]
    fn plain_line_has_no_line_end() {
        assert_eq!(plain_line("a\nERROR forged"), "a\u{fffd}ERROR forged");
    }

    #[test]
    fn plain_json_is_the_same_json() {
        let json = serde_json::to_string_pretty(&["\u{9b}31m\u{1b}[1m\u{202e}", "ü"]).unwrap();
        let clean = plain_json(&json);
        assert!(
            !clean
                .chars()
                .any(|letter| is_unsafe(letter) && letter != '\n')
        );
        let (one, other): (Vec<String>, Vec<String>) = (
            serde_json::from_str(&json).unwrap(),
            serde_json::from_str(&clean).unwrap(),
        );
        assert_eq!(one, other);
    }

    proptest! {
        #[test]
        fn plain_text_never_has_control_characters(text in "(\\PC|[\u{1b}\\[\\]\u{7}\u{9b}\r\n;0-9m])*") {
            let clean = plain(&text);
            prop_assert!(!clean.chars().any(|letter| is_unsafe(letter) && letter != '\n'));
            prop_assert_eq!(plain(&clean), clean);
        }
    }
}
