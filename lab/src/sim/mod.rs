//! Simulated machines: programs that ask over the network as firmware and iPXE do, and execute nothing.
//!
//! They are for faults of servers and network, of which dozens can be shown in the time of a few real
//! boots. What they send is modelled on recorded exchanges (`boot-server/tests/golden`); how long they
//! wait is shorter than real firmware. They stop where a real machine would start the kernel, and say on
//! their console that they are simulated. A pass of theirs proves the servers' part only, and needs the machine's own
//! report of what it would start.
//!
//! | file | job |
//! |---|---|
//! | [`machine`] | the course of a boot: firmware, boot program, script, kernel, initrd |
//! | [`ask`] | the DHCP messages that each program sends; pure |
//! | [`dhcp`] | a DHCP exchange |
//! | [`tftp`], [`http`] | how files are loaded |
//! | [`script`] | iPXE scripts, as far as boot servers write them; pure |
//! | [`nbp`], [`pe`] | checks of boot programs before they would be started; pure |
//! | [`image`] | checks of kernels and initrds; pure |
//! | [`original`] | boot programs compared with this host's |
//! | [`report`] | the console, and what would be started at the end |
//! | [`life`] | in the cell's worker: a simulated machine from power-on to its stop |

pub mod ask;
pub mod dhcp;
mod http;
mod image;
pub mod life;
pub mod machine;
mod nbp;
mod original;
mod pe;
pub mod report;
mod script;
mod tftp;

use std::io;

use thiserror::Error;

/// Why something could not be loaded, in the words of firmware.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The server says that it is not there.
    #[error("No such file or directory (http://ipxe.org/2d0c613b)")]
    NotFound,
    /// The server refuses or fails.
    #[error("Input/output error (http://ipxe.org/1d0c6139): {0}")]
    Refused(String),
    /// Nothing comes any more.
    #[error("Connection timed out (http://ipxe.org/4c0a6035)")]
    TimedOut,
    /// It ended too early.
    #[error("Connection reset (http://ipxe.org/0f0a6039): {got} of {announced} bytes")]
    CutOff {
        /// Bytes that came.
        got: u64,
        /// Bytes that were announced.
        announced: u64,
    },
    /// It could not be asked for.
    #[error("Network unreachable (http://ipxe.org/28086011): {0}")]
    Unreachable(#[from] io::Error),
    /// What names it makes no sense.
    #[error("Operation not supported (http://ipxe.org/3c092083): {0}")]
    NoUrl(String),
}

impl LoadError {
    /// From a socket: a read that took too long is silence.
    fn from_io(error: io::Error) -> LoadError {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => LoadError::TimedOut,
            _ => LoadError::Unreachable(error),
        }
    }
}
