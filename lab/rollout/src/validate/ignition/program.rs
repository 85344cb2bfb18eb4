//! The `ignition-validate` program, where it is installed: the last word on configs of version 3.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Program name.
const NAME: &str = "ignition-validate";

/// Result of running `ignition-validate`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Program {
    /// The directory has no config of version 3.
    NotNeeded,
    /// The program is not installed.
    NotInstalled,
    /// The program was run.
    Ran {
        /// Path of the program.
        program: PathBuf,
        /// Number of configs checked.
        configs: usize,
        /// Number of configs skipped because of the limit.
        left_out: usize,
    },
}

/// Finds the program in the folders of a `PATH`.
pub(in crate::validate) fn find(path: Option<&std::ffi::OsStr>) -> Option<PathBuf> {
    let folders = path.map(std::env::split_paths).into_iter().flatten();
    // Debian puts it where no user looks for programs.
    let folders = folders.chain(["/usr/sbin", "/usr/lib/ignition"].map(PathBuf::from));
    folders
        .map(|folder| folder.join(NAME))
        .find(|program| program.is_file())
}

/// Runs the program on a config and returns its message; none when the config is valid.
pub(in crate::validate) fn run(program: &Path, text: &str) -> std::io::Result<Option<String>> {
    let mut child = Command::new(program)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // A program that ends before it has read all has said what it has to say.
        let _ = input.write_all(text.as_bytes());
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(None);
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let said: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    Ok(Some(said.join("; ")))
}

/// Returns the line and column in a message: `at $.storage.files.0.path, line 7 col 3`.
pub(in crate::validate) fn place(said: &str) -> Option<(usize, usize)> {
    let (_, rest) = said.split_once("line ")?;
    let number = |text: &str| -> Option<usize> {
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    };
    let column = rest.split_once("col ").and_then(|(_, rest)| number(rest));
    Some((number(rest)?, column.unwrap_or(1)))
}
