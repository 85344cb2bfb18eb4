//! Parsers of texts that several tables have.

use super::access::FileMode;
use super::problem::Wrong;

/// Rejects an empty text.
pub(super) fn filled(text: &str, key: &str) -> Result<String, Wrong> {
    if text.trim().is_empty() {
        return Err(Wrong::new(
            format!("`{key}` is empty"),
            "write one sentence",
        ));
    }
    Ok(text.trim().to_owned())
}

/// Parses a name that is safe in file names, domain names and on a command line.
pub(super) fn word(text: &str, what: &str) -> Result<String, Wrong> {
    let sound = text
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if sound && (1..=32).contains(&text.len()) && !text.starts_with('-') {
        return Ok(text.to_owned());
    }
    let what = format!("invalid {what}: `{text}`");
    Err(Wrong::new(
        what,
        "use 1 to 32 lowercase letters, digits and hyphens, e.g. `node1`",
    ))
}

/// Parses the mode of a file.
pub(super) fn file_mode(text: &str) -> Result<FileMode, Wrong> {
    text.parse::<FileMode>().map_err(|error| {
        Wrong::new(
            error.to_string(),
            "use three or four octal digits, e.g. `0644`",
        )
    })
}
