//! What a scenario is, once it has been read and found good. Its TOML form is that of
//! `scenario.toml`, so that a resolved scenario can be read again.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use boot_server::config::BiosLoader;
use ipnet::Ipv4Net;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::access::{FileMode, Owner};
use super::digest::Sha256Hex;
use super::mac::MacAddr;

/// A network environment, the machines in it, and what each must come up as.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scenario {
    /// Name: that of its folder.
    #[serde(skip)]
    pub name: String,
    /// Its folder.
    #[serde(skip)]
    pub dir: PathBuf,
    /// One sentence for lists and reports.
    pub summary: String,
    /// Every firmware the scenario is run with.
    pub firmware: Vec<Firmware>,
    /// Whether its machines are virtual or only simulated.
    #[serde(skip_serializing_if = "Machines::is_virtual")]
    pub machines: Machines,
    /// The private network.
    pub network: Network,
    /// Who plays which part in it.
    pub services: Services,
    /// What PXE clients are given.
    pub boot: Boot,
    /// What is booted.
    pub image: Image,
    /// When the lab stops waiting.
    pub deadline: Deadline,
    /// The machines.
    #[serde(rename = "node")]
    pub nodes: Vec<Node>,
}

impl Scenario {
    /// The boot-config data directory, in the bootcfg layout.
    pub fn data_dir(&self) -> PathBuf {
        Self::data_dir_of(&self.dir)
    }

    /// The data directory of the scenario in `dir`.
    pub(super) fn data_dir_of(dir: &Path) -> PathBuf {
        dir.join("data")
    }

    /// The node of that name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// The scenario as TOML: the text of `scenario.resolved.toml`, every default written out.
    ///
    /// # Errors
    /// When a value has no TOML form; none of a checked scenario has.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }
}

/// What the machines of a scenario are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Machines {
    /// Virtual machines with real firmware.
    #[default]
    Virtual,
    /// Programs that ask as firmware does and execute nothing: they prove what servers and network do,
    /// up to the initrd, and nothing of what comes after.
    Simulated,
}

impl Machines {
    /// As written in `scenario.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Machines::Virtual => "virtual",
            Machines::Simulated => "simulated",
        }
    }

    /// Whether they are virtual machines.
    pub fn is_virtual(&self) -> bool {
        *self == Machines::Virtual
    }
}

/// The firmware of a virtual machine.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Firmware {
    /// SeaBIOS; the network card's ROM is iPXE.
    Bios,
    /// OVMF without Secure Boot; the network card has no ROM, so EDK2's own PXE client asks.
    Uefi,
    /// The same with PXE switched off: EDK2's HTTP boot client asks, and loads its boot program by HTTP.
    UefiHttp,
}

impl Firmware {
    /// Every firmware there is.
    pub const ALL: [Firmware; 3] = [Firmware::Bios, Firmware::Uefi, Firmware::UefiHttp];

    /// As written in `scenario.toml` and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Firmware::Bios => "bios",
            Firmware::Uefi => "uefi",
            Firmware::UefiHttp => "uefi-http",
        }
    }

    /// Whether it is UEFI firmware, however it loads its boot program.
    pub fn is_uefi(self) -> bool {
        self != Firmware::Bios
    }
}

impl std::fmt::Display for Firmware {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl std::str::FromStr for Firmware {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Firmware::ALL
            .into_iter()
            .find(|firmware| firmware.name() == text)
            .ok_or_else(|| format!("unknown firmware `{text}`: `bios`, `uefi` or `uefi-http`"))
    }
}

/// `[network]`: the private network of the scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Network {
    /// Its subnet.
    pub subnet: Ipv4Net,
    /// The host's address in it, where that is not the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Ipv4Addr>,
    /// Port of the boot config service.
    #[serde(skip_serializing_if = "is_usual_port")]
    pub http_port: u16,
    /// Names that mean the host, for machines that know their servers by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// What the host's interface is called, where a service's own configuration has its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
}

fn is_usual_port(port: &u16) -> bool {
    *port == Network::HTTP_PORT
}

impl Network {
    /// Port of the boot config service, bootcfg's own default.
    pub const HTTP_PORT: u16 = 8080;

    /// A network of this subnet, with nothing special about it.
    pub fn new(subnet: Ipv4Net) -> Network {
        Network {
            subnet,
            address: None,
            http_port: Network::HTTP_PORT,
            names: Vec::new(),
            interface: None,
        }
    }

    /// The host's address on the network, where our services listen.
    pub fn host(&self) -> Ipv4Addr {
        self.address.unwrap_or_else(|| self.nth(1))
    }

