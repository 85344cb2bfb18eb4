//! Decision on the next boot step of a client, and the only place that prevents loops.
//!
//! No sequence of clients can loop, because firmware is sent to an NBP; iPXE is sent to a script, which
//! ends the sequence, unless it is to be chainloaded (a ROM with `chainload_ipxe`, or Pixiecore's
//! rule). Then it is sent to an NBP as long as it has not fetched one; once it has, [`ChainMemory`]
//! calls it chained while it keeps asking, and a chained iPXE is only ever sent to a script. When
//! the fetch cannot be seen, the number of exchanges is bounded instead.

mod boot;
mod client;
mod memory;
mod signed;
#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;
use std::time::Instant;

pub use boot::{BiosLoader, BootConfig, SHIM, SHIM_FOLDER};
pub use client::{ClassifyError, Client, Loader, classify};
pub use memory::{CHAIN_MEMORY, ChainMemory, MAX_UNSEEN_FETCHES};
pub use signed::{GRUB_X64, SHIM_X64, SIGNED_PROGRAMS, SignedProgram};

use boot_server_proto::dhcp::ClientArch;
use boot_server_proto::mac::MacAddr;

/// PXELINUX's file name in Debian's package `pxelinux`.
pub const PXELINUX_NBP: &str = "pxelinux.0";
/// NBP that Pixiecore sends to a BIOS iPXE ROM: iPXE with its own network card drivers.
pub const PIXIECORE_IPXE_NBP: &str = "ipxe.pxe";

/// Rules that choose the boot files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// `[boot]`: NBPs by architecture, one script for all.
    Boot,
    /// Pixiecore's: paths and scripts per MAC.
    Pixiecore,
}

/// Next file for a client to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootAction {
    /// No file: the client boots from elsewhere, or no NBP fits it.
    Nothing,
    /// An NBP by TFTP from our address.
    Nbp(String),
    /// An NBP by its whole URL, for iPXE.
    NbpUrl(String),
    /// An NBP by HTTP, for UEFI firmware.
    HttpNbp(String),
    /// Boot file name for a Raspberry Pi, which then loads its own files by TFTP from the server.
    RaspberryPi(String),
    /// An iPXE script.
    Script(String),
}

/// A decision, and why it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootStep {
    /// Next file to load.
    pub action: BootAction,
    /// Reason for the step, for events.
    pub why: &'static str,
}

impl BootStep {
    /// No decision was asked for.
    pub fn none() -> BootStep {
        BootStep::nothing("")
    }

    fn nothing(why: &'static str) -> BootStep {
        BootStep {
            action: BootAction::Nothing,
            why,
        }
    }

    /// Returns the boot file name sent to clients.
    pub fn boot_file(&self) -> Option<&str> {
        match &self.action {
            BootAction::Nothing => None,
            BootAction::Nbp(file) | BootAction::RaspberryPi(file) => Some(file),
            BootAction::NbpUrl(url) | BootAction::HttpNbp(url) | BootAction::Script(url) => {
                Some(url)
            }
        }
    }
}

/// The decider: the rules and the memory of who was chainloaded.
#[derive(Debug)]
pub struct Policy {
    rules: Rules,
    server: Ipv4Addr,
    boot: BootConfig,
    script_url: Option<String>,
    /// The folder that NBPs are fetched from by HTTP, with its `/`.
    nbp_url: Option<String>,
    pixiecore_port: u16,
    memory: ChainMemory,
}

impl Policy {
    /// `[boot]`'s rules; `script_url` is what iPXE is given when there is one.
    pub fn boot(server: Ipv4Addr, boot: BootConfig, script_url: Option<String>) -> Policy {
        Policy {
            rules: Rules::Boot,
            server,
            boot,
            script_url,
            nbp_url: None,
            pixiecore_port: 0,
            memory: ChainMemory::default(),
        }
    }

    /// Sets the URL of the NBPs for UEFI clients that boot over HTTP; the URL ends in `/`.
    #[must_use]
    pub fn with_nbp_url(self, nbp_url: Option<String>) -> Policy {
        Policy { nbp_url, ..self }
    }

    /// Pixiecore's rules, with its HTTP server on `port`.
    pub fn pixiecore(server: Ipv4Addr, boot: BootConfig, port: u16) -> Policy {
        Policy {
            rules: Rules::Pixiecore,
            server,
            boot,
            script_url: None,
            nbp_url: None,
            pixiecore_port: port,
            memory: ChainMemory::default(),
        }
    }

    /// Returns the rules that choose the boot files.
    pub fn rules(&self) -> Rules {
        self.rules
    }

    /// Returns the URL of the script for iPXE, if these rules have one.
    pub fn script_url(&self) -> Option<&str> {
        self.script_url.as_deref()
    }

