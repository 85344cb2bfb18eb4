//! Expected state of a machine once its configs are applied: the facts that can be checked from inside, and
//! those that cannot, each with the reason. Pure.
//!
//! Read is what is served, as coreos-cloudinit and Ignition read it; of a file, a unit or a name that both
//! make, the cloud-config's counts, because it is applied last.
//!
//! ```text
//! cloud_config  files, units and names of a cloud-config
//! ignition      the same of an Ignition config of version 2 or 3
//! units         which units stay active once they are started
//! ```

mod cloud_config;
mod ignition;
#[cfg(test)]
mod tests;
mod units;

use std::collections::BTreeMap;

use boot_server_catalog::snapshot::Folder;

use crate::plan::{Asked, Booted, is_initrd_name};

/// Operating system of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// An image of the CoreOS family.
    CoreOs,
    /// The lab's stand-in, which has none of CoreOS's own services and few programs.
    StandIn,
}

/// Expected state of a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExpectedState {
    /// Host name, if a config sets one.
    pub hostname: Option<String>,
    /// Words on its kernel command line.
    pub kernel_options: Vec<String>,
    /// Files by their path.
    pub files: BTreeMap<String, File>,
    /// Units that stay active.
    pub units_active: Vec<String>,
    /// Requests of its configs that are not checked: a sentence each.
    pub unproven: Vec<String>,
    /// Reason that the machine cannot come up as its configs say, where that is known before.
    pub hopeless: Option<String>,
}

/// A file that a machine has to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// All of its content.
    pub content: String,
    /// User and group by name, as `root:root`.
    pub owner: String,
    /// Permissions in four octal digits.
    pub mode: String,
}

/// Default user and group of files.
const ROOT: &str = "root:root";

impl ExpectedState {
    /// Derives the expected state of a machine that boots this, on such a system.
    #[must_use]
    pub fn of(booted: &Booted, system: System) -> ExpectedState {
        let mut expected = ExpectedState::default();
        expected.kernel_options(&booted.command_line);
        for config in &booted.configs {
            let (Asked::ByKernelOption, Ok(document)) = (&config.asked, &config.served) else {
                continue;
            };
            match config.folder {
                Folder::Ignition => ignition::read(&document.text, system, &mut expected),
                Folder::Cloud => {}
                Folder::Generic => expected.unproven.push(format!(
                    "the effects of its generic config ({})",
                    config.request
                )),
            }
        }
        if let Some(seed) = &booted.seed {
            expected
                .unproven
                .push(format!("the effects of its NoCloud seed ({})", seed.url));
        }
        // Last, as it is applied.
        let cloud = booted.config(Folder::Cloud);
        if let Some(config) = cloud.filter(|config| config.asked == Asked::ByKernelOption)
            && let Ok(document) = &config.served
        {
            cloud_config::read(&document.text, system, &mut expected);
        }
        if expected.hostname.is_none() {
            let named = expected.files.get("/etc/hostname");
            expected.hostname = named
                .map(|file| file.content.trim().to_owned())
                .filter(|name| !name.is_empty());
        }
        expected
    }

    fn kernel_options(&mut self, command_line: &str) {
        // iPXE needs the names of initrds. PXELINUX and GRUB start the same kernel without them.
        let is_name = |option: &str| option.strip_prefix("initrd=").is_some_and(is_initrd_name);
        for option in command_line
            .split_whitespace()
            .filter(|option| !is_name(option))
        {
            if option.contains("${") {
                self.unproven.push(format!(
                    "kernel option `{option}`: its value is known only on the network"
                ));
            } else if !self.kernel_options.iter().any(|known| known == option) {
                // What Linux shows of a quoted value has no quotes.
                self.kernel_options.push(option.replace('"', ""));
            }
        }
    }

    /// Notes a file, or the reason that it is not checked.
    fn file(&mut self, path: &str, content: &[u8], owner: &str, mode: u32) {
        let is_text = std::str::from_utf8(content)
            .ok()
            .filter(|text| !text.contains('\0'));
        let sound = path.starts_with('/')
            && !path.contains(|c: char| c.is_control())
            && owner.contains(':');
        match is_text {
            Some(text) if sound => {
                let file = File {
                    content: text.to_owned(),
                    owner: owner.to_owned(),
                    mode: format!("{mode:04o}"),
                };
                self.files.insert(path.to_owned(), file);
            }
            Some(_) => self
                .unproven
                .push(format!("file {path}: its path or owner is no plain one")),
            None => self
                .unproven
                .push(format!("file {path}: its content is not text")),
        }
    }
}
