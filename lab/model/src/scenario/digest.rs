//! SHA-256 of a file, as written in `scenario.toml`.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// Number of hexadecimal digits in a SHA-256.
const DIGITS: usize = 64;

/// SHA-256 of 64 lowercase hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sha256Hex(String);

impl Sha256Hex {
    /// Returns the digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Text that is not a SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid SHA-256: `{0}`")]
pub struct Sha256Error(String);

impl FromStr for Sha256Hex {
    type Err = Sha256Error;

    fn from_str(text: &str) -> Result<Self, Sha256Error> {
        let is_sound = text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_sound {
            Ok(Sha256Hex(text.to_ascii_lowercase()))
        } else {
            Err(Sha256Error(text.into()))
        }
    }
}

impl fmt::Display for Sha256Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Sha256Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_of_64_hexadecimal_digits_is_kept_in_lowercase() {
        let digits = "AB".repeat(32);
        let parsed: Sha256Hex = digits.parse().unwrap();
        assert_eq!(parsed.as_str(), "ab".repeat(32));
    }

    #[test]
    fn sha256_of_another_length_or_alphabet_is_refused() {
        for wrong in [
            "",
            "ab",
            &"ab".repeat(33),
            &"xy".repeat(32),
            &"é".repeat(32),
        ] {
            assert!(wrong.parse::<Sha256Hex>().is_err(), "{wrong}");
        }
    }
}
