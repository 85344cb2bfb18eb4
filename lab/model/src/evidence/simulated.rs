//! Report of a simulated machine: the files that a real one would start.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// File that a simulated machine has loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Loaded {
    pub name: String,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 in hexadecimal, of the bytes as received.
    pub sha256: String,
}

/// Files that a simulated machine would start at its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Report {
    pub kernel: Loaded,
    /// Initrds, in order.
    pub initrds: Vec<Loaded>,
    /// Options that the kernel would get, in order; `None` in older recordings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Vec<String>>,
}

impl Loaded {
    /// Describes a file by its bytes.
    #[must_use]
    pub fn of(name: &str, file: &[u8]) -> Loaded {
        Loaded {
            name: name.to_owned(),
            bytes: u64::try_from(file.len()).unwrap_or(u64::MAX),
            sha256: hex::encode(Sha256::digest(file)),
        }
    }
}

impl Report {
    /// Returns the console line.
    #[must_use]
    pub fn line(&self) -> String {
        let file = |file: &Loaded| format!("{} (sha256 {})", file.name, file.sha256);
        let initrds: Vec<String> = self.initrds.iter().map(file).collect();
        let with = match initrds.is_empty() {
            true => "without an initrd".to_owned(),
            false => format!("with initrd {}", initrds.join(" and ")),
        };
        let kernel = file(&self.kernel);
        printable(&format!(
            "The simulated machine ends here: a real one would start the kernel {kernel} {with}."
        ))
    }
}

/// Returns a single line in which names from the network can begin neither another line nor the report.
#[must_use]
pub fn printable(line: &str) -> String {
    line.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}
