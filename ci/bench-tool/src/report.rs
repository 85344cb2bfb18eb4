//! Report: machine, versions, commands, tables. Results of partial runs are combined in a file, as long as
//! machine and peers stay the same.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::table::Section;

/// Debian packages of what ours is compared with and of what measures.
const PACKAGES: [&str; 8] = [
    "dnsmasq-base",
    "kea-dhcp4-server",
    "kea-admin",
    "tftpd-hpa",
    "atftpd",
    "nginx",
    "wrk",
    "qemu-system-x86",
];

/// All comparisons that were made on one machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The machine and its kernel.
    machine: String,
    /// The versions of everybody else.
    peers: String,
    /// Commands that were run.
    commands: Vec<String>,
    sections: Vec<Section>,
}

impl Report {
    /// Returns an empty report of this machine.
    pub(crate) fn begin(peers: &Path) -> Report {
        Report {
            machine: machine(),
            peers: versions(peers),
            commands: vec![command(std::env::args())],
            sections: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, section: Section) {
        if !section.rows.is_empty() {
            self.sections.push(section);
        }
    }

    /// True if nothing was measured.
    pub(crate) fn is_empty(&self) -> bool {
        self.sections.is_empty()
    }

    /// Adds the results in a file that this run did not measure itself, and keeps all of them there.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub(crate) fn join(&mut self, results: &Path) -> anyhow::Result<()> {
        if results.exists() {
            let text = std::fs::read(results).with_context(|| format!("{}", results.display()))?;
            let before: Report = serde_json::from_slice(&text).with_context(|| {
                let path = results.display();
                format!("{path} is not a results file; remove it to start over")
            })?;
            if (&before.machine, &before.peers) == (&self.machine, &self.peers) {
                self.continue_from(before);
            } else {
                eprintln!(
                    "ci/bench: ignoring earlier results of another machine or of other versions"
                );
            }
        }
        let text = serde_json::to_vec_pretty(self)?;
        std::fs::write(results, text).with_context(|| format!("writing {}", results.display()))
    }

    fn continue_from(&mut self, before: Report) {
        let mut sections = before.sections;
        for new in self.sections.drain(..) {
            match sections.iter_mut().find(|old| old.title == new.title) {
                Some(old) if old.servers == new.servers => {
                    let mut rows = std::mem::take(&mut old.rows);
                    for row in &new.rows {
                        match rows.iter_mut().find(|old| old.name == row.name) {
                            Some(old) => *old = row.clone(),
                            None => rows.push(row.clone()),
                        }
                    }
                    *old = Section { rows, ..new };
                }
                Some(old) => *old = new,
                None => sections.push(new),
            }
        }
        let mut commands = before.commands;
        for new in self.commands.drain(..) {
            if !commands.contains(&new) {
                commands.push(new);
            }
        }
        (self.sections, self.commands) = (sections, commands);
    }

    /// Rows whose target is missed.
    pub(crate) fn missed(&self) -> Vec<String> {
        let rows = self.sections.iter().flat_map(|section| {
            let missed = section
                .rows
                .iter()
                .filter(|row| section.is_met(row) == Some(false));
            missed.map(|row| format!("{}: {}", section.title, row.name))
        });
        rows.collect()
    }

