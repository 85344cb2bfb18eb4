//! Names of files as machines request them.

/// Requested TFTP file name without leading slashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named(String);

impl Named {
    pub(super) fn of(file: &str) -> Named {
        Named(file.trim_start_matches(['/', '\\']).to_owned())
    }
}
