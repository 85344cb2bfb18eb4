//! The course of a simulated boot: what firmware asks, what it loads, what iPXE makes of it, written on
//! standard output as a console shows it.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::process::Command as Process;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ask::{Asker, Program};
use super::dhcp::{self, DhcpError, Given};
use super::http::{self, Url};
use super::nbp::{self, Image};
use super::script::{self, Command};
use super::tftp::{self, Habits};
use super::{LoadError, tftp::load as load_by_tftp};
use crate::scenario::Firmware;

/// How often boot programs may load each other before the simulated machine stops; a real one goes on.
const BOOT_PROGRAMS_MAX: u32 = 8;
/// How many scripts may lead to each other.
const SCRIPTS_MAX: u32 = 16;

/// The machine to be simulated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineJob {
    /// Its MAC.
    pub mac: [u8; 6],
    /// Its UUID.
    pub uuid: Uuid,
    /// Its serial number.
    pub serial: String,
    /// Its firmware.
    pub firmware: Firmware,
}

/// How a boot program or script ended.
enum End {
    /// The kernel would be started.
    Kernel,
    /// Another boot program takes over.
    Program(Program),
    /// That was all.
    Failed,
}

/// Boots on `interface` and returns when there is nothing more to do.
pub fn run(job: &MachineJob, interface: &str) {
    say("This machine is simulated: it asks as firmware does and executes nothing.");
    let mut program = match job.firmware {
        Firmware::Bios => Program::IpxeBios,
        Firmware::Uefi => Program::Edk2Pxe,
        Firmware::UefiHttp => Program::Edk2Http,
    };
    let machine = Machine { job, interface };
    for _ in 0..BOOT_PROGRAMS_MAX {
        match machine.run(program) {
            Ok(End::Program(next)) => program = next,
            Ok(End::Kernel) => {
                say("Kernel and initrd are loaded; a real machine would start the kernel now.");
                return;
            }
            Ok(End::Failed) | Err(()) => return,
        }
    }
    say("Boot programs load each other: the simulated machine stops here, a real one would go on.");
}

struct Machine<'a> {
    job: &'a MachineJob,
    interface: &'a str,
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
        let given = match dhcp::exchange(&asker, self.interface) {
            Ok(given) => given,
            Err(error) => return self.no_address(is_ipxe, &error),
        };
        if let Err(error) = take_address(self.interface, &given) {
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

    /// EDK2 loads one program and executes it.
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
        if !nbp::runs_on_uefi(&nbp) {
            say("BdsDxe: failed to load Boot0001 \"UEFI PXEv4\": Unsupported");
            say("BdsDxe: No bootable option or device was found.");
            return Ok(End::Failed);
        }
        say("NBP file downloaded successfully.");
        Ok(End::Program(Program::IpxeUefi))
    }

    /// iPXE loads a script or another program.
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
        let runs = match program {
            Program::IpxeUefi => nbp::runs_on_uefi(image),
            _ => nbp::runs_on_bios(image),
        };
        if runs {
            return Ok(End::Program(program));
        }
        let text = String::from_utf8_lossy(image);
        let commands = match nbp::identify(image) {
            Image::Script => script::parse(&text, &self.settings(program)),
            _ => None,
        };
        let (Some(commands), true) = (commands, scripts_left > 0) else {
            say(&format!(
                "Could not boot: Exec format error (http://ipxe.org/2e008081): {name}"
            ));
            say("No more network devices");
            return Ok(End::Failed);
        };
        let base = url.unwrap_or(Url {
            authority: String::new(),
            target: "/".into(),
        });
        for command in commands {
            let (text, runs) = match command {
                Command::Skip => continue,
                Command::Boot => return Ok(End::Kernel),
                Command::Unknown(word) => {
                    say(&format!("{word}: command not found by simulated machines"));
                    return Ok(End::Failed);
                }
                Command::Chain(text) => (text, true),
                Command::Kernel(text) | Command::Initrd(text) => (text, false),
            };
            let Some(url) = base.resolve(&text) else {
                return self.could_not(&text, &LoadError::NoUrl(text.clone()));
            };
            match http::get(&url, "iPXE/1.0.0+ (simulated)") {
                Ok(image) => {
                    say(&format!("{url}... ok"));
                    if runs {
                        let name = url.to_string();
                        return self.execute(program, &image, &name, Some(url), scripts_left - 1);
                    }
                }
                Err(error) => return self.could_not(&url.to_string(), &error),
            }
        }
        Ok(End::Failed)
    }

    fn could_not(&self, what: &str, error: &LoadError) -> Result<End, ()> {
        say(&format!("{what}... {error}"));
        say(&format!("Could not boot: {error}"));
        say("No more network devices");
        Ok(End::Failed)
    }

    /// Where a boot file is.
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

    /// iPXE's settings of the machine.
    fn settings(&self, program: Program) -> BTreeMap<&'static str, String> {
        let part = |separator: &str| {
            let octets = self.job.mac.iter().map(|octet| format!("{octet:02x}"));
            octets.collect::<Vec<_>>().join(separator)
        };
        let platform = match program {
            Program::IpxeUefi => "efi",
            _ => "pcbios",
        };
        BTreeMap::from([
            ("uuid", self.job.uuid.to_string()),
            ("net0/mac", part(":")),
            ("mac", part(":")),
            ("net0/mac:hexhyp", part("-")),
            ("mac:hexhyp", part("-")),
            ("serial", self.job.serial.clone()),
            ("platform", platform.into()),
        ])
    }
}

enum Place {
    Http(Url),
    Tftp(Ipv4Addr, String),
    Nowhere,
}

/// Gives the interface the address that was acknowledged.
///
/// # Errors
/// When `ip` fails.
pub(super) fn take_address(interface: &str, given: &Given) -> io::Result<()> {
    let address = format!("{}/{}", given.address, given.prefix_len);
    for arguments in [
        vec!["address", "flush", "dev", interface, "scope", "global"],
        vec!["address", "add", &address, "dev", interface],
    ] {
        let status = Process::new("ip").args(&arguments).status()?;
        if !status.success() {
            let what = format!("ip {}: {status}", arguments.join(" "));
            return Err(io::Error::other(what));
        }
    }
    Ok(())
}

/// Writes a line on the console.
fn say(line: &str) {
    use std::io::Write;
    // Whoever reads the console is gone only when everything ends.
    let _ = writeln!(io::stdout(), "{line}");
}
