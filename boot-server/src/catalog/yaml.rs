//! YAML as the reference's Go library reads it, with the place of an error.

use serde::de::DeserializeOwned;
use serde_saphyr::DuplicateKeyPolicy;

/// Text that is not the YAML that was wanted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidYaml {
    /// What is wrong.
    pub message: String,
    /// Line, counted from 1; 0 when unknown.
    pub line: usize,
    /// Column, counted from 1; 0 when unknown.
    pub column: usize,
}

/// Whether a key that stands twice in one mapping is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DuplicateKeys {
    /// It is: in files that we own the meaning of.
    Refuse,
    /// The last one counts, as with Go's YAML library of 2016: in files handed on to others.
    LastCounts,
}

/// Reads one YAML document.
///
/// # Errors
/// Bad syntax, a shape that `T` is not, or (with [`DuplicateKeys::Refuse`]) a key given twice.
pub fn parse<T: DeserializeOwned>(text: &str, keys: DuplicateKeys) -> Result<T, InvalidYaml> {
    let options = serde_saphyr::options! {
        // Node budgets would refuse a large inventory; aliases stay limited on their own.
        budget: None,
        duplicate_keys: match keys {
            DuplicateKeys::Refuse => DuplicateKeyPolicy::Error,
            DuplicateKeys::LastCounts => DuplicateKeyPolicy::LastWins,
        },
        legacy_octal_numbers: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let location = error.location();
        let number = |n: u64| usize::try_from(n).unwrap_or_default();
        InvalidYaml {
            message: error.without_snippet().to_string(),
            line: location.map_or(0, |l| number(l.line())),
            column: location.map_or(0, |l| number(l.column())),
        }
    })
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
    fn booleans_are_those_of_yaml_1_1() {
        let value: serde_json::Value =
            parse("[yes, off, true, \"yes\", 0755]", DuplicateKeys::Refuse).unwrap();
        assert_eq!(value, serde_json::json!([true, false, true, "yes", 493]));
    }
}
