//! Processor time of a run's cells.

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// Processor time of the children that end from now on. The kernel adds a process's time to its parent's when it ends;
/// PID 1 of a cell inherits the time of everything in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChildTime {
    /// Time of the children before. A shell that built the lab and became it by `exec` has the compiler's.
    before: Option<f64>,
}

impl ChildTime {
    /// Starts to count.
    pub(super) fn start() -> ChildTime {
        ChildTime {
            before: all_seconds(),
        }
    }

    /// Returns the seconds since the start; `None` if the kernel does not tell.
    pub(super) fn seconds(self) -> Option<f64> {
        Some(all_seconds()? - self.before?)
    }
}

fn all_seconds() -> Option<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).ok()?;
    let time = usage.user_time() + usage.system_time();
    Some(time.num_microseconds() as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn child_time_counts_no_child_that_ended_before() {
        let loop_of_shell = || {
            let script = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done";
            let status = Command::new("sh").args(["-c", script]).status();
            assert!(status.unwrap().success());
        };
        let all = ChildTime::start();
        loop_of_shell();
        let later = ChildTime::start();
        assert!(all.seconds().unwrap() > 0.0);
        assert_eq!(later.seconds(), Some(0.0));
        loop_of_shell();
        assert!(later.seconds().unwrap() > 0.0);
    }
}
