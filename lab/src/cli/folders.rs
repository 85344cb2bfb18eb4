//! Folder of the scenarios: the default, and the installed one.

use std::path::{Path, PathBuf};

/// Folder of the scenarios when none is named.
pub(super) const DEFAULT: &str = "scenarios";
/// Bundled scenarios of an installed `lab`, as seen from the folder of the program:
/// `/usr/share/netboot-lab/scenarios` for `/usr/lib/netboot-lab`.
const INSTALLED: &str = "../../share/netboot-lab/scenarios";

/// Returns the absolute path of the scenarios' folder, because cells and services have other working directories.
/// Without `--scenarios` and a folder `scenarios`, returns the folder of the installed scenarios.
pub(super) fn absolute(named: &Path) -> PathBuf {
    let nothing_named = named == Path::new(DEFAULT) && !named.exists();
    if let (true, Some(installed)) = (nothing_named, installed()) {
        return installed;
    }
    std::path::absolute(named).unwrap_or_else(|_| named.to_owned())
}

/// Returns the folder of the scenarios that were installed with this program, if they are there.
fn installed() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    program.parent()?.join(INSTALLED).canonicalize().ok()
}
