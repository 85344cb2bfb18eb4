//! `--connect qemu+ssh://…`: `lab run` and `lab up` on another host, and commands for a lab there.

mod arguments;
mod bring;
mod persistent;

use std::fs;
use std::io::{IsTerminal, stderr, stdin, stdout};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use lab_report::exit_code::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

use super::images::Chosen;
use crate::cli::Folders;
use crate::cli::error::{CliError, refuse};
use crate::cli::run_id::new_run_id;
use crate::remote::receive::{ReceiveError, Received};
use crate::remote::{Host, Place, RemoteError, Session, quoted};
use arguments::Instead;
use bring::bring;

pub(super) use persistent::{down, forward, gc, up};

/// Returns the host that the URI names, if it is a remote one.
pub(super) fn host_of(uri: Option<&str>) -> Result<Option<Host>, CliError> {
    let Some(uri) = uri else {
        return Ok(None);
    };
    Host::of(uri).map_err(|why| refuse(ExitCode::InvalidInput, format!("--connect {uri}: {why}")))
}

/// Local paths of a run's files.
pub(super) struct Files<'a> {
    /// Folder of the runs.
    pub(super) artifacts: &'a Path,
    /// Additional copy of the JUnit report.
    pub(super) junit: Option<&'a Path>,
    /// Additional copy of the events.
    pub(super) events: Option<&'a Path>,
}

/// Runs `lab run` on the remote host; the selection was checked here.
pub(super) async fn run(
    folders: &Folders,
    host: &Host,
    image: &Chosen,
    files: &Files<'_>,
) -> Result<ExitCode, CliError> {
    let session = Session::open(host).map_err(failed)?;
    let place = bring(&session, folders, image, &new_run_id())?;
    let status = execute(&session, &place, host, files).await;
    // Artifacts are fetched however the run ended.
    let fetched = fetch_and_leave(&session, &place, files);
    let code = code_of(host, status?)?;
    fetched?;
    Ok(code)
}

/// Runs this process's command line on the remote host.
async fn execute(
    session: &Session,
    place: &Place,
    host: &Host,
    files: &Files<'_>,
) -> Result<ExitStatus, CliError> {
    let out = |is_wanted: bool, name| match is_wanted {
        true => Instead::Value(name),
        false => Instead::Nothing,
    };
    let words = arguments::own(&[
        ("scenarios", Instead::Value("scenarios")),
        ("cache", Instead::Value("cache")),
        ("catalog", Instead::Nothing),
        ("visit", Instead::Value("visit.json")),
        ("connect", Instead::Value(&host.libvirt)),
        ("artifacts", Instead::Value("runs")),
        ("junit", out(files.junit.is_some(), "junit.xml")),
        ("events", out(files.events.is_some(), "events.jsonl")),
    ]);
    let is_on_terminal = is_on_terminal();
    let mut ssh = tokio::process::Command::from(lab_there(session, place, &words, is_on_terminal));
    if !is_on_terminal {
        // Closing the channel ends the remote run. Ctrl-C is handled here.
        ssh.stdin(Stdio::piped()).process_group(0);
    }
    let internal = |error: std::io::Error| refuse(ExitCode::Internal, format!("ssh: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(internal)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(internal)?;
    let mut ssh = ssh.spawn().map_err(internal)?;
    let mut input = ssh.stdin.take();
    loop {
        tokio::select! {
            status = ssh.wait() => return status.map_err(internal),
            Some(()) = interrupt.recv() => drop(input.take()),
            Some(()) = terminate.recv() => match input.take() {
                Some(input) => drop(input),
                // The remote terminal hangs up.
                None => ssh.start_kill().map_err(internal)?,
            },
        }
    }
}

/// True if standard input, output and error are terminals.
fn is_on_terminal() -> bool {
    stdin().is_terminal() && stdout().is_terminal() && stderr().is_terminal()
}

/// Returns the command that runs the remote `lab` with these arguments.
fn lab_there(session: &Session, place: &Place, words: &[String], on_terminal: bool) -> Command {
    let mut script = format!("cd {} && exec env", quoted(place.visit()));
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        if let Ok(value) = std::env::var(name) {
            script += &format!(" {}", quoted(format!("{name}={value}")));
        }
    }
    script += &format!(" {}", quoted(place.lab()));
    for word in words {
        script += &format!(" {}", quoted(word));
    }
    let terminal = if on_terminal { "-tt" } else { "-T" };
    session.command(&["-q", terminal], &script)
}

/// Fetches the artifacts and removes the run's folder on the remote host.
fn fetch_and_leave(session: &Session, place: &Place, files: &Files<'_>) -> Result<(), CliError> {
    fetch(session, place, files)?;
    leave(session, place)?;
    println!(
        "Fetched from {}: {}",
        session.host().destination(),
        files.artifacts.join("latest").display()
    );
    Ok(())
}

/// Fetches the artifacts.
fn fetch(session: &Session, place: &Place, files: &Files<'_>) -> Result<(), CliError> {
    let written = |path: &Path, error: std::io::Error| {
        refuse(ExitCode::Internal, format!("{}: {error}", path.display()))
    };
    let visit = quoted(place.visit());
    let have = session
        .run("looking for artifacts", &format!("cd {visit} && ls"))
        .map_err(failed)?;
    let has = |name| have.lines().any(|line| line == name);
    if has("runs") {
        let internal = |error: ReceiveError| refuse(ExitCode::Internal, error);
        let received = Received::beside(files.artifacts).map_err(internal)?;
        let script = format!("cd {visit} && tar -czf - -C runs .");
        session
            .fetch("fetching the artifacts", &script, &mut received.tar())
            .map_err(failed)?;
        received.name(files.artifacts).map_err(internal)?;
    }
    for (wanted, name) in [(files.junit, "junit.xml"), (files.events, "events.jsonl")] {
        let Some(path) = wanted.filter(|_| has(name)) else {
            continue;
        };
        let text = session
            .run("fetching a report", &format!("cat {visit}/{name}"))
            .map_err(failed)?;
        fs::write(path, text).map_err(|error| written(path, error))?;
    }
    Ok(())
}

/// Removes the run's folder on the remote host.
fn leave(session: &Session, place: &Place) -> Result<(), CliError> {
    let script = format!("rm -rf {}", quoted(place.visit()));
    session
        .run("removing the run's folder", &script)
        .map(drop)
        .map_err(failed)
}

/// Returns the exit code of the remote program.
fn code_of(host: &Host, status: ExitStatus) -> Result<ExitCode, CliError> {
    if Session::is_broken(status) {
        let destination = host.destination();
        let why =
            format!("connection lost: {destination}; `lab gc --connect` removes leftovers there");
        return Err(refuse(ExitCode::SetUpFailed, why));
    }
    Ok(ExitCode::of_program(status.code()))
}

fn failed(error: RemoteError) -> CliError {
    let code = match &error {
        RemoteError::Start { .. } => ExitCode::HostUnsupported,
        RemoteError::Connection { .. } => ExitCode::SetUpFailed,
        RemoteError::Command { .. } => ExitCode::Internal,
    };
    refuse(code, error)
}
