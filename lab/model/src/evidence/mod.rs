//! Evidence of an attempt: every [`Record`] has a time and, if possible, a node.
//!
//! Evidence is collected while machines run and saved as JSON lines; `timeline` and `verdict` read nothing else.

pub mod beside;
pub mod clock;
mod dhcp_kind;
pub mod disturbance;
pub mod domain;
#[cfg(any(test, feature = "fixtures"))]
pub mod fake_clock;
mod gave_up;
pub mod packet;
mod refused;
pub mod saved;
pub mod simulated;
pub mod tail;
pub mod wire;

use boot_server_events::Event;
use serde::{Deserialize, Serialize};

pub use self::dhcp_kind::DhcpKind;
pub use self::gave_up::GaveUp;
pub use self::refused::{RefusedFrame, Way};

use self::disturbance::Disturbance;
use self::packet::{Content, Endpoint, Protocol};
use self::simulated::Report;

/// Prefix of the names of services that stand in for another host's server.
pub const STATION_PREFIX: &str = "station-";

/// One observation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Record {
    /// Time in microseconds since the Unix epoch, by the run's clock, which never steps ([`clock`]).
    pub at_us: u64,
    /// Node concerned, if known (by MAC, UUID or console).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    #[serde(flatten)]
    pub seen: Observation,
}

/// Output stream of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl OutputStream {
    /// Returns the name of the stream, also that of its log without `.log`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            OutputStream::Stdout => "stdout",
            OutputStream::Stderr => "stderr",
        }
    }
}

/// Content of a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "seen", rename_all = "snake_case")]
pub enum Observation {
    /// Event of one of the lab's boot-server processes.
    Server {
        /// Name of the service in the cell, e.g. `boot-server` or `config-service`.
        service: String,
        entry: Box<Event>,
    },
    /// A service of the cell ended unexpectedly.
    ServiceEnded {
        service: String,
        /// Exit status and the last lines of standard error.
        detail: String,
    },
    /// The lab killed a service of the user, as a fault says.
    ServiceKilled {
        service: String,
        /// Exit status and the last lines of output.
        detail: String,
    },
    /// Line that a service of the user printed.
    ServiceLine {
        service: String,
        stream: OutputStream,
        /// Text without control sequences, at most 1000 bytes.
        line: String,
    },
    /// A service of the user left something behind when it was stopped.
    ServiceLeft {
        service: String,
        /// Leftover, and its removal.
        what: String,
    },
    /// A port of the cell's switch did not let a frame through; at most 50 records of one port, VLAN and way.
    FrameRefused(RefusedFrame),
    /// The machine was started.
    PowerOn,
    /// The machine stopped by itself.
    PowerOff {
        /// Reason in libvirt's words (`shutdown`, `crashed`, `destroyed`, …).
        reason: String,
    },
    /// Lifecycle event of libvirt while the machine exists.
    Lifecycle {
        /// Event: `started`, `suspended`, `resumed`, `stopped`, `shutdown`, `crashed`, `pm_suspended`.
        event: String,
        /// Reason, e.g. `booted`, `unpaused`, `destroyed`, `panicked`.
        detail: String,
    },
    /// Line of the firmware's debug console, with `--firmware-log`.
    Firmware {
        /// Text without control sequences.
        line: String,
    },
    /// Screenshot of a failed machine.
    Screen {
        /// Path of the file in the attempt's folder.
        file: String,
    },
    /// The capture of a network is complete.
    Captured {
        network: String,
        /// Number of frames in the file.
        frames: u64,
        /// Number of frames that were sent but not captured.
        dropped: u64,
    },
    /// A file, script or config arrived completely at the machine's own port.
    Arrived {
        /// Protocol of the transfer.
        protocol: Protocol,
        /// TFTP file name, or HTTP path with its query.
        name: String,
        from: Endpoint,
        /// Time of the answer's first packet, in microseconds since the Unix epoch.
        start_us: u64,
        bytes: u64,
        /// Hash, and text of at most 1 MiB.
        #[serde(flatten)]
        content: Content,
    },
    /// SHA-256 of a file that a service of the cell serves, computed by the lab before the first machine starts.
    Manifest {
        /// Path as served, without a leading slash: `assets/…` by HTTP and TFTP; a boot program by its TFTP
        /// name, which HTTP serves below `nbp/`.
        file: String,
        /// SHA-256 in hexadecimal.
        sha256: String,
        /// Size of the file; `None` in older recordings.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bytes: Option<u64>,
    },
    /// Reset of the machine: libvirt's reboot event.
    Reset,
    /// A simulated machine finished its boot and reported the files that it would start.
    WouldStart(Report),
    /// Line on the serial console.
    Console {
        /// Text without control sequences.
        line: String,
    },
    /// The console showed a shell prompt and answered a command.
    ShellReady,
    /// Result of a check inside the guest.
    Check {
        /// Name of the check, e.g. `hostname` or `file /home/core/cloud content`.
        check: String,
        /// Literal expected value.
        expected: String,
        /// Value that the machine has.
        found: String,
        /// True if both agree.
        holds: bool,
    },
    /// A check inside the guest has no trustworthy answer, because other output disturbed the console in each
    /// try.
    ConsoleDisturbed {
        check: String,
        /// Disturbance of the last answer.
        disturbance: Disturbance,
        /// Number of tries.
        tries: u32,
    },
    /// Units that had failed or were still starting after the last check, as systemd lists them.
    Units {
        /// Names of the failed units.
        failed: Vec<String>,
        /// Names of the failed units whose program the stand-in lacks.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        without_program: Vec<String>,
        /// Names of the units that were still starting.
        starting: Vec<String>,
    },
    /// The lab stopped waiting for this node.
    GaveUp {
        /// Reason: a time limit, an interruption, or a stopped machine.
        reason: GaveUp,
    },
}
