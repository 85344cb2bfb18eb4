//! `--connect qemu+ssh://…`: `lab run` and `lab up` on another host, and what is done with a lab there.

mod alive;
mod words;

use std::fs;
use std::io::{IsTerminal, stderr, stdin, stdout};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use images::catalog::Architecture;
use tokio::signal::unix::{SignalKind, signal};

use super::conduct::{Refusal, new_run_id, refuse, sibling};
use super::images::Chosen;
use super::{Folders, exit};
use crate::remote::{GivenImage, Host, Parcel, Place, RemoteError, Session, Visit, quoted};
use words::Instead;

pub(super) use alive::{down, forward, gc, up};

/// The programs of the lab.
const PROGRAMS: [&str; 3] = ["lab", "boot-server", "guest-agent"];

/// The host that the URI names, if it is another one.
pub(super) fn host_of(uri: Option<&str>) -> Result<Option<Host>, Refusal> {
    let Some(uri) = uri else {
        return Ok(None);
    };
    Host::of(uri).map_err(|why| refuse(exit::INVALID_INPUT, format!("--connect {uri}: {why}")))
}

/// Where files of a run go here.
pub(super) struct Files<'a> {
    /// The folder of runs.
    pub(super) artifacts: &'a Path,
    /// Another place for the JUnit report.
    pub(super) junit: Option<&'a Path>,
    /// Another place for the events.
    pub(super) events: Option<&'a Path>,
}

/// `lab run` there; what was selected has been looked at here.
pub(super) async fn run(
    folders: &Folders,
    host: &Host,
    image: &Chosen,
    files: &Files<'_>,
) -> Result<u8, Refusal> {
    let session = Session::open(host).map_err(failed)?;
    let place = prepare(&session, folders, image, &new_run_id())?;
    let status = execute(&session, &place, host, files).await;
    // What there is of it is fetched, however it ended.
    let fetched = fetch(&session, &place, files).and_then(|()| leave(&session, &place));
    let code = code_of(host, status?)?;
    fetched?;
    println!(
        "Fetched from {}: {}",
        host.destination(),
        files.artifacts.join("latest").display()
    );
    Ok(code)
}

/// Brings what is needed; the visit's folder is there then, and complete.
fn prepare(
    session: &Session,
    folders: &Folders,
    image: &Chosen,
    id: &str,
) -> Result<Place, Refusal> {
    let own = sibling(PROGRAMS[0]).map_err(|why| refuse(exit::INTERNAL, why))?;
    let own = own.parent().unwrap_or(Path::new("."));
    let internal = |error: &dyn std::fmt::Display| refuse(exit::INTERNAL, error);
    let programs = Parcel::of(own, &PROGRAMS).map_err(|error| internal(&error))?;
    let files = Parcel::whole(&image.folder).map_err(|error| internal(&error))?;
    let said = session
        .run("making a folder", &format!(
            "set -e; umask 077; base={}; mkdir -p \"$base/visits/{id}\"; cd \"$base\"; uname -sm; pwd -P; \
             ls -d programs/{} images/{} 2>/dev/null || true",
            Place::BASE, programs.digest, files.digest
        ))
        .map_err(failed)?;
    let mut lines = said.lines();
    let (system, base) = (
        lines.next().unwrap_or_default(),
        lines.next().unwrap_or_default(),
    );
    let there: Vec<&str> = lines.collect();
    let place = Place {
        base: base.to_owned(),
        programs: programs.digest.clone(),
        id: id.to_owned(),
    };
    let brought = bring(
        session,
        folders,
        image,
        &place,
        system,
        &there,
        [&programs, &files],
    );
    if brought.is_err() {
        // Nothing half-done stays.
        let _ = leave(session, &place);
    }
    brought.map(|()| place)
}

fn bring(
    session: &Session,
    folders: &Folders,
    image: &Chosen,
    place: &Place,
    system: &str,
    there: &[&str],
    [programs, files]: [&Parcel; 2],
) -> Result<(), Refusal> {
    let host = session.host().destination();
    let ours = format!("Linux {}", std::env::consts::ARCH);
    if system != ours {
        let why = format!("it is {system}, and the programs here are for {ours}");
        return Err(refuse(
            exit::HOST_UNSUPPORTED,
            format!("{host}: {why}; run `lab` there"),
        ));
    }
    for (kind, what, parcel) in [
        ("programs", "the lab's programs", programs),
        ("images", "the image", files),
    ] {
        let kept = Place::kept(kind, &parcel.digest);
        if there.contains(&kept.as_str()) {
            continue;
        }
        let mib = parcel.size_bytes.div_ceil(1 << 20);
        eprintln!("{host}: sending {what} ({mib} MiB)");
        // Never half of it under its name.
        let fresh = format!("{kept}.{}", place.id);
        let script = format!(
            "set -e; umask 022; cd {}; mkdir -p {fresh}; tar -xf - -C {fresh}; mv -T {fresh} {kept} 2>/dev/null || \
             {{ rm -rf {fresh}; test -d {kept}; }}",
            quoted(&place.base)
        );
        session
            .send(what, &mut parcel.tar(), &script)
            .map_err(failed)?;
    }
    let lab = quoted(place.lab());
    session
        .run("its `lab --version`", &format!("{lab} --version"))
        .map_err(|error| {
            let more = "what is missing there `ci/lab` of a checkout installs";
            refuse(exit::HOST_UNSUPPORTED, format!("{error}; {more}"))
        })?;
    bring_scenarios(session, place, &folders.scenarios())?;
    let architecture: Architecture = image.architecture;
    let visit = Visit {
        run_id: place.id.clone(),
        image: GivenImage {
            folder: Path::new(&place.base).join(Place::kept("images", &files.digest)),
            architecture,
            fit: image.fit.clone(),
        },
        scenarios: folders.scenarios(),
        until_input_ends: !is_on_terminal(),
        file: place.file().into(),
    };
    let text = serde_json::to_string(&visit).map_err(|error| refuse(exit::INTERNAL, error))?;
    let script = format!("printf %s {} > {}", quoted(text), quoted(place.file()));
    session.run("noting the run", &script).map_err(failed)?;
    Ok(())
}

