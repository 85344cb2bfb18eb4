//! Restarts of a machine: resets reported by libvirt, and repeated starts of firmware or kernel.
//!
//! One restart appears up to three times: as libvirt's event, the firmware's banner and the kernel's first line.
//! A [`Watch`] counts it once.

use serde::{Deserialize, Serialize};

use super::signatures::{Program, banner};

/// Maximum delay between the firmware's banner and libvirt's event about the same reset, which arrive over
/// different sockets in any order.
const SAME_RESET_US: u64 = 5_000_000;

/// Restart of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    /// Time in microseconds since the Unix epoch.
    pub at_us: u64,
    /// First evidence of the restart.
    pub sign: RestartSign,
    /// Console line of the evidence; empty for libvirt's event.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub line: String,
}

/// Evidence of a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartSign {
    /// Reboot event of libvirt.
    Reset,
    /// Second banner of the firmware.
    Firmware,
    /// Second first line of a kernel.
    Kernel,
}

impl std::fmt::Display for Restart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.sign {
            RestartSign::Reset => f.write_str("libvirt reports a reset"),
            RestartSign::Firmware => write!(f, "the firmware started again: `{}`", self.line),
            RestartSign::Kernel => write!(f, "a kernel started again: `{}`", self.line),
        }
    }
}

/// Counter of restarts; observations must be passed in the order of time.
#[derive(Debug, Default)]
pub(super) struct Watch {
    restarts: Vec<Restart>,
    has_firmware: bool,
    has_kernel: bool,
    /// Time of the banner that began the current start; `None` if a reset or the power-on did.
    banner_us: Option<u64>,
}

impl Watch {
    /// Records libvirt's reboot event.
    pub(super) fn reset(&mut self, at_us: u64) {
        let banner_us = self.banner_us.take();
        let is_same = banner_us.is_some_and(|banner| at_us.saturating_sub(banner) < SAME_RESET_US);
        if !is_same {
            self.begins(at_us, RestartSign::Reset, "");
        }
    }

    /// Records a console line.
    pub(super) fn line(&mut self, at_us: u64, line: &str) {
        let line = line.trim();
        if is_firmware_banner(line) {
            if self.has_firmware || self.has_kernel {
                self.begins(at_us, RestartSign::Firmware, line);
                self.banner_us = Some(at_us);
            }
            self.has_firmware = true;
        } else if is_first_kernel_line(line) {
            if self.has_kernel {
                self.begins(at_us, RestartSign::Kernel, line);
            }
            self.has_kernel = true;
        }
    }

    fn begins(&mut self, at_us: u64, sign: RestartSign, line: &str) {
        self.restarts.push(Restart {
            at_us,
            sign,
            line: line.to_owned(),
        });
        (self.has_firmware, self.has_kernel) = (false, false);
    }

    pub(super) fn finish(self) -> Vec<Restart> {
        self.restarts
    }
}

/// True for a banner that firmware prints once for each start.
fn is_firmware_banner(line: &str) -> bool {
    matches!(banner(line), Some(Program::SeaBios | Program::ArmVirt))
}

/// True for the kernel's banner after a time stamp of zero seconds, or without one. Kernel log lines printed by
/// a unit have another prefix (journald: `kernel: `).
fn is_first_kernel_line(line: &str) -> bool {
    let bare = line.strip_prefix('[').map_or(line, |rest| {
        let (stamp, rest) = rest.split_once(']').unwrap_or_default();
        match stamp.trim() {
            "0.000000" => rest.trim_start(),
            _ => "",
        }
    });
    banner(bare) == Some(Program::Linux)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEABIOS: &str = "SeaBIOS (version 1.16.2-debian-1.16.2-1)";
    const LINUX: &str = "[    0.000000] Linux version 6.1.0-13-amd64";

    fn signs(show: impl FnOnce(&mut Watch)) -> Vec<RestartSign> {
        let mut watch = Watch::default();
        show(&mut watch);
        watch.finish().iter().map(|restart| restart.sign).collect()
    }

    #[test]
    fn watch_of_one_start_counts_nothing() {
        let signs = signs(|watch| {
            watch.line(1, SEABIOS);
            watch.line(2, LINUX);
            watch.line(3, "[    0.500000] kernel: Linux version 6.1.0");
        });
        assert_eq!(signs, []);
    }

    #[test]
    fn watch_of_one_reset_counts_it_once_whichever_sign_comes_first() {
        let event_first = signs(|watch| {
            watch.line(1, SEABIOS);
            watch.line(2, LINUX);
            watch.reset(3);
            watch.line(4, SEABIOS);
            watch.line(5, LINUX);
        });
        assert_eq!(event_first, [RestartSign::Reset]);
        let banner_first = signs(|watch| {
            watch.line(1, SEABIOS);
            watch.line(3, SEABIOS);
            watch.reset(4);
            watch.line(5, LINUX);
        });
        assert_eq!(banner_first, [RestartSign::Firmware]);
    }

    #[test]
    fn watch_of_several_restarts_counts_each() {
        let resets = signs(|watch| {
            watch.reset(1);
            watch.reset(2);
        });
        assert_eq!(resets, [RestartSign::Reset; 2]);
        let kexec_then_reset = signs(|watch| {
            watch.line(1, LINUX);
            watch.line(2, LINUX);
            watch.reset(3);
            watch.line(4, LINUX);
        });
        assert_eq!(kexec_then_reset, [RestartSign::Kernel, RestartSign::Reset]);
    }
}
