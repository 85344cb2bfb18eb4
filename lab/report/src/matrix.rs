//! Results of one selection on several firmwares and boot programs: grid for the terminal, `matrix.json`, `matrix.html` and
//! Markdown.

use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};

use lab_model::verdict::NodeVerdict;
use maud::{DOCTYPE, html};
use serde::{Deserialize, Serialize};

use super::table::Colour;
use super::{NodeSummary, RunSummary, UnitSummary};

/// Results of all combinations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Matrix {
    /// Start time, RFC 3339.
    pub started: String,
    /// Accelerator of the machines.
    pub accelerator: String,
    /// Combinations in the order of their runs.
    pub columns: Vec<Column>,
}

/// Results on one combination of firmware and boot program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Package of the UEFI firmware; `None` for the host's, and for BIOS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<String>,
    /// Package of the boot programs; `None` for the host's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbp: Option<String>,
    /// Folder of the run, relative to the matrix's.
    pub run: PathBuf,
    pub units: Vec<UnitSummary>,
}

impl Column {
    fn title(&self, is_bios: bool) -> String {
        let firmware = match (&self.firmware, is_bios) {
            (_, true) => "SeaBIOS",
            (Some(package), false) => package,
            (None, false) => "the host's UEFI",
        };
        let nbp = self.nbp.as_deref().unwrap_or("the host's iPXE");
        format!("{firmware} + {nbp}")
    }
}

/// Row of the grid: one unit on all combinations.
struct Row<'m> {
    name: String,
    cells: Vec<Option<&'m UnitSummary>>,
}

/// Part of the grid whose units have the same combinations: BIOS, or UEFI.
struct Part<'m> {
    columns: Vec<&'m Column>,
    titles: Vec<String>,
    rows: Vec<Row<'m>>,
}

impl Matrix {
    /// Returns the units of all combinations as one run, for the exit code.
    #[must_use]
    pub fn whole(&self, last: &RunSummary) -> RunSummary {
        let units = self.columns.iter().flat_map(|column| column.units.clone());
        RunSummary {
            units: units.collect(),
            ..last.clone()
        }
    }