    /// Decides what the client loads next; `xid` is its exchange.
    pub fn decide(&mut self, client: &Client, xid: u32, now: Instant) -> BootStep {
        let chained = client.loader == Loader::Ipxe && self.memory.is_chained(client.mac, xid, now);
        let step = match self.rules {
            Rules::Boot => self.boot_step(client, chained),
            Rules::Pixiecore => self.pixiecore_step(client, chained),
        };
        let is_nbp = matches!(step.action, BootAction::Nbp(_) | BootAction::NbpUrl(_));
        if client.loader == Loader::Ipxe && is_nbp {
            self.memory.nbp_sent(client.mac, xid, now);
        }
        step
    }

    /// A machine has fetched a file, whole, by TFTP or as an NBP by HTTP. Only our NBPs matter here.
    pub fn file_fetched(&mut self, mac: Option<MacAddr>, file: &str, now: Instant) {
        let by_path = (self.rules == Rules::Pixiecore)
            .then(|| pixiecore_path(file))
            .flatten();
        if let Some((mac, _)) = by_path {
            self.memory.nbp_fetched(mac, now);
        } else if let Some(mac) = mac
            && self.boot.nbps().any(|nbp| nbp == file)
        {
            self.memory.nbp_fetched(mac, now);
        }
    }

    /// Returns the file behind a TFTP name that only Pixiecore's rules know, `<mac>/<number>`.
    pub fn pixiecore_file(&self, path: &str) -> Option<&str> {
        if self.rules != Rules::Pixiecore {
            return None;
        }
        match pixiecore_path(path)? {
            (_, 0) => Some(&self.boot.bios_nbp),
            // Debian has no iPXE for 32-bit UEFI; an operator who has one puts it into a TFTP root.
            (_, 1) => Some("ipxe-i386.efi"),
            (_, 2 | 3) => Some(self.boot.efi_x64_file()),
            (_, 4) => Some(PIXIECORE_IPXE_NBP),
            _ => None,
        }
    }

    fn boot_step(&self, client: &Client, chained: bool) -> BootStep {
        if !client.wants_boot {
            return BootStep::nothing("no network boot requested");
        }
        if client.raspberry_pi {
            return self.raspberry_pi_step();
        }
        if client.http_boot {
            return self.http_step(client);
        }
        let arch = client.arch.iter().find_map(|arch| self.nbp_of(*arch));
        if client.loader == Loader::Firmware {
            return match arch {
                Some((nbp, why)) => BootStep {
                    action: BootAction::Nbp(nbp.to_owned()),
                    why,
                },
                None => BootStep::nothing("no NBP fits this client architecture"),
            };
        }
        let is_bios = client.arch.contains(&ClientArch::Bios);
        match (arch, &self.script_url) {
            (Some((nbp, _)), _) if is_bios && self.boot.bios == BiosLoader::Pxelinux => BootStep {
                action: BootAction::Nbp(nbp.to_owned()),
                why: "BIOS iPXE: PXELINUX",
            },
            (Some((nbp, _)), _)
                if self.boot.chainload_ipxe && !chained && client.loader == Loader::Ipxe =>
            {
                BootStep {
                    action: BootAction::Nbp(nbp.to_owned()),
                    why: "iPXE that has not fetched our NBP: chainload it once",
                }
            }
            (_, Some(url)) => BootStep {
                action: BootAction::Script(url.clone()),
                why: if chained {
                    "iPXE that fetched our NBP: script"
                } else {
                    "iPXE: script"
                },
            },
            (_, None) => BootStep::nothing("iPXE, but no script URL is configured"),
        }
    }

    fn raspberry_pi_step(&self) -> BootStep {
        match self.boot.raspberry_pi_nbp.as_str() {
            "" => BootStep::nothing("Raspberry Pi, but boot.raspberry_pi_nbp is empty"),
            file => BootStep {
                action: BootAction::RaspberryPi(file.to_owned()),
                why: "Raspberry Pi: this server",
            },
        }
    }

    fn http_step(&self, client: &Client) -> BootStep {
        let nbp = client
            .arch
            .iter()
            .find_map(|arch| self.nbp_of(tftp_sibling(*arch)));
        match (nbp, &self.nbp_url) {
            (Some((nbp, _)), Some(folder)) => BootStep {
                action: BootAction::HttpNbp(format!("{folder}{nbp}")),
                why: match self.boot.efi_x64_nbp == SHIM {
                    true => "UEFI firmware booting over HTTP: shim",
                    false => "UEFI firmware booting over HTTP: iPXE",
                },
            },
            (None, _) => BootStep::nothing("no NBP fits this client architecture"),
            (_, None) => BootStep::nothing("HTTP boot, but no [http] service is configured"),
        }
    }

