//! `lab explain`: finds out why a machine did not boot, from saved artifacts or from a capture alone.

mod place;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use boot_server_proto::mac::MacAddr;
use clap::Args;
use lab_model::diagnosis::capture::{explain_machines, machines};
use lab_model::diagnosis::{Explained, explain};
use lab_model::evidence::{saved, wire};
use lab_model::untrusted::{plain, plain_json};
use lab_model::verdict::NodeVerdict;
use lab_report::exit_code::ExitCode;

use self::place::{Place, PlaceError, find};

/// Maximum number of bytes read from one console log.
const CONSOLE_LIMIT_BYTES: u64 = 256 << 20;

/// Arguments of `lab explain`.
#[derive(Debug, Args)]
pub(super) struct ExplainArguments {
    /// Run, scenario of a run, machine, or capture file to explain
    ///
    /// RUN is `latest`, the id or name of a run, or a path to a run's folder. Without SCENARIO, all failed
    /// machines of the run are explained. FILE is a pcapng or pcap file from any network, gzipped or not.
    #[arg(
        value_name = "RUN[/SCENARIO[@FIRMWARE]][/NODE] | FILE",
        default_value = "latest"
    )]
    what: String,
    /// Folder of the runs
    #[arg(long, value_name = "DIR", default_value = "runs")]
    artifacts: PathBuf,
    /// Serial console log of the machine (captures only)
    #[arg(long, value_name = "FILE")]
    console: Option<PathBuf>,
    /// MAC of the machine to explain (captures only); required with --console if several machines boot
    #[arg(long, value_name = "MAC", value_parser = mac)]
    mac: Option<MacAddr>,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

/// Text that is not a MAC in any notation.
#[derive(Debug, thiserror::Error)]
#[error("invalid MAC address: `{0}` (example: `52:54:00:a1:9c:ae`)")]
struct InvalidMac(String);

fn mac(text: &str) -> Result<MacAddr, InvalidMac> {
    text.parse().map_err(|_| InvalidMac(text.to_owned()))
}

/// Reasons that nothing is explained.
#[derive(Debug, thiserror::Error)]
enum ExplainError {
    #[error("--console and --mac need a capture: name a pcapng or pcap file")]
    NeedsCapture,
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error(transparent)]
    Attempt(#[from] saved::SavedError),
    #[error("unknown machine in {folder}: `{node}` (machines: {known})")]
    UnknownMachine {
        folder: PathBuf,
        node: String,
        known: String,
    },
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("{path}: {source}")]
    Capture {
        path: PathBuf,
        source: wire::CaptureError,
    },
    #[error("{path}: unknown machine in this capture: {mac} ({found})")]
    UnknownMac {
        path: PathBuf,
        mac: MacAddr,
        /// Machines of the capture.
        found: String,
    },
    #[error(
        "{path}: no machine boots in this capture: {frames} frames, but no DHCP, TFTP or HTTP request{kind}"
    )]
    NoMachine {
        path: PathBuf,
        frames: u64,
        /// Lines about the kind of capture.
        kind: String,
    },
    #[error(
        "{path}: several machines boot in this capture; choose the one of --console with --mac ({found})"
    )]
    SeveralMachines {
        path: PathBuf,
        /// Machines of the capture.
        found: String,
    },
}

/// Explains the selected machines and returns the exit code.
pub(super) fn run(arguments: &ExplainArguments) -> ExitCode {
    let path = Path::new(&arguments.what);
    let explained = if path.is_file() {
        capture(path, arguments)
    } else if arguments.console.is_some() || arguments.mac.is_some() {
        Err(ExplainError::NeedsCapture)
    } else {
        run_of(arguments)
    };
    let explained = match explained {
        Ok(explained) => explained,
        Err(why) => {
            eprintln!("lab: {}", plain(&why.to_string()));
            return ExitCode::InvalidInput;
        }
    };
    if arguments.json {
        match serde_json::to_string_pretty(&explained) {
            Ok(json) => println!("{}", plain_json(&json)),
            Err(error) => {
                eprintln!("lab: {error}");
                return ExitCode::Internal;
            }
        }
    } else {
        let texts: Vec<&str> = explained.iter().map(|one| one.text.as_str()).collect();
        print!("{}", plain(&texts.join("\n")));
    }
    ExitCode::Ok
}

