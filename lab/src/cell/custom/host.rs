//! Host of a service: that of the lab's own services, or a network namespace with an address of its own.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use boot_server_proto::mac::MacAddr;
use ipnet::Ipv4Net;

use crate::hosts::attachment::{Plug, Plugged};
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

/// Creates a host with this address on the network, which does nothing itself.
pub(super) async fn own_host(
    address: Ipv4Addr,
    net: Ipv4Net,
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
    plug.start(job, log).await
}