    fn nbp_of(&self, arch: ClientArch) -> Option<(&str, &'static str)> {
        let boot = &self.boot;
        let (nbp, why) = match (arch, boot.bios) {
            (ClientArch::Bios, BiosLoader::Ipxe) => {
                (Some(boot.bios_nbp.as_str()), "BIOS firmware: iPXE")
            }
            (ClientArch::Bios, BiosLoader::Pxelinux) => {
                return Some((PXELINUX_NBP, "BIOS firmware: PXELINUX"));
            }
            (ClientArch::EfiX64 | ClientArch::EfiX64OrEbc, _) => {
                let why = match boot.efi_x64_nbp == SHIM {
                    true => "x64 UEFI firmware: shim",
                    false => "x64 UEFI firmware: iPXE",
                };
                (Some(boot.efi_x64_file()), why)
            }
            (ClientArch::EfiIa32, _) => {
                (boot.efi_ia32_nbp.as_deref(), "IA32 UEFI firmware: its NBP")
            }
            (ClientArch::EfiArm32, _) => (
                boot.efi_arm32_nbp.as_deref(),
                "ARM32 UEFI firmware: its NBP",
            ),
            (ClientArch::EfiArm64, _) => (boot.efi_arm64_file(), "ARM64 UEFI firmware: its NBP"),
            (ClientArch::UBootArm32, _) => {
                (boot.efi_arm32_nbp.as_deref(), "ARM32 U-Boot: the UEFI NBP")
            }
            (ClientArch::UBootArm64, _) => (boot.efi_arm64_file(), "ARM64 U-Boot: the UEFI NBP"),
            (ClientArch::EfiRiscV32, _) => (
                boot.efi_riscv32_nbp.as_deref(),
                "RISC-V 32 UEFI firmware: its NBP",
            ),
            (ClientArch::EfiRiscV64, _) => (
                boot.efi_riscv64_nbp.as_deref(),
                "RISC-V 64 UEFI firmware: its NBP",
            ),
            _ => return None,
        };
        Some((nbp?, why))
    }

    /// Pixiecore's table, as recorded from it, with one difference: it waits for its own iPXE's user
    /// class and would send any other iPXE to an NBP for ever. An iPXE that has fetched an NBP of
    /// ours is sent to the script whatever its user class. A ROM's first question is answered as
    /// Pixiecore does, with the NBP, so that every machine runs the same iPXE version.
    fn pixiecore_step(&self, client: &Client, chained: bool) -> BootStep {
        let known = client.arch.iter().find_map(|arch| match arch {
            ClientArch::Bios => Some((0, 0)),
            ClientArch::EfiIa32 => Some((1, 0)),
            ClientArch::EfiX64 => Some((2, 1)),
            ClientArch::EfiX64OrEbc => Some((3, 1)),
            _ => None,
        });
        let Some((number, script_arch)) = known else {
            return BootStep::nothing("no NBP fits this client architecture");
        };
        let (server, mac) = (self.server, client.mac);
        if client.loader == Loader::PixiecoreIpxe || chained {
            let port = self.pixiecore_port;
            let url = format!("http://{server}:{port}/_/ipxe?arch={script_arch}&mac={mac}");
            let why = if chained {
                "iPXE that fetched our NBP: Pixiecore's script"
            } else {
                "Pixiecore's iPXE: its script"
            };
            return BootStep {
                action: BootAction::Script(url),
                why,
            };
        }
        if number == 0 && client.bare_ipxe_class {
            return BootStep {
                action: BootAction::NbpUrl(format!("tftp://{server}/{mac}/4")),
                why: "BIOS iPXE ROM: our iPXE",
            };
        }
        let why = if number == 0 {
            "BIOS firmware: iPXE"
        } else {
            "UEFI firmware: iPXE"
        };
        BootStep {
            action: BootAction::Nbp(format!("{mac}/{number}")),
            why,
        }
    }
}

/// Returns the architecture whose NBPs this one runs.
fn tftp_sibling(arch: ClientArch) -> ClientArch {
    match arch {
        ClientArch::EfiIa32Http => ClientArch::EfiIa32,
        ClientArch::EfiX64Http => ClientArch::EfiX64,
        ClientArch::EfiArm32Http => ClientArch::EfiArm32,
        ClientArch::EfiArm64Http => ClientArch::EfiArm64,
        ClientArch::UBootArm32Http => ClientArch::UBootArm32,
        ClientArch::UBootArm64Http => ClientArch::UBootArm64,
        ClientArch::EfiRiscV32Http => ClientArch::EfiRiscV32,
        ClientArch::EfiRiscV64Http => ClientArch::EfiRiscV64,
        // Never PXELINUX or another BIOS program by HTTP.
        ClientArch::Bios => ClientArch::Other(0),
        other => other,
    }
}

/// Reads `<mac>/<number>`; Pixiecore takes no leading `/`.
fn pixiecore_path(path: &str) -> Option<(MacAddr, u8)> {
    let (mac, number) = path.split_once('/')?;
    let number = number.parse().ok().filter(|_| number.len() == 1)?;
    Some((mac.parse().ok()?, number))
}