    /// First and last address that DHCP gives out: all that lie before or after the host's, whichever
    /// are more.
    pub fn pool(&self) -> (Ipv4Addr, Ipv4Addr) {
        let (first, host) = (u32::from(self.nth(1)), u32::from(self.host()));
        let last = u32::from(self.subnet.broadcast()).saturating_sub(1);
        let (before, after) = ((first, host.saturating_sub(1)), (host + 1, last));
        let is_longer = last.saturating_sub(host) >= host.saturating_sub(first);
        let (first, last) = if is_longer { after } else { before };
        (Ipv4Addr::from(first), Ipv4Addr::from(last))
    }

    fn nth(&self, n: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.subnet.network()).saturating_add(n))
    }
}

/// `[services]`: who plays which part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Services {
    /// Who gives addresses.
    pub dhcp: DhcpService,
    /// Who gives boot options beside it.
    pub proxy_dhcp: ProxyDhcpService,
    /// Who is Pixiecore; the boot config service is a process of its own then.
    pub pixiecore: PixiecoreService,
    /// The configuration of `dhcp = "dnsmasq"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dnsmasq_conf: Option<PathBuf>,
    /// A `boot-server.toml` that the boot server takes as it is, but for where it listens and what it
    /// serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_server_config: Option<PathBuf>,
}

impl Services {
    /// Whether a proxy of any kind gives the boot options.
    pub fn has_proxy(&self) -> bool {
        self.proxy_dhcp != ProxyDhcpService::None || self.pixiecore != PixiecoreService::None
    }
}

/// Who gives addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DhcpService {
    /// Our boot-server, as the PXE-enabled DHCP server.
    BootServer,
    /// The libvirt network's own DHCP, which knows nothing of booting.
    Libvirt,
    /// A dnsmasq with a configuration of the user's own, which also gives boot options and files.
    Dnsmasq,
    /// Nobody that the lab starts: another server on the network, or none on purpose.
    None,
}

/// Who gives boot options beside the DHCP server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProxyDhcpService {
    /// Our boot-server, on ports 67 and 4011.
    BootServer,
    /// Nobody.
    None,
}

/// Who is Pixiecore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PixiecoreService {
    /// Nobody.
    None,
    /// Our boot-server in Pixiecore mode.
    BootServer,
    /// A program of the user's own, run as it is; `{api}` stands for the API's URL, `{interface}` for the
    /// bridge and `{address}` for the host's address.
    Command(Vec<String>),
}

/// `[boot]`: which network boot program clients are given.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Boot {
    /// What BIOS clients run.
    pub bios: BiosLoader,
    /// Also chainload firmware that already is iPXE, once.
    pub chainload_ipxe: bool,
}

/// `[image]`: what is booted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Image {
    /// Name in the image catalog; served as `/assets/coreos/current/…`.
    pub name: String,
}

impl Image {
    /// Name of the locally built image that takes the place of CoreOS.
    pub const STAND_IN: &'static str = "stand-in";
    /// File name of the kernel, as CoreOS publishes it.
    pub const KERNEL: &'static str = "coreos_production_pxe.vmlinuz";
    /// File name of the initrd, as CoreOS publishes it.
    pub const INITRD: &'static str = "coreos_production_pxe_image.cpio.gz";

    /// Whether this is the stand-in, which is never to be reported as CoreOS.
    pub fn is_stand_in(&self) -> bool {
        Image::names_stand_in(&self.name)
    }

    /// Whether `name` is that of the stand-in: `stand-in`, or `stand-in:NAME` when its files are in the
    /// catalog under another name.
    pub fn names_stand_in(name: &str) -> bool {
        name.split(':').next() == Some(Image::STAND_IN)
    }
}

/// `[deadline]`: when the lab stops waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Deadline {
    /// From power-on to the last check, for one node.
    #[serde(rename = "boot_seconds", serialize_with = "as_seconds")]
    pub boot: Duration,
    /// How long a machine may be without progress; what is not said depends on what executes it.
    #[serde(flatten)]
    pub silence: Silence,
}

/// How long a machine may be without progress before the lab stops waiting, in seconds, by how far it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Silence {
    /// Switched on, nothing asked yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firmware_seconds: Option<u32>,
    /// Asking for an address and boot options.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dhcp_seconds: Option<u32>,
    /// Loading boot program, script, kernel, initrd.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_seconds: Option<u32>,
    /// From the kernel's first line to the login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_seconds: Option<u32>,
}

fn as_seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_secs())
}

