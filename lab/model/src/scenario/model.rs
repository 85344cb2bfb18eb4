//! Types of a valid scenario. Their TOML form is that of `scenario.toml`, so that a resolved scenario can be
//! loaded again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use boot_server_catalog::nocloud::Seed;
use boot_server_policy::BiosLoader;
use boot_server_proto::firmware::Firmware;
use boot_server_proto::mac::MacAddr;
use image_catalog::FirmwarePackage;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::access::{FileMode, Owner};
use super::check_console::CheckConsole;
use super::digest::Sha256Hex;
use super::limits::{
    BOOT_SECONDS_DEFAULT, BOOT_SECONDS_MAX, BOOT_SECONDS_MIN, DISK_MIB_MAX, DISK_MIB_MIN,
    MEMORY_MIB_DEFAULT, MEMORY_MIB_MAX, MEMORY_MIB_MIN, RESETS_MAX,
};
use super::program::PreparedProgram;
use super::secure_boot::{ForbiddenProgram, SecureBootKeys};
use super::service::{Part, Service};
use super::topology::{Networks, NetworksToml, Nic, Router};

/// Network environment, its machines, and the expectations of each.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Scenario {
    /// Name of its folder.
    #[serde(skip)]
    pub name: String,
    #[serde(skip)]
    pub dir: PathBuf,
    /// One sentence for lists and reports.
    pub summary: String,
    /// True for a scenario that `lab run` starts before those that build on what it shows.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(default)]
    pub runs_first: bool,
    /// Firmware types to run the scenario on; `uefi-secure` is `uefi` with `secure_boot = true` in every node.
    #[schemars(schema_with = "firmware_schema")]
    pub firmware: Vec<Firmware>,
    /// UEFI firmware of a Debian release, e.g. `ovmf:13` [default: that of the host].
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub firmware_package: Option<FirmwarePackage>,
    #[serde(skip_serializing_if = "Machines::is_virtual")]
    #[schemars(default)]
    pub machines: Machines,
    /// Networks; the lab's own services are in the first one.
    #[schemars(with = "NetworksToml")]
    pub network: Networks,
    /// Hosts that forward packets between networks.
    #[serde(rename = "router", skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub routers: Vec<Router>,
    /// The lab's own services in the network; may be absent if a `[[service]]` plays `dhcp`.
    #[schemars(default = "no_services")]
    pub services: Services,
    /// Boot options for PXE clients.
    #[schemars(default)]
    pub boot: Boot,
    #[schemars(default)]
    pub image: Image,
    /// Time limits of a boot and its phases.
    #[schemars(default)]
    pub deadline: Deadline,
    /// Programs of the user that serve the network.
    #[serde(rename = "service", skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub custom_services: Vec<Service>,
    /// EFI programs that are made for the run, and served before those of packages.
    #[serde(rename = "program", skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub programs: Vec<PreparedProgram>,
    #[serde(rename = "node")]
    #[schemars(length(min = 1))]
    pub nodes: Vec<Node>,
}

impl Scenario {
    /// Returns the data directory, in the layout of bootcfg or matchbox.
    pub fn data_dir(&self) -> PathBuf {
        Self::data_dir_of(&self.dir)
    }

    /// Returns the data directory of the scenario in `dir`.
    pub(super) fn data_dir_of(dir: &Path) -> PathBuf {
        dir.join("data")
    }

    /// True if the lab's own boot config service runs, which reports group and file of each answer.
    #[must_use]
    pub fn has_own_config(&self) -> bool {
        let services = &self.services;
        self.custom_services.is_empty()
            || services.config == Some(ConfigService::BootServer)
            || [DhcpService::BootServer, DhcpService::Dnsmasq].contains(&services.dhcp)
            || services.has_proxy()
            || services.boot_server_config.is_some()
    }

    /// True if one of the lab's own servers sends boot options and boot programs.
    #[must_use]
    pub fn has_own_boot_options(&self) -> bool {
        self.services.dhcp == DhcpService::BootServer
            || self.services.has_proxy()
            || self.services.boot_server_config.is_some()
            || self.custom_services.is_empty()
    }

