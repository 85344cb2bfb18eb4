//! Unit files of systemd as go-systemd reads them, and its escaping of unit names.

use std::fmt::Write;

/// A text that is not a unit file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A section's name without its bracket.
    #[error("unable to find end of section")]
    SectionEnd,
    /// Text behind a section's name.
    #[error("found garbage after section name")]
    AfterSection,
    /// A line without `=`.
    #[error("unexpected newline encountered while parsing option name")]
    OptionName,
    /// A last line without `=`.
    #[error("EOF")]
    End,
}

/// Returns the name of the section of each option.
///
/// # Errors
/// The text is not a unit file.
pub(crate) fn option_sections(text: &str) -> Result<Vec<&str>, Invalid> {
    let mut sections = Vec::new();
    let mut section = None;
    let mut rest = text;
    loop {
        let Some(first) = rest.chars().next() else {
            return Ok(sections);
        };
        match (first, section) {
            ('[', _) => {
                let end = rest.find(']').ok_or(Invalid::SectionEnd)?;
                section = rest.get(1..end);
                let (garbage, after) = line(&rest[end + 1..]);
                if !garbage.trim().is_empty() {
                    return Err(Invalid::AfterSection);
                }
                rest = after;
            }
            ('#' | ';', _) => rest = after_comment(rest),
            (c, None) => rest = &rest[c.len_utf8()..],
            (c, Some(_)) if c.is_whitespace() => rest = &rest[c.len_utf8()..],
            (_, Some(name)) => {
                let end = rest.find(['=', '\n', '\r']).ok_or(Invalid::End)?;
                if !rest[end..].starts_with('=') {
                    return Err(Invalid::OptionName);
                }
                rest = after_value(&rest[end + 1..]);
                sections.push(name);
            }
        }
    }
}

/// Splits the first line off.
fn line(text: &str) -> (&str, &str) {
    text.split_once('\n').unwrap_or((text, ""))
}

/// A comment goes on behind a backslash at the end of its line.
fn after_comment(mut text: &str) -> &str {
    loop {
        let (comment, after) = line(text);
        let comment = comment.strip_suffix(' ').unwrap_or(comment);
        if !comment.ends_with('\\') || after.is_empty() {
            return after;
        }
        text = after;
    }
}

/// A value goes on behind a line with a backslash.
fn after_value(mut text: &str) -> &str {
    loop {
        let (value, after) = line(text);
        if !value.contains('\\') || after.is_empty() {
            return after;
        }
        text = after;
    }
}

/// Escapes a path as `systemd-escape --path` does.
pub(crate) fn escape_path(path: &str) -> String {
    let mut escaped = String::new();
    let mut is_start = true;
    let mut is_in_slashes = false;
    for byte in path.bytes() {
        if byte == b'/' {
            is_in_slashes = true;
            continue;
        }
        if is_in_slashes && !is_start {
            escaped.push('-');
        }
        is_in_slashes = false;
        let is_allowed = byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'_' | b'.');
        if is_allowed && !(is_start && byte == b'.') {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "\\x{byte:x}");
        }
        is_start = false;
    }
    if escaped.is_empty() {
        escaped.push('-');
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_of_options_are_found() {
        let text = "junk\n[Unit]\n# a \\\ncomment\nA=b \\\n c\n\n[Install]\nB=\n";
        assert_eq!(option_sections(text), Ok(vec!["Unit", "Install"]));
        assert_eq!(option_sections("[Service"), Err(Invalid::SectionEnd));
        assert_eq!(option_sections("[A]\nb\n"), Err(Invalid::OptionName));
        assert_eq!(option_sections("[A]\nb"), Err(Invalid::End));
        assert_eq!(option_sections(""), Ok(vec![]));
    }

    #[test]
    fn path_is_escaped_as_systemd_does() {
        for (path, escaped) in [
            ("/var/lib/a-b", "var-lib-a\\x2db"),
            ("/", "-"),
            ("//var//.a/", "var-.a"),
            ("/.a", "\\x2ea"),
        ] {
            assert_eq!(escape_path(path), escaped, "{path}");
        }
    }
}
