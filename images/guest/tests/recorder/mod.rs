//! A machine that only remembers what was asked of it, in the words in which the reference's calls
//! were recorded.

use std::cell::RefCell;
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use guest_agent::system::{JobResult, System, SystemError, UnitCommand};

/// Users and groups the recorded machine had, with their ids.
const IDS: [(&str, u32); 2] = [("root", 0), ("core", 500)];

/// Remembers calls, and the owners given to files by their inode.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    calls: RefCell<String>,
    pub(crate) owners: RefCell<HashMap<u64, (u32, u32)>>,
}

impl Recorder {
    /// The calls, one or more lines each.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.borrow().lines().map(str::to_owned).collect()
    }

    /// A program, its arguments, and its input as it came: without a line end of its own, the next
    /// call follows on the same line.
    fn program(&self, name: &str, arguments: &[&str], input: &str) {
        let mut calls = self.calls.borrow_mut();
        calls.push_str(name);
        for argument in arguments {
            calls.push_str(&format!(" '{argument}'"));
        }
        calls.push('\n');
        for line in input.split_inclusive('\n') {
            calls.push_str(&format!("  stdin: {line}"));
        }
    }

    fn bus(&self, method: &str, arguments: &str) {
        self.calls
            .borrow_mut()
            .push_str(&format!("systemd1.{method} [{arguments}]\n"));
    }
}

impl System for Recorder {
    fn set_hostname(&self, name: &str) -> Result<(), SystemError> {
        self.program("hostnamectl", &["set-hostname", name], "");
        Ok(())
    }

    fn hostname(&self) -> String {
        "<kernel hostname>".to_owned()
    }

    fn user_exists(&self, name: &str) -> bool {
        IDS.iter().any(|(known, _)| *known == name)
    }

    fn add_user(&self, arguments: &[String]) -> Result<(), SystemError> {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.program("useradd", &arguments, "");
        Ok(())
    }

    fn set_password(&self, user: &str, hash: &str) -> Result<(), SystemError> {
        self.program("chpasswd", &["-e"], &format!("{user}:{hash}"));
        Ok(())
    }

    fn authorize_keys(&self, user: &str, keys: &[String]) -> Result<(), SystemError> {
        let input = format!("{}\n", keys.join("\n"));
        self.program(
            "update-ssh-keys",
            &["-u", user, "-a", "coreos-cloudinit"],
            &input,
        );
        Ok(())
    }

    fn change_owner(&self, path: &Path, owner: &str) -> Result<(), SystemError> {
        let id = |name: &str| {
            if name.is_empty() {
                return Some(0);
            }
            if let Ok(number) = name.parse() {
                return Some(number);
            }
            IDS.iter()
                .find(|(known, _)| *known == name)
                .map(|(_, id)| *id)
        };
        let (user, group) = owner.split_once(':').unwrap_or((owner, "root"));
        let (Some(user), Some(group)) = (id(user), id(group)) else {
            let source = std::io::Error::other("invalid user");
            return Err(SystemError::File {
                path: path.to_owned(),
                source,
            });
        };
        let inode = std::fs::metadata(path).unwrap().ino();
        self.owners.borrow_mut().insert(inode, (user, group));
        Ok(())
    }

    fn reload_units(&self) -> Result<(), SystemError> {
        self.bus("Reload", "");
        Ok(())
    }

    fn enable_unit(&self, name: &str, runtime: bool) -> Result<(), SystemError> {
        self.bus("EnableUnitFiles", &format!("[\"{name}\"], {runtime}, true"));
        Ok(())
    }

    fn run_unit_command(&self, name: &str, command: UnitCommand) -> Result<JobResult, SystemError> {
        let method = match command {
            UnitCommand::Start => "StartUnit",
            UnitCommand::Stop => "StopUnit",
            UnitCommand::Restart => "RestartUnit",
            UnitCommand::Reload => "ReloadUnit",
            UnitCommand::TryRestart => "TryRestartUnit",
            UnitCommand::ReloadOrRestart => "ReloadOrRestartUnit",
            UnitCommand::ReloadOrTryRestart => "ReloadOrTryRestartUnit",
        };
        self.bus(method, &format!("\"{name}\", \"replace\""));
        Ok(JobResult::Done)
    }

    fn start_script(&self, unit: &str, script: &Path) -> Result<(), SystemError> {
        self.bus(
            "StartTransientUnit",
            &format!("{unit} /bin/bash {}", script.display()),
        );
        Ok(())
    }

    fn random_name(&self) -> String {
        "<random>".to_owned()
    }
}
