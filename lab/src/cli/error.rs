//! Error of a command: its text, and the exit code.

use lab_model::untrusted::plain;
use lab_report::exit_code::ExitCode;

/// Error of a command, with its exit code.
pub(super) struct CliError {
    pub(super) code: ExitCode,
    pub(super) message: String,
}

impl CliError {
    /// Prints the error and returns the exit code.
    pub(super) fn tell(self) -> ExitCode {
        // Problems in files were already reported by the readers.
        if !self.message.is_empty() {
            eprintln!("{}", plain(&self.message));
        }
        self.code
    }
}

pub(super) fn refuse(code: ExitCode, message: impl std::fmt::Display) -> CliError {
    CliError {
        code,
        message: format!("lab: {message}"),
    }
}
