//! Why the server does not run, or stopped: in words that say what to do.

use std::io;

use super::interface::InterfaceError;
use crate::lease::JournalError;

/// Why the server does not run, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The configured interface.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// A socket could not be bound.
    #[error("{service} on port {port}: {source}{}", hint(source))]
    Bind {
        /// Which service.
        service: &'static str,
        /// Its port.
        port: u16,
        /// What the kernel said.
        source: io::Error,
    },
    /// The packet socket of the router advertiser.
    #[error("router advertisement: {source}{}", hint(source))]
    Advertiser {
        /// What the kernel said.
        source: io::Error,
    },
    /// A socket for whole packets.
    #[error("{service}: {source}{}", hint(source))]
    Packets {
        /// What needs it.
        service: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The lease file.
    #[error(transparent)]
    Leases(#[from] JournalError),
    /// The configuration asks for what cannot be.
    #[error("{0}")]
    Config(String),
    /// A service ended by itself.
    #[error("{service} ended: {reason}")]
    Ended {
        /// Which service.
        service: &'static str,
        /// Why.
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
