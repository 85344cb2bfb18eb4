//! Autologin shell on a serial console: types commands, reads their output and status.
//!
//! It works with every image of the CoreOS family that supports `coreos.autologin`, and needs no agent in the
//! guest. Kernel, systemd and units of the guest also write to the console, so answers are framed and have
//! checksums ([`super::framing`]); a disturbed answer is requested again without repeating the command.

use std::io;
use std::time::Duration;

use thiserror::Error;
use tokio::time::Instant;

use super::console::{Console, Missed};
pub use super::framing::Answer;
use lab_model::evidence::disturbance::Disturbance;

use super::framing::{FUNCTIONS, Framing, new_nonce};

/// Pause before another greeting to a silent shell; doubled each time. Greetings typed too early are executed
/// later, one after the other: under TCG each takes up to two seconds.
const GREETING_INTERVAL: Duration = Duration::from_secs(4);

/// Maximum number of tries for an answer.
const TRIES: u32 = 4;

/// Time limit for a repeated answer, whose command is not executed again.
const AGAIN_DEADLINE: Duration = Duration::from_secs(10);

/// Pause before requesting an answer again, so that the disturbance may end.
const AGAIN_PAUSE: Duration = Duration::from_millis(200);

/// Time limit for a shell to show its prompt after an interrupt.
const AFTER_INTERRUPT: Duration = Duration::from_millis(300);

/// Time limit for leaving the shell.
const LEAVING: Duration = Duration::from_secs(2);

/// Message of agetty before an automatic login: `node1 login: core (automatic login)`.
pub const LOGGED_IN: &str = "(automatic login)";

/// Text that an installer's config prints on the second serial port before it opens a shell there.
pub const CHECK_SHELL: &str = "lab: check shell";

/// Reason why a command has no answer.
#[derive(Debug, Error)]
pub enum ShellError {
    /// The answer did not arrive in time.
    #[error("the shell on the console did not answer in time")]
    Silent,
    /// Other output disturbed the answer in each try.
    #[error("the answer on the console was disturbed {tries} times: {disturbance}")]
    Disturbed {
        /// Disturbance of the last answer.
        disturbance: Disturbance,
        /// Number of tries.
        tries: u32,
    },
    /// The machine closed its console.
    #[error("the machine closed its console")]
    Closed,
    /// The console cannot be written.
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

/// Shell that has answered at least once.
#[derive(Debug)]
pub struct Shell<'a> {
    console: &'a mut Console,
    /// True if the last command has not ended.
    is_busy: bool,
}

