//! YAML as the reference's Go library reads it, with the place of an error.

use serde::de::DeserializeOwned;
use serde_saphyr::options::NonFiniteFloatPolicy;
use serde_saphyr::{DuplicateKeyPolicy, Location};

/// Text that is not the YAML that was wanted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidYaml {
    /// Problem in one sentence, without its place.
    pub message: String,
    /// Line, counted from 1; 0 when unknown.
    pub line: usize,
    /// Column, counted from 1; 0 when unknown.
    pub column: usize,
}

/// Handling of a key that occurs twice in one mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DuplicateKeys {
    /// A duplicate key is an error: in files whose meaning this project defines.
    Refuse,
    /// The last one counts, as with Go's YAML library of 2016: in files handed on to others.
    LastCounts,
}

/// Reads one YAML document.
///
/// # Errors
/// Bad syntax, a shape that `T` is not, or (with [`DuplicateKeys::Refuse`]) a key given twice.
pub fn parse<T: DeserializeOwned>(text: &str, keys: DuplicateKeys) -> Result<T, InvalidYaml> {
    let options = options(keys, false);
    serde_saphyr::from_str_with_options(text, options).map_err(|error| InvalidYaml::of(&error))
}

/// Reads the first YAML document of a text that is handed on as it is; documents behind it are not used, but have
/// to be YAML. A `!!binary` value stays base64, because what it decodes to need not be text.
///
/// # Errors
/// Bad syntax.
pub fn parse_handed_on(text: &str) -> Result<serde_json::Value, InvalidYaml> {
    let options = options(DuplicateKeys::LastCounts, true);
    let documents = serde_saphyr::from_multiple_with_options(text, options);
    let documents: Vec<serde_json::Value> = documents.map_err(|error| InvalidYaml::of(&error))?;
    Ok(documents.into_iter().next().unwrap_or_default())
}

fn options(keys: DuplicateKeys, is_handed_on: bool) -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: budget(),
        duplicate_keys: match keys {
            DuplicateKeys::Refuse => DuplicateKeyPolicy::Error,
            DuplicateKeys::LastCounts => DuplicateKeyPolicy::LastWins,
        },
        legacy_octal_numbers: true,
        ignore_binary_tag_for_string: is_handed_on,
        non_finite_float_policy: match is_handed_on {
            true => NonFiniteFloatPolicy::AsString,
            false => NonFiniteFloatPolicy::Reject,
        },
        with_snippet: false,
    }
}

impl InvalidYaml {
    fn of(error: &serde_saphyr::Error) -> InvalidYaml {
        let (line, column) = error.location().map_or((0, 0), |at| place(&at));
        InvalidYaml {
            message: error.without_snippet().to_string(),
            line,
            column,
        }
    }
}

/// Returns line and column of a place, counted from 1.
pub fn place(at: &Location) -> (usize, usize) {
    let number = |n: u64| usize::try_from(n).unwrap_or_default();
    (number(at.line()), number(at.column()))
}

/// Maximum nesting of lists and mappings, because reading them takes stack.
const MAX_DEPTH: usize = 64;

/// A large inventory is no attack, so that only its depth is limited here; what aliases stand for stays
/// limited on its own, and the file's size where it is read.
fn budget() -> Option<serde_saphyr::Budget> {
    const ANY: usize = usize::MAX;
    serde_saphyr::budget! {
        max_depth: MAX_DEPTH,
        max_reader_input_bytes: None,
        max_events: ANY,
        max_aliases: ANY,
        max_anchors: ANY,
        max_nodes: ANY,
        max_total_scalar_bytes: ANY,
        max_merge_keys: ANY,
        enforce_alias_anchor_ratio: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_tells_line_and_column() {
        let error = parse::<serde_json::Value>("a: 1\nb: [\n", DuplicateKeys::Refuse).unwrap_err();
        assert!(error.line >= 2 && error.column >= 1, "{error:?}");
    }

    #[test]
    fn a_key_given_twice_is_refused_or_the_last_counts() {
        let text = "a: 1\na: 2\n";
        let refused = parse::<serde_json::Value>(text, DuplicateKeys::Refuse).unwrap_err();
        assert_eq!(refused.line, 2, "{refused}");
        let last = parse::<serde_json::Value>(text, DuplicateKeys::LastCounts).unwrap();
        assert_eq!(last, serde_json::json!({"a": 2}));
    }

    #[test]
    fn text_that_is_handed_on_is_its_first_document() {
        for text in ["a: 1\n---\nb: 2\n", "a: 1\n---\n- x\n---\n", "a: 1\n"] {
            assert_eq!(parse_handed_on(text), Ok(serde_json::json!({"a": 1})));
        }
        assert_eq!(parse_handed_on("# c\n"), Ok(serde_json::Value::Null));
        assert!(parse_handed_on("a: .inf\nb: 1e999\n").is_ok());
        assert!(parse_handed_on("a: 1\n---\nb: [\n").is_err());
    }

    #[test]
    fn booleans_are_those_of_yaml_1_1() {
        let value: serde_json::Value =
            parse("[yes, off, true, \"yes\", 0755]", DuplicateKeys::Refuse).unwrap();
        assert_eq!(value, serde_json::json!([true, false, true, "yes", 493]));
    }

    #[test]
    fn what_lies_too_deep_is_refused_and_does_not_end_the_program() {
        for (open, close) in [("[", "]"), ("{a: ", "}")] {
            let deep = |depth| format!("{}{}", open.repeat(depth), close.repeat(depth));
            for depth in [MAX_DEPTH + 1, 200, 100_000] {
                let read = parse::<serde_json::Value>(&deep(depth), DuplicateKeys::Refuse);
                assert!(read.is_err(), "{depth}");
            }
            parse::<serde_json::Value>(&deep(MAX_DEPTH - 1), DuplicateKeys::Refuse).unwrap();
        }
        let block: String = (0..10_000)
            .map(|depth| " ".repeat(depth) + "- - -\n")
            .collect();
        assert!(parse::<serde_json::Value>(&block, DuplicateKeys::Refuse).is_err());
    }
}
