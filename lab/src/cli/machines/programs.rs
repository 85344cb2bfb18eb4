//! Programs that are installed beside `lab`.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Reason why a program of the lab is missing.
#[derive(Debug, Error)]
pub(super) enum ProgramError {
    /// The folder of the programs is unknown.
    #[error("cannot find our own executable: {0}")]
    Own(#[source] io::Error),
    /// The program was not built or installed.
    #[error("program not found: {}; build it with `cargo build --workspace`", .0.display())]
    NotFound(PathBuf),
}

/// Returns the program of this name next to our own executable.
///
/// # Errors
/// [`ProgramError::NotFound`] if there is none.
pub(super) fn sibling(name: &str) -> Result<PathBuf, ProgramError> {
    let own = std::env::current_exe().map_err(ProgramError::Own)?;
    let path = own.with_file_name(name);
    match path.exists() {
        true => Ok(path),
        false => Err(ProgramError::NotFound(path)),
    }
}
