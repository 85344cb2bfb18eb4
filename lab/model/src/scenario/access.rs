//! Owner and permissions of a file, as written in `scenario.toml`.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// Permissions of a file, at most `0o7777`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileMode(u32);

impl FileMode {
    /// Returns the permission bits.
    pub fn bits(self) -> u32 {
        self.0
    }
}

/// Text that is not a file mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid file mode: `{0}`")]
pub struct FileModeError(String);

impl FromStr for FileMode {
    type Err = FileModeError;

    fn from_str(text: &str) -> Result<Self, FileModeError> {
        let octal = matches!(text.len(), 3 | 4) && text.bytes().all(|b| matches!(b, b'0'..=b'7'));
        u32::from_str_radix(text, 8)
            .ok()
            .filter(|_| octal)
            .map(FileMode)
            .ok_or_else(|| FileModeError(text.into()))
    }
}

impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl Serialize for FileMode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// User and group of a file, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub user: String,
    pub group: String,
}

/// Text that is not an owner.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid owner: `{0}`")]
pub struct OwnerError(String);

impl FromStr for Owner {
    type Err = OwnerError;

    fn from_str(text: &str) -> Result<Self, OwnerError> {
        let is_name = |name: &str| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        match text.split_once(':') {
            Some((user, group)) if is_name(user) && is_name(group) => Ok(Owner {
                user: user.into(),
                group: group.into(),
            }),
            _ => Err(OwnerError(text.into())),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.user, self.group)
    }
}

impl Serialize for Owner {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_has_three_or_four_octal_digits() {
        assert_eq!("0644".parse::<FileMode>().unwrap().bits(), 0o644);
        assert_eq!("600".parse::<FileMode>().unwrap().to_string(), "0600");
        for text in ["", "64", "0648", "00644", "+644", "rw-r--r--"] {
            assert!(text.parse::<FileMode>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_owner_names_user_and_group() {
        assert_eq!(
            "core:core".parse::<Owner>().unwrap().to_string(),
            "core:core"
        );
        for text in ["", "core", "core:", ":core", "core:core:core", "co re:core"] {
            assert!(text.parse::<Owner>().is_err(), "{text}");
        }
    }
}
