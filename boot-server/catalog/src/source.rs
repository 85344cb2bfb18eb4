//! Location of a data directory.

use std::path::PathBuf;

use super::ignition::IgnitionMode;
use super::layout::Layout;

/// Location of a data directory, and the layout if it is configured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// Path of the data directory.
    pub root: PathBuf,
    /// The groups file of the bootcfg layout, when it is not `<root>/config.yaml`.
    pub groups_file: Option<PathBuf>,
    /// Configured layout; detected from the directory when absent.
    pub layout: Option<Layout>,
    /// Treatment of Ignition configs in matchbox's layout; by each config's language when absent.
    pub ignition: Option<IgnitionMode>,
}

impl Source {
    /// Returns the source of a directory, whose layout is detected, or of a bootcfg groups file, which lies in
    /// its directory under any name.
    pub fn of(path: impl Into<PathBuf>) -> Source {
        let path = path.into();
        let is_yaml = path
            .extension()
            .is_some_and(|end| end == "yaml" || end == "yml");
        match path.parent() {
            Some(folder) if is_yaml && path.is_file() => Source {
                root: match folder.as_os_str().is_empty() {
                    true => PathBuf::from("."),
                    false => folder.to_owned(),
                },
                groups_file: Some(path),
                layout: Some(Layout::Bootcfg),
                ignition: None,
            },
            _ => Source {
                root: path,
                ..Source::default()
            },
        }
    }

    /// Returns the groups file of the bootcfg layout.
    pub fn groups_path(&self) -> PathBuf {
        let beside = || self.root.join("config.yaml");
        self.groups_file.clone().unwrap_or_else(beside)
    }
}
