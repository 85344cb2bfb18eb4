//! Every call of the agent that leaves its own process, so that what it decides can be tested
//! without a machine to break.

pub mod live;

use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Commands for a unit at the end of a cloud-config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the verbs of systemctl")]
pub enum UnitCommand {
    Start,
    Stop,
    Restart,
    Reload,
    TryRestart,
    ReloadOrRestart,
    ReloadOrTryRestart,
}

impl UnitCommand {
    /// Reads the word of a cloud-config's `command`, which is also systemctl's.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "start" => Self::Start,
            "stop" => Self::Stop,
            "restart" => Self::Restart,
            "reload" => Self::Reload,
            "try-restart" => Self::TryRestart,
            "reload-or-restart" => Self::ReloadOrRestart,
            "reload-or-try-restart" => Self::ReloadOrTryRestart,
            _ => return None,
        })
    }

    /// Returns the word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Reload => "reload",
            Self::TryRestart => "try-restart",
            Self::ReloadOrRestart => "reload-or-restart",
            Self::ReloadOrTryRestart => "reload-or-try-restart",
        }
    }
}

/// Result of systemd's job for a unit. A failed job is not an error of the cloud-config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobResult {
    /// The job succeeded.
    Done,
    /// The job failed, with systemctl's message.
    Failed(String),
}

impl fmt::Display for JobResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JobResult::Done => f.write_str("done"),
            JobResult::Failed(why) => write!(f, "failed: {why}"),
        }
    }
}

/// Reasons that a call of a program or the system failed.
#[derive(Debug, Error)]
pub enum SystemError {
    /// The program could not be run.
    #[error("cannot run {program}: {source}")]
    Run {
        /// Name of the program.
        program: String,
        /// I/O error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// The program ran and complained.
    #[error("{command}: {outcome}: {output}")]
    Program {
        /// Name and arguments of the program, without secrets.
        command: String,
        /// Exit status of the program.
        outcome: std::process::ExitStatus,
        /// Output of the program.
        output: String,
    },
    /// A system call or a file of the system failed.
    #[error("{path}: {source}")]
    File {
        /// Path of the file.
        path: PathBuf,
        /// I/O error of the operating system.
        #[source]
        source: std::io::Error,
    },
}

/// The machine outside of the files that are written directly.
pub trait System {
    /// Sets the machine's name, now and for the next boot.
    ///
    /// # Errors
    /// [`SystemError`] when the machine refuses.
    fn set_hostname(&self, name: &str) -> Result<(), SystemError>;

    /// Returns the kernel's host name.
    fn hostname(&self) -> String;

    /// True if the machine has a user of this name.
    fn user_exists(&self, name: &str) -> bool;

    /// Creates a user with useradd's arguments.
    ///
    /// # Errors
    /// [`SystemError`] when useradd fails.
    fn add_user(&self, arguments: &[String]) -> Result<(), SystemError>;

    /// Gives a user a password by its hash.
    ///
    /// # Errors
    /// [`SystemError`] when chpasswd fails.
    fn set_password(&self, user: &str, hash: &str) -> Result<(), SystemError>;

    /// Lets the keys' owners log in as `user`.
    ///
    /// # Errors
    /// [`SystemError`] when update-ssh-keys fails.
    fn authorize_keys(&self, user: &str, keys: &[String]) -> Result<(), SystemError>;

    /// Gives a file to `owner`, as chown understands it.
    ///
    /// # Errors
    /// [`SystemError`] when the owner does not exist.
    fn change_owner(&self, path: &Path, owner: &str) -> Result<(), SystemError>;

    /// Makes systemd read its unit files again.
    ///
    /// # Errors
    /// [`SystemError`] when it does not.
    fn reload_units(&self) -> Result<(), SystemError>;

    /// Enables a unit, until reboot when `runtime`.
    ///
    /// # Errors
    /// [`SystemError`] when the unit does not exist.
    fn enable_unit(&self, name: &str, runtime: bool) -> Result<(), SystemError>;

    /// Starts, stops, … a unit and waits for the outcome.
    ///
    /// # Errors
    /// [`SystemError`] when the unit does not exist; a unit that fails is a [`JobResult::Failed`].
    fn run_unit_command(&self, name: &str, command: UnitCommand) -> Result<JobResult, SystemError>;

    /// Runs a script as the transient unit `unit`, without waiting for its end.
    ///
    /// # Errors
    /// [`SystemError`] when it does not start.
    fn start_script(&self, unit: &str, script: &Path) -> Result<(), SystemError>;

    /// Returns a unique name.
    fn random_name(&self) -> String;
}
