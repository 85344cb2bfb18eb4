//! Following of a lab's output until the lab is down.

use std::io::{ErrorKind, Write};
use std::time::Duration;

use lab_model::untrusted::plain_line;
use lab_report::exit_code::ExitCode;

use crate::cli::error::{CliError, refuse};
use crate::persistent::PersistentLab;

/// Polling interval for new output.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Writes new lines from `fresh`, once or until the lab is down. Stops when standard output is closed.
pub(super) fn write(
    lab: &PersistentLab,
    goes_on: bool,
    mut fresh: impl FnMut() -> Vec<String>,
) -> Result<ExitCode, CliError> {
    loop {
        // Checked before the read, so that the last lines are still found.
        let is_there = lab.is_there();
        if !say(&fresh())? {
            return Ok(ExitCode::Ok);
        }
        if !goes_on {
            return Ok(ExitCode::Ok);
        }
        if !is_there {
            eprintln!("{} {} is down.", lab.run_id, lab.unit);
            return Ok(ExitCode::Ok);
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// Writes lines without control sequences; returns true while standard output is open.
pub(super) fn say(lines: &[String]) -> Result<bool, CliError> {
    let mut out = std::io::stdout().lock();
    for line in lines {
        match writeln!(out, "{}", plain_line(line)) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(false),
            Err(error) => {
                return Err(refuse(
                    ExitCode::Internal,
                    format!("standard output: {error}"),
                ));
            }
        }
    }
    Ok(out.flush().is_ok())
}