    /// Returns the user's service with this role.
    #[must_use]
    pub fn custom_service(&self, part: Part) -> Option<&Service> {
        self.custom_services
            .iter()
            .find(|service| service.plays(part))
    }

    /// Returns the node of this name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// Returns the text of `scenario.resolved.toml`, with all defaults.
    ///
    /// # Errors
    /// Fails if a value has no TOML form, which never happens with a checked scenario.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }
}

/// Name in `firmware` of UEFI whose machines have Secure Boot with Microsoft's keys.
pub(super) const UEFI_SECURE: &str = "uefi-secure";

/// Kind of a scenario's machines.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    Hash,
    Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Machines {
    /// Virtual machines with real firmware.
    #[default]
    Virtual,
    /// Programs that send the requests of firmware and execute nothing. They prove the behaviour of servers and
    /// network up to the initrd, and nothing after it.
    Simulated,
}

impl Machines {
    /// Returns the name in `scenario.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Machines::Virtual => "virtual",
            Machines::Simulated => "simulated",
        }
    }

    /// True for virtual machines.
    pub fn is_virtual(&self) -> bool {
        *self == Machines::Virtual
    }
}

fn no_services() -> Services {
    Services::NONE
}

/// `[services]`: services in the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Services {
    /// DHCP server that leases addresses.
    pub dhcp: DhcpService,
    /// ProxyDHCP server beside the DHCP server.
    #[schemars(default)]
    pub proxy_dhcp: ProxyDhcpService,
    /// Pixiecore; the boot config service is then a separate process.
    #[schemars(default)]
    pub pixiecore: PixiecoreService,
    /// Boot config service [default: `boot-server`; with a `[[service]]` only if another service of the lab needs
    /// it].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<ConfigService>,
    /// Configuration file for `dhcp = "dnsmasq"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dnsmasq_conf: Option<PathBuf>,
    /// `boot-server.toml` for the boot server, used unchanged except for listen addresses and data folders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_server_config: Option<PathBuf>,
    /// HTTPS instead of HTTP: the certificate of the boot config service. Machines trust an authority that is made for the
    /// run; its certificate is also served as an initrd, `/assets/authority.cpio`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub https: Option<Certificate>,
}

/// Certificate of the boot config service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Certificate {
    /// Issued for the service's address by the authority that machines trust.
    Valid,
    /// As `valid`, but it expired.
    Expired,
    /// As `valid`, but for another address.
    OtherAddress,
    /// Issued by an authority that machines do not trust.
    UnknownAuthority,
}

impl Services {
    /// No service of the lab.
    pub const NONE: Services = Services {
        dhcp: DhcpService::None,
        proxy_dhcp: ProxyDhcpService::None,
        pixiecore: PixiecoreService::None,
        config: None,
        dnsmasq_conf: None,
        boot_server_config: None,
        https: None,
    };

    /// True if any kind of proxy sends the boot options.
    pub fn has_proxy(&self) -> bool {
        self.proxy_dhcp != ProxyDhcpService::None || self.pixiecore != PixiecoreService::None
    }
}

/// Choice of the DHCP server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DhcpService {
    /// The bundled boot server, with boot options.
    BootServer,
    /// The libvirt network's own DHCP server, without boot options.
    Libvirt,
    /// dnsmasq with a configuration of the user, which also sends boot options and files.
    Dnsmasq,
    /// No DHCP server of the lab: another host provides it, or none on purpose.
    None,
}

/// Choice of the proxyDHCP server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProxyDhcpService {
    /// The bundled boot server, on ports 67 and 4011.
    BootServer,
    /// No proxyDHCP server.
    #[default]
    None,
}

/// Choice of the boot config service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ConfigService {
    /// The bundled boot server, over HTTP.
    BootServer,
    /// No boot config service of the lab.
    None,
}

/// Choice of Pixiecore.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PixiecoreService {
    /// No Pixiecore.
    #[default]
    None,
    /// The bundled boot server in Pixiecore mode.
    BootServer,
    /// A program of the user; `{api}` is replaced by the API's URL, `{interface}` by the bridge's name and
    /// `{address}` by the host's address.
    Command(#[schemars(length(min = 1))] Vec<String>),
}

