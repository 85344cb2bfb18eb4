//! What was seen during an attempt: every [`Record`] is timed and, where possible, named after a node.
//!
//! Evidence is collected while machines run and saved as JSON lines; `timeline` and `verdict` read
//! nothing else.

pub mod beside;
pub mod capture;
pub mod clock;
pub mod disturbance;
pub mod domain;
mod gave_up;
pub mod packet;
pub mod saved;
pub mod tail;
pub mod wire;

use boot_server::event::Event;
use clap::Args;
use serde::{Deserialize, Serialize};

pub use self::gave_up::GaveUp;

use self::capture::Extent;
use self::disturbance::Disturbance;
use self::packet::{Content, Endpoint, Protocol};
use crate::sim::report::Report;

/// How much evidence is collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Args, Serialize, Deserialize)]
pub struct Depth {
    /// How much of the packets on the network is captured; `headers` keeps the first 2 KiB of each message
    #[arg(long, value_enum, value_name = "EXTENT", default_value_t)]
    pub pcap: Extent,
    /// Also keep what UEFI firmware says on its debug console
    #[arg(long)]
    pub firmware_log: bool,
    /// Give machines a display, and keep a picture of it when one does not come through
    #[arg(long)]
    pub display: bool,
}

/// Name of a service, up to its number, that only stands for somebody else's server on the network.
pub const STATION_PREFIX: &str = "station-";

/// One thing seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Microseconds since the Unix epoch, by the run's own clock, which does not step ([`clock`]).
    pub at_us: u64,
    /// The node it is about, when it can be told (MAC, UUID, console).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// What was seen.
    #[serde(flatten)]
    pub seen: Seen,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "seen", rename_all = "snake_case")]
pub enum Seen {
    /// An event of a boot-server process of ours.
    Server {
        /// Name of the service in the cell, e.g. `boot-server` or `config-service`.
        service: String,
        /// Its event.
        entry: Box<Event>,
    },
    /// A service of the cell ended by itself.
    ServiceEnded {
        /// Name of the service.
        service: String,
        /// Exit status and the last lines of its standard error.
        detail: String,
    },
    /// The machine was started.
    PowerOn,
    /// The machine stopped by itself.
    PowerOff {
        /// Why, as libvirt tells it (`shutdown`, `crashed`, `destroyed`, …).
        reason: String,
    },
    /// What libvirt tells of the machine while it lives.
    Lifecycle {
        /// `started`, `suspended`, `resumed`, `stopped`, `shutdown`, `crashed`, `pm_suspended`.
        event: String,
        /// Why, e.g. `booted`, `unpaused`, `destroyed`, `panicked`.
        detail: String,
    },
    /// A line of the firmware's own debug console, with `--firmware-log`.
    Firmware {
        /// The line, without control sequences.
        line: String,
    },
    /// A picture was taken of the machine's display, because it did not come through.
    Screen {
        /// The file, below the attempt's folder.
        file: String,
    },
    /// The capture of a network is complete.
    Captured {
        /// Which network.
        network: String,
        /// Frames in the file.
        frames: u64,
        /// Frames that were sent and could not be captured.
        dropped: u64,
    },
    /// A file, script or config arrived whole at the machine's own port.
    Arrived {
        /// Protocol that carried it.
        protocol: Protocol,
        /// TFTP file name, or HTTP path with its query.
        name: String,
        /// Sender.
        from: Endpoint,
        /// First packet of the answer, in microseconds since the Unix epoch.
        start_us: u64,
        /// Size in bytes.
        bytes: u64,
        /// Hash, and text of at most 1 MiB.
        #[serde(flatten)]
        content: Content,
    },
    /// SHA-256 of a file that a service of the cell serves, computed by the lab before the first machine starts.
    Manifest {
        /// Path as served, without a leading slash: `assets/…` by HTTP and TFTP; a boot program by its TFTP name, which
        /// HTTP serves below `nbp/`.
        file: String,
        /// SHA-256 in hexadecimal.
        sha256: String,
    },
    /// The machine was reset: libvirt's reboot event.
    Reset,
    /// A simulated machine ended its boot and reported the files that it would start.
    WouldStart(Report),
    /// A line on the serial console.
    Console {
        /// The line, without control sequences.
        line: String,
    },
    /// The console showed a shell prompt and answered a command.
    ShellReady,
    /// A check inside the guest was made.
    Check {
        /// What was checked, e.g. `hostname` or `file /home/core/cloud content`.
        check: String,
        /// What was expected, literally.
        expected: String,
        /// What was found.
        found: String,
        /// Whether they agree.
        holds: bool,
    },
    /// A check inside the guest has no answer that can be trusted: something else was on the console each time.
    ConsoleDisturbed {
        /// Name of the check.
        check: String,
        /// What was wrong with the last answer.
        disturbance: Disturbance,
        /// Number of times that the answer was asked for.
        tries: u32,
    },
    /// The lab stopped waiting for this node.
    GaveUp {
        /// Reason: a deadline, an interrupt, no progress.
        reason: GaveUp,
    },
}
