//! `lab logs`: prints the consoles of machines and the logs of services.

use std::path::Path;

use boot_server::cli::narrate::Narrator;
use boot_server_events::Event;
use clap::Args;
use lab_model::evidence::tail::Tail;
use lab_model::untrusted::plain_line;
use lab_report::exit_code::ExitCode;

use super::{follow, unknown};
use crate::cli::error::CliError;
use crate::node::console::clean;
use crate::persistent::{PersistentLab, Registry};

/// Service names on the command line, and their folders.
const SERVICES: [(&str, &str); 4] = [
    ("boot-server", "server"),
    ("config-service", "config-service"),
    ("pixiecore", "pixiecore"),
    ("dnsmasq", "dnsmasq"),
];

/// Arguments of `lab logs`.
#[derive(Debug, Args)]
pub(in crate::cli) struct LogsArguments {
    /// Machine or service (`boot-server`, `config-service`, `pixiecore`, `dnsmasq`) [default: all]
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Run id or scenario of the lab; optional if only one lab is up
    #[arg(long, value_name = "LAB")]
    lab: Option<String>,
    /// Follow new lines until the lab is down
    #[arg(long, short)]
    follow: bool,
    /// Show the journals of machines instead of their consoles
    #[arg(long)]
    journal: bool,
}

/// Growing log of a machine or service.
struct Source {
    name: String,
    tail: Tail,
    how: How,
}

/// Conversion of a log into readable lines.
enum How {
    Console,
    Events(Box<Narrator>),
    Text,
}

/// Prints the logs.
pub(super) fn run(registry: &Registry, arguments: &LogsArguments) -> Result<ExitCode, CliError> {
    let lab = match (&arguments.lab, &arguments.name) {
        (None, Some(name)) if registry.find(None).is_err() => registry
            .node(None, name)
            .map(|(lab, _)| lab)
            .map_err(unknown)?,
        (lab, _) => registry.find(lab.as_deref()).map_err(unknown)?,
    };
    let mut sources = sources(&lab, arguments.journal);
    if let Some(name) = &arguments.name {
        let known: Vec<String> = names(&sources);
        let is_meant = |source: &Source| source.name == *name;
        // If another program is the DHCP server, our boot server is only the config service.
        let ours = ["boot-server", "config-service"];
        if name == ours[0] && !sources.iter().any(is_meant) {
            sources.retain(|source| source.name == ours[1]);
        } else {
            sources.retain(is_meant);
        }
        if sources.is_empty() {
            let known = known.join(", ");
            return Err(unknown(format!("no logs of `{name}` (available: {known})")));
        }
    }
    let width = match names(&sources).len() {
        1 => None,
        _ => sources.iter().map(|source| source.name.len()).max(),
    };
    follow::write(&lab, arguments.follow, || {
        let mut lines = Vec::new();
        for source in &mut sources {
            while let fresh @ [_, ..] = source.tail.lines().as_slice() {
                let shown = fresh.iter().filter_map(|line| source.how.show(line));
                lines.extend(shown.map(|line| match width {
                    None => line,
                    Some(width) => format!("{:width$} | {line}", source.name),
                }));
            }
        }
        lines
    })
}

fn names(sources: &[Source]) -> Vec<String> {
    let mut names: Vec<String> = sources.iter().map(|source| source.name.clone()).collect();
    names.dedup();
    names
}

fn sources(lab: &PersistentLab, journal: bool) -> Vec<Source> {
    let mut sources = Vec::new();
    for (name, folder) in SERVICES {
        let folder = lab.artifacts.join(folder);
        let own = [
            ("events.jsonl", How::Events(Box::default())),
            ("stdout.log", How::Text),
            ("stderr.log", How::Text),
        ];
        // The server's events also appear on its standard error, if there are any.
        let has_events = is_file(&folder.join("events.jsonl"));
        for (file, how) in own {
            let path = folder.join(file);
            if is_file(&path) && (!has_events || matches!(how, How::Events(_))) {
                sources.push(Source {
                    name: name.to_owned(),
                    tail: Tail::at_start(path),
                    how,
                });
            }
        }
    }
    for node in &lab.nodes {
        let (file, how) = match journal {
            true => ("journal.log", How::Text),
            false => ("console.log", How::Console),
        };
        sources.push(Source {
            name: node.name.clone(),
            tail: Tail::at_start(lab.artifacts_of(node).join(file)),
            how,
        });
    }
    sources
}

fn is_file(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|file| file.is_file())
}

impl How {
    fn show(&mut self, line: &[u8]) -> Option<String> {
        match self {
            How::Console => Some(clean(line)),
            How::Text => Some(plain_line(&String::from_utf8_lossy(line))),
            How::Events(narrator) => {
                let event: Event = serde_json::from_slice(line).ok()?;
                let (_, told) = narrator.tell(&event.what)?;
                Some(format!("{} {}", clock(event.at_us), plain_line(&told)))
            }
        }
    }
}

/// Formats the time of day in the reader's time zone.
fn clock(at_us: u64) -> String {
    let time = i64::try_from(at_us)
        .ok()
        .and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
    time.map_or_else(String::new, |time| {
        let zoned = time.to_zoned(jiff::tz::TimeZone::system());
        zoned.strftime("%H:%M:%S").to_string()
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::persistent::tests::alive;

    #[test]
    fn services_and_machines_have_logs() {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("server/events.jsonl", ""),
            ("server/stderr.log", ""),
            ("dnsmasq/stderr.log", ""),
            ("nodes/node1/console.log", ""),
        ] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let lab = PersistentLab {
            artifacts: folder.path().to_owned(),
            ..alive("4f2a11", &["node1"])
        };
        let all = sources(&lab, false);
        let shown: Vec<String> = all
            .iter()
            .map(|one| {
                format!(
                    "{} {}",
                    one.name,
                    one.tail.path().file_name().unwrap().display()
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                "boot-server events.jsonl",
                "dnsmasq stderr.log",
                "node1 console.log"
            ]
        );
    }

    #[test]
    fn text_of_a_service_is_shown_without_its_control_sequences() {
        let line = "\x1b]0;title\x07\x1b[31mred\u{9b}2J";
        let shown = How::Text.show(line.as_bytes());
        assert_eq!(shown.as_deref(), Some("red\u{fffd}2J"));
    }

    #[test]
    fn a_console_is_shown_without_its_control_sequences() {
        assert_eq!(
            How::Console
                .show(b"\x1b[0;32m  OK  \x1b[0m Started\r")
                .as_deref(),
            Some("  OK   Started")
        );
    }
}