    fn parts(&self) -> Vec<Part<'_>> {
        let mut parts = Vec::new();
        for is_bios in [true, false] {
            let is_here = |unit: &&UnitSummary| unit.firmware.is_uefi() != is_bios;
            let columns: Vec<&Column> = self
                .columns
                .iter()
                .filter(|column| column.units.iter().any(|unit| is_here(&unit)))
                .collect();
            let mut names: Vec<String> = Vec::new();
            for unit in columns
                .iter()
                .flat_map(|column| &column.units)
                .filter(is_here)
            {
                if !names.contains(&unit.name()) {
                    names.push(unit.name());
                }
            }
            let rows = names.into_iter().map(|name| Row {
                cells: columns
                    .iter()
                    .map(|column| column.units.iter().find(|unit| unit.name() == name))
                    .collect(),
                name,
            });
            let rows: Vec<Row> = rows.collect();
            if !rows.is_empty() {
                parts.push(Part {
                    titles: columns.iter().map(|column| column.title(is_bios)).collect(),
                    rows,
                    columns,
                });
            }
        }
        parts
    }

    /// Renders the grid for a terminal, and below it a line for each failure.
    #[must_use]
    pub fn render(&self, colour: Colour) -> String {
        let mut text = String::new();
        for part in self.parts() {
            let names = part.rows.iter().map(|row| row.name.len());
            let name_width = names.max().unwrap_or_default().max("scenario".len());
            // Writing to a string cannot fail.
            let _ = write!(text, "{:name_width$}", "scenario");
            for title in &part.titles {
                let _ = write!(text, "  {title}");
            }
            text.push('\n');
            for row in &part.rows {
                let _ = write!(text, "{:name_width$}", row.name);
                for (cell, title) in row.cells.iter().zip(&part.titles) {
                    let width = title.chars().count();
                    let _ = write!(text, "  {}", painted(*cell, width, colour));
                }
                text.push('\n');
            }
            text.push('\n');
        }
        for (title, unit, node) in self.failures() {
            let _ = writeln!(
                text,
                "{title}, {} {}: {}",
                unit.name(),
                node.name,
                reason(node)
            );
        }
        text
    }

    /// Renders the grid as Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        for part in self.parts() {
            let titles = part.titles.iter().map(|title| format!(" {title} |"));
            let _ = writeln!(text, "| scenario |{}", titles.collect::<String>());
            let _ = writeln!(text, "|---|{}", "---|".repeat(part.titles.len()));
            for row in &part.rows {
                let cells = row.cells.iter().map(|cell| format!(" {} |", told(*cell)));
                let _ = writeln!(text, "| `{}` |{}", row.name, cells.collect::<String>());
            }
            text.push('\n');
        }
        for (title, unit, node) in self.failures() {
            let (unit, name) = (unit.name(), &node.name);
            let _ = writeln!(text, "- {title}, `{unit}` {name}: {}", reason(node));
        }
        text
    }

    /// Writes `matrix.json` and `matrix.html` into the matrix's folder.
    ///
    /// # Errors
    /// Fails if a file cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let json = serde_json::to_string_pretty(self)?;
        std::fs::write(folder.join("matrix.json"), json + "\n")?;
        std::fs::write(folder.join("matrix.html"), self.html())
    }

    fn html(&self) -> String {
        let markup = html! {
            (DOCTYPE)
            html lang="en" {
                (super::html::head("Firmware and boot programs"))
                body { main {
                    h1 { "Firmware and boot programs" }
                    p { "Started " (self.started) ", on " (self.accelerator) "." }
                    @for part in self.parts() {
                        table {
                            thead { tr {
                                th { "scenario" }
                                @for (title, column) in part.titles.iter().zip(&part.columns) {
                                    th { a href=(format!("{}/index.html", column.run.display())) { (title) } }
                                }
                            } }
                            tbody {
                                @for row in &part.rows { tr {
                                    td { (row.name) }
                                    @for cell in &row.cells { td { (told(*cell)) } }
                                } }
                            }
                        }
                    }
                    @for (title, unit, node) in self.failures() {
                        p { b { (title) ", " (unit.name()) " " (node.name) ": " } (reason(node)) }
                    }
                } }
            }
        };
        markup.into_string()
    }

    /// Returns the machines that did not pass, with the titles of their columns.
    fn failures(&self) -> Vec<(String, &UnitSummary, &NodeSummary)> {
        let mut failures = Vec::new();
        for column in &self.columns {
            for unit in &column.units {
                for node in unit.nodes.iter().filter(|node| !is_pass(node)) {
                    failures.push((column.title(!unit.firmware.is_uefi()), unit, node));
                }
            }
        }
        failures
    }
}

/// Returns the cause of a failure, else its sentence.
fn reason(node: &NodeSummary) -> String {
    match node.findings.first() {
        Some(best) => format!("{} ({})", best.sentence, best.cause),
        None => node.verdict.sentence(),
    }
}

/// True for a pass, also on a retry.
fn is_pass(node: &NodeSummary) -> bool {
    matches!(node.verdict, NodeVerdict::Pass | NodeVerdict::Flaky { .. })
}

/// Returns the first machine of a unit that did not pass.
fn first_failure(unit: &UnitSummary) -> Option<&NodeSummary> {
    unit.nodes.iter().find(|node| !is_pass(node))
}

/// Returns the text of a cell.
fn told(unit: Option<&UnitSummary>) -> String {
    let Some(unit) = unit else {
        return "not run".into();
    };
    match first_failure(unit) {
        None => {
            let seconds = unit.nodes.iter().filter_map(|node| node.seconds);
            format!("pass, {:.0} s", seconds.fold(0.0, f64::max))
        }
        Some(node) => match (&node.verdict, node.findings.first()) {
            (_, Some(best)) => best.cause.to_string(),
            (NodeVerdict::Fail { stage, .. }, None) => format!("fail at {stage}"),
            (verdict, None) => verdict.word().to_owned(),
        },
    }
}