/// `[boot]`: network boot programs sent to clients.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(deny_unknown_fields, default)]
pub struct Boot {
    /// Boot program of BIOS clients.
    pub bios: BiosLoader,
    /// Boot program of UEFI clients.
    #[serde(skip_serializing_if = "EfiLoader::is_ipxe")]
    pub efi: EfiLoader,
    /// True to chainload iPXE once even if the firmware already is iPXE.
    pub chainload_ipxe: bool,
}

impl Default for Boot {
    fn default() -> Boot {
        Boot {
            bios: BiosLoader::Ipxe,
            efi: EfiLoader::Ipxe,
            chainload_ipxe: false,
        }
    }
}

/// Boot program of UEFI clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EfiLoader {
    /// iPXE, which is not signed.
    #[default]
    Ipxe,
    /// shim and GRUB, both signed for Secure Boot; GRUB then loads a menu, kernel and initrd from the boot server.
    Shim,
}

impl EfiLoader {
    /// True for iPXE.
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde passes a reference to `skip_serializing_if`"
    )]
    fn is_ipxe(&self) -> bool {
        *self == EfiLoader::Ipxe
    }
}

/// `[image]`: image to boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[schemars(deny_unknown_fields, default)]
pub struct Image {
    /// Name in the image catalog; served as `/assets/coreos/current/…`.
    pub name: String,
}

impl Default for Image {
    fn default() -> Image {
        Image {
            name: Image::STAND_IN.into(),
        }
    }
}

impl Image {
    /// Name of the locally built image that replaces CoreOS.
    pub const STAND_IN: &'static str = "stand-in";
    /// Name of the locally built image that has Debian's cloud-init.
    pub const DEBIAN_CLOUD_INIT: &'static str = "debian-cloud-init";
    /// File name of the kernel, as CoreOS publishes it.
    pub const KERNEL: &'static str = "coreos_production_pxe.vmlinuz";
    /// File name of the initrd, as CoreOS publishes it.
    pub const INITRD: &'static str = "coreos_production_pxe_image.cpio.gz";

    /// True for the stand-in, which is never reported as CoreOS.
    pub fn is_stand_in(&self) -> bool {
        Image::names_stand_in(&self.name)
    }

    /// True if `name` is the stand-in's: `stand-in`, or `stand-in:NAME` if its files are in the catalog under
    /// another name.
    pub fn names_stand_in(name: &str) -> bool {
        name.split(':').next() == Some(Image::STAND_IN)
    }
}

/// `[deadline]`: time limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[schemars(deny_unknown_fields, default)]
pub struct Deadline {
    /// Time from power-on to the last check, for one node.
    #[serde(rename = "boot_seconds", serialize_with = "as_seconds")]
    #[schemars(with = "u32", range(min = BOOT_SECONDS_MIN, max = BOOT_SECONDS_MAX))]
    pub boot: Duration,
    /// Time limits without progress; defaults depend on the accelerator.
    #[serde(flatten)]
    pub silence: Silence,
}

impl Default for Deadline {
    fn default() -> Deadline {
        Deadline {
            boot: Duration::from_secs(BOOT_SECONDS_DEFAULT),
            silence: Silence::default(),
        }
    }
}

/// Time limits without progress, in seconds, by phase of the boot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Silence {
    /// From power-on to the first request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = BOOT_SECONDS_MIN, max = BOOT_SECONDS_MAX))]
    pub firmware_seconds: Option<u32>,
    /// While requesting an address and boot options.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = BOOT_SECONDS_MIN, max = BOOT_SECONDS_MAX))]
    pub dhcp_seconds: Option<u32>,
    /// While loading boot program, script, kernel and initrd.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = BOOT_SECONDS_MIN, max = BOOT_SECONDS_MAX))]
    pub load_seconds: Option<u32>,
    /// From the kernel's first line to the login.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = BOOT_SECONDS_MIN, max = BOOT_SECONDS_MAX))]
    pub system_seconds: Option<u32>,
}

