//! Applying a cloud-config, step by step in coreos-cloudinit's order: host name, users, keys,
//! files, `/etc/environment`, units, and last the units' commands.

pub mod environment;
pub mod files;
pub mod services;
pub mod units;
pub mod users;

use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::config::{CloudConfig, Substitutions};
use crate::system::{System, SystemError};
use crate::userdata::{self, UserData, UserDataError};

/// Folder of scripts, as in coreos-cloudinit's default workspace.
const SCRIPTS: &str = "var/lib/coreos-cloudinit/scripts";

/// The machine a cloud-config is applied to.
pub struct Machine<'a> {
    /// The root of its file system.
    pub root: &'a Path,
    /// Values of `$private_ipv4` and similar variables.
    pub substitutions: Substitutions,
    /// Everything but its files.
    pub system: &'a dyn System,
    /// Told each step in one line.
    pub say: &'a mut dyn FnMut(&str),
}

impl fmt::Debug for Machine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

impl Machine<'_> {
    fn say(&mut self, line: impl AsRef<str>) {
        (self.say)(line.as_ref());
    }
}

/// Result of applying user-data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// A cloud-config, to its end.
    CloudConfig,
    /// A script was started as this unit.
    Script(String),
    /// An Ignition config was left to Ignition.
    Ignition,
    /// The user-data is empty.
    Nothing,
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Applied::CloudConfig => f.write_str("cloud-config applied"),
            Applied::Script(unit) => write!(f, "script started as {unit}"),
            Applied::Ignition => f.write_str(
                "nothing applied: the user-data is an Ignition config, not a cloud-config",
            ),
            Applied::Nothing => f.write_str("nothing applied: the user-data is empty"),
        }
    }
}

/// Reasons that a cloud-config was not applied to its end.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// The user-data is unusable.
    #[error(transparent)]
    UserData(#[from] UserDataError),
    /// An outside call failed.
    #[error(transparent)]
    System(#[from] SystemError),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// Path of the file on the machine.
        path: PathBuf,
        /// I/O error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// `permissions` is not an octal mode.
    #[error("{path}: permissions {permissions:?} are not an octal mode like \"0644\"")]
    Permissions {
        /// Path of the file on the machine.
        path: PathBuf,
        /// Permissions as written in the cloud-config.
        permissions: String,
    },
    /// `manage_etc_hosts` is something else than `localhost`.
    #[error("manage_etc_hosts is {0:?}, and only \"localhost\" has a meaning")]
    EtcHosts(String),
    /// `coreos.update.reboot_strategy` has no such value.
    #[error("reboot_strategy {0:?} is none of best-effort, etcd-lock, reboot, off")]
    RebootStrategy(String),
    /// A unit's `command` is unknown.
    #[error("unit {unit}: command {command:?} is none of systemd's")]
    UnitCommand {
        /// Name of the unit.
        unit: String,
        /// Command as written in the cloud-config.
        command: String,
    },
    /// Keys should come from a place the agent cannot ask.
    #[error(
        "user {user}: keys of {from:?} are not imported: that needs HTTPS, which the stand-in does not have"
    )]
    KeyImport {
        /// For which user.
        user: String,
        /// URL or path of the source.
        from: String,
    },
}

/// Unpacks user-data, recognises and applies it.
///
/// # Errors
/// [`ApplyError`], at the first step that fails.
pub fn apply_bytes(bytes: Vec<u8>, machine: &mut Machine<'_>) -> Result<Applied, ApplyError> {
    match userdata::unpack(bytes) {
        Ok(text) => apply_user_data(&text, machine),
        Err(error) => {
            apply_nothing(machine)?;
            Err(error.into())
        }
    }
}

/// Applies the defaults to a machine whose user-data is missing or invalid, before the error is reported:
/// `/etc/environment` and the default units.
///
/// # Errors
/// [`ApplyError`], at the first step that fails.
pub fn apply_nothing(machine: &mut Machine<'_>) -> Result<(), ApplyError> {
    apply(&CloudConfig::default(), machine)
}

/// Recognises user-data and applies it.
///
///
/// # Errors
/// [`ApplyError`], at the first step that fails.
pub fn apply_user_data(text: &str, machine: &mut Machine<'_>) -> Result<Applied, ApplyError> {
    match userdata::parse(text, &machine.substitutions) {
        Ok(UserData::Ignition) => Ok(Applied::Ignition),
        Ok(UserData::Empty) => {
            apply_nothing(machine)?;
            Ok(Applied::Nothing)
        }
        Ok(UserData::CloudConfig(config)) => {
            apply(&config, machine)?;
            Ok(Applied::CloudConfig)
        }
        Ok(UserData::Script(script)) => {
            apply_nothing(machine)?;
            start_script(&script, machine).map(Applied::Script)
        }
        Err(error) => {
            apply_nothing(machine)?;
            Err(error.into())
        }
    }
}

/// Applies a cloud-config that has been read.
///
/// # Errors
/// [`ApplyError`], at the first step that fails.
pub fn apply(config: &CloudConfig, machine: &mut Machine<'_>) -> Result<(), ApplyError> {
    for note in &config.notes {
        machine.say(format!("passed over: {note}"));
    }
    if !config.hostname.is_empty() {
        machine.system.set_hostname(&config.hostname)?;
        machine.say(format!("hostname set to {}", config.hostname));
    }
    users::apply(config, machine)?;

    // All files are known before the first is written: a bad option leaves none of them.
    let mut files = config.write_files.clone();
    files.extend(services::files(config, machine)?);
    let mut wrote_environment = false;
    for file in &files {
        let path = files::write(file, machine)?;
        // As it is written: a relative path is another one for the reference.
        wrote_environment |= file.path.starts_with('/') && path == Path::new("/etc/environment");
    }
    if !wrote_environment {
        environment::update(machine)?;
    }

    let mut all = config.units.clone();
    all.extend(services::units(config));
    units::apply(&all, machine)
}

/// Keeps a script in the workspace and starts it.
fn start_script(script: &str, machine: &mut Machine<'_>) -> Result<String, ApplyError> {
    let name = machine.system.random_name();
    let unit = format!("coreos-cloudinit-{name}.service");
    let path = format!("/{SCRIPTS}/{name}");
    let written = crate::config::File {
        path: path.clone(),
        permissions: "0744".to_owned(),
        content: script.as_bytes().to_vec(),
        ..crate::config::File::default()
    };
    files::write(&written, machine)?;
    machine.system.start_script(&unit, Path::new(&path))?;
    let kept = crate::config::File {
        path: format!("/{SCRIPTS}/unit-name"),
        content: unit.clone().into_bytes(),
        ..crate::config::File::default()
    };
    files::write(&kept, machine)?;
    Ok(unit)
}