fn painted(unit: Option<&UnitSummary>, width: usize, colour: Colour) -> String {
    let text = format!("{:width$}", told(unit));
    let code = match unit.map(first_failure) {
        None => return text,
        Some(None) => "32",
        Some(Some(_)) => "31",
    };
    match colour {
        Colour::Off => text,
        Colour::On => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
    }
}

#[cfg(test)]
mod tests {
    use lab_model::diagnosis::{Cause, Finding};
    use lab_model::scenario::{Firmware, Machines};
    use lab_model::timeline::StageName;

    use super::*;

    fn unit(firmware: Firmware, verdict: NodeVerdict, findings: Vec<Finding>) -> UnitSummary {
        UnitSummary {
            scenario: "pxe-dhcp".into(),
            firmware,
            repetition: None,
            machines: Machines::Virtual,
            image: "stand-in".into(),
            nodes: vec![NodeSummary {
                name: "node1".into(),
                verdict,
                findings,
                not_proven: Vec::new(),
                seconds: Some(23.4),
            }],
            attempts: Vec::new(),
        }
    }

    fn matrix() -> Matrix {
        let column = |firmware: Option<&str>, nbp: &str, unit| Column {
            firmware: firmware.map(str::to_owned),
            nbp: Some(nbp.into()),
            run: "run".into(),
            units: vec![unit],
        };
        let fail = NodeVerdict::Fail {
            stage: StageName::Nbp,
            waited_for: "iPXE".into(),
            why: "nothing came".into(),
            missing: Vec::new(),
        };
        let finding = Finding {
            cause: Cause::TlsRefused,
            sentence: "the firmware <does not> accept it".into(),
            evidence: Vec::new(),
            remedy: "enrol it".into(),
            weight: 96,
        };
        let pass = || unit(Firmware::Uefi, NodeVerdict::Pass, Vec::new());
        Matrix {
            started: "2026-12-01T00:00:00Z".into(),
            accelerator: "TCG".into(),
            columns: vec![
                column(
                    None,
                    "ipxe:12",
                    unit(Firmware::Bios, NodeVerdict::Pass, Vec::new()),
                ),
                column(Some("ovmf:12"), "ipxe:12", pass()),
                column(
                    Some("ovmf:13"),
                    "ipxe:12",
                    unit(Firmware::Uefi, fail, vec![finding]),
                ),
            ],
        }
    }

    #[test]
    fn render_has_a_grid_for_bios_and_one_for_uefi_and_explains_failures() {
        let text = matrix().render(Colour::Off);
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        assert_eq!(
            lines,
            [
                "scenario       SeaBIOS + ipxe:12",
                "pxe-dhcp@bios  pass, 23 s",
                "",
                "scenario       ovmf:12 + ipxe:12  ovmf:13 + ipxe:12",
                "pxe-dhcp@uefi  pass, 23 s         tls-refused",
                "",
                "ovmf:13 + ipxe:12, pxe-dhcp@uefi node1: the firmware <does not> accept it (tls-refused)",
            ]
        );
        let cells = matrix().markdown();
        let row = "| `pxe-dhcp@uefi` | pass, 23 s | tls-refused |";
        assert!(cells.lines().any(|line| line == row), "{cells}");
    }

    #[test]
    fn write_has_the_failure_in_all_files_and_no_markup_of_machines() {
        let folder = tempfile::tempdir().unwrap();
        matrix().write(folder.path()).unwrap();
        let page = std::fs::read_to_string(folder.path().join("matrix.html")).unwrap();
        assert!(page.contains("the firmware &lt;does not&gt; accept it (tls-refused)"));
        let json = std::fs::read_to_string(folder.path().join("matrix.json")).unwrap();
        let read: Matrix = serde_json::from_str(&json).unwrap();
        assert_eq!(read, matrix());
        let last = RunSummary {
            run_id: "4f2a11".into(),
            started: String::new(),
            seconds: 1.0,
            processor_seconds: None,
            accelerator: String::new(),
            shard: None,
            whole: None,
            flaky_fails: false,
            units: Vec::new(),
            rehearsal: None,
            folder: PathBuf::new(),
        };
        let code = read.whole(&last).exit_code();
        assert_eq!(code, crate::exit_code::ExitCode::Failed);
    }
}
