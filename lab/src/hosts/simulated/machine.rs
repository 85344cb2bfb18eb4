//! Course of a simulated boot: requests of firmware, loaded files, and iPXE's actions, written to standard
//! output as a console shows them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use boot_server_proto::mac::MacAddr;
use lab_model::evidence::simulated::{Loaded, Report};
use lab_model::scenario::Firmware;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ask::{Asker, Program};
use super::dhcp::{self, DhcpError, Given};
use super::http::{self, Url};
use super::nbp::{self, Image};
use super::report::{say, tell};
use super::script::{self, Command};
use super::tftp::{self, Habits};
use super::{LoadError, image, original, tftp::load as load_by_tftp};
use crate::hosts::trunk;

/// Maximum number of boot programs that load each other; a real machine has no limit.
const BOOT_PROGRAMS_MAX: u32 = 8;
/// Maximum number of scripts that lead to each other.
const SCRIPTS_MAX: u32 = 16;

/// Machine to simulate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineJob {
    pub mac: MacAddr,
    pub uuid: Uuid,
    /// SMBIOS serial number.
    pub serial: String,
    pub firmware: Firmware,
    /// VLAN with which firmware tags its frames. iPXE of Debian 12 has no VLANs and does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
}

/// End of a boot program or script.
enum End {
    /// The kernel would be started, with the loaded files.
    Kernel(Report),
    /// Another boot program takes over.
    Program(Program),
    /// The program ended without a boot.
    Failed,
}

/// Boots on `interface`, and firmware on that of its VLAN if it has one; returns when the boot has ended.
pub fn run(job: &MachineJob, interface: &str) {
    say("This machine is simulated: it asks as firmware does and executes nothing.");
    let mut program = match job.firmware {
        Firmware::Bios => Program::IpxeBios,
        Firmware::Uefi => Program::Edk2Pxe,
        Firmware::UefiHttp => Program::Edk2Http,
    };
    let machine = Machine {
        job,
        interface,
        tagged: job.vlan.map(trunk::interface),
        images: RefCell::default(),
    };
    for _ in 0..BOOT_PROGRAMS_MAX {
        match machine.run(program) {
            Ok(End::Program(next)) => program = next,
            Ok(End::Kernel(report)) => return tell(&report),
            Ok(End::Failed) | Err(()) => return,
        }
    }
    say("Boot programs load each other: the simulated machine stops here, a real one would go on.");
}

struct Machine<'a> {
    job: &'a MachineJob,
    interface: &'a str,
    /// Interface of the machine's VLAN.
    tagged: Option<String>,
    /// Files loaded by scripts; kept when a script chains to another, as in iPXE.
    images: RefCell<Images>,
}

/// Kernel and initrds in iPXE's memory.
#[derive(Debug, Default)]
struct Images {
    kernel: Option<Loaded>,
    initrds: Vec<Loaded>,
    options: Vec<String>,
}

