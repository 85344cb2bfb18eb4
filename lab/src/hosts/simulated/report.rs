//! Output of a simulated machine: console lines, and at its end the files that it would start.
//!
//! Lines go to standard output, where the cell's worker reads them. Many lines contain names from the network, so
//! that no line proves anything. The end is reported by a [`Report`] after a mark that no line can contain.

use lab_model::evidence::simulated::{Report, printable};

/// First character of the line with the report: the control character "record separator".
const MARK: char = '\u{1e}';

/// Kind of a line on a simulated machine's standard output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A line of its console.
    Console(String),
    /// Report of a successful boot.
    End(Report),
}

/// Parses a line of standard output.
#[must_use]
pub fn read(line: &str) -> Line {
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

fn print(line: &str) {
    use std::io::Write;
    // The reader disappears only when everything ends.
    let _ = writeln!(std::io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use lab_model::evidence::simulated::Loaded;

    use super::*;

    fn report() -> Report {
        Report {
            kernel: Loaded::of("http://192.168.92.1:8080/assets/vmlinuz", b"kernel"),
            initrds: vec![Loaded::of("http://192.168.92.1:8080/assets/initrd", b"")],
            options: Some(vec!["console=ttyS0".into()]),
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
