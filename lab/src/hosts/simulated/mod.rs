//! Simulated machines: programs that send the requests of firmware and iPXE, and execute nothing.
//!
//! They show faults of servers and network, dozens of them in the time of a few real boots. Their messages
//! follow recorded exchanges (`boot-server/tests/golden`); their timeouts are shorter than firmware's. They stop
//! where a real machine would start the kernel, and print that they are simulated. A pass proves only the
//! servers' part, and requires the machine's own report of the files that it would start.
//!
//! | file | job |
//! |---|---|
//! | [`machine`] | course of a boot: firmware, boot program, script, kernel, initrd |
//! | [`ask`] | DHCP messages of each program; pure |
//! | [`dhcp`] | DHCP exchange |
//! | [`tftp`], [`http`] | loading of files |
//! | [`script`] | iPXE scripts, limited to the commands that boot servers use; pure |
//! | [`nbp`], [`pe`] | checks of boot programs before the start; pure |
//! | [`image`] | checks of kernels and initrds; pure |
//! | [`original`] | comparison of boot programs with this host's |
//! | [`report`] | console, and report of the files that would be started |

pub mod ask;
pub mod dhcp;
mod http;
mod image;
pub mod machine;
mod nbp;
mod original;
mod pe;
pub mod report;
mod script;
mod tftp;

use std::io;

use thiserror::Error;

use http::Url;
use tftp::Habits;

/// Reason why a file could not be loaded, in the words of firmware.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The server reports that the file does not exist.
    #[error("No such file or directory (http://ipxe.org/2d0c613b)")]
    NotFound,
    /// The server refuses or fails.
    #[error("Input/output error (http://ipxe.org/1d0c6139): {0}")]
    Refused(String),
    /// The transfer stalled.
    #[error("Connection timed out (http://ipxe.org/4c0a6035)")]
    TimedOut,
    /// The transfer ended too early.
    #[error("Connection reset (http://ipxe.org/0f0a6039): {got} of {announced} bytes")]
    CutOff {
        /// Number of bytes that arrived.
        got: u64,
        /// Number of bytes that the server announced.
        announced: u64,
    },
    /// The request could not be sent.
    #[error("Network unreachable (http://ipxe.org/28086011): {0}")]
    Unreachable(#[from] io::Error),
    /// The name or URL is malformed.
    #[error("Operation not supported (http://ipxe.org/3c092083): {0}")]
    NoUrl(String),
}

/// Loads what a URL of HTTP or TFTP names, as iPXE does.
///
/// # Errors
/// [`LoadError`] when it does not come whole.
pub fn load(url: &str) -> Result<Vec<u8>, LoadError> {
    if let Some(url) = Url::parse(url) {
        return http::get(&url, "iPXE/1.0.0+ (simulated)");
    }
    let place = url
        .strip_prefix("tftp://")
        .and_then(|rest| rest.split_once('/'));
    let place = place.and_then(|(host, path)| Some((host.parse().ok()?, path)));
    match place {
        Some((server, path)) => tftp::load(server, path, Habits::Ipxe),
        None => Err(LoadError::NoUrl(url.to_owned())),
    }
}

impl LoadError {
    /// Converts a socket error: a read that timed out is a stall.
    fn from_io(error: io::Error) -> LoadError {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => LoadError::TimedOut,
            _ => LoadError::Unreachable(error),
        }
    }
}
