//! The autologin shell on a serial console: commands typed in, their output and status read back.
//!
//! It works on any image of the CoreOS family with `coreos.autologin` and needs no agent in the guest.
//! A command's output is framed by markers that the typed text itself does not contain, because the
//! terminal echoes what is typed; kernel messages may still fall into it, so what matters is carried as
//! base64 and a mangled answer is asked for again by the caller.

use std::io;
use std::time::Duration;

use thiserror::Error;
use tokio::time::Instant;

use super::console::{Console, Missed};

/// How often a shell that has not answered yet is greeted again.
const GREETING_INTERVAL: Duration = Duration::from_secs(2);

/// How long a shell may take to be at its prompt after an interrupt.
const AFTER_INTERRUPT: Duration = Duration::from_millis(300);

/// How long leaving may take.
const LEAVING: Duration = Duration::from_secs(2);

/// What agetty says when it logs somebody in by itself: `node1 login: core (automatic login)`.
pub const LOGGED_IN: &str = "(automatic login)";

/// Why a command has no answer.
#[derive(Debug, Error)]
pub enum ShellError {
    /// No answer in time.
    #[error("the shell on the console did not answer in time")]
    Silent,
    /// The machine closed its console.
    #[error("the machine closed its console")]
    Closed,
    /// The console can't be written.
    #[error("the console cannot be written: {0}")]
    Write(#[from] io::Error),
}

impl From<Missed> for ShellError {
    fn from(missed: Missed) -> ShellError {
        match missed {
            Missed::Deadline => ShellError::Silent,
            Missed::Closed => ShellError::Closed,
        }
    }
}

/// What a command answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its exit status.
    pub status: i32,
    /// Its output, standard error included.
    pub output: String,
}

/// A shell that has answered at least once.
#[derive(Debug)]
pub struct Shell<'a> {
    console: &'a mut Console,
    count: u32,
    /// Whether the last command has not ended.
    is_busy: bool,
}

