//! Host of a service: that of the lab's own services, or a network namespace with an address of its own.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use boot_server_proto::mac::MacAddr;
use ipnet::Ipv4Net;

use crate::hosts::attachment::{Plug, Plugged, run};
use crate::hosts::{StationJob, Task};

/// Host of a service's processes.
#[derive(Debug, Clone)]
pub(super) enum Host {
    /// The host of the lab's own services.
    Shared,
    /// Network namespace of its own.
    Own {
        /// Process that holds the namespace.
        pid: u32,
        interface: String,
    },
}

impl Host {
    /// Returns the folder of the host's socket tables.
    pub(super) fn sockets(&self) -> PathBuf {
        match self {
            Host::Shared => "/proc/self/net".into(),
            Host::Own { pid, .. } => format!("/proc/{pid}/net").into(),
        }
    }

    /// Returns the identity of the host's network namespace.
    pub(super) fn namespace(&self) -> Option<u64> {
        match self {
            Host::Shared => None,
            Host::Own { pid, .. } => Some(fs::metadata(format!("/proc/{pid}/ns/net")).ok()?.ino()),
        }
    }
}

/// Creates a host with this address on the network, which does nothing itself. `gateway` is its default router.
pub(super) async fn own_host(
    address: Ipv4Addr,
    net: Ipv4Net,
    gateway: Option<Ipv4Addr>,
    plug: &Plug,
    log: &Path,
) -> io::Result<Plugged> {
    let [a, b, c, d] = address.octets();
    let job = StationJob {
        interface: None,
        // Locally administered; the same in each run, so that captures can be compared.
        mac: MacAddr([2, 0x5e, a, b, c, d]).to_string(),
        address: Some((address, net.prefix_len())),
        task: Task::Idle,
    };
    let plugged = plug.start(job, log).await?;
    if let Some(gateway) = gateway {
        let pid = plugged.child.id().unwrap_or_default().to_string();
        let gateway = gateway.to_string();
        let inside = ["--target", &pid, "--net", "ip"];
        let route = ["route", "replace", "default", "via", &gateway];
        run("nsenter", &[&inside[..], &route[..]].concat()).await?;
    }
    Ok(plugged)
}
