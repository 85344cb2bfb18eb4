//! Plan of a data directory: the bytes that each machine of an inventory would get, and the changes for each
//! between two directories.
//!
//! Pure except for `revision`, which extracts a directory from git. The plan asks the catalog what boot-server's
//! HTTP service asks it, with the requests that iPXE and the guest would send; nothing is guessed from files.
//!
//! ```text
//! client_requests  requests of a machine: the query of /ipxe, and the settings that iPXE expands
//! machine   one machine's plan
//! change    two plans compared
//! redact    hides secrets in published text
//! seed      the NoCloud seed of a machine's cloud-init
//! report/   table, Markdown, JSON, one machine whole
//! ```

pub mod change;
mod client_requests;
mod machine;
pub mod redact;
pub mod report;
pub mod revision;
mod seed;

use std::sync::Arc;

use boot_server_catalog::checked::Checked;
use boot_server_catalog::ignition::ConfigLanguage;
use boot_server_catalog::nocloud::SeedFile;
use boot_server_catalog::snapshot::{Folder, Layout, Refusal, Snapshot};
use sha2::{Digest, Sha256};

use crate::inventory::Inventory;

pub use change::changed;
pub use client_requests::{ClientRequests, Known};
pub(crate) use machine::target_of;
pub use seed::{PlannedSeed, PlannedSeedFile};

/// From this many machines on it is worth a thread for each processor.
const MANY: usize = 200;

/// True for a name that boot-server's iPXE scripts give to an initrd: `initrd0`, `initrd1`, ….
pub(crate) fn is_initrd_name(word: &str) -> bool {
    let number = word.strip_prefix("initrd");
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// Boots of all machines, in the order of their inventory.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Layout of the directory, whose words are used.
    pub layout: Layout,
    /// Plans of the machines.
    pub machines: Vec<MachinePlan>,
}

/// Plan of one machine.
#[derive(Debug, Clone, PartialEq)]
pub struct MachinePlan {
    /// Name in the inventory.
    pub name: String,
    /// Request for the boot script: path and query.
    pub request: String,
    /// Boot of the machine, or the reason for a refusal.
    pub outcome: Result<Booted, Refused>,
    /// Differences from the inventory's expectations.
    pub unmet: Vec<Unmet>,
}

/// Boot of a machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Booted {
    /// Name of the group that wins.
    pub group: String,
    /// Labels by which it matches, as `uuid` or `mac+os`; empty when it requires nothing.
    pub by: String,
    /// Reason that the group wins over others that match, in one sentence.
    pub why: String,
    /// Id of the spec or profile.
    pub profile: String,
    /// Kernel, as the profile has it.
    pub kernel: String,
    /// Initrds, in order.
    pub initrd: Vec<String>,
    /// The kernel command line, with what iPXE fills in.
    pub command_line: String,
    /// The iPXE script.
    pub script: Document,
    /// Configs: cloud-config, Ignition, generic.
    pub configs: Vec<Config>,
    /// NoCloud seed of cloud-init, if a kernel option names one of this server.
    pub seed: Option<PlannedSeed>,
}

/// Reason that a machine boots nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The group that matched, if one did.
    pub group: Option<String>,
    /// The reason, as the server's 404 tells it.
    pub reason: String,
}

/// A config of a machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Kind of config.
    pub folder: Folder,
    /// Route by which the machine comes to request the config.
    pub asked: Asked,
    /// Path and query by which it is asked for.
    pub request: String,
    /// Served document, or the reason of a 404.
    pub served: Result<Document, Refusal>,
    /// Config that the document is translated from, if it is.
    pub source: Option<TranslatedFrom>,
}

/// Butane or Container Linux Config from which an Ignition config is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TranslatedFrom {
    /// Language of the config.
    pub language: ConfigLanguage,
    /// Text of the config before its translation.
    pub text: Arc<str>,
}

/// Route by which a machine comes to request a config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// A kernel option has its URL.
    ByKernelOption,
    /// The profile names it, and no kernel option asks for it.
    ByNothing,
}