fn as_seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_secs())
}

/// `[[node]]`: one machine.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Node {
    /// Unique name in reports.
    pub name: String,
    /// Unique SMBIOS UUID.
    #[schemars(with = "String")]
    pub uuid: Uuid,
    /// Unique MAC of the network card it boots from; may be absent with `nics`.
    #[schemars(with = "Option<MacAddr>")]
    pub mac: MacAddr,
    /// MACs of additional cards, which have no link.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub further_macs: Vec<MacAddr>,
    /// Name of the network of its only card [default: the first network].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Several cards with a link; exactly one has `boots = true`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub nics: Vec<Nic>,
    /// SMBIOS serial number [default: the name].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Host name sent by the DHCP server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dhcp_hostname: Option<String>,
    /// Memory in MiB.
    #[schemars(default = "usual_memory", range(min = MEMORY_MIB_MIN, max = MEMORY_MIB_MAX))]
    pub memory_mib: u32,
    /// Sizes of empty disks `vda`, `vdb`, … in MiB; the machine does not boot from them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default, inner(range(min = DISK_MIB_MIN, max = DISK_MIB_MAX)))]
    pub disks_mib: Vec<u32>,
    /// Keys of the machine, if its UEFI firmware enforces Secure Boot; `true` means `microsoft-2011`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default, schema_with = "SecureBootKeys::schema")]
    pub secure_boot: Option<SecureBootKeys>,
    /// Programs that its firmware refuses: absolute paths of EFI programs, or their SHA-256.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default, with = "Vec<String>")]
    pub dbx: Vec<ForbiddenProgram>,
    /// Lines of shim's variable `SbatLevel`: components and their lowest generations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub sbat_level: Vec<String>,
    /// Serial port with the shell that executes the checks; an installer has its dialogues on the console.
    #[serde(skip_serializing_if = "CheckConsole::is_console")]
    #[schemars(default)]
    pub check_console: CheckConsole,
    /// State that the node must reach.
    pub expect: Expect,
}

fn firmware_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let mut names: Vec<&str> = Firmware::ALL.map(Firmware::name).into();
    names.push(UEFI_SECURE);
    schemars::json_schema!({ "type": "array", "minItems": 1, "items": { "enum": names } })
}

fn usual_memory() -> u32 {
    MEMORY_MIB_DEFAULT
}

impl Node {
    /// Returns the query string of the machine's request to a path of the config service, from its expected
    /// kernel options.
    #[must_use]
    pub fn config_query(&self, path: &str) -> Option<&str> {
        let options = self.expect.kernel_options.iter();
        let urls = options.filter_map(|option| option.split_once('=')?.1.split_once("://"));
        let asked = urls.filter_map(|(_, rest)| rest.split_once('/')?.1.split_once('?'));
        let mut queries = asked.filter(|(asked, _)| *asked == path);
        queries.next().map(|(_, query)| query)
    }

    /// Returns the NoCloud seed of cloud-init, from the machine's expected kernel options.
    #[must_use]
    pub fn seed(&self) -> Option<Seed> {
        Seed::of_options(self.expect.kernel_options.iter().map(String::as_str))
    }

    /// Returns a machine without expectations.
    #[must_use]
    pub fn stranger(name: &str, uuid: Uuid, mac: MacAddr, memory_mib: u32) -> Node {
        Node {
            name: name.to_owned(),
            uuid,
            mac,
            further_macs: Vec::new(),
            network: None,
            nics: Vec::new(),
            serial: None,
            dhcp_hostname: None,
            memory_mib,
            disks_mib: Vec::new(),
            secure_boot: None,
            dbx: Vec::new(),
            sbat_level: Vec::new(),
            check_console: CheckConsole::default(),
            expect: Expect {
                matched_by: MatchedBy::Default,
                group: String::new(),
                boot_group: None,
                kernel: None,
                initrd: Vec::new(),
                cloud_config: None,
                ignition: None,
                generic_config: None,
                hostname: None,
                kernel_options: Vec::new(),
                units_active: Vec::new(),
                preseed: BTreeMap::new(),
                resets: 0,
                config_may_fail: false,
                sha256: ExpectedHashes::default(),
                files: Vec::new(),
            },
        }
    }
}

