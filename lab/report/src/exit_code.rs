//! Exit codes of `lab`, which scripts and CI jobs rely on; `docs/reference/exit-codes.md` lists them.

use std::process;

/// Exit code of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// Success.
    Ok,
    /// Internal error.
    Internal,
    /// Invalid usage or input.
    InvalidInput,
    /// No scenario, fault or lab was selected.
    NothingSelected,
    /// This host lacks a requirement.
    HostUnsupported,
    /// The lab's own set-up or a network failed; the tested machines are not to blame.
    SetUpFailed,
    /// A checked item failed, such as a machine, a data directory or an image.
    Failed,
    /// A machine passed only after a retry, which is not allowed.
    Flaky,
    /// Resources of a cell were left behind.
    Leaked,
    /// Interrupted by Ctrl-C or SIGTERM.
    Interrupted,
    /// Exit code of another program that the command ran, such as that of `lab exec`.
    Other(u8),
}

impl ExitCode {
    /// All codes of the lab itself.
    pub const ALL: [ExitCode; 10] = [
        ExitCode::Ok,
        ExitCode::Internal,
        ExitCode::InvalidInput,
        ExitCode::NothingSelected,
        ExitCode::HostUnsupported,
        ExitCode::SetUpFailed,
        ExitCode::Failed,
        ExitCode::Flaky,
        ExitCode::Leaked,
        ExitCode::Interrupted,
    ];

    /// Returns the number that the operating system gets.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            ExitCode::Ok => 0,
            ExitCode::Internal => 1,
            ExitCode::InvalidInput => 2,
            ExitCode::NothingSelected => 4,
            // EX_UNAVAILABLE and EX_TEMPFAIL of sysexits.h.
            ExitCode::HostUnsupported => 69,
            ExitCode::SetUpFailed => 75,
            ExitCode::Failed => 100,
            ExitCode::Flaky => 101,
            ExitCode::Leaked => 102,
            // 128 and the number of SIGINT, as shells do.
            ExitCode::Interrupted => 130,
            ExitCode::Other(code) => code,
        }
    }

    /// Returns the code with which another program ended; [`ExitCode::Internal`] if a signal ended it.
    #[must_use]
    pub fn of_program(code: Option<i32>) -> ExitCode {
        code.and_then(|code| u8::try_from(code).ok())
            .map_or(ExitCode::Internal, ExitCode::from)
    }
}

impl From<u8> for ExitCode {
    fn from(code: u8) -> ExitCode {
        ExitCode::ALL
            .into_iter()
            .find(|known| known.code() == code)
            .unwrap_or(ExitCode::Other(code))
    }
}

impl From<ExitCode> for process::ExitCode {
    fn from(code: ExitCode) -> process::ExitCode {
        process::ExitCode::from(code.code())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn codes() -> BTreeSet<u8> {
        ExitCode::ALL.into_iter().map(ExitCode::code).collect()
    }

    /// Returns the numbers in the first column of a page's first table.
    fn listed(page: &str) -> BTreeSet<u8> {
        let rows = page.lines().skip_while(|line| !line.starts_with('|'));
        rows.take_while(|line| line.starts_with('|'))
            .filter_map(|row| row.split('|').nth(1))
            .flat_map(|cell| cell.split(','))
            .filter_map(|code| code.trim().parse().ok())
            .collect()
    }

    #[test]
    fn exit_codes_are_those_of_the_reference() {
        let reference = include_str!("../../../docs/reference/exit-codes.md");
        assert_eq!(codes(), listed(reference));
        assert_eq!(codes().len(), ExitCode::ALL.len());
    }

    #[test]
    fn exit_codes_of_the_page_about_ci_exist() {
        let of_ci = listed(include_str!("../../../docs/ci.md"));
        assert!(of_ci.contains(&100), "{of_ci:?}");
        assert!(of_ci.is_subset(&codes()), "{of_ci:?}");
    }

    #[test]
    fn exit_code_of_another_program_is_passed_on() {
        for code in 0..=u8::MAX {
            assert_eq!(ExitCode::of_program(Some(code.into())).code(), code);
        }
        assert_eq!(ExitCode::of_program(Some(100)), ExitCode::Failed);
        assert_eq!(ExitCode::of_program(None), ExitCode::Internal);
    }
}
