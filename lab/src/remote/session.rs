//! One log-in that everything goes through: whoever is asked for a password is asked once.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use thiserror::Error;

use super::Host;

/// Exit code of `ssh` for errors of its own (ssh(1)).
const SSH_FAILED: i32 = 255;

/// Name of the connection's socket.
const SOCKET: &str = "s";

/// How often it is looked whether the connection is there.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Why a host could not be made to do something.
#[derive(Debug, Error)]
pub enum RemoteError {
    /// `ssh` or `tar` could not be started here.
    #[error("{program}: {source}")]
    Start {
        /// Which.
        program: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The host could not be reached, or the connection broke.
    #[error("{host}: no connection: {why}")]
    Connection {
        /// Which host.
        host: String,
        /// What `ssh` said.
        why: String,
    },
    /// A command failed there.
    #[error("{host}: {what}: {why}")]
    Command {
        /// Which host.
        host: String,
        /// What was to be done.
        what: String,
        /// What the command said.
        why: String,
    },
}

/// A log-in: a connection that all commands share. It ends with us, however that comes about, and what runs there ends
/// with it.
#[derive(Debug)]
pub struct Session {
    host: Host,
    /// Has the socket of the connection.
    control: TempDir,
    master: Child,
}

impl Session {
    /// Logs in; `ssh` asks on the terminal for what it has to know.
    ///
    /// # Errors
    /// When that fails.
    pub fn open(host: &Host) -> Result<Session, RemoteError> {
        let control = tempfile::Builder::new().prefix("lab-ssh").tempdir();
        let control = control.map_err(start("ssh"))?;
        // A command that shares a connection runs on there when only its own `ssh` is killed; the connection may not.
        let mut master = Command::new("setpriv");
        master
            .args(["--pdeathsig", "TERM", "ssh", "-N", "-M", "-S"])
            .arg(control.path().join(SOCKET))
            .args(["-o", "ControlPersist=no"])
            // A host that goes away ends each step within a minute; a terminal may ask for a password longer.
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
        // Whoever is asked for a password takes the time that it takes.
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

    /// The host.
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

    /// `ssh` with a shell's command; `options` are its own.
    #[must_use]
    pub fn command(&self, options: &[&str], script: &str) -> Command {
        let mut ssh = self.base();
        ssh.args(options)
            .args(["--", &self.host.destination(), script]);
        ssh
    }

    /// Runs a shell's command and returns what it printed.
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

    /// Sends what a program of this host prints to a shell's command there.
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

    /// Hands what a shell's command there prints to a program of this host.
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

    /// Whether `ssh` itself failed.
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
        // It may have ended already.
        let _ = self.master.kill();
        let _ = self.master.wait();
    }
}

fn start(program: &'static str) -> impl Fn(io::Error) -> RemoteError {
    move |source| RemoteError::Start { program, source }
}

/// A word as a POSIX shell reads it.
pub(crate) fn quoted(word: impl AsRef<OsStr>) -> String {
    let word = word.as_ref().to_string_lossy();
    // Only a NUL can't be quoted, and no argument of a program has one.
    shlex::try_quote(&word).map_or_else(|_| word.to_string(), |quoted| quoted.into_owned())
}
