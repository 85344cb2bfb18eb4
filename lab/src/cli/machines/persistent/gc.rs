//! `lab gc`: removes leftovers of killed runs from the host's own libvirt.

use clap::Args;
use lab_model::untrusted::plain_line;
use lab_report::exit_code::ExitCode;
use thiserror::Error;

use crate::cell::on_host::{self, Swept};
use crate::cli::error::{CliError, refuse};
use crate::cli::{Folders, machines};
use crate::remote;

/// Arguments of `lab gc`.
#[derive(Debug, Args)]
pub(in crate::cli) struct GcArguments {
    /// URI of the host's libvirt
    #[arg(long, value_name = "URI", default_value = "qemu:///system")]
    connect: String,
}

/// Removes leftovers; running labs and all objects not made by the lab are left alone.
pub(super) async fn run(folders: &Folders, arguments: &GcArguments) -> Result<ExitCode, CliError> {
    if let Some(host) = machines::remote::host_of(Some(&arguments.connect))? {
        return machines::remote::gc(&host);
    }
    let refused = |why: &dyn std::fmt::Display| {
        let uri = &arguments.connect;
        refuse(ExitCode::InvalidInput, format!("--connect {uri}: {why}"))
    };
    is_of_this_host(&arguments.connect).map_err(|why| refused(&why))?;
    let Swept { mut removed, left } = on_host::remove_dead(&arguments.connect)
        .await
        .map_err(|error| refuse(ExitCode::HostUnsupported, error))?;
    let cache = folders
        .cache()
        .map_err(|why| refuse(ExitCode::Internal, why))?;
    let visits = remote::remove_dead(&cache).map_err(|error| refuse(ExitCode::Internal, error))?;
    removed.extend(visits);
    for what in &removed {
        println!("removed {}", plain_line(what));
    }
    for what in &left {
        println!("left alone: {}", plain_line(what));
    }
    if removed.is_empty() {
        println!("No leftovers on {}.", arguments.connect);
    }
    Ok(ExitCode::Ok)
}

/// libvirt that `lab gc` leaves alone.
#[derive(Debug, PartialEq, Eq, Error)]
enum UriError {
    #[error("invalid URI (example: `qemu:///system`)")]
    Invalid,
    #[error(
        "unsupported: running labs are known only on their own host; run `lab gc` on that host"
    )]
    OtherHost,
}

/// Refuses a libvirt of another host: the locks that mark running labs exist only on this host.
fn is_of_this_host(uri: &str) -> Result<(), UriError> {
    let (driver, rest) = uri.split_once("://").ok_or(UriError::Invalid)?;
    match driver.split_once('+') {
        Some((_, "unix")) | None if rest.starts_with('/') => Ok(()),
        _ => Err(UriError::OtherHost),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gc_libvirt_of_another_host_is_refused_with_advice() {
        for own in [
            "qemu:///system",
            "qemu+unix:///system?socket=/x",
            "test:///default",
        ] {
            assert_eq!(is_of_this_host(own), Ok(()), "{own}");
        }
        for other in [
            "qemu+tls://host/system",
            "qemu://host/system",
            "qemu+tcp:///system",
        ] {
            let refused = is_of_this_host(other);
            assert_eq!(refused, Err(UriError::OtherHost), "{other}");
        }
        assert_eq!(is_of_this_host("system"), Err(UriError::Invalid));
    }
}