/// Something that is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Path and query by which it is asked for.
    pub request: String,
    /// The file it is made of, below the data directory; none for scripts.
    pub file: Option<String>,
    /// Bytes of the document.
    pub text: Arc<str>,
}

impl Document {
    /// Returns the SHA-256 in hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> String {
        sha256(&self.text)
    }
}

/// Returns the SHA-256 of a text in hexadecimal.
fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// An expectation of the inventory that is not met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    /// `spec`, `profile`, `cloud-config` or `ignition`.
    pub what: &'static str,
    /// Value expected by the inventory.
    pub wanted: String,
    /// Value that the machine gets, if any.
    pub got: Option<String>,
}

impl Plan {
    /// Returns the machines that boot nothing, miss a config that they request, or get something else than
    /// expected.
    pub fn failing(&self) -> impl Iterator<Item = &MachinePlan> {
        let machines = self.machines.iter();
        machines.filter(|machine| !machine.problems().is_empty())
    }

    /// Returns a machine by its name.
    #[must_use]
    pub fn machine(&self, name: &str) -> Option<&MachinePlan> {
        self.machines.iter().find(|machine| machine.name == name)
    }
}

impl MachinePlan {
    /// Returns the problems of the machine, a sentence each.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        match &self.outcome {
            Err(refused) => problems.push(format!("boots nothing: {}", refused.reason)),
            Ok(booted) => {
                for config in &booted.configs {
                    if let (Asked::ByKernelOption, Err(reason)) = (&config.asked, &config.served) {
                        let what = folder_word(config.folder);
                        problems.push(format!("requests its {what} and gets none: {reason}"));
                    }
                }
                let refused = booted.seed.as_ref().and_then(PlannedSeed::refused);
                problems.extend(refused.map(|(file, reason)| {
                    format!("requests {file} of its NoCloud seed and gets none: {reason}")
                }));
            }
        }
        problems.extend(self.unmet.iter().map(ToString::to_string));
        problems
    }
}

impl Booted {
    /// Returns the config of a kind.
    #[must_use]
    pub fn config(&self, folder: Folder) -> Option<&Config> {
        self.configs.iter().find(|config| config.folder == folder)
    }

    /// Returns the user-data of the NoCloud seed.
    #[must_use]
    pub fn user_data(&self) -> Option<&PlannedSeedFile> {
        self.seed.as_ref()?.file(SeedFile::UserData)
    }
}

impl std::fmt::Display for Unmet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Unmet { what, wanted, got } = self;
        match got {
            Some(got) => write!(f, "expected {what} `{wanted}`, gets `{got}`"),
            None => write!(f, "expected {what} `{wanted}`, gets none"),
        }
    }
}

/// Returns the common name of the configs in a folder.
#[must_use]
pub fn folder_word(folder: Folder) -> &'static str {
    match folder {
        Folder::Cloud => "cloud-config",
        Folder::Ignition => "Ignition config",
        Folder::Generic => "generic config",
    }
}

/// Plans what each machine would get, with the first script as boot-server's DHCP names it.
#[must_use]
pub fn plan(snapshot: &Snapshot, inventory: &Inventory) -> Plan {
    plan_with_requests(snapshot, inventory, &ClientRequests::default())
}

/// Plans what each machine would get.
#[must_use]
pub fn plan_with_requests(
    snapshot: &Snapshot,
    inventory: &Inventory,
    requests: &ClientRequests,
) -> Plan {
    let checked = Checked::default();
    let one = |machine| machine::plan(snapshot, machine, requests, &checked);
    let all = inventory.machines.as_slice();
    let threads = match all.len() < MANY {
        true => 1,
        false => std::thread::available_parallelism().map_or(1, usize::from),
    };
    let machines = match threads {
        1 => all.iter().map(one).collect(),
        _ => std::thread::scope(|scope| {
            let parts = all.chunks(all.len().div_ceil(threads));
            let started: Vec<_> = parts
                .map(|part| scope.spawn(move || part.iter().map(one).collect::<Vec<_>>()))
                .collect();
            let joined = started.into_iter().map(|thread| match thread.join() {
                Ok(part) => part,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            joined.flatten().collect()
        }),
    };
    Plan {
        layout: snapshot.layout,
        machines,
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
