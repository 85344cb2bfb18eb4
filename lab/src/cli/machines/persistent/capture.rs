//! `lab capture`: shows the packets on a lab's network, or writes them to a file for Wireshark.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use clap::Args;
use ipnet::Ipv4Net;
use lab_model::evidence::packet::Wire;
use lab_model::evidence::{saved, wire};
use lab_model::scenario::{Network, Scenario};
use lab_model::untrusted::Folder;
use lab_report::exit_code::ExitCode;
use lab_report::packets::PacketLines;
use serde::{Deserialize, Serialize};

use super::{follow, unknown};
use crate::capture::{CaptureSpec, PcapMode, stream};
use crate::cell::CAPTURE_COMMAND;
use crate::cell::plan;
use crate::cli::error::{CliError, refuse};
use crate::persistent::{PersistentLab, Registry};

/// Maximum size of a saved capture written to a file, after decompression.
const WRITTEN_LIMIT_BYTES: u64 = 64 << 30;

/// Arguments of `lab capture`.
#[derive(Debug, Args)]
pub(in crate::cli) struct CaptureArguments {
    /// Run id or scenario of the lab; optional if only one lab is up
    #[arg(value_name = "LAB")]
    lab: Option<String>,
    /// Capture new packets until the lab is down, instead of showing the recorded ones
    #[arg(long, short)]
    follow: bool,
    /// Write a pcapng file instead of text; `-` is standard output: `lab capture -f -w - | wireshark -k -i -`
    #[arg(long, short, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Network whose packets are shown or written [default: all, and the first for --write and --follow]
    #[arg(long, value_name = "NAME")]
    network: Option<String>,
    /// Keep every frame whole; without it, only the beginning of file transfers is kept
    #[arg(long, requires = "follow")]
    full: bool,
}

/// Parameters of the capture process inside the cell.
#[derive(Debug, Serialize, Deserialize)]
struct Inside {
    interface: String,
    extent: PcapMode,
    title: String,
    host: std::net::Ipv4Addr,
    subnet: Ipv4Net,
    nodes: Vec<(String, String)>,
}

/// Shows or writes the packets.
pub(super) fn run(registry: &Registry, arguments: &CaptureArguments) -> Result<ExitCode, CliError> {
    let lab = registry.find(arguments.lab.as_deref()).map_err(unknown)?;
    let scenario = saved::scenario(&lab.artifacts).map_err(|error| failed(&error))?;
    let network = network_of(&scenario, arguments.network.as_deref())?;
    match (arguments.follow, &arguments.write) {
        (false, None) => {
            let mut wire = saved::captures(&lab.artifacts).map_err(|error| failed(&error))?;
            if arguments.network.is_some() {
                wire.keep_network(network.title());
            }
            follow::say(&lines_of(&lab).fresh(&wire))?;
            Ok(ExitCode::Ok)
        }
        (false, Some(file)) => {
            let folder = lab.artifacts.join(saved::CAPTURES_FOLDER);
            let name = format!("{}.pcapng.gz", plan::capture_name(&scenario, network));
            let capture = Folder::open(&folder)
                .and_then(|nets| nets.file(Path::new(&name), u64::MAX))
                .map_err(|error| failed(&format!("{}/{name}: {error}", folder.display())))?;
            let plain = flate2::read::MultiGzDecoder::new(BufReader::new(capture));
            pass(&mut plain.take(WRITTEN_LIMIT_BYTES), file)
        }
        (true, None) => {
            let (mut child, frames) = start(&lab, &scenario, network, arguments.full)?;
            let mut lines = lines_of(&lab);
            let mut said = Ok(true);
            let followed = wire::follow(frames, |wire: &Wire| {
                if matches!(said, Ok(true)) {
                    said = follow::say(&lines.fresh(wire));
                }
                if !matches!(said, Ok(true)) {
                    let _ = child.kill();
                }
            });
            end(child);
            said?;
            // The lab's end ends the capture.
            followed.map_err(|error| failed(&error))?;
            Ok(ExitCode::Ok)
        }
        (true, Some(file)) => {
            let (child, mut frames) = start(&lab, &scenario, network, arguments.full)?;
            let passed = pass(&mut frames, file);
            end(child);
            passed
        }
    }
}

/// Returns the network of this name; without a name the first one.
fn network_of<'s>(scenario: &'s Scenario, name: Option<&str>) -> Result<&'s Network, CliError> {
    let Some(name) = name else {
        return Ok(&scenario.network);
    };
    let mut networks = scenario.network.iter();
    networks
        .find(|network| network.title() == name)
        .ok_or_else(|| {
            let titles: Vec<&str> = scenario.network.iter().map(Network::title).collect();
            let known = titles.join(", ");
            refuse(
                ExitCode::InvalidInput,
                format!("unknown network: `{name}` (networks of the lab: {known})"),
            )
        })
}

