//! Errors of pools and of the lease file.

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use boot_server_proto::mac::MacAddr;
use ipnet::Ipv4Net;

use crate::state_file::StateFileError;

/// Reasons that no address is given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// All addresses of the pool are taken.
    #[error("no free address from {first} to {last}")]
    Exhausted {
        /// First address of the pool.
        first: Ipv4Addr,
        /// Last address of the pool.
        last: Ipv4Addr,
    },
    /// All addresses are taken, some of them by offers that are too young to be taken back.
    #[error(
        "no free address from {first} to {last}: more new machines ask than can be offered one"
    )]
    TooManyOffers {
        /// First address of the pool.
        first: Ipv4Addr,
        /// Last address of the pool.
        last: Ipv4Addr,
    },
    /// The client must start over (DHCPNAK).
    #[error(transparent)]
    Refused(#[from] NotThisAddress),
    /// The client's address is unknown, and RFC 2131 §4.3.2 demands silence.
    #[error("no lease of {address} is known for {mac}")]
    Unknown {
        /// MAC of the client.
        mac: MacAddr,
        /// The address it says it has.
        address: Ipv4Addr,
    },
}

/// Reasons that a client must not have the address that it requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotThisAddress {
    /// The address is on another network.
    #[error("{address} is not in {subnet}")]
    OutsideSubnet {
        /// Address that the client requests.
        address: Ipv4Addr,
        /// Subnet of the pool.
        subnet: Ipv4Net,
    },
    /// Another address is reserved for the client, and free.
    #[error("{address} is reserved for {mac}")]
    Reserved {
        /// Address that is reserved for the client.
        address: Ipv4Addr,
        /// MAC of the client.
        mac: MacAddr,
    },
    /// Another client has the address, or it is outside the pool.
    #[error("{address} is not free for {mac}")]
    NotFree {
        /// Address that the client requests.
        address: Ipv4Addr,
        /// MAC of the client.
        mac: MacAddr,
    },
}

/// Reasons that the lease file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file is not one that a server may use.
    #[error("lease file: {0}")]
    File(#[from] StateFileError),
    /// The file could not be read or written.
    #[error("lease file {path}: {source}")]
    Io {
        /// Path of the lease file.
        path: PathBuf,
        /// I/O error of the operating system.
        source: io::Error,
    },
    /// Another server uses it.
    #[error("lease file {path} is in use by another boot-server; each needs a file of its own")]
    InUse {
        /// Path of the lease file.
        path: PathBuf,
    },
}

/// Warning: another program changed the lease file, which has all leases again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("lease file {path}: the file {change} and was rewritten")]
pub struct Rewritten {
    /// Path of the lease file.
    pub path: PathBuf,
    /// Change that was found.
    pub change: ForeignChange,
}

/// Change that another program made to the lease file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForeignChange {
    /// The file was removed.
    #[error("was removed")]
    Removed,
    /// Another file has its name.
    #[error("was replaced")]
    Replaced,
    /// The file has another length than the server's own writes gave it.
    #[error("was changed by another program")]
    Edited,
}