/// `[node.expect]`: literal expectations.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Expect {
    /// Attribute by which the group must match; required if the lab's own config service runs.
    #[schemars(default = "usual_matched_by")]
    pub matched_by: MatchedBy,
    /// Name of the group that must have been served; required if the lab's own config service runs.
    #[schemars(default)]
    pub group: String,
    /// Group of the boot request, if it differs: Pixiecore knows a machine by MAC only, so that a machine
    /// matched by UUID boots the group of its MAC, and the URL of a config may carry other labels than the boot
    /// request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_group: Option<String>,
    /// Path of the expected kernel below the assets [default: the image's].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// Paths of the expected initrds below the assets [default: the image's].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub initrd: Vec<String>,
    /// File in `cloud/` that must have been served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud_config: Option<String>,
    /// File in `ignition/` that must have been served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignition: Option<String>,
    /// File in `generic/` that must have been served, such as a preseed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generic_config: Option<String>,
    /// Expected host name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Options that must be in `/proc/cmdline`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub kernel_options: Vec<String>,
    /// Units that must be `active`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub units_active: Vec<String>,
    /// Answers to questions of Debian's installer, as `debconf-get` prints them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(default)]
    pub preseed: BTreeMap<String, String>,
    /// Maximum number of resets of any kind between power-on and the last check.
    #[serde(skip_serializing_if = "is_zero")]
    #[schemars(default, range(max = RESETS_MAX))]
    pub resets: u32,
    /// True if the machine may pass although a part of its config could not be applied.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(default)]
    pub config_may_fail: bool,
    /// SHA-256 of files that must arrive at the machine's own port.
    #[serde(skip_serializing_if = "ExpectedHashes::is_empty")]
    #[schemars(default)]
    pub sha256: ExpectedHashes,
    /// Files that must exist.
    #[serde(rename = "file", skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub files: Vec<FileExpect>,
}

fn usual_matched_by() -> MatchedBy {
    MatchedBy::Labels
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference to `skip_serializing_if`"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// `[node.expect.sha256]`: SHA-256 of files as they arrive at the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[schemars(deny_unknown_fields, default)]
pub struct ExpectedHashes {
    /// Hash of the network boot program.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", regex(pattern = "^[0-9A-Fa-f]{64}$"))]
    pub boot_program: Option<Sha256Hex>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", regex(pattern = "^[0-9A-Fa-f]{64}$"))]
    pub kernel: Option<Sha256Hex>,
    /// Hashes of the initrds, in the order of `initrd`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>", inner(regex(pattern = "^[0-9A-Fa-f]{64}$")))]
    pub initrd: Vec<Sha256Hex>,
    /// Hash of the rendered cloud-config.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", regex(pattern = "^[0-9A-Fa-f]{64}$"))]
    pub cloud_config: Option<Sha256Hex>,
    /// Hash of the rendered Ignition config.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", regex(pattern = "^[0-9A-Fa-f]{64}$"))]
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
    /// Returns the group that must have been served for the boot request.
    pub fn boot_group(&self) -> &str {
        self.boot_group.as_deref().unwrap_or(&self.group)
    }
}

/// Attribute by which a group matches a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MatchedBy {
    /// SMBIOS UUID
    Uuid,
    /// MAC address
    Mac,
    /// No attribute: the default group
    Default,
    /// Other attributes, or several
    Labels,
}

/// `[[node.expect.file]]`: a file that must exist.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct FileExpect {
    /// Absolute path inside the machine.
    pub path: String,
    /// Complete content of the file.
    pub content: String,
    /// User and group that must own the file.
    #[schemars(with = "String")]
    pub owner: Owner,
    /// Permissions as three or four octal digits, e.g. `0644`.
    #[schemars(with = "String", regex(pattern = "^[0-7]{3,4}$"))]
    pub mode: FileMode,
}