fn failed(error: &dyn std::fmt::Display) -> CliError {
    refuse(ExitCode::Internal, error)
}

fn lines_of(lab: &PersistentLab) -> PacketLines {
    let names = lab
        .nodes
        .iter()
        .map(|node| (node.mac.clone(), node.name.clone()));
    PacketLines::new(names.collect::<HashMap<_, _>>(), lab.host.into())
}

/// Copies a capture to its file as it arrives.
fn pass(from: &mut impl Read, file: &PathBuf) -> Result<ExitCode, CliError> {
    let told = |error: std::io::Error| failed(&format!("{}: {error}", file.display()));
    let mut out: Box<dyn Write> = match file.as_os_str() == "-" {
        true => Box::new(std::io::stdout().lock()),
        false => Box::new(File::create(file).map_err(told)?),
    };
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut buffer).map_err(told)?;
        let Some(fresh) = buffer.get(..read).filter(|fresh| !fresh.is_empty()) else {
            return Ok(ExitCode::Ok);
        };
        match out.write_all(fresh).and_then(|()| out.flush()) {
            Ok(()) => {}
            // Wireshark was closed.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                return Ok(ExitCode::Ok);
            }
            Err(error) => return Err(told(error)),
        }
    }
}

/// Starts the capture process inside the lab.
fn start(
    lab: &PersistentLab,
    scenario: &Scenario,
    network: &Network,
    is_full: bool,
) -> Result<(Child, impl Read + Send + use<>), CliError> {
    let inside = Inside {
        interface: plan::bridge_of(scenario, network, &lab.run_id),
        extent: match is_full {
            true => PcapMode::Full,
            false => PcapMode::Headers,
        },
        title: format!("{} {}", lab.run_id, lab.unit),
        host: lab.host,
        subnet: network.subnet,
        nodes: lab
            .nodes
            .iter()
            .map(|node| (node.name.clone(), node.mac.clone()))
            .collect(),
    };
    let own = std::env::current_exe().map_err(|error| failed(&error))?;
    let mut command: Command = lab.command(&own);
    let mut child = command
        .arg(CAPTURE_COMMAND)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(&format!("nsenter: {error}")))?;
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(failed(&"cannot read from the capture process"));
    };
    serde_json::to_writer(&mut stdin, &inside)
        .map_err(std::io::Error::from)
        .and_then(|()| stdin.flush())
        .map_err(|error| failed(&error))?;
    Ok((child, stdout))
}

/// Waits for the capture process, which ends once its output is closed.
fn end(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// Runs the capture process inside the cell.
pub(in crate::cli) fn capture_inside() -> ExitCode {
    let captured = serde_json::from_reader(std::io::stdin())
        .map_err(|error| error.to_string())
        .and_then(|inside: Inside| {
            let nodes = inside
                .nodes
                .into_iter()
                .filter_map(|(name, mac)| Some((name, mac.parse().ok()?)));
            let spec = CaptureSpec {
                interface: inside.interface,
                file: PathBuf::new(),
                extent: inside.extent,
                title: inside.title,
                host: inside.host,
                subnet: inside.subnet,
                nodes: nodes.collect(),
            };
            stream(&spec, std::io::stdout().lock()).map_err(|error| error.to_string())
        });
    match captured {
        Ok(()) => ExitCode::Ok,
        Err(why) => {
            eprintln!("lab: {why}");
            ExitCode::Internal
        }
    }
}

#[cfg(test)]
mod tests {
    use lab_model::scenario::DataCheck;

    use super::*;

    #[test]
    fn network_of_a_name_has_its_own_capture_and_an_unknown_name_is_refused_with_all() {
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/topologies/two-racks");
        let scenario = Scenario::load_with(&folder, DataCheck::Skip).unwrap();
        let capture = |name| -> Result<String, String> {
            let network = network_of(&scenario, name).map_err(|error| error.message)?;
            let bridge = plan::bridge_of(&scenario, network, "4f2a11");
            Ok(format!(
                "{} {bridge}",
                plan::capture_name(&scenario, network)
            ))
        };
        assert_eq!(capture(None), Ok("net lab-4f2a11-br".to_owned()));
        assert_eq!(capture(Some("servers")), capture(None));
        assert_eq!(capture(Some("rack2")), Ok("rack2 lab-4f2a11-n2".to_owned()));
        let refused = capture(Some("rack3")).unwrap_err();
        let all = "unknown network: `rack3` (networks of the lab: servers, rack1, rack2)";
        assert!(refused.contains(all), "{refused}");
    }
}
