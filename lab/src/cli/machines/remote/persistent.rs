//! Persistent labs on another host.

use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;

use lab_model::results::Kept;
use lab_model::results::Unit;
use lab_report::exit_code::ExitCode;

use super::arguments::{self, Instead};
use super::bring::{bring, bring_scenarios};
use super::{Files, code_of, execute, failed, fetch_and_leave, is_on_terminal, lab_there};
use crate::cli::Folders;
use crate::cli::error::{CliError, refuse};
use crate::cli::machines::images::Chosen;
use crate::cli::run_id::new_run_id;
use crate::persistent::{
    HostScope, PersistentLab, PersistentNode, Registry, RegistryError, born_ticks, now,
};
use crate::remote::{Host, Place, RemoteError, RemoteLab, Session, quoted};

/// Runs `lab up` on the remote host; the selection was checked here.
pub(in crate::cli) async fn up(
    folders: &Folders,
    registry: &Registry,
    host: &Host,
    unit: &Unit,
    image: &Chosen,
    files: &Files<'_>,
    is_detached: bool,
) -> Result<ExitCode, CliError> {
    let session = Session::open(host).map_err(failed)?;
    let place = bring(&session, folders, image, &new_run_id())?;
    let lab = noted(host, &place, unit, folders.scenarios(), files, image);
    let internal = |error: RegistryError| refuse(ExitCode::Internal, error);
    if !is_detached {
        // Registered here, so that other commands find the lab.
        let held = registry.hold().map_err(internal)?;
        let lab = PersistentLab {
            lock: Some(held.lock().to_owned()),
            ..lab
        };
        registry.add(&lab).map_err(internal)?;
        let _held = held.noted().map_err(internal)?;
        let status = execute(&session, &place, host, files).await;
        let ended = finish(registry, &session, &lab);
        let code = code_of(host, status?)?;
        ended?;
        return Ok(code);
    }
    let status = execute(&session, &place, host, files).await?;
    let Some(there) = note_there(&session, &place)? else {
        finish(registry, &session, &lab)?;
        return code_of(host, status);
    };
    let lab = PersistentLab {
        nodes: there.nodes,
        ..lab
    };
    registry.add(&lab).map_err(internal)?;
    println!(
        "The lab runs on {}; the commands above also work from here.",
        host.destination()
    );
    code_of(host, status)
}

/// Builds the local registry entry of a remote lab.
fn noted(
    host: &Host,
    place: &Place,
    unit: &Unit,
    scenarios: PathBuf,
    files: &Files<'_>,
    image: &Chosen,
) -> PersistentLab {
    let scenario = &unit.scenario;
    let own = std::process::id();
    PersistentLab {
        run_id: place.id.clone(),
        unit: unit.name(),
        since: now(),
        kept: Kept {
            holder: own,
            init: own,
        },
        born_ticks: born_ticks(own).unwrap_or_default(),
        realm: HostScope::own(),
        lock: None,
        attached: None,
        connect: Some(host.libvirt.clone()),
        remote: Some(RemoteLab {
            host: host.clone(),
            place: place.clone(),
            scenarios,
            artifacts: std::path::absolute(files.artifacts)
                .unwrap_or_else(|_| files.artifacts.to_owned()),
        }),
        artifacts: files.artifacts.to_owned(),
        image: image.folder.clone(),
        data: scenario.data_dir(),
        host: scenario.network.host(),
        http_port: scenario.network.http_port,
        nodes: scenario
            .nodes
            .iter()
            .map(|node| PersistentNode::of(&place.id, node))
            .collect(),
    }
}

/// Returns the remote registry entry of the lab, if it is up.
fn note_there(session: &Session, place: &Place) -> Result<Option<PersistentLab>, CliError> {
    let script = format!(
        "cd {} && {} --cache cache ps >/dev/null; cat cache/alive/*.json 2>/dev/null || true",
        quoted(place.visit()),
        quoted(place.lab())
    );
    let text = session
        .run("looking for the lab", &script)
        .map_err(failed)?;
    Ok(serde_json::from_str(&text).ok())
}

