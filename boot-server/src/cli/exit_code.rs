//! Exit codes of `boot-server`, which service managers rely on; `docs/boot-server.md` lists them.

use std::process;

/// Exit code of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// Success, or a stop by a signal.
    Ok,
    /// The server cannot start or continue, or a command failed.
    Failure,
    /// Invalid command line, configuration file or data directory; the same input fails again.
    InvalidInput,
}

impl ExitCode {
    /// All exit codes.
    pub const ALL: [ExitCode; 3] = [ExitCode::Ok, ExitCode::Failure, ExitCode::InvalidInput];

    /// Returns the number that the operating system gets.
    pub fn code(self) -> u8 {
        match self {
            ExitCode::Ok => 0,
            ExitCode::Failure => 1,
            ExitCode::InvalidInput => 2,
        }
    }
}

impl From<ExitCode> for process::ExitCode {
    fn from(code: ExitCode) -> process::ExitCode {
        process::ExitCode::from(code.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_the_guide() {
        let guide = include_str!("../../../docs/boot-server.md");
        let table = guide.split_once("| exit code |").unwrap().1;
        let rows = table.lines().skip(2).take_while(|row| row.starts_with('|'));
        let listed: Vec<u8> = rows
            .map(|row| row.split('|').nth(1).unwrap().trim().parse().unwrap())
            .collect();
        assert_eq!(listed, ExitCode::ALL.map(ExitCode::code));
    }

    #[test]
    fn service_is_not_restarted_after_invalid_input() {
        let unit = include_str!("../../packaging/boot-server.service");
        let code = ExitCode::InvalidInput.code();
        let setting = format!("RestartPreventExitStatus={code}");
        assert!(unit.lines().any(|line| line == setting), "{unit}");
    }
}
