//! `lab doctor`: checks whether this host can run the lab, and lists what is missing.

use std::path::{Path, PathBuf};

use clap::Args;
use lab_model::scenario::{self, DataCheck, Image};
use lab_report::exit_code::ExitCode;

use super::images;
use crate::cli::Folders;
use crate::cli::terminal::OutputStyle;
use crate::doctor::gather::{HostContext, gather};
use crate::doctor::{Verdict, examine, render};

/// Arguments of `lab doctor`.
#[derive(Debug, Args)]
pub(in crate::cli) struct DoctorArguments {
    /// Print JSON for programs: version, ready, accelerator, verdict, findings (id, group, title, state, what,
    /// remedy)
    #[arg(long)]
    json: bool,
    /// Folder in which runs will be kept
    #[arg(long, value_name = "DIR", default_value = "runs")]
    artifacts: PathBuf,
    /// Disable colours [also: NO_COLOR, CLICOLOR=0; CLICOLOR_FORCE=1 forces colours]
    #[arg(long)]
    no_color: bool,
}

/// Checks the host, prints the findings and returns the exit code: 0 if the lab can run here, otherwise 69.
pub(super) async fn run(folders: Folders, arguments: DoctorArguments) -> ExitCode {
    let cache = match folders.cache() {
        Ok(cache) => cache,
        Err(why) => {
            eprintln!("lab: {why}");
            return ExitCode::Internal;
        }
    };
    let stand_in = images::built_stand_in(&folders);
    // Broken scenarios are reported by other commands.
    let (scenarios, _) = scenario::load_valid(&folders.scenarios(), DataCheck::Skip);
    let host = gather(HostContext {
        cache: &cache,
        artifacts: &arguments.artifacts,
        stand_in: stand_in.as_deref(),
        kernels: kernels(stand_in.as_deref(), &cache),
        scenarios: &scenarios,
    })
    .await;
    let findings = examine(&host);
    if arguments.json {
        println!("{}", render::json(&findings));
    } else {
        let look = OutputStyle::choose(true, arguments.no_color);
        print!("{}", render::table(&findings, look.table));
    }
    match Verdict::of(&findings) {
        Verdict::Ready(_) => ExitCode::Ok,
        Verdict::NotReady(_) => ExitCode::HostUnsupported,
    }
}

/// Returns candidate kernels for the probe boot: the stand-in's, else any built here, else the host's, which is
/// not always readable.
fn kernels(stand_in: Option<&Path>, cache: &Path) -> Vec<PathBuf> {
    let built = std::fs::read_dir(cache.join("images/stand-in"));
    let built = built.into_iter().flatten().flatten();
    let folders = stand_in.map(Path::to_owned).into_iter();
    let folders = folders.chain(built.map(|entry| entry.path()));
    let mut kernels: Vec<PathBuf> = folders.map(|folder| folder.join(Image::KERNEL)).collect();
    kernels.extend(["/boot/vmlinuz", "/vmlinuz", "/boot/vmlinuz-linux"].map(PathBuf::from));
    kernels
}