/// Forwards a command for a remote lab to its host. Returns `None` for labs of this host.
pub(in crate::cli) fn forward(registry: &Registry) -> Option<Result<ExitCode, CliError>> {
    if registry.all().iter().all(|lab| lab.remote.is_none()) {
        return None;
    }
    let node = arguments::said("node").or_else(|| arguments::said("name"));
    let found = match (arguments::said("lab"), node) {
        (Some(lab), _) => registry.find(Some(&lab)),
        (None, Some(node)) => registry
            .node(None, &node)
            .map(|(lab, _)| lab)
            .or_else(|_| registry.find(None)),
        (None, None) => registry.find(None),
    };
    // Unknown labs are reported by the command itself.
    let remote = found.ok()?.remote?;
    Some(there(&remote))
}

fn there(remote: &RemoteLab) -> Result<ExitCode, CliError> {
    let session = Session::open(&remote.host).map_err(failed)?;
    let mut instead = vec![
        ("scenarios", Instead::Nothing),
        ("catalog", Instead::Nothing),
        ("cache", Instead::Value("cache")),
    ];
    let mut file = None;
    let command = arguments::own(&[]);
    match command.first().map(String::as_str) {
        Some("screenshot") => {
            let usual = || format!("{}.png", arguments::said("node").unwrap_or_default());
            file = Some(arguments::said("file").unwrap_or_else(usual));
            instead.push(("file", Instead::Value("-")));
        }
        Some("capture") => {
            file = arguments::said("write").filter(|file| file != "-");
            if file.is_some() {
                instead.push(("write", Instead::Value("-")));
            }
        }
        Some("reboot" | "power") => bring_scenarios(&session, &remote.place, &remote.scenarios)?,
        _ => {}
    }
    let on_terminal = file.is_none() && is_on_terminal();
    let words = arguments::own(&instead);
    let mut ssh = lab_there(&session, &remote.place, &words, on_terminal);
    if let Some(file) = &file {
        let made = File::create(file)
            .map_err(|error| refuse(ExitCode::Internal, format!("{file}: {error}")))?;
        ssh.stdout(Stdio::from(made));
    }
    let status = ssh
        .status()
        .map_err(|error| refuse(ExitCode::HostUnsupported, format!("ssh: {error}")))?;
    let code = code_of(&remote.host, status)?;
    if let (Some(file), ExitCode::Ok) = (&file, code) {
        println!("{file}");
    }
    Ok(code)
}

/// Stops a remote lab and fetches its artifacts.
pub(in crate::cli) fn down(
    registry: &Registry,
    lab: &PersistentLab,
    remote: &RemoteLab,
) -> Result<(), CliError> {
    let session = Session::open(&remote.host).map_err(failed)?;
    let script = format!(
        "cd {} && {} --cache cache down --all",
        quoted(remote.place.visit()),
        quoted(remote.place.lab())
    );
    session.run("ending the lab", &script).map_err(|error| {
        let is_gone = matches!(error, RemoteError::Connection { .. });
        let mut refusal = failed(error);
        if is_gone {
            refusal.message += "; if the host no longer exists, run `lab down --forget`";
        }
        refusal
    })?;
    finish(registry, &session, lab)
}

/// Fetches the artifacts of a lab that is down, and removes its registry entry.
fn finish(registry: &Registry, session: &Session, lab: &PersistentLab) -> Result<(), CliError> {
    let Some(remote) = &lab.remote else {
        return Ok(());
    };
    let files = Files {
        artifacts: &remote.artifacts,
        junit: None,
        events: None,
    };
    fetch_and_leave(session, &remote.place, &files)?;
    registry.remove(lab);
    Ok(())
}

/// Removes leftovers of runs from here on the remote host.
pub(in crate::cli) fn gc(host: &Host) -> Result<ExitCode, CliError> {
    let session = Session::open(host).map_err(failed)?;
    let destination = host.destination();
    // Uses the `lab` that was copied there last; without one there is nothing to clean.
    let script = format!(
        "cd {} 2>/dev/null || exit 0; lab=$(ls -t programs/*/lab 2>/dev/null | head -n 1); test -z \"$lab\" || \
         \"$lab\" gc --connect {}",
        Place::BASE,
        quoted(&host.libvirt)
    );
    let said = session.run("lab gc", &script).map_err(failed)?;
    match said.is_empty() {
        true => println!("No leftovers on {destination}."),
        false => print!("{said}"),
    }
    Ok(ExitCode::Ok)
}
