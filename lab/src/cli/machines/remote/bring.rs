//! Upload of everything that a run on another host needs: programs, image, scenarios, and the file that
//! describes the run.

use std::path::Path;
use std::process::Command;

use lab_model::untrusted::tree::{Limits, Tree};
use lab_report::exit_code::ExitCode;

use super::{failed, is_on_terminal, leave};
use crate::cli::Folders;
use crate::cli::error::{CliError, refuse};
use crate::cli::machines::images::Chosen;
use crate::cli::machines::programs::sibling;
use crate::remote::{Bundle, GivenImage, Place, RemoteRun, Session, quoted};

/// Programs of the lab.
const PROGRAMS: [&str; 3] = ["lab", "boot-server", "guest-agent"];

/// Platform and contents of the remote host.
struct There {
    system: String,
    base: String,
    kept: Vec<String>,
}

/// Uploads everything; afterwards the run's folder is complete, or does not exist.
pub(super) fn bring(
    session: &Session,
    folders: &Folders,
    image: &Chosen,
    id: &str,
) -> Result<Place, CliError> {
    let internal = |error: &dyn std::fmt::Display| refuse(ExitCode::Internal, error);
    let own = sibling(PROGRAMS[0]).map_err(|why| internal(&why))?;
    let own = own.parent().unwrap_or(Path::new("."));
    let programs = Bundle::of(own, &PROGRAMS).map_err(|error| internal(&error))?;
    let files = Bundle::whole(&image.folder).map_err(|error| internal(&error))?;
    let there = There::begin(session, id)?;
    let place = Place {
        base: there.base.clone(),
        programs: programs.digest.clone(),
        id: id.to_owned(),
    };
    let brought = there
        .check(session)
        .and_then(|()| there.send(session, &place, "programs", "the lab's programs", &programs))
        .and_then(|()| there.send(session, &place, "images", "the image", &files))
        .and_then(|()| check_programs(session, &place))
        .and_then(|()| bring_scenarios(session, &place, &folders.scenarios()))
        .and_then(|()| note(session, folders, image, &files, &place));
    if brought.is_err() {
        // A partial upload is not left behind.
        let _ = leave(session, &place);
    }
    brought.map(|()| place)
}

impl There {
    /// Creates the run's folder and lists what the host already has.
    fn begin(session: &Session, id: &str) -> Result<There, CliError> {
        let script = format!(
            "set -e; umask 077; base={}; mkdir -p \"$base/visits/{id}\"; cd \"$base\"; uname -sm; pwd -P; \
             ls -d programs/* images/* 2>/dev/null || true",
            Place::BASE
        );
        let said = session.run("making a folder", &script).map_err(failed)?;
        let mut lines = said.lines().map(str::to_owned);
        Ok(There {
            system: lines.next().unwrap_or_default(),
            base: lines.next().unwrap_or_default(),
            kept: lines.collect(),
        })
    }

    fn check(&self, session: &Session) -> Result<(), CliError> {
        let ours = format!("Linux {}", std::env::consts::ARCH);
        if self.system == ours {
            return Ok(());
        }
        let why = format!(
            "unsupported platform: {} is {}, the programs here are for {ours}; install and run `lab` there",
            session.host().destination(),
            self.system
        );
        Err(refuse(ExitCode::HostUnsupported, why))
    }

    /// Uploads files that are missing.
    fn send(
        &self,
        session: &Session,
        place: &Place,
        kind: &str,
        what: &str,
        parcel: &Bundle,
    ) -> Result<(), CliError> {
        let kept = Place::kept(kind, &parcel.digest);
        if self.kept.contains(&kept) {
            return Ok(());
        }
        let mib = parcel.size_bytes.div_ceil(1 << 20);
        let host = session.host().destination();
        eprintln!("{host}: sending {what} ({mib} MiB)");
        // Unpacked under a temporary name: another upload may run at the same time.
        let fresh = format!("{kept}.{}", place.id);
        let script = format!(
            "set -e; umask 022; cd {}; mkdir -p {fresh}; tar -xf - -C {fresh}; mv -T {fresh} {kept} 2>/dev/null || \
             {{ rm -rf {fresh}; test -d {kept}; }}",
            quoted(&place.base)
        );
        session
            .send(what, &mut parcel.tar(), &script)
            .map_err(failed)
    }
}

/// Checks that the programs and their libraries run on the remote host.
fn check_programs(session: &Session, place: &Place) -> Result<(), CliError> {
    let script = format!("{} --version", quoted(place.lab()));
    let told = session.run("its `lab --version`", &script);
    told.map(drop).map_err(|error| {
        let more = "`ci/lab` of a checkout on that host installs what is missing";
        refuse(ExitCode::HostUnsupported, format!("{error}; {more}"))
    })
}

/// Writes the file that describes the run.
fn note(
    session: &Session,
    folders: &Folders,
    image: &Chosen,
    files: &Bundle,
    place: &Place,
) -> Result<(), CliError> {
    let visit = RemoteRun {
        run_id: place.id.clone(),
        image: GivenImage {
            folder: Path::new(&place.base).join(Place::kept("images", &files.digest)),
            architecture: image.architecture,
            fit: image.fit.clone(),
        },
        scenarios: folders.scenarios(),
        until_input_ends: !is_on_terminal(),
        file: place.file().into(),
    };
    let text = serde_json::to_string(&visit).map_err(|error| refuse(ExitCode::Internal, error))?;
    let script = format!("printf %s {} > {}", quoted(text), quoted(place.file()));
    session
        .run("noting the run", &script)
        .map(drop)
        .map_err(failed)
}

/// Makes the remote scenarios equal to the local ones: changed files are written, removed ones deleted.
pub(super) fn bring_scenarios(
    session: &Session,
    place: &Place,
    scenarios: &Path,
) -> Result<(), CliError> {
    // Links in a data directory are followed as the boot server follows them.
    let internal = |error: &dyn std::fmt::Display| refuse(ExitCode::Internal, error);
    let copy = tempfile::tempdir().map_err(|error| internal(&error))?;
    Tree::survey(scenarios, Limits::DATA, |_| false)
        .and_then(|tree| tree.copy_to(copy.path()))
        .map_err(|error| refuse(ExitCode::InvalidInput, error))?;
    let mut tar = Command::new("tar");
    tar.args(["--create", "--file=-", "--directory"])
        .arg(copy.path())
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
