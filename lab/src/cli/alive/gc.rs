//! `lab gc`: what killed runs left on the host's own libvirt.

use clap::Args;

use crate::cell::on_host;
use crate::cli::conduct::{Refusal, refuse};
use crate::cli::exit;

/// `lab gc`
#[derive(Debug, Args)]
pub(in crate::cli) struct GcArguments {
    /// The host's libvirt
    #[arg(long, value_name = "URI", default_value = "qemu:///system")]
    connect: String,
}

/// Removes it; labs and runs that are there are left alone, and so is whatever is not the lab's.
pub(super) async fn run(arguments: &GcArguments) -> Result<u8, Refusal> {
    let removed = on_host::remove_dead(&arguments.connect)
        .await
        .map_err(|error| refuse(exit::HOST_UNSUPPORTED, error))?;
    for what in &removed {
        println!("removed {what}");
    }
    if removed.is_empty() {
        println!("Nothing is left of any run on {}.", arguments.connect);
    }
    Ok(exit::OK)
}
