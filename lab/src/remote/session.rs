//! SSH session shared by all commands, so that a password is asked for only once.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use thiserror::Error;

use super::Host;

/// Exit code of `ssh` for its own errors (ssh(1)).
const SSH_FAILED: i32 = 255;

/// File name of the connection's socket.
const SOCKET: &str = "s";

/// Polling interval while connecting.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Error of a remote command.
#[derive(Debug, Error)]
pub enum RemoteError {
    /// `ssh` or `tar` cannot be started on this host.
    #[error("{program}: {source}")]
    Start {
        program: &'static str,
        #[source]
        source: io::Error,
    },
    /// The host cannot be reached, or the connection was lost.
    #[error("cannot connect to {host}: {why}")]
    Connection {
        host: String,
        /// Message of `ssh`.
        why: String,
    },
    /// A command failed on the remote host.
    #[error("{host}: {what}: {why}")]
    Command {
        host: String,
        /// Purpose of the command.
        what: String,
        /// Output of the command.
        why: String,
    },
}

/// SSH connection shared by all commands. It ends with this process, however that happens, and ends its remote
/// commands.
#[derive(Debug)]
pub struct Session {
    host: Host,
    /// Folder of the connection's socket.
    control: TempDir,
    master: Child,
}

impl Session {
    /// Logs in; `ssh` may prompt on the terminal.
    ///
    /// # Errors
    /// Fails if `ssh` cannot log in.
    pub fn open(host: &Host) -> Result<Session, RemoteError> {
        let control = tempfile::Builder::new().prefix("lab-ssh").tempdir();
        let control = control.map_err(start("ssh"))?;
        // Killing the `ssh` of a shared connection would leave its remote command running, so the connection is
        // owned here.
        let mut master = Command::new("setpriv");
        master
            .args(["--pdeathsig", "TERM", "ssh", "-N", "-M", "-S"])
            .arg(control.path().join(SOCKET))
            .args(["-o", "ControlPersist=no"])
            // A host that vanishes ends each step within a minute; a password prompt may take longer.
            .args(["-o", "ConnectTimeout=30"])
            .args([
                "-o",
                "ServerAliveInterval=15",
                "-o",
                "ServerAliveCountMax=4",
            ])
            .args(host.options())
            .args(["--", &host.destination()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut session = Session {
            host: host.clone(),
            master: master.spawn().map_err(start("ssh"))?,
            control,
        };
        session.wait()?;
        Ok(session)
    }

    fn wait(&mut self) -> Result<(), RemoteError> {
        // A user may take any time to type a password.
        while !self.control.path().join(SOCKET).exists() {
            if let Some(status) = self.master.try_wait().map_err(start("ssh"))? {
                let mut said = String::new();
                if let Some(mut stderr) = self.master.stderr.take() {
                    let _ = stderr.read_to_string(&mut said);
                }
                let why = match said.trim() {
                    "" => format!("ssh: {status}"),
                    said => said.to_owned(),
                };
                return Err(RemoteError::Connection {
                    host: self.host.destination(),
                    why,
                });
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    /// Returns the host.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    fn base(&self) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.args(["-o", "ControlMaster=no", "-S"])
            .arg(self.control.path().join(SOCKET))
            .args(self.host.options());
        ssh
    }

    /// Returns the `ssh` command that runs a shell script; `options` are passed to `ssh`.
    #[must_use]
    pub fn command(&self, options: &[&str], script: &str) -> Command {
        let mut ssh = self.base();
        ssh.args(options)
            .args(["--", &self.host.destination(), script]);
        ssh
    }

    /// Runs a shell script and returns its output.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn run(&self, what: &str, script: &str) -> Result<String, RemoteError> {
        let output = self
            .command(&[], script)
            .stdin(Stdio::null())
            .output()
            .map_err(start("ssh"))?;
        self.judge(what, &output)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Pipes the output of a local program into a remote shell script.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn send(&self, what: &str, from: &mut Command, script: &str) -> Result<(), RemoteError> {
        let mut from = from.stdout(Stdio::piped()).spawn().map_err(start("tar"))?;
        let pipe = from.stdout.take().map_or_else(Stdio::null, Stdio::from);
        let output = self.command(&[], script).stdin(pipe).output();
        let output = output.map_err(start("ssh"));
        let sent = from.wait().map_err(start("tar"))?;
        self.judge(what, &output?)?;
        self.told(what, sent)
    }

    /// Pipes the output of a remote shell script into a local program.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn fetch(&self, what: &str, script: &str, to: &mut Command) -> Result<(), RemoteError> {
        let mut ssh = self
            .command(&[], script)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(start("ssh"))?;
        let pipe = ssh.stdout.take().map_or_else(Stdio::null, Stdio::from);
        let taken = to.stdin(pipe).status().map_err(start("tar"));
        let output = ssh.wait_with_output().map_err(start("ssh"))?;
        self.judge(what, &output)?;
        self.told(what, taken?)
    }

    /// True if `ssh` itself failed.
    #[must_use]
    pub fn is_broken(status: ExitStatus) -> bool {
        status.code() == Some(SSH_FAILED)
    }

    fn judge(&self, what: &str, output: &Output) -> Result<(), RemoteError> {
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        match output.status.success() {
            true => Ok(()),
            false if Session::is_broken(output.status) => Err(RemoteError::Connection {
                host: self.host.destination(),
                why,
            }),
            false => Err(RemoteError::Command {
                host: self.host.destination(),
                what: what.to_owned(),
                why,
            }),
        }
    }

    fn told(&self, what: &str, status: ExitStatus) -> Result<(), RemoteError> {
        match status.success() {
            true => Ok(()),
            false => Err(RemoteError::Command {
                host: self.host.destination(),
                what: what.to_owned(),
                why: format!("`tar` on this host failed ({status})"),
            }),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.master.kill();
        let _ = self.master.wait();
    }
}

fn start(program: &'static str) -> impl Fn(io::Error) -> RemoteError {
    move |source| RemoteError::Start { program, source }
}

/// Quotes a word for a POSIX shell.
pub(crate) fn quoted(word: impl AsRef<OsStr>) -> String {
    let word = word.as_ref().to_string_lossy();
    // Only NUL cannot be quoted, and no program argument contains it.
    shlex::try_quote(&word).map_or_else(|_| word.to_string(), |quoted| quoted.into_owned())
}
