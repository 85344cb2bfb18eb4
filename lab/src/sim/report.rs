//! Output of a simulated machine: console lines, and at its end the files that it would start.
//!
//! Lines go to standard output, where [`super::life`] reads them. Many lines contain names from the network, so
//! that no line proves anything. The end is reported by a [`Report`] after a mark that no line can contain.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// First character of the line with the report: the control character "record separator".
const MARK: char = '\u{1e}';

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
}

impl Loaded {
    /// Describes a file by its bytes.
    pub(super) fn of(name: &str, file: &[u8]) -> Loaded {
        let digest = Sha256::digest(file);
        Loaded {
            name: name.to_owned(),
            bytes: u64::try_from(file.len()).unwrap_or(u64::MAX),
            sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
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

/// Kind of a line on a simulated machine's standard output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// A line of its console.
    Console(String),
    /// Report of a successful boot.
    End(Report),
}

/// Parses a line of standard output.
pub(super) fn read(line: &str) -> Line {
    let report = line.strip_prefix(MARK).map(serde_json::from_str);
    match report {
        Some(Ok(report)) => Line::End(report),
        _ => Line::Console(printable(line)),
    }
}

/// Writes a line on the console.
pub(super) fn say(line: &str) {
    print(&printable(line));
}

/// Reports the end of a successful boot.
pub(super) fn tell(report: &Report) {
    if let Ok(text) = serde_json::to_string(report) {
        print(&format!("{MARK}{text}"));
    }
}

/// Returns a single line in which names from the network can begin neither another line nor the report.
fn printable(line: &str) -> String {
    line.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

fn print(line: &str) {
    use std::io::Write;
    // The reader disappears only when everything ends.
    let _ = writeln!(std::io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            kernel: Loaded::of("http://192.168.92.1:8080/assets/vmlinuz", b"kernel"),
            initrds: vec![Loaded::of("http://192.168.92.1:8080/assets/initrd", b"")],
        }
    }

    #[test]
    fn read_report_is_the_one_that_was_told() {
        let text = serde_json::to_string(&report()).unwrap();
        assert_eq!(read(&format!("{MARK}{text}")), Line::End(report()));
    }

    #[test]
    fn read_console_line_with_a_forged_report_is_a_console_line() {
        let text = serde_json::to_string(&report()).unwrap();
        // A boot file name with everything that a stranger may want to write.
        for name in [
            format!("{MARK}{text}"),
            format!("x\n{MARK}{text}"),
            format!("x\r\n{text}"),
        ] {
            for line in printable(&name).lines() {
                assert!(matches!(read(line), Line::Console(_)), "{line}");
            }
        }
        assert_eq!(
            read(&format!("{MARK}no report")),
            Line::Console("?no report".into())
        );
    }

    #[test]
    fn line_names_files_and_their_hashes() {
        let line = report().line();
        assert!(line.contains("/assets/vmlinuz (sha256 "), "{line}");
        // SHA-256 of no bytes.
        assert!(
            line.contains("/assets/initrd (sha256 e3b0c44298fc1c14"),
            "{line}"
        );
    }
}