impl Machine<'_> {
    fn run(&self, program: Program) -> Result<End, ()> {
        let asker = Asker {
            mac: self.job.mac,
            uuid: self.job.uuid,
            program,
        };
        let is_ipxe = matches!(program, Program::IpxeBios | Program::IpxeUefi);
        if is_ipxe {
            say("iPXE (simulated) -- Open Source Network Boot Firmware -- http://ipxe.org");
            say("Configuring (net0)......");
        } else {
            say(">>Start PXE over IPv4 (simulated).");
        }
        let given = match dhcp::exchange(&asker, self.interface(program)) {
            Ok(given) => given,
            Err(error) => return self.no_address(is_ipxe, &error),
        };
        if let Err(error) = dhcp::take_address(self.interface(program), &given) {
            say(&format!("the address could not be taken: {error}"));
            return Err(());
        }
        say(&format!(
            "net0: {}/{} gw {}",
            given.address,
            given.prefix_len,
            given.router.unwrap_or(Ipv4Addr::UNSPECIFIED)
        ));
        say(&format!("Next server: {}", given.next_server));
        let Some(file) = &given.boot_file else {
            return self.nothing_to_boot(is_ipxe);
        };
        let file = script::expand(file, &self.settings(program));
        say(&format!("Filename: {file}"));
        if is_ipxe {
            self.ipxe(program, &given, &file)
        } else {
            self.edk2(program, &given, &file)
        }
    }

    /// Returns the interface of a program: that of the VLAN for firmware that tags its frames.
    fn interface(&self, program: Program) -> &str {
        let is_firmware = matches!(program, Program::Edk2Pxe | Program::Edk2Http);
        match &self.tagged {
            Some(tagged) if is_firmware => tagged,
            _ => self.interface,
        }
    }

    fn no_address(&self, is_ipxe: bool, error: &DhcpError) -> Result<End, ()> {
        if is_ipxe {
            say(&format!(
                "No configuration methods succeeded (http://ipxe.org/040ee119): {error}"
            ));
            say("No more network devices");
        } else {
            say(&format!("PXE-E16: No valid offer received ({error})."));
        }
        Ok(End::Failed)
    }

    fn nothing_to_boot(&self, is_ipxe: bool) -> Result<End, ()> {
        if is_ipxe {
            say("Nothing to boot: No such file or directory (http://ipxe.org/2d03e13b)");
            say("No more network devices");
        } else {
            say("PXE-E16: No valid offer received.");
        }
        Ok(End::Failed)
    }

    /// Loads and executes one program, as EDK2 does.
    fn edk2(&self, program: Program, given: &Given, file: &str) -> Result<End, ()> {
        let loaded = match program {
            Program::Edk2Http => match Url::parse(file) {
                Some(url) => http::get(&url, "UefiHttpBoot/1.0"),
                None => Err(LoadError::NoUrl(file.to_owned())),
            },
            _ => tftp::load(given.next_server, file, Habits::Edk2),
        };
        let nbp = match loaded {
            Ok(nbp) => nbp,
            Err(error) => {
                let text = match &error {
                    LoadError::TimedOut => "PXE-E18: Server response timeout.".into(),
                    LoadError::NotFound => {
                        "PXE-E23: Client received TFTP error from server.".into()
                    }
                    other => format!("PXE-E99: Unexpected network error ({other})."),
                };
                say(&text);
                return Ok(End::Failed);
            }
        };
        if let Err(why) = nbp::check_uefi(&nbp) {
            say("BdsDxe: failed to load Boot0001 \"UEFI PXEv4\": Unsupported");
            say("BdsDxe: No bootable option or device was found.");
            say(&format!("{file} is not started: {why}."));
            return Ok(End::Failed);
        }
        say("NBP file downloaded successfully.");
        self.take_over(Program::IpxeUefi, &nbp, file)
    }

    /// Loads a script or another program, as iPXE does.
    fn ipxe(&self, program: Program, given: &Given, file: &str) -> Result<End, ()> {
        let (loaded, url) = match self.locate(given, file) {
            Place::Http(url) => (http::get(&url, "iPXE/1.0.0+ (simulated)"), Some(url)),
            Place::Tftp(server, path) => (load_by_tftp(server, &path, Habits::Ipxe), None),
            Place::Nowhere => (Err(LoadError::NoUrl(file.to_owned())), None),
        };
        let image = match loaded {
            Ok(image) => image,
            Err(error) => return self.could_not(file, &error),
        };
        say(&format!("{file}... ok"));
        self.execute(program, &image, file, url, SCRIPTS_MAX)
    }

    fn execute(
        &self,
        program: Program,
        image: &[u8],
        name: &str,
        url: Option<Url>,
        scripts_left: u32,
    ) -> Result<End, ()> {
        let commands = match nbp::identify(image) {
            Image::Program => {
                let checked = match program {
                    Program::IpxeUefi => nbp::check_uefi(image),
                    _ => nbp::check_bios(image),
                };
                return match checked {
                    Ok(()) => self.take_over(program, image, name),
                    Err(why) => Ok(not_started(name, &why.to_string())),
                };
            }
            Image::Script => {
                let text = String::from_utf8_lossy(image);
                script::parse(&text, &self.settings(program))
            }
        };
        let (Some(commands), true) = (commands, scripts_left > 0) else {
            return Ok(not_started(name, "scripts lead to each other"));
        };
        let base = url.unwrap_or(Url {
            authority: String::new(),
            target: "/".into(),
        });
        for command in commands {
            let (text, use_of_file) = match command {
                Command::Skip => continue,
                Command::Boot { options } => {
                    self.set_options(options);
                    return Ok(self.boot());
                }
                Command::Options(options) => {
                    self.images.borrow_mut().options = options;
                    continue;
                }
                Command::Unknown(word) => {
                    say(&format!("{word}: command not found by simulated machines"));
                    return Ok(End::Failed);
                }
                Command::Chain(text) => (text, Use::Run),
                Command::Kernel { file, options } => (file, Use::Kernel(options)),
                Command::Initrd(text) => (text, Use::Initrd),
                Command::Fetch { file, may_fail } => (file, Use::None { may_fail }),
            };
            let Some(url) = base.resolve(&text) else {
                return self.could_not(&text, &LoadError::NoUrl(text.clone()));
            };
            match http::get(&url, "iPXE/1.0.0+ (simulated)") {
                Ok(image) => {
                    say(&format!("{url}... ok"));
                    let checked = match use_of_file {
                        Use::Run => {
                            let name = url.to_string();
                            let left = scripts_left - 1;
                            return self.execute(program, &image, &name, Some(url), left);
                        }
                        Use::Kernel(options) => {
                            self.images.borrow_mut().options = options;
                            self.keep_kernel(program, &url, &image)
                        }
                        Use::Initrd => self.keep_initrd(&url, &image),
                        Use::None { .. } => Ok(()),
                    };
                    if let Err(why) = checked {
                        return Ok(not_started(&url.to_string(), &why.to_string()));
                    }
                }
                Err(error) if matches!(use_of_file, Use::None { may_fail: true }) => {
                    say(&format!("{url}... {error}"));
                }
                Err(error) => return self.could_not(&url.to_string(), &error),
            }
        }
        Ok(End::Failed)
    }

    /// Replaces the kernel's options, unless there are none: `boot` then keeps those of `kernel` (iPXE's
    /// `imgsingle_exec`).
    fn set_options(&self, options: Vec<String>) {
        if !options.is_empty() {
            self.images.borrow_mut().options = options;
        }
    }

    /// Ends firmware or iPXE: the loaded boot program would be started.
    fn take_over(&self, program: Program, file: &[u8], name: &str) -> Result<End, ()> {
        match original::compare(name, file) {
            original::Comparison::Same(path) => say(&format!(
                "{name} is this host's {path}; a real machine would start it now."
            )),
            original::Comparison::CutOff { path, bytes } => {
                let why = format!(
                    "the file has the first {} of the {bytes} bytes of this host's {path}",
                    file.len()
                );
                return Ok(not_started(name, &why));
            }
            original::Comparison::Unknown => say(&format!(
                "{name} looks like iPXE ({} bytes); its code is not looked at. A real machine would start it now.",
                file.len()
            )),
        }
        Ok(End::Program(program))
    }

    fn keep_kernel(
        &self,
        program: Program,
        url: &Url,
        file: &[u8],
    ) -> Result<(), image::NotAnImage> {
        let is_uefi = program == Program::IpxeUefi;
        image::check_kernel(file, is_uefi)?;
        self.images.borrow_mut().kernel = Some(Loaded::of(&url.to_string(), file));
        Ok(())
    }

    fn keep_initrd(&self, url: &Url, file: &[u8]) -> Result<(), image::NotAnImage> {
        let kind = image::check_initrd(file)?;
        say(&format!(
            "{url}: {kind}; simulated machines do not unpack it."
        ));
        let loaded = Loaded::of(&url.to_string(), file);
        self.images.borrow_mut().initrds.push(loaded);
        Ok(())
    }

    /// Executes iPXE's command `boot`.
    fn boot(&self) -> End {
        let images = self.images.take();
        match images.kernel {
            Some(kernel) => End::Kernel(Report {
                kernel,
                initrds: images.initrds,
                options: Some(images.options),
            }),
            None => not_started("boot", "no kernel is loaded"),
        }
    }

    fn could_not(&self, what: &str, error: &LoadError) -> Result<End, ()> {
        say(&format!("{what}... {error}"));
        say(&format!("Could not boot: {error}"));
        say("No more network devices");
        Ok(End::Failed)
    }

    /// Location of a boot file.
    fn locate(&self, given: &Given, file: &str) -> Place {
        if let Some(url) = Url::parse(file) {
            return Place::Http(url);
        }
        let Some(rest) = file.strip_prefix("tftp://") else {
            return match file.contains("://") {
                true => Place::Nowhere,
                false => Place::Tftp(given.next_server, file.to_owned()),
            };
        };
        match rest.split_once('/') {
            Some((host, path)) => match host.parse() {
                Ok(server) => Place::Tftp(server, path.to_owned()),
                Err(_) => Place::Nowhere,
            },
            None => Place::Nowhere,
        }
    }

    /// Returns iPXE's settings of the machine.
    fn settings(&self, program: Program) -> BTreeMap<&'static str, String> {
        let mac = self.job.mac;
        let (platform, buildarch) = match program {
            Program::IpxeUefi => ("efi", "x86_64"),
            _ => ("pcbios", "i386"),
        };
        BTreeMap::from([
            ("uuid", self.job.uuid.to_string()),
            ("net0/mac", mac.to_string()),
            ("mac", mac.to_string()),
            ("net0/mac:hexhyp", mac.hyphenated()),
            ("mac:hexhyp", mac.hyphenated()),
            ("serial", self.job.serial.clone()),
            ("platform", platform.into()),
            ("buildarch", buildarch.into()),
            ("buildarch:uristring", buildarch.into()),
        ])
    }
}

/// Use of a file that a script names.
enum Use {
    /// It runs: a script, or another boot program.
    Run,
    /// It is the kernel, which gets these options.
    Kernel(Vec<String>),
    Initrd,
    None {
        may_fail: bool,
    },
}

enum Place {
    Http(Url),
    Tftp(Ipv4Addr, String),
    Nowhere,
}

/// Returns iPXE's message for an unusable file, with the simulated machine's reason.
fn not_started(name: &str, why: &str) -> End {
    say(&format!(
        "Could not boot: Exec format error (http://ipxe.org/2e008081): {name}"
    ));
    say(&format!("{name} is not started: {why}."));
    say("No more network devices");
    End::Failed
}
