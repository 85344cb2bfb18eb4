//! `lab doctor`: what this host can do, and what is missing.

use std::path::{Path, PathBuf};

use clap::Args;

use super::terminal::Look;
use super::{Folders, exit, images};
use crate::doctor::gather::{Surroundings, gather};
use crate::doctor::{Verdict, examine, render};
use crate::scenario::{self, DataCheck, Image};

/// `lab doctor`
#[derive(Debug, Args)]
pub(super) struct DoctorArguments {
    /// For programs: version, ready, accelerator, verdict, findings (id, group, title, state, what, remedy)
    #[arg(long)]
    json: bool,
    /// Where runs will be kept
    #[arg(long, value_name = "DIR", default_value = "runs")]
    artifacts: PathBuf,
    /// Write without colours [also: NO_COLOR, CLICOLOR=0; CLICOLOR_FORCE=1 for colours everywhere]
    #[arg(long)]
    no_color: bool,
}

/// Looks, prints, and returns the exit code: 0 when the lab can run here, 69 when not.
pub(super) async fn run(folders: Folders, arguments: DoctorArguments) -> u8 {
    let cache = match folders.cache() {
        Ok(cache) => cache,
        Err(why) => {
            eprintln!("lab: {why}");
            return exit::INTERNAL;
        }
    };
    let stand_in = images::built_stand_in(&folders);
    // What is wrong with scenarios is for other commands to tell.
    let (scenarios, _) = scenario::load_valid(&folders.scenarios(), DataCheck::Skip);
    let host = gather(Surroundings {
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
        let look = Look::choose(true, arguments.no_color);
        print!("{}", render::table(&findings, look.table));
    }
    match Verdict::of(&findings) {
        Verdict::Ready(_) => exit::OK,
        Verdict::NotReady(_) => exit::HOST_UNSUPPORTED,
    }
}

/// The stand-in's kernel, else that of any that was built here, else the host's own, which is not always readable.
fn kernels(stand_in: Option<&Path>, cache: &Path) -> Vec<PathBuf> {
    let built = std::fs::read_dir(cache.join("images/stand-in"));
    let built = built.into_iter().flatten().flatten();
    let folders = stand_in.map(Path::to_owned).into_iter();
    let folders = folders.chain(built.map(|entry| entry.path()));
    let mut kernels: Vec<PathBuf> = folders.map(|folder| folder.join(Image::KERNEL)).collect();
    kernels.extend(["/boot/vmlinuz", "/vmlinuz", "/boot/vmlinuz-linux"].map(PathBuf::from));
    kernels
}