/// Makes the scenarios there those of here; files that are as they were are written again, others removed.
fn bring_scenarios(session: &Session, place: &Place, scenarios: &Path) -> Result<(), Refusal> {
    let mut tar = Command::new("tar");
    tar.args(["--create", "--dereference", "--file=-", "--directory"])
        .arg(scenarios)
        .arg(".");
    let script = format!(
        "set -e; umask 022; cd {}; rm -rf fresh; mkdir -p fresh scenarios; tar -xf - -C fresh; \
         (cd fresh; find . -type f | sort) >new.txt; (cd scenarios; find . -type f | sort) >old.txt; \
         cp -r --remove-destination fresh/. scenarios/; \
         comm -13 new.txt old.txt | while IFS= read -r file; do rm -f \"scenarios/$file\"; done; \
         rm -rf fresh new.txt old.txt",
        quoted(place.visit())
    );
    session
        .send("the scenarios", &mut tar, &script)
        .map_err(failed)
}

/// Runs this process's command line there.
async fn execute(
    session: &Session,
    place: &Place,
    host: &Host,
    files: &Files<'_>,
) -> Result<ExitStatus, Refusal> {
    let out = |is_wanted: bool, name| match is_wanted {
        true => Instead::Value(name),
        false => Instead::Nothing,
    };
    let words = words::own(&[
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
        // Its end ends the run there. Ctrl-C is ours to hear.
        ssh.stdin(Stdio::piped()).process_group(0);
    }
    let internal = |error: std::io::Error| refuse(exit::INTERNAL, format!("ssh: {error}"));
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
                // The terminal there hangs up.
                None => ssh.start_kill().map_err(internal)?,
            },
        }
    }
}

/// Whether a person sits at all of it.
fn is_on_terminal() -> bool {
    stdin().is_terminal() && stdout().is_terminal() && stderr().is_terminal()
}

/// `lab` with these words.
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

/// Brings the artifacts here.
fn fetch(session: &Session, place: &Place, files: &Files<'_>) -> Result<(), Refusal> {
    let written = |path: &Path, error: std::io::Error| {
        refuse(exit::INTERNAL, format!("{}: {error}", path.display()))
    };
    let visit = quoted(place.visit());
    let have = session
        .run("looking for artifacts", &format!("cd {visit} && ls"))
        .map_err(failed)?;
    let has = |name| have.lines().any(|line| line == name);
    if has("runs") {
        fs::create_dir_all(files.artifacts).map_err(|error| written(files.artifacts, error))?;
        let script = format!("cd {visit} && tar -czf - -C runs .");
        let mut tar = Command::new("tar");
        tar.args([
            "--extract",
            "--gzip",
            "--no-same-owner",
            "--file=-",
            "--directory",
        ])
        .arg(files.artifacts);
        session
            .fetch("fetching the artifacts", &script, &mut tar)
            .map_err(failed)?;
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

/// Removes the visit's folder.
fn leave(session: &Session, place: &Place) -> Result<(), Refusal> {
    let script = format!("rm -rf {}", quoted(place.visit()));
    session
        .run("removing the run's folder", &script)
        .map(drop)
        .map_err(failed)
}

/// The exit code of what ran there.
fn code_of(host: &Host, status: ExitStatus) -> Result<u8, Refusal> {
    if Session::is_broken(status) {
        let destination = host.destination();
        let why = format!(
            "{destination}: the connection broke; `lab gc --connect` removes what is left there"
        );
        return Err(refuse(exit::SET_UP_FAILED, why));
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.unwrap_or(exit::INTERNAL))
}

fn failed(error: RemoteError) -> Refusal {
    let code = match &error {
        RemoteError::Start { .. } => exit::HOST_UNSUPPORTED,
        RemoteError::Connection { .. } => exit::SET_UP_FAILED,
        RemoteError::Command { .. } => exit::INTERNAL,
    };
    refuse(code, error)
}
