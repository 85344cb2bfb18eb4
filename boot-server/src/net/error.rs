//! Errors that keep the server from running or stop it, with a remedy.

use std::io;

use super::interface::InterfaceError;
use crate::config::PoolsError;
use crate::lease::JournalError;

/// Reasons that the server does not run, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The configured interface.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// A socket could not be bound.
    #[error("{service} on port {port}: {source}{}", hint(source))]
    Bind {
        /// Name of the service, e.g. `dhcp`.
        service: &'static str,
        /// UDP or TCP port of the service.
        port: u16,
        /// Error of the kernel.
        source: io::Error,
    },
    /// The packet socket of the router advertiser.
    #[error("router advertisement: {source}{}", hint(source))]
    Advertiser {
        /// Error of the kernel.
        source: io::Error,
    },
    /// A socket for whole packets.
    #[error("{service}: {source}{}", hint(source))]
    Packets {
        /// Name of the service that needs the interface.
        service: &'static str,
        /// Error of the kernel.
        source: io::Error,
    },
    /// The lease file.
    #[error(transparent)]
    Leases(#[from] JournalError),
    /// The pools of `[dhcp]`.
    #[error(transparent)]
    Pools(#[from] PoolsError),
    /// No interface is configured.
    #[error("missing `interface`, which DHCP, TFTP and router advertisements need")]
    NoInterface,
    /// Pixiecore mode without a client of its API.
    #[error("Pixiecore mode needs a client of its API")]
    NoPixiecoreApi,
    /// A service ended by itself.
    #[error("{service} ended: {reason}")]
    Ended {
        /// Name of the service that ended.
        service: &'static str,
        /// Cause of the end.
        reason: String,
    },
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            " (it needs root, or CAP_NET_BIND_SERVICE and CAP_NET_RAW)"
        }
        io::ErrorKind::AddrInUse => {
            " (another server holds it and does not share it; dnsmasq shares port 67 with \
             --bind-dynamic or --bind-interfaces, and a proxy need not bind it: no_bind = true)"
        }
        _ => "",
    }
}