/// `[[node]]`: one machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Node {
    /// Name in reports; unique.
    pub name: String,
    /// SMBIOS UUID; unique.
    pub uuid: Uuid,
    /// MAC of its boot network card; unique.
    pub mac: MacAddr,
    /// MACs of further cards, which have no link.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub further_macs: Vec<MacAddr>,
    /// SMBIOS serial number; its name, where nothing else is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Host name that the DHCP server tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dhcp_hostname: Option<String>,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Sizes of its disks in MiB: `vda`, `vdb`, …; empty ones, which it does not boot from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub disks_mib: Vec<u32>,
    /// Whether its UEFI firmware has Secure Boot on, with Microsoft's keys.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub secure_boot: bool,
    /// What it must come up as.
    pub expect: Expect,
}

impl Node {
    /// What the machine asks for at a path of the config service, behind the `?`, by the kernel options that are expected
    /// of it.
    #[must_use]
    pub fn config_query(&self, path: &str) -> Option<&str> {
        let options = self.expect.kernel_options.iter();
        let urls = options.filter_map(|option| option.split_once('=')?.1.split_once("://"));
        let asked = urls.filter_map(|(_, rest)| rest.split_once('/')?.1.split_once('?'));
        let mut queries = asked.filter(|(asked, _)| *asked == path);
        queries.next().map(|(_, query)| query)
    }

    /// A machine of which nothing is expected.
    #[must_use]
    pub fn stranger(name: &str, uuid: Uuid, mac: MacAddr, memory_mib: u32) -> Node {
        Node {
            name: name.to_owned(),
            uuid,
            mac,
            further_macs: Vec::new(),
            serial: None,
            dhcp_hostname: None,
            memory_mib,
            disks_mib: Vec::new(),
            secure_boot: false,
            expect: Expect {
                matched_by: MatchedBy::Default,
                group: String::new(),
                boot_group: None,
                kernel: None,
                initrd: Vec::new(),
                cloud_config: None,
                ignition: None,
                hostname: None,
                kernel_options: Vec::new(),
                units_active: Vec::new(),
                resets: 0,
                config_may_fail: false,
                sha256: ExpectedHashes::default(),
                files: Vec::new(),
            },
        }
    }
}

/// `[node.expect]`: literal expectations.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Expect {
    /// By which attribute its group must have matched.
    pub matched_by: MatchedBy,
    /// Name of the group that must have answered for it.
    pub group: String,
    /// The group that must have answered the boot question, where that is another one: Pixiecore
    /// knows a machine by its MAC only, so one that is matched by UUID boots what its MAC matches; and a
    /// config's URL may carry other labels than the boot question.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_group: Option<String>,
    /// Path below the assets of the kernel that it must have loaded; the image's, where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// Paths below the assets of the initrds that it must have loaded; the image's, where none is named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub initrd: Vec<String>,
    /// File in `cloud/` that must have been served to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud_config: Option<String>,
    /// File in `ignition/` that must have been served to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignition: Option<String>,
    /// Host name it must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Each must stand on its `/proc/cmdline`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kernel_options: Vec<String>,
    /// Each must be `active`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub units_active: Vec<String>,
    /// Resets, of whatever kind, that the machine may make between power-on and its last check.
    #[serde(skip_serializing_if = "is_zero")]
    pub resets: u32,
    /// True if the machine may pass although something reports that its config could not be applied whole.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub config_may_fail: bool,
    /// SHA-256 of files that have to arrive at the machine's own port.
    #[serde(skip_serializing_if = "ExpectedHashes::is_empty")]
    pub sha256: ExpectedHashes,
    /// Files it must have.
    #[serde(rename = "file", skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileExpect>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference to `skip_serializing_if`"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// `[node.expect.sha256]`: SHA-256 of files as they have to arrive at the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ExpectedHashes {
    /// Network boot program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_program: Option<Sha256Hex>,
    /// Kernel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<Sha256Hex>,
    /// Initrds, in the order of `initrd`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub initrd: Vec<Sha256Hex>,
    /// Rendered cloud-config.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud_config: Option<Sha256Hex>,
    /// Rendered Ignition config.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignition: Option<Sha256Hex>,
}

impl ExpectedHashes {
    /// True if no hash is expected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == ExpectedHashes::default()
    }
}

impl Expect {
    /// The group that must have answered the boot question.
    pub fn boot_group(&self) -> &str {
        self.boot_group.as_deref().unwrap_or(&self.group)
    }
}

/// By which attribute a group matches a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MatchedBy {
    /// SMBIOS UUID.
    Uuid,
    /// MAC.
    Mac,
    /// Nothing: the group that requires nothing.
    Default,
    /// Other attributes, or several.
    Labels,
}

/// `[[node.expect.file]]`: a file the machine must have.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FileExpect {
    /// Absolute path.
    pub path: String,
    /// All of its content.
    pub content: String,
    /// User and group.
    pub owner: Owner,
    /// Permissions.
    pub mode: FileMode,
}
