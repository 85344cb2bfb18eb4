//! Programs that are installed beside `lab`.

use std::path::PathBuf;

/// Returns the program of this name next to our own executable.
pub(super) fn sibling(name: &str) -> Result<PathBuf, String> {
    let ours = std::env::current_exe()
        .map_err(|error| format!("cannot find our own executable: {error}"))?;
    let path = ours.with_file_name(name);
    if path.exists() {
        Ok(path)
    } else {
        Err(format!(
            "program not found: {}; build it with `cargo build --workspace`",
            path.display()
        ))
    }
}