/// Returns the failed machines of a run; a machine that was named is included whatever its verdict.
fn run_of(arguments: &ExplainArguments) -> Result<Vec<Explained>, ExplainError> {
    let places = find(&arguments.what, &arguments.artifacts)?;
    let mut explained = Vec::new();
    let mut passed = 0;
    for unit in places {
        let mut told = Vec::new();
        // Prefers the last failed attempt, else takes the last attempt.
        for Place {
            attempt: folder,
            node,
        } in unit.iter().rev()
        {
            let attempt = saved::load(folder)?;
            let wanted = attempt.scenario.nodes.iter();
            let wanted: Vec<_> = wanted
                .filter(|one| node.as_ref().is_none_or(|name| one.name == *name))
                .collect();
            if wanted.is_empty() {
                let names: Vec<&str> = attempt
                    .scenario
                    .nodes
                    .iter()
                    .map(|one| one.name.as_str())
                    .collect();
                return Err(ExplainError::UnknownMachine {
                    folder: folder.clone(),
                    node: node.clone().unwrap_or_default(),
                    known: names.join(", "),
                });
            }
            let all: Vec<Explained> = wanted
                .into_iter()
                .map(|one| explain(&attempt, one))
                .collect();
            let any_failed = all.iter().any(failed);
            if any_failed || told.is_empty() {
                told = all;
            }
            if any_failed {
                break;
            }
        }
        let named = unit.iter().any(|place| place.node.is_some());
        for one in told {
            if named || failed(&one) {
                explained.push(one);
            } else {
                passed += 1;
            }
        }
    }
    if explained.is_empty() {
        eprintln!(
            "lab: nothing to explain: no machine failed in {} ({passed} passed or were skipped)",
            arguments.what
        );
    }
    Ok(explained)
}

fn failed(one: &Explained) -> bool {
    one.verdict != NodeVerdict::Pass
}

fn capture(path: &Path, arguments: &ExplainArguments) -> Result<Vec<Explained>, ExplainError> {
    let named = || path.to_owned();
    let unreadable = |path: &Path, source| ExplainError::File {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(|error| unreadable(path, error))?;
    let wire = wire::read(file).map_err(|source| ExplainError::Capture {
        path: named(),
        source,
    })?;
    if let Some(damage) = &wire.damage {
        eprintln!(
            "lab: damaged capture, read up to the damage: {} ({damage})",
            plain(&path.display().to_string())
        );
    }
    let console = match &arguments.console {
        Some(console) => {
            let mut bytes = Vec::new();
            File::open(console)
                .and_then(|file| file.take(CONSOLE_LIMIT_BYTES).read_to_end(&mut bytes))
                .map_err(|error| unreadable(console, error))?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        }
        None => None,
    };
    let mut found = machines(&wire);
    if let Some(mac) = arguments.mac {
        if !found.contains(&mac) {
            return Err(ExplainError::UnknownMac {
                path: named(),
                mac,
                found: listed(&found),
            });
        }
        found = vec![mac];
    }
    if found.is_empty() {
        let kind = wire.kind.sentences();
        let kind = kind.iter().map(|sentence| format!("\n  {sentence}"));
        return Err(ExplainError::NoMachine {
            path: named(),
            frames: wire.frames,
            kind: kind.collect(),
        });
    }
    if console.is_some() && found.len() > 1 {
        return Err(ExplainError::SeveralMachines {
            path: named(),
            found: listed(&found),
        });
    }
    let name = path
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let mut explained = explain_machines(&name, &wire, &found, console.as_deref());
    // The kind of capture comes first, because it limits what can be concluded.
    let kind = wire.kind.sentences();
    if let (Some(first), false) = (explained.first_mut(), kind.is_empty()) {
        let kind: String = kind.iter().map(|one| format!("capture: {one}\n")).collect();
        first.text.insert_str(0, &format!("{kind}\n"));
    }
    Ok(explained)
}

fn listed(machines: &[MacAddr]) -> String {
    let macs: Vec<String> = machines.iter().map(ToString::to_string).collect();
    match macs.is_empty() {
        true => "no machine boots in it".into(),
        false => format!("machines: {}", macs.join(", ")),
    }
}
