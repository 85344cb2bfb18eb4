//! No function outside of tests has a text as its error: an error is a type, and its text is rendered from it.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders with code of tests, or without code of ours.
const NOT_COVERED: [&str; 4] = ["tests", "fuzz", "target", "test-support"];

/// Ends of the names of files with tests.
const TEST_FILES: [&str; 3] = ["tests.rs", "fixture.rs", "testing.rs"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_hidden = name.starts_with('.');
        if path.is_dir() {
            if !is_hidden && !NOT_COVERED.contains(&&*name) {
                sources(&path, found);
            }
        } else if name.ends_with(".rs") && !TEST_FILES.iter().any(|end| name.ends_with(end)) {
            found.push(path);
        }
    }
}

/// Returns the code of a file, without the tests at its end.
fn code(text: &str) -> &str {
    let tests = "#[cfg(test)]\nmod tests {";
    text.split(tests).next().unwrap_or_default()
}

/// Returns the last of several arguments in angle brackets, the first of which begins `text`.
fn last_argument(text: &str) -> Option<&str> {
    let mut arguments = Vec::new();
    let (mut depth, mut start) = (0, 0);
    let mut before = ' ';
    for (at, letter) in text.char_indices() {
        match letter {
            // Not the arrow of a function.
            '>' if before == '-' => {}
            '<' | '(' | '[' => depth += 1,
            ',' | '>' if depth == 0 => {
                arguments.push(text.get(start..at)?.trim());
                start = at + 1;
            }
            '>' | ')' | ']' => depth -= 1,
            _ => {}
        }
        if letter == '>' && depth == 0 && start == at + 1 {
            break;
        }
        before = letter;
    }
    // A list may end with a comma.
    arguments.retain(|argument| !argument.is_empty());
    (arguments.len() > 1).then(|| arguments.last().copied())?
}

/// True if the code has a result, or an implementation of `FromStr` or `TryFrom`, with a text as its error.
fn has_text_as_error(code: &str) -> bool {
    let mut results = code.match_indices("Result<");
    results.any(|(at, found)| {
        let error = code.get(at + found.len()..).and_then(last_argument);
        error == Some("String")
    }) || code.contains("type Err = String;")
        || code.contains("type Error = String;")
}

#[test]
fn errors_are_types() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = Vec::new();
    for folder in ["boot-server", "images", "lab", "ci"] {
        sources(&root.join(folder), &mut files);
    }
    assert!(files.len() > 300, "{}", files.len());
    let with_text = files.iter().filter_map(|file| {
        let name = file.strip_prefix(&root).ok()?.to_str()?;
        let text = fs::read_to_string(file).expect("source is UTF-8");
        has_text_as_error(code(&text)).then(|| name.to_owned())
    });
    let with_text: Vec<String> = with_text.collect();
    let none: [&str; 0] = [];
    assert_eq!(with_text, none, "`Result<_, String>`: write an error enum");
}

#[test]
fn text_as_error_is_found_wherever_it_stands() {
    for code in [
        "fn f() -> Result<(), String> {",
        "fn f() -> Result<Vec<(u8, String)>, String>;",
        "type F = Arc<dyn Fn(&str) -> Result<String, String> + Send>;",
        "served: BTreeMap<Id, Result<Text, String>>,",
        "async fn f() -> Result<\n    Done,\n    String,\n>",
        "type Err = String;",
    ] {
        assert!(has_text_as_error(code), "{code}");
    }
    for code in [
        "fn f() -> Result<String, Error> {",
        "fn f() -> Result<(Vec<u8>, String), Error> {",
        "fn f() -> io::Result<String> {",
        "fn f() -> Result<impl Fn(u8) -> String, Error> {",
    ] {
        assert!(!has_text_as_error(code), "{code}");
    }
}
