//! Ids and names of gRPC clients, and the files of the data directory that they mean.
//!
//! matchbox joins them to a path as they are, so that a client can read, write and remove files outside of the folder
//! of their kind, and outside of the data directory.

use std::sync::Arc;

/// Longest name of a file in bytes (`NAME_MAX`).
const MAX_NAME_LEN: usize = 255;
/// Longest path in the data directory in bytes. The rest of `PATH_MAX` is for the directory's own path.
const MAX_PATH_LEN: usize = 1024;

/// Kinds of stored objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Machines that boot alike.
    Group,
    /// Way in which machines boot.
    Profile,
    /// An Ignition config.
    Ignition,
    /// Any other config.
    Generic,
}

impl Kind {
    /// Returns the folder of the files.
    pub fn folder(self) -> &'static str {
        match self {
            Kind::Group => "groups",
            Kind::Profile => "profiles",
            Kind::Ignition => "ignition",
            Kind::Generic => "generic",
        }
    }

    /// Returns the end of the files' names, which is not part of an id.
    fn suffix(self) -> &'static str {
        match self {
            Kind::Group | Kind::Profile => ".json",
            Kind::Ignition | Kind::Generic => "",
        }
    }

    /// Returns the path of an object's file in the data directory.
    ///
    /// # Errors
    /// [`InvalidName`].
    pub fn file(self, name: &str) -> Result<Arc<str>, InvalidName> {
        let path = format!("{}/{name}{}", self.folder(), self.suffix());
        if name.is_empty() {
            return Err(InvalidName::Empty);
        }
        if name.contains('\0') {
            return Err(InvalidName::Nul);
        }
        if self == Kind::Group && name.contains('/') {
            return Err(InvalidName::Folder(name.to_owned()));
        }
        let mut parts = path.split('/');
        if parts.clone().any(|part| part.is_empty()) || name.ends_with('/') {
            return Err(InvalidName::Outside(name.to_owned()));
        }
        if parts.clone().any(|part| matches!(part, "." | "..")) {
            return Err(InvalidName::Outside(name.to_owned()));
        }
        if parts.clone().any(|part| part.starts_with('.')) {
            return Err(InvalidName::Hidden(name.to_owned()));
        }
        if path.len() > MAX_PATH_LEN || parts.any(|part| part.len() > MAX_NAME_LEN) {
            return Err(InvalidName::TooLong(path.len()));
        }
        Ok(path.into())
    }
}

/// Reasons that an id or name means no file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Nothing.
    #[error("missing id or name")]
    Empty,
    /// A NUL byte, which the kernel takes for the end.
    #[error("invalid name: it has a NUL byte")]
    Nul,
    /// Longer than a file's name or path can be.
    #[error("invalid name: too long ({0} bytes with its folder)")]
    TooLong(usize),
    /// A path that leads elsewhere.
    #[error("invalid name: `{0}` leads out of the folder of its kind")]
    Outside(String),
    /// A group in a folder.
    #[error("invalid id: `{0}` (groups are not read from folders in `groups`)")]
    Folder(String),
    /// A hidden file.
    #[error("invalid name: `{0}` (hidden files are not read)")]
    Hidden(String),
}

impl InvalidName {
    /// True if matchbox refuses the name, too.
    pub fn is_refused_by_matchbox(&self) -> bool {
        match self {
            InvalidName::Empty | InvalidName::Nul | InvalidName::TooLong(_) => true,
            InvalidName::Outside(_) | InvalidName::Folder(_) | InvalidName::Hidden(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Kind; 4] = [Kind::Group, Kind::Profile, Kind::Ignition, Kind::Generic];

    #[test]
    fn file_of_a_plain_name_is_in_the_folder_of_its_kind() {
        let files = ALL.map(|kind| kind.file("a b%2f*").unwrap().to_string());
        let expected = [
            "groups/a b%2f*.json",
            "profiles/a b%2f*.json",
            "ignition/a b%2f*",
            "generic/a b%2f*",
        ];
        assert_eq!(files, expected);
        assert_eq!(
            &*Kind::Ignition.file("rack1/a.ign").unwrap(),
            "ignition/rack1/a.ign"
        );
        let longest = "x".repeat(MAX_NAME_LEN - ".json".len());
        assert!(Kind::Group.file(&longest).is_ok());
        assert!(Kind::Group.file(&format!("{longest}x")).is_err());
    }

    #[test]
    fn name_that_leads_elsewhere_is_refused_for_each_kind() {
        for kind in ALL {
            for name in [
                "",
                ".",
                "..",
                "/",
                "//",
                "/etc/passwd",
                "../x",
                "../../x",
                "a/../b",
                "a/../../b",
                "a/./b",
                "a//b",
                "a/",
                "/a",
                "a\0b",
                ".hidden",
                "a/.hidden",
                "...",
            ] {
                assert!(kind.file(name).is_err(), "{kind:?} {name:?}");
            }
            for name in ["x".repeat(256), "a/".repeat(600) + "b"] {
                assert!(kind.file(&name).is_err(), "{kind:?} {name:?}");
            }
        }
        assert!(Kind::Group.file("a/b").is_err());
    }

    proptest::proptest! {
        #[test]
        fn file_of_any_accepted_name_stays_in_its_folder(name in "[./a\\\\ ~]{0,12}") {
            for kind in ALL {
                let Ok(file) = kind.file(&name) else { continue };
                let path = std::path::Path::new(&*file);
                let inside = path.strip_prefix(kind.folder()).unwrap();
                for part in inside.components() {
                    assert!(matches!(part, std::path::Component::Normal(_)), "{file}");
                }
            }
        }
    }
}
