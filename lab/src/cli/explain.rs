//! `lab explain`: why a machine did not boot, from saved artifacts or from a capture alone.

mod place;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;

use self::place::{Place, find};
use super::exit;
use crate::diagnosis::capture::{explain_machines, machines};
use crate::diagnosis::{Explained, explain};
use crate::evidence::{saved, wire};
use crate::scenario::MacAddr;
use crate::untrusted::{plain, plain_json};
use crate::verdict::NodeVerdict;

/// As much of a console is read.
const CONSOLE_LIMIT_BYTES: u64 = 256 << 20;

/// `lab explain`
#[derive(Debug, Args)]
pub(super) struct ExplainArguments {
    /// A run, one scenario of it, one machine, or a capture
    ///
    /// RUN is `latest`, a run's id or name, or a folder anywhere. Without SCENARIO, every machine of the run
    /// that failed is explained. FILE is pcapng or pcap, also gzipped, from any network.
    #[arg(
        value_name = "RUN[/SCENARIO[@FIRMWARE]][/NODE] | FILE",
        default_value = "latest"
    )]
    what: String,
    /// Folder of the runs
    #[arg(long, value_name = "DIR", default_value = "runs")]
    artifacts: PathBuf,
    /// With a capture: what the machine's serial console showed
    #[arg(long, value_name = "FILE")]
    console: Option<PathBuf>,
    /// With a capture: only this machine; needed with --console when there are several
    #[arg(long, value_name = "MAC", value_parser = mac)]
    mac: Option<MacAddr>,
    /// Print JSON instead of words
    #[arg(long)]
    json: bool,
}

fn mac(text: &str) -> Result<MacAddr, String> {
    MacAddr::parse_any(text)
        .ok_or_else(|| format!("`{text}` is no MAC; one is `52:54:00:a1:9c:ae`"))
}

/// Explains and returns the exit code.
pub(super) fn run(arguments: &ExplainArguments) -> u8 {
    let path = Path::new(&arguments.what);
    let explained = if path.is_file() {
        capture(path, arguments)
    } else if arguments.console.is_some() || arguments.mac.is_some() {
        Err("--console and --mac belong to a capture: name a pcapng or pcap file".into())
    } else {
        run_of(arguments)
    };
    let explained = match explained {
        Ok(explained) => explained,
        Err(why) => {
            eprintln!("lab: {}", plain(&why));
            return exit::INVALID_INPUT;
        }
    };
    if arguments.json {
        match serde_json::to_string_pretty(&explained) {
            Ok(json) => println!("{}", plain_json(&json)),
            Err(error) => {
                eprintln!("lab: {error}");
                return exit::INTERNAL;
            }
        }
    } else {
        let texts: Vec<&str> = explained.iter().map(|one| one.text.as_str()).collect();
        print!("{}", plain(&texts.join("\n")));
    }
    exit::OK
}

/// The machines of a run that failed; one that was named is told of whatever became of it.
fn run_of(arguments: &ExplainArguments) -> Result<Vec<Explained>, String> {
    let places = find(&arguments.what, &arguments.artifacts)?;
    let mut explained = Vec::new();
    let mut passed = 0;
    for unit in places {
        let mut told = Vec::new();
        // The last attempt that failed; else the last.
        for Place {
            attempt: folder,
            node,
        } in unit.iter().rev()
        {
            let attempt = saved::load(folder).map_err(|error| error.to_string())?;
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
                return Err(format!(
                    "{} has no machine `{}`; it has {}",
                    folder.display(),
                    node.as_deref().unwrap_or_default(),
                    names.join(", ")
                ));
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
            "lab: nothing to explain: no machine of {} failed ({passed} did not)",
            arguments.what
        );
    }
    Ok(explained)
}

fn failed(one: &Explained) -> bool {
    one.verdict != NodeVerdict::Pass
}

fn capture(path: &Path, arguments: &ExplainArguments) -> Result<Vec<Explained>, String> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let file = File::open(path).map_err(|error| named(&error))?;
    let wire = wire::read(file).map_err(|error| named(&error))?;
    if let Some(damage) = &wire.damage {
        eprintln!(
            "lab: {}: read up to its damage only: {damage}",
            plain(&path.display().to_string())
        );
    }
    let console = match &arguments.console {
        Some(console) => {
            let mut bytes = Vec::new();
            File::open(console)
                .and_then(|file| file.take(CONSOLE_LIMIT_BYTES).read_to_end(&mut bytes))
                .map_err(|error| format!("{}: {error}", console.display()))?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        }
        None => None,
    };
    let mut found = machines(&wire);
    if let Some(mac) = arguments.mac {
        if !found.contains(&mac) {
            return Err(named(&format!(
                "no machine {mac} boots in it; {}",
                listed(&found)
            )));
        }
        found = vec![mac];
    }
    if found.is_empty() {
        let kind = wire.kind.sentences();
        let kind = kind.iter().map(|sentence| format!("\n  {sentence}"));
        return Err(named(&format!(
            "no machine asks to boot in its {} frames: no DHCP, TFTP or HTTP request{}",
            wire.frames,
            kind.collect::<String>()
        )));
    }
    if console.is_some() && found.len() > 1 {
        return Err(named(&format!(
            "say with --mac whose console it is; {}",
            listed(&found)
        )));
    }
    let name = path
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let mut explained = explain_machines(&name, &wire, &found, console.as_deref());
    // First of all what kind of capture it is: it limits what can be said.
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
        true => "none does".into(),
        false => format!("those that do are {}", macs.join(", ")),
    }
}
