//! Runs a script of the recipe: every line is passed on and kept, and a failure shows the last.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::{ImageError, Progress};

/// Number of log lines shown for a failure.
const TAIL_LINES: usize = 20;

/// Runs `script` with `arguments`, its standard output and error going to `log` and `progress`.
///
/// # Errors
/// [`ImageError::Program`], [`ImageError::File`] for the log, [`ImageError::Step`] when it fails.
pub(crate) fn script(
    step: &str,
    script: &Path,
    arguments: &[&OsStr],
    log: &Path,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), ImageError> {
    progress(Progress::Step(step));
    let start = |source| ImageError::Program {
        program: "sh".to_owned(),
        source,
    };
    let (reader, writer) = std::io::pipe().map_err(start)?;
    let mut command = Command::new("sh");
    command
        .arg(script)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(writer.try_clone().map_err(start)?)
        .stderr(writer);
    let mut child = command.spawn().map_err(start)?;
    // The command holds the pipe's writing end, which has to be gone for the reader to see the end.
    drop(command);
    let mut file = File::options()
        .append(true)
        .create(true)
        .open(log)
        .map_err(ImageError::file(log))?;
    let mut tail = VecDeque::new();
    for line in BufReader::new(reader).split(b'\n') {
        let Ok(line) = line else { break };
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        writeln!(file, "{line}").map_err(ImageError::file(log))?;
        progress(Progress::Line(&line));
        if tail.len() == TAIL_LINES {
            tail.pop_front();
        }
        tail.push_back(line);
    }
    let status = child.wait().map_err(start)?;
    if status.success() {
        return Ok(());
    }
    let tail = Vec::from(tail).join("\n");
    Err(ImageError::Step {
        step: step.to_owned(),
        status,
        tail,
        log: log.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_script_shows_its_last_lines_and_keeps_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("script");
        std::fs::write(
            &path,
            "for i in $(seq 1 50); do echo line $i; done\necho why >&2\nexit 7\n",
        )
        .unwrap();
        let log = folder.path().join("log");
        let mut lines = 0;
        let error = script("trying", &path, &[], &log, &mut |progress| {
            lines += usize::from(matches!(progress, Progress::Line(_)));
        })
        .unwrap_err();
        let ImageError::Step { tail, status, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(status.code(), Some(7));
        assert!(tail.ends_with("line 50\nwhy"), "{tail}");
        assert_eq!(lines, 51);
        assert_eq!(std::fs::read_to_string(&log).unwrap().lines().count(), 51);
    }
}