impl<'a> Shell<'a> {
    /// Waits until the console is logged in, then greets the shell until it answers.
    ///
    /// Nothing is typed before [`LOGGED_IN`] is seen: firmware and boot loaders take keys for commands.
    ///
    /// # Errors
    /// [`ShellError`] when the deadline comes or the machine goes first.
    pub async fn wait_for_login(
        console: &'a mut Console,
        deadline: Instant,
    ) -> Result<Shell<'a>, ShellError> {
        console
            .wait_for(0, deadline, |lines, open| {
                lines
                    .iter()
                    .map(String::as_str)
                    .chain([open])
                    .any(|line| line.contains(LOGGED_IN))
                    .then_some(())
            })
            .await?;
        Shell::greet(console, deadline).await
    }

    /// A shell that was left open, after somebody else was on the console.
    ///
    /// # Errors
    /// [`ShellError`] when the deadline comes or the machine goes first.
    pub async fn resume(
        console: &'a mut Console,
        deadline: Instant,
    ) -> Result<Shell<'a>, ShellError> {
        Shell::greet(console, deadline).await
    }

    async fn greet(console: &'a mut Console, deadline: Instant) -> Result<Shell<'a>, ShellError> {
        let mut shell = Shell {
            console,
            count: 0,
            is_busy: false,
        };
        // One `sudo` for all commands: under TCG each costs a second. Where it is refused, the commands
        // run in the login shell itself.
        shell.console.type_text("sudo -n bash --norc\n").await?;
        loop {
            let until = deadline.min(Instant::now() + GREETING_INTERVAL);
            // Quiet kernel: its messages would fall into the answers.
            match shell.run("dmesg -n 1", until).await {
                Ok(_) => return Ok(shell),
                Err(ShellError::Silent) if Instant::now() < deadline => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Leaves the console to the next one as it was found: what still runs is interrupted.
    pub async fn leave(self) {
        let left = async {
            if self.is_busy {
                self.console.type_text("\x03").await?;
                // An interrupt throws away what was typed behind it.
                tokio::time::sleep(AFTER_INTERRUPT).await;
            }
            let from = self.console.line_count();
            self.console.type_text("exit\n").await?;
            // QEMU throws away what it has not handed over when we go; the echo says that it has.
            let deadline = Instant::now() + LEAVING;
            let echoed = |lines: &[String], _: &str| {
                let echo = lines.iter().any(|line| line.trim_end().ends_with("exit"));
                echo.then_some(())
            };
            self.console.wait_for(from, deadline, echoed).await?;
            Ok::<(), ShellError>(())
        };
        // A machine that is gone is left too.
        let _ = left.await;
    }

    /// Runs one command line.
    ///
    /// # Errors
    /// [`ShellError`] when no whole answer came before the deadline.
    pub async fn run(&mut self, command: &str, deadline: Instant) -> Result<Answer, ShellError> {
        self.count += 1;
        let number = self.count;
        let from = self.console.line_count();
        // `%s` keeps the marker out of the echoed line.
        let typed = format!(
            "printf '\\n<%s>\\n' begin-{number}; {{ {command}\n}} 2>&1; printf '\\n<%s %d>\\n' end-{number} $?\n"
        );
        self.console.type_text(&typed).await?;
        self.is_busy = true;
        let begin = format!("<begin-{number}>");
        let end = format!("<end-{number} ");
        let answer = self
            .console
            .wait_for(from, deadline, |lines, _| {
                let start = lines.iter().position(|line| *line == begin)? + 1;
                let rest = lines.get(start..)?;
                let stop = rest.iter().position(|line| line.starts_with(&end))?;
                let status = rest
                    .get(stop)?
                    .strip_prefix(&end)?
                    .strip_suffix('>')?
                    .parse()
                    .ok()?;
                let output = rest.get(..stop)?.join("\n");
                Some(Answer {
                    status,
                    output: output.trim_end_matches('\n').to_owned(),
                })
            })
            .await?;
        self.is_busy = false;
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::OwnedFd;
    use std::process::Stdio;
    use tokio::net::UnixListener;
    use tokio::process::Command;
    use tokio::sync::mpsc;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    /// A real bash on the other end of the console, after a login line.
    async fn bash() -> (tempfile::TempDir, Console, tokio::process::Child) {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("console");
        let listener = UnixListener::bind(&socket).unwrap();
        let (lines, _) = mpsc::unbounded_channel();
        let console = Console::connect(&socket, None, lines).await.unwrap();
        let (machine, _) = listener.accept().await.unwrap();
        let machine = machine.into_std().unwrap();
        machine.set_nonblocking(false).unwrap();
        let end: OwnedFd = machine.into();
        let child = Command::new("bash")
            .args(["-c", "echo 'node1 login: core (automatic login)'; while read -r line; do [[ $line == sudo* ]] && continue; echo \"core@node1 ~ $ $line\"; script+=\"$line\"$'\\n'; case \"$line\" in *'} 2>&1'*) eval \"$script\"; script=;; esac; done"])
            .stdin(Stdio::from(end.try_clone().unwrap()))
            .stdout(Stdio::from(end))
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        (dir, console, child)
    }

    #[tokio::test]
    async fn output_and_status_of_a_command_come_back_without_the_echo() {
        let (_dir, mut console, _child) = bash().await;
        let mut shell = Shell::wait_for_login(&mut console, soon()).await.unwrap();
        let answer = shell
            .run("echo one; echo two >&2; (exit 3)", soon())
            .await
            .unwrap();
        assert_eq!(
            answer,
            Answer {
                status: 3,
                output: "one\ntwo".into()
            }
        );
        let answer = shell.run("printf 'no newline'", soon()).await.unwrap();
        assert_eq!(answer.output, "no newline");
    }

    #[tokio::test]
    async fn a_console_without_login_is_silent_at_the_deadline() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("console");
        let listener = UnixListener::bind(&socket).unwrap();
        let (lines, _) = mpsc::unbounded_channel();
        let mut console = Console::connect(&socket, None, lines).await.unwrap();
        let _machine = listener.accept().await.unwrap();
        let shell = Shell::wait_for_login(&mut console, Instant::now() + Duration::from_millis(50));
        assert!(matches!(shell.await, Err(ShellError::Silent)));
    }
}
