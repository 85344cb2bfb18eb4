//! Machines from what people have instead of a list: what firmware tells, the reservations of a DHCP server,
//! the groups of a data directory.
//!
//! Each source knows other things. What has no place in a list of machines is left out, and said.

mod dhcpd;
mod dmidecode;
mod dnsmasq;
mod gather;
mod groups;
mod include;
mod kea;

use std::path::{Path, PathBuf};

use boot_server_catalog::problem::{Problem, Severity};

pub use gather::Imported;
pub use groups::{of_snapshot, of_snapshots};

use gather::Gathered;

/// Kind of an import source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Output of `dmidecode` on a machine.
    Dmidecode,
    /// `dhcp-host` lines of dnsmasq.
    Dnsmasq,
    /// `host` declarations of ISC dhcpd.
    Dhcpd,
    /// `reservations` of Kea.
    Kea,
    /// The groups of a data directory.
    Groups,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 5] = [
        Kind::Dmidecode,
        Kind::Dnsmasq,
        Kind::Dhcpd,
        Kind::Kea,
        Kind::Groups,
    ];

    /// Returns the name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Dmidecode => "dmidecode",
            Kind::Dnsmasq => "dnsmasq",
            Kind::Dhcpd => "dhcpd",
            Kind::Kea => "kea",
            Kind::Groups => "groups",
        }
    }

    /// Returns the kind by its name or a common alias.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Kind> {
        match name {
            "isc" | "isc-dhcpd" => Some(Kind::Dhcpd),
            "bootcfg" | "matchbox" => Some(Kind::Groups),
            _ => Kind::ALL.into_iter().find(|kind| kind.name() == name),
        }
    }

    /// Told by the text itself, where it can be only one.
    fn of_text(text: &str) -> Result<Kind, Vec<Kind>> {
        let kinds = [
            (Kind::Dmidecode, dmidecode::is_likely(text)),
            (Kind::Dnsmasq, dnsmasq::is_likely(text)),
            (Kind::Dhcpd, dhcpd::is_likely(text)),
            (Kind::Kea, kea::is_likely(text)),
        ];
        let likely: Vec<Kind> = kinds
            .into_iter()
            .filter_map(|(kind, likely)| likely.then_some(kind))
            .collect();
        match likely.as_slice() {
            [kind] => Ok(*kind),
            _ => Err(likely),
        }
    }
}

/// Import source: a text with the name of its file, or a data directory.
#[derive(Debug, Clone)]
pub struct Source {
    /// Path of the source.
    pub path: PathBuf,
    /// Text of the file; none for a directory.
    pub text: Option<String>,
}

impl Source {
    /// Reads a file, or notes a directory.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(path: &Path) -> Result<Source, Box<Problem>> {
        let text = match path.is_dir() {
            true => None,
            false => Some(std::fs::read_to_string(path).map_err(|error| {
                let message = format!("cannot be read: {error}");
                let help = "name a text file";
                Box::new(Problem::of_file(Severity::Error, path, message, help))
            })?),
        };
        Ok(Source {
            path: path.to_owned(),
            text,
        })
    }

    fn kind(&self) -> Result<Kind, Box<Problem>> {
        let Some(text) = &self.text else {
            return Ok(Kind::Groups);
        };
        if groups::is_likely(text) {
            return Ok(Kind::Groups);
        }
        Kind::of_text(text).map_err(|likely| {
            let names: Vec<&str> = likely.iter().map(|kind| kind.name()).collect();
            let message = match names.is_empty() {
                true => "unknown kind of source".to_owned(),
                false => format!("ambiguous kind of source: {}", names.join(" or ")),
            };
            let kinds = Kind::ALL.map(Kind::name).join(", ");
            let help = format!("write the kind before the file name: {kinds}");
            Box::new(self.error(message, help))
        })
    }

    fn error(&self, message: impl Into<String>, help: impl Into<String>) -> Problem {
        Problem::of_file(Severity::Error, &self.path, message, help)
    }
}

/// Imports machines; detects the kind of each source unless `kind` is given.
///
/// # Errors
/// All that is wrong with the sources, or that no machine is in them.
pub fn import(kind: Option<Kind>, sources: &[Source]) -> Result<Imported, Vec<Problem>> {
    let mut gathered = Gathered::default();
    let mut problems = Vec::new();
    for source in sources {
        let kind = match kind.map_or_else(|| source.kind(), Ok) {
            Ok(kind) => kind,
            Err(problem) => {
                problems.push(*problem);
                continue;
            }
        };
        let path = source.path.as_path();
        let result = match (kind, &source.text) {
            (Kind::Groups, _) => groups::import(path, &mut gathered),
            (_, None) => {
                let help = "name a file, or import `groups` from a data directory";
                Err(vec![source.error("a directory instead of a file", help)])
            }
            (Kind::Dmidecode, Some(text)) => dmidecode::import(path, text, &mut gathered),
            (Kind::Dnsmasq, Some(text)) => dnsmasq::import(path, text, &mut gathered),
            (Kind::Dhcpd, Some(text)) => dhcpd::import(path, text, &mut gathered),
            (Kind::Kea, Some(text)) => kea::import(path, text, &mut gathered),
        };
        problems.extend(result.err().unwrap_or_default());
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let imported = gathered.with_examples().finish();
    if imported.inventory.machines.is_empty() {
        let path = sources
            .first()
            .map_or(Path::new("-"), |source| &source.path);
        let message = "no machines found";
        let help = match imported.left_out.is_empty() {
            true => "check that this is the right file".to_owned(),
            false => format!("left out: {}", imported.left_out.join("; ")),
        };
        return Err(vec![Problem::of_file(Severity::Error, path, message, help)]);
    }
    Ok(imported)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