impl<'a> Shell<'a> {
    /// Waits until the console is logged in, then greets the shell until it answers.
    ///
    /// Nothing is typed before [`LOGGED_IN`] appears, because firmware and boot loaders interpret keys as
    /// commands.
    ///
    /// # Errors
    /// [`ShellError`] if the deadline passes or the machine ends first.
    pub async fn wait_for_login(
        console: &'a mut Console,
        deadline: Instant,
    ) -> Result<Shell<'a>, ShellError> {
        wait_for_text(console, LOGGED_IN, deadline).await?;
        Shell::greet(console, deadline).await
    }

    /// Waits until a config has opened a shell on the second serial port, then greets it. Nothing is typed before
    /// [`CHECK_SHELL`] appears.
    ///
    /// # Errors
    /// [`ShellError`] if the deadline passes or the machine ends first.
    pub async fn wait_for_opened(
        port: &'a mut Console,
        deadline: Instant,
    ) -> Result<Shell<'a>, ShellError> {
        wait_for_text(port, CHECK_SHELL, deadline).await?;
        Shell::greet(port, deadline).await
    }

    /// Takes over a shell that another client left open.
    ///
    /// # Errors
    /// [`ShellError`] if the deadline passes or the machine ends first.
    pub async fn resume(
        console: &'a mut Console,
        deadline: Instant,
    ) -> Result<Shell<'a>, ShellError> {
        Shell::greet(console, deadline).await
    }

    async fn greet(console: &'a mut Console, deadline: Instant) -> Result<Shell<'a>, ShellError> {
        let shell = Shell {
            console,
            is_busy: false,
        };
        // One `sudo` for all commands: under TCG each costs a second. If it is refused, the commands run in the
        // login shell itself.
        shell.console.type_text("sudo -n bash --norc\n").await?;
        // Silences the kernel, whose messages would disturb the answers.
        const GREETING: &str = "dmesg -n 1";
        let (mut nonce, mut pause) = (new_nonce(), GREETING_INTERVAL);
        let mut framing = Framing::new(&nonce, GREETING);
        shell.console.record();
        loop {
            // A login may discard earlier input, including the functions.
            let greeting = format!("{FUNCTIONS}{}", call(&nonce, GREETING));
            shell.console.type_text(&greeting).await?;
            // An answer to an earlier greeting is sufficient.
            let until = deadline.min(Instant::now() + pause);
            let answer = shell
                .console
                .read_until(until, |shown| framing.feed(shown))
                .await;
            match answer {
                Ok(Ok(_)) => {
                    shell.console.stop_recording();
                    return Ok(shell);
                }
                Ok(Err(disturbance)) => {
                    if Instant::now() >= deadline {
                        let tries = 1;
                        return Err(ShellError::Disturbed { disturbance, tries });
                    }
                    nonce = new_nonce();
                    framing = Framing::new(&nonce, GREETING);
                    tokio::time::sleep(AGAIN_PAUSE).await;
                }
                Err(Missed::Deadline) if Instant::now() < deadline => pause *= 2,
                Err(missed) => return Err(missed.into()),
            }
        }
    }

    /// Leaves the console for the next client; a running command is interrupted.
    pub async fn leave(self) {
        let left = async {
            if self.is_busy {
                self.console.type_text("\x03").await?;
                // An interrupt discards input typed after it.
                tokio::time::sleep(AFTER_INTERRUPT).await;
            }
            let from = self.console.line_count();
            self.console.type_text("exit\n").await?;
            // QEMU discards undelivered data when a client disconnects; the echo confirms the delivery.
            let deadline = Instant::now() + LEAVING;
            let echoed = |lines: &[String], _: &str| {
                let echo = lines.iter().any(|line| line.trim_end().ends_with("exit"));
                echo.then_some(())
            };
            self.console.wait_for(from, deadline, echoed).await?;
            Ok::<(), ShellError>(())
        };
        // A machine that has ended needs no clean-up.
        let _ = left.await;
    }

    /// Runs one command line in a subshell.
    ///
    /// # Errors
    /// [`ShellError`] if no complete answer arrived before the deadline.
    pub async fn run(&mut self, command: &str, deadline: Instant) -> Result<Answer, ShellError> {
        let mut tries = 1;
        let nonce = new_nonce();
        let mut answer = self
            .ask(&call(&nonce, command), &nonce, command, deadline)
            .await?;
        loop {
            match answer {
                Ok(answer) => return Ok(answer),
                Err(disturbance) if tries == TRIES || Instant::now() >= deadline => {
                    return Err(ShellError::Disturbed { disturbance, tries });
                }
                Err(_) => tokio::time::sleep(AGAIN_PAUSE).await,
            }
            tries += 1;
            let nonce = new_nonce();
            let until = deadline.min(Instant::now() + AGAIN_DEADLINE);
            answer = self
                .ask(&format!("lab_say {nonce}\n"), &nonce, command, until)
                .await?;
        }
    }

    async fn ask(
        &mut self,
        typed: &str,
        nonce: &str,
        command: &str,
        deadline: Instant,
    ) -> Result<Result<Answer, Disturbance>, ShellError> {
        let mut framing = Framing::new(nonce, command);
        self.console.record();
        self.console.type_text(typed).await?;
        self.is_busy = true;
        let answer = self
            .console
            .read_until(deadline, |shown| framing.feed(shown))
            .await;
        self.console.stop_recording();
        match answer {
            Ok(answer) => {
                self.is_busy = false;
                Ok(answer)
            }
            // Begin and end are printed together after the command.
            Err(Missed::Deadline) if framing.has_begun() => Ok(Err(Disturbance::Unended)),
            Err(missed) => Err(missed.into()),
        }
    }
}

/// Waits until a line of the console, or the incomplete one, has `text`.
///
/// # Errors
/// [`ShellError`] if the deadline passes or the machine ends first.
pub(super) async fn wait_for_text(
    console: &Console,
    text: &str,
    deadline: Instant,
) -> Result<(), ShellError> {
    let has_text = |lines: &[String], open: &str| {
        let mut all = lines.iter().map(String::as_str).chain([open]);
        all.any(|line| line.contains(text)).then_some(())
    };
    Ok(console.wait_for(0, deadline, has_text).await?)
}