    /// Returns the report as Markdown.
    pub(crate) fn render(&self) -> String {
        let mut out = String::from("# boot-server beside the programs it replaces\n\n");
        let commands: Vec<String> = self.commands.iter().map(|one| format!("`{one}`")).collect();
        let _ = writeln!(
            out,
            "Made by {}, with the release build. Other work on the machine makes the numbers noise.\n\n\
             - Machine: {}.\n- Beside it: {}.\n\n\
             Each number is a median, with the least and the most in brackets. Before anything counts, each \
             server is warmed up; the servers of a row take turns, each round begun by another one, across a \
             cable (a veth pair) between two network namespaces. Load generator and server share the \
             processors. A run with a wrong byte, a wrong lease or a failed request is an error, not a number.\n",
            commands.join(", "),
            self.machine,
            self.peers,
        );
        for section in &self.sections {
            section.render(&mut out);
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
        out
    }
}

/// Returns the command as typed; `ci/bench` adds some arguments.
fn command(arguments: impl Iterator<Item = String>) -> String {
    const HIDDEN: [&str; 4] = ["--boot-server", "--peers", "--results", "--kernel"];
    let mut shown = vec!["ci/bench".to_owned()];
    // The first is this program.
    let mut arguments = arguments.skip(1);
    while let Some(argument) = arguments.next() {
        match HIDDEN.contains(&argument.as_str()) {
            true => drop(arguments.next()),
            false if argument.contains(' ') => shown.push(format!("'{argument}'")),
            false => shown.push(argument),
        }
    }
    shown.join(" ")
}

fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let field = |text: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let value = line.and_then(|line| line.split_once(':'));
        value.map(|(_, value)| value.trim().to_owned())
    };
    let model =
        field(&cpuinfo, "model name").unwrap_or_else(|| "a processor without a name".into());
    let kib = field(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
    let kib: f64 = kib.trim_end_matches(" kB").parse().unwrap_or(0.0);
    let virtual_one = match cpuinfo.contains("hypervisor") {
        true => ", itself a virtual machine",
        false => "",
    };
    format!(
        "{} processors ({model}), {:.0} GiB of memory, Linux {}{virtual_one}",
        std::thread::available_parallelism().map_or(1, usize::from),
        kib / (1024.0 * 1024.0),
        read("/proc/sys/kernel/osrelease").trim(),
    )
}

/// Returns package names and versions; atftpd's version is beside its unpacked files.
fn versions(peers: &Path) -> String {
    let version = |package: &str| {
        let unpacked = std::fs::read_to_string(peers.join(format!("{package}.version")));
        if let Ok(version) = unpacked {
            return Some(version.trim().to_owned());
        }
        let mut query = Command::new("dpkg-query");
        query.args(["-W", "-f", "${Version}", package]);
        let output = query
            .output()
            .ok()
            .filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).into_owned()).filter(|v| !v.is_empty())
    };
    let all = PACKAGES
        .iter()
        .filter_map(|package| Some(format!("{package} {}", version(package)?)));
    all.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Better, Row};

    fn section(rows: &[(&str, f64)]) -> Section {
        let row = |(name, value): &(&str, f64)| Row {
            name: (*name).to_owned(),
            values: vec![vec![*value], vec![1.0]],
            ..Row::default()
        };
        Section {
            title: "Title".into(),
            note: "Note.".into(),
            servers: vec!["ours".into(), "theirs".into()],
            better: Better::More,
            target: Some(1.0),
            rows: rows.iter().map(row).collect(),
        }
    }

    fn report(command: &str, rows: &[(&str, f64)]) -> Report {
        Report {
            machine: "m".into(),
            peers: "p".into(),
            commands: vec![command.into()],
            sections: vec![section(rows)],
        }
    }

    #[test]
    fn rows_measured_again_replace_the_old_ones_and_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let results = folder.path().join("results.json");
        report("one", &[("a", 1.0), ("b", 2.0)])
            .join(&results)
            .unwrap();
        let mut second = report("two", &[("b", 3.0), ("c", 4.0)]);
        second.join(&results).unwrap();
        let wanted = section(&[("a", 1.0), ("b", 3.0), ("c", 4.0)]);
        assert_eq!(second.sections, [wanted]);
        assert_eq!(second.commands, ["one", "two"]);
    }

    #[test]
    fn results_of_another_machine_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let results = folder.path().join("results.json");
        report("one", &[("a", 1.0)]).join(&results).unwrap();
        let mut second = report("two", &[("b", 3.0)]);
        second.machine = "other".into();
        second.join(&results).unwrap();
        assert_eq!(second.sections, [section(&[("b", 3.0)])]);
    }

    #[test]
    fn what_is_missed_is_named() {
        let report = report("one", &[("a", 1.0), ("b", 0.9)]);
        assert_eq!(report.missed(), ["Title: b"]);
    }

    #[test]
    fn the_command_is_told_without_what_the_script_hands_in() {
        let typed = [
            "tool",
            "--peers",
            "/x",
            "dhcp",
            "--only",
            "10 groups",
            "--results",
            "/y",
        ];
        let shown = command(typed.iter().map(|word| (*word).to_owned()));
        assert_eq!(shown, "ci/bench dhcp --only '10 groups'");
    }
}
