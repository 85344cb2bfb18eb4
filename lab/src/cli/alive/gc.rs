//! `lab gc`: what killed runs left on the host's own libvirt.

use clap::Args;

use crate::cell::on_host;
use crate::cli::conduct::{Refusal, refuse};
use crate::cli::{self, Folders, exit};
use crate::remote;

/// `lab gc`
#[derive(Debug, Args)]
pub(in crate::cli) struct GcArguments {
    /// The host's libvirt
    #[arg(long, value_name = "URI", default_value = "qemu:///system")]
    connect: String,
}

/// Removes it; labs and runs that are there are left alone, and so is whatever is not the lab's.
pub(super) async fn run(folders: &Folders, arguments: &GcArguments) -> Result<u8, Refusal> {
    if let Some(host) = cli::remote::host_of(Some(&arguments.connect))? {
        return cli::remote::gc(&host);
    }
    let mut removed = on_host::remove_dead(&arguments.connect)
        .await
        .map_err(|error| refuse(exit::HOST_UNSUPPORTED, error))?;
    let cache = folders.cache().map_err(|why| refuse(exit::INTERNAL, why))?;
    let visits = remote::remove_dead(&cache).map_err(|error| refuse(exit::INTERNAL, error))?;
    removed.extend(visits);
    for what in &removed {
        println!("removed {what}");
    }
    if removed.is_empty() {
        println!("Nothing is left of any run on {}.", arguments.connect);
    }
    Ok(exit::OK)
}