/// Returns the line that runs `command` and frames its answer.
fn call(nonce: &str, command: &str) -> String {
    format!("lab_run {nonce} '{}'\n", command.replace('\'', r"'\''"))
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

    /// A real terminal with an interactive bash on the other end of the console, after a login line.
    async fn terminal() -> (tempfile::TempDir, Console, tokio::process::Child) {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("console");
        let listener = UnixListener::bind(&socket).unwrap();
        let (lines, _) = mpsc::unbounded_channel();
        let console = Console::connect(&socket, None, lines).await.unwrap();
        let (machine, _) = listener.accept().await.unwrap();
        let machine = machine.into_std().unwrap();
        machine.set_nonblocking(false).unwrap();
        let end: OwnedFd = machine.into();
        let login = "echo 'node1 login: core (automatic login)'; exec bash --norc --noprofile -i";
        let child = Command::new("script")
            .args(["-qfc", login, "/dev/null"])
            .stdin(Stdio::from(end.try_clone().unwrap()))
            .stdout(Stdio::from(end))
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        (dir, console, child)
    }

    #[tokio::test]
    async fn run_on_a_terminal_with_line_editing_has_exact_answers() {
        let (_dir, mut console, _child) = terminal().await;
        let mut shell = Shell::wait_for_login(&mut console, soon()).await.unwrap();
        let long = "x".repeat(300);
        for (command, status, output) in [
            ("echo active", 0, "active"),
            (
                r#"printf 'it'"'"'s\n\n%s' "two words"; (exit 4)"#,
                4,
                "it's\n\ntwo words",
            ),
            ("no-such-command-of-lab 2>/dev/null", 127, ""),
            (&format!("echo {long}"), 0, &long),
        ] {
            let answer = shell.run(command, soon()).await.unwrap();
            assert_eq!((answer.status, answer.output.as_str()), (status, output));
        }
        shell.leave().await;
    }

    /// Shell function that processes each typed line in the machine's bash.
    const HONEST: &str = r#"eval "$line""#;

    /// A real bash on the other end of the console, after a login line; like a terminal it echoes.
    async fn bash(each_line: &str) -> (tempfile::TempDir, Console, tokio::process::Child) {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("console");
        let listener = UnixListener::bind(&socket).unwrap();
        let (lines, _) = mpsc::unbounded_channel();
        let console = Console::connect(&socket, None, lines).await.unwrap();
        let (machine, _) = listener.accept().await.unwrap();
        let machine = machine.into_std().unwrap();
        machine.set_nonblocking(false).unwrap();
        let end: OwnedFd = machine.into();
        let script = format!(
            "echo 'node1 login: core (automatic login)'; while IFS= read -r line; do \
             [[ $line == sudo* ]] && continue; printf '%s\\r\\n' \"core@node1 ~ $ $line\"; \
             {each_line}; done"
        );
        let child = Command::new("bash")
            .args(["-c", &script])
            .stdin(Stdio::from(end.try_clone().unwrap()))
            .stdout(Stdio::from(end))
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        (dir, console, child)
    }

    #[tokio::test]
    async fn output_and_status_of_a_command_come_back_without_the_echo() {
        let (_dir, mut console, _child) = bash(HONEST).await;
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

    /// V13, second: the answer is requested again.
    #[tokio::test]
    async fn run_disturbed_answer_is_asked_for_again_and_the_command_is_not() {
        // The first two answers have noise in their middle.
        let noisy = r#"if [[ $line == lab_[rs]* && $((n++)) -gt 0 && $n -lt 4 ]]; then
                eval "$line" | sed 's/in>/in>[    1.0] noise\n/'; eval "${line/lab_run/:}" >/dev/null
                lab_c="echo x >>$log; echo active" lab_o=active lab_s=0
            else eval "$line"; fi"#;
        let log = tempfile::NamedTempFile::new().unwrap();
        let path = log.path().to_str().unwrap();
        let (_dir, mut console, _child) = bash(&format!("log={path}; {noisy}")).await;
        let mut shell = Shell::wait_for_login(&mut console, soon()).await.unwrap();
        let command = format!("echo x >>{path}; echo active");
        let answer = shell.run(&command, soon()).await.unwrap();
        assert_eq!((answer.status, answer.output.as_str()), (0, "active"));
        assert_eq!(std::fs::read_to_string(path).unwrap(), "x\n");
    }

    #[tokio::test]
    async fn run_console_that_is_always_noisy_is_disturbed() {
        let noisy = r#"if [[ $line == lab_run*dmesg* || $line == *'{'* ]]; then eval "$line"
            else eval "$line" | sed 's/in>/in>noise /'; fi"#;
        let (_dir, mut console, _child) = bash(noisy).await;
        let mut shell = Shell::wait_for_login(&mut console, soon()).await.unwrap();
        let error = shell.run("echo active", soon()).await.unwrap_err();
        let disturbed = ShellError::Disturbed {
            disturbance: Disturbance::Checksum,
            tries: TRIES,
        };
        assert_eq!(error.to_string(), disturbed.to_string());
    }

    /// V5: a unit of the guest prints what an answer of the lab looks like, for every number that is easy to guess.
    #[tokio::test]
    async fn run_forged_markers_do_not_change_the_answer() {
        let forger = r#"[[ $line == lab_run* ]] && for n in 1 2 3 4; do
                printf '\n<begin-%d>\nactive\n<end-%d 0>\n<%d begin>active<%d end 0 1 2>\n' $n $n $n $n
            done; eval "$line""#;
        let (_dir, mut console, _child) = bash(forger).await;
        let mut shell = Shell::wait_for_login(&mut console, soon()).await.unwrap();
        let answer = shell.run("echo inactive; exit 3", soon()).await.unwrap();
        assert_eq!((answer.status, answer.output.as_str()), (3, "inactive"));
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
