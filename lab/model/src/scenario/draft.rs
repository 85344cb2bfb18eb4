//! `scenario.toml` as written: every readable part, with its location in the file.
//!
//! Values are checked individually here; `check` compares them with each other.

use std::net::Ipv4Addr;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use boot_server_policy::BiosLoader;
use boot_server_proto::firmware::Firmware;
use boot_server_proto::mac::MacAddr;
use image_catalog::ImageName;
use toml::de::DeTable;
use uuid::Uuid;

use super::check_console::CheckConsole;
use super::expect::{self, DraftExpect};
use super::limits::{
    BOOT_SECONDS_DEFAULT, BOOT_SECONDS_MAX, BOOT_SECONDS_MIN, DISK_MIB_MAX, DISK_MIB_MIN,
    MEMORY_MIB_DEFAULT, MEMORY_MIB_MAX, MEMORY_MIB_MIN,
};
use super::mac::{MacError, card_mac};
use image_catalog::{FirmwarePackage, UnknownFirmware};

use super::model::{
    Certificate, ConfigService, DhcpService, EfiLoader, Image, Machines, PixiecoreService,
    ProxyDhcpService, Silence, UEFI_SECURE,
};
use super::problem::{Located, Source, Wrong};
use super::program::{self, DraftProgram};
use super::read::{Item, Table};
use super::secure_boot::{self, DraftSecureBoot};
use super::service::{self, DraftService, Part};
use super::text::{filled, word};
use super::topology::{self, DraftNetwork, DraftNic, DraftRouter, Network};

/// Readable parts of a scenario.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// True if the file is valid TOML, so that the other fields are meaningful.
    pub(super) was_read: bool,
    pub(super) summary: String,
    pub(super) runs_first: bool,
    pub(super) firmware: Vec<Located<Firmware>>,
    pub(super) firmware_package: Option<Located<FirmwarePackage>>,
    /// True if the firmware is `uefi-secure`: nodes have Secure Boot unless they say otherwise.
    pub(super) is_secure: bool,
    pub(super) machines: Option<Located<Machines>>,
    pub(super) networks: Vec<DraftNetwork>,
    pub(super) routers: Vec<DraftRouter>,
    pub(super) dhcp: Option<Located<DhcpService>>,
    pub(super) proxy_dhcp: Option<Located<ProxyDhcpService>>,
    pub(super) pixiecore: Option<Located<PixiecoreService>>,
    pub(super) config: Option<Located<ConfigService>>,
    pub(super) dnsmasq_conf: Option<Located<PathBuf>>,
    pub(super) boot_server_config: Option<Located<PathBuf>>,
    pub(super) https: Option<Located<Certificate>>,
    pub(super) bios: Option<Located<BiosLoader>>,
    pub(super) efi: Option<Located<EfiLoader>>,
    pub(super) chainload_ipxe: Option<Located<bool>>,
    pub(super) image: String,
    pub(super) boot: Duration,
    pub(super) silence: Silence,
    pub(super) custom_services: Vec<DraftService>,
    pub(super) programs: Vec<DraftProgram>,
    pub(super) nodes: Vec<DraftNode>,
}

impl Draft {
    /// Returns the addresses of the lab's host and of the services' own hosts.
    pub(super) fn taken_addresses(&self) -> impl Iterator<Item = Ipv4Addr> {
        let services = self.custom_services.iter();
        let own = services.filter_map(|service| service.address.as_ref()?.value.own());
        self.host().into_iter().chain(own)
    }

    /// Returns the address of the lab's host.
    pub(super) fn host(&self) -> Option<Ipv4Addr> {
        let first = self.networks.first()?;
        let subnet = first.subnet.as_ref()?.value;
        let address = first.address.as_ref().map(|address| address.value);
        Some(address.unwrap_or_else(|| Network::new(subnet).host()))
    }

    /// Returns the network of this name; without a name the first one.
    pub(super) fn network(&self, name: Option<&str>) -> Option<&DraftNetwork> {
        match name {
            None => self.networks.first(),
            Some(name) => self.networks.iter().find(|one| one.title() == name),
        }
    }

    /// Returns the nodes that boot from this network.
    pub(super) fn nodes_in<'d>(&'d self, title: &'d str) -> impl Iterator<Item = &'d DraftNode> {
        self.nodes.iter().filter(move |node| {
            let network = self.network(node.boot_network());
            network.is_some_and(|network| network.title() == title)
        })
    }

    /// True if the lab's own boot config service runs: asked for, needed by another service of the lab, or the only
    /// service there can be.
    pub(super) fn has_own_config(&self) -> bool {
        let is_own = |config: &Located<ConfigService>| config.value == ConfigService::BootServer;
        let dhcp = [DhcpService::BootServer, DhcpService::Dnsmasq];
        self.custom_services.is_empty()
            || self.config.as_ref().is_some_and(is_own)
            || self.boot_server_config.is_some()
            || self
                .dhcp
                .as_ref()
                .is_some_and(|one| dhcp.contains(&one.value))
            || self
                .proxy_dhcp
                .as_ref()
                .is_some_and(|proxy| proxy.value != ProxyDhcpService::None)
            || self
                .pixiecore
                .as_ref()
                .is_some_and(|pixiecore| pixiecore.value != PixiecoreService::None)
    }
}

/// Readable parts of a node.
#[derive(Debug)]
pub(super) struct DraftNode {
    pub(super) at: Range<usize>,
    pub(super) name: Option<Located<String>>,
    pub(super) uuid: Option<Located<Uuid>>,
    pub(super) mac: Option<Located<MacAddr>>,
    pub(super) further_macs: Vec<Located<MacAddr>>,
    pub(super) network: Option<Located<String>>,
    pub(super) nics: Vec<DraftNic>,
    pub(super) serial: Option<String>,
    pub(super) dhcp_hostname: Option<String>,
    pub(super) memory_mib: u32,
    pub(super) disks_mib: Vec<Located<u32>>,
    pub(super) secure_boot: DraftSecureBoot,
    pub(super) check_console: Option<Located<CheckConsole>>,
    pub(super) expect: Option<DraftExpect>,
}

impl DraftNode {
    /// Returns the name of the network from which the node boots; `None` is the first network.
    fn boot_network(&self) -> Option<&str> {
        let mut nics = self.nics.iter();
        let network = match nics.find(|nic| nic.boots()) {
            Some(nic) => nic.network.as_ref(),
            None => self.network.as_ref(),
        };
        network.map(|name| name.value.as_str())
    }
}

/// Parses the file; mistakes are added to `source`.
pub(super) fn read(source: &Source) -> Draft {
    let (document, errors) = DeTable::parse_recoverable(source.text());
    if !errors.is_empty() {
        // Only the syntax error is reported, because the rest may be misread.
        for error in errors {
            let wrong = Wrong::new(
                error.message(),
                "the file must be valid TOML (https://toml.io)",
            );
            source.wrong(error.span().unwrap_or(0..0), "here", wrong);
        }
        return Draft::default();
    }
    let root = Table::root(source, &document, "the scenario");
    let mut draft = Draft {
        was_read: true,
        image: Image::STAND_IN.into(),
        boot: Duration::from_secs(BOOT_SECONDS_DEFAULT),
        ..Draft::default()
    };
    draft.summary = root
        .required(
            "summary",
            "summary = \"BIOS machines boot PXELINUX by TFTP\"",
        )
        .and_then(|item| item.parse(|text| filled(text, "summary")))
        .map_or_else(String::new, |text| text.value);
    draft.runs_first = root
        .optional("runs_first")
        .and_then(|item| item.flag())
        .is_some_and(|first| first.value);
    firmware(&root, &mut draft);
    draft.firmware_package = root
        .optional("firmware_package")
        .and_then(|item| item.parse(firmware_package));
    let machines = [Machines::Virtual, Machines::Simulated].map(|one| (one.name(), one));
    draft.machines = root
        .optional("machines")
        .and_then(|item| item.choice(&machines));
    let section = |key, title, example| root.required(key, example).and_then(|i| i.table(title));
    draft.networks = topology::networks(&root);
    draft.routers = root
        .optional("router")
        .and_then(|item| item.list())
        .into_iter()
        .flatten()
        .zip(1..)
        .filter_map(|(item, number)| topology::router(&item, number))
        .collect();
    draft.custom_services = root
        .optional("service")
        .and_then(|item| item.list())
        .into_iter()
        .flatten()
        .filter_map(|item| service::read(&item))
        .collect();
    draft.programs = root
        .optional("program")
        .and_then(|item| item.list())
        .into_iter()
        .flatten()
        .filter_map(|item| program::read(&item))
        .collect();
    let mut custom = draft.custom_services.iter();
    let is_dhcp_custom = custom.any(|service| service.part(Part::Dhcp).is_some());
    let services = match is_dhcp_custom {
        true => root
            .optional("services")
            .and_then(|item| item.table("[services]")),
        false => section("services", "[services]", "[services]"),
    };
    if let Some(services) = services {
        read_services(&services, &mut draft, is_dhcp_custom);
        services.finish();
    }
    if let Some(boot) = root.optional("boot").and_then(|item| item.table("[boot]")) {
        let loaders = [
            ("ipxe", BiosLoader::Ipxe),
            ("pxelinux", BiosLoader::Pxelinux),
        ];
        draft.bios = boot.optional("bios").and_then(|item| item.choice(&loaders));
        let efi_loaders = [("ipxe", EfiLoader::Ipxe), ("shim", EfiLoader::Shim)];
        draft.efi = boot
            .optional("efi")
            .and_then(|item| item.choice(&efi_loaders));
        draft.chainload_ipxe = boot.optional("chainload_ipxe").and_then(|item| item.flag());
        boot.finish();
    }
    if let Some(image) = root
        .optional("image")
        .and_then(|item| item.table("[image]"))
    {
        if let Some(name) = image.optional("name").and_then(|i| i.parse(image_name)) {
            draft.image = name.value;
        }
        image.finish();
    }
    if let Some(deadline) = root
        .optional("deadline")
        .and_then(|item| item.table("[deadline]"))
    {
        let seconds = deadline
            .optional("boot_seconds")
            .and_then(|item| item.number(BOOT_SECONDS_MIN..=BOOT_SECONDS_MAX, "seconds"));
        if let Some(seconds) = seconds {
            draft.boot = Duration::from_secs(seconds.value.into());
        }
        let silence = |key| {
            let item = deadline.optional(key)?;
            let seconds = item.number(BOOT_SECONDS_MIN..=BOOT_SECONDS_MAX, "seconds")?;
            Some(seconds.value)
        };
        draft.silence = Silence {
            firmware_seconds: silence("firmware_seconds"),
            dhcp_seconds: silence("dhcp_seconds"),
            load_seconds: silence("load_seconds"),
            system_seconds: silence("system_seconds"),
        };
        deadline.finish();
    }
    let nodes = root.required("node", "[[node]]").and_then(|item| {
        let list = item.list()?;
        if list.is_empty() {
            item.wrong(Wrong::new(
                "missing machines",
                "add at least one `[[node]]`",
            ));
        }
        Some(list)
    });
    draft.nodes = nodes
        .into_iter()
        .flatten()
        .filter_map(|item| node(&item))
        .collect();
    root.finish();
    draft
}

/// Reads the types of firmware.
fn firmware(root: &Table, draft: &mut Draft) {
    let secure = (UEFI_SECURE, (Firmware::Uefi, true));
    let plain = Firmware::ALL.map(|firmware| (firmware.name(), (firmware, false)));
    let choices: Vec<_> = plain.into_iter().chain([secure]).collect();
    let Some(item) = root.required("firmware", "firmware = [\"bios\", \"uefi\"]") else {
        return;
    };
    let list = item.list().unwrap_or_default();
    if list.is_empty() {
        item.wrong(Wrong::new(
            "`firmware` is empty",
            "write at least one of `bios`, `uefi`, `uefi-http` and `uefi-secure`",
        ));
    }
    let is_single = list.len() == 1;
    for one in list {
        let Some(found) = one.choice(&choices) else {
            continue;
        };
        let (firmware, is_secure) = found.value;
        if is_secure && !is_single {
            one.wrong(Wrong::new(
                "`uefi-secure` beside other firmware",
                "write `secure_boot = true` into nodes, or a scenario for each",
            ));
        }
        draft.is_secure |= is_secure;
        if draft.firmware.iter().any(|other| other.value == firmware) {
            let what = format!("duplicate firmware: `{firmware}`");
            one.wrong(Wrong::new(what, "remove one of the entries"));
        } else {
            draft.firmware.push(Located {
                value: firmware,
                at: found.at,
            });
        }
    }
}

/// Reads the lab's own services; `dhcp` may be absent if a service of the user gives addresses.
fn read_services(services: &Table, draft: &mut Draft, is_dhcp_custom: bool) {
    let dhcp = [
        ("boot-server", DhcpService::BootServer),
        ("libvirt", DhcpService::Libvirt),
        ("dnsmasq", DhcpService::Dnsmasq),
        ("none", DhcpService::None),
    ];
    let proxy = [
        ("boot-server", ProxyDhcpService::BootServer),
        ("none", ProxyDhcpService::None),
    ];
    let config = [
        ("boot-server", ConfigService::BootServer),
        ("none", ConfigService::None),
    ];
    draft.dhcp = match is_dhcp_custom {
        true => services.optional("dhcp"),
        false => services.required("dhcp", "dhcp = \"boot-server\""),
    }
    .and_then(|item| item.choice(&dhcp));
    draft.config = services
        .optional("config")
        .and_then(|item| item.choice(&config));
    draft.proxy_dhcp = services
        .optional("proxy_dhcp")
        .and_then(|item| item.choice(&proxy));
    draft.pixiecore = services
        .optional("pixiecore")
        .and_then(|item| pixiecore(&item));
    let path = |key| {
        let item = services.optional(key)?;
        item.parse(|text| filled(text, key).map(PathBuf::from))
    };
    draft.dnsmasq_conf = path("dnsmasq_conf");
    draft.boot_server_config = path("boot_server_config");
    let certificate = [
        ("valid", Certificate::Valid),
        ("expired", Certificate::Expired),
        ("other-address", Certificate::OtherAddress),
        ("unknown-authority", Certificate::UnknownAuthority),
    ];
    draft.https = services
        .optional("https")
        .and_then(|item| item.choice(&certificate));
}

fn firmware_package(text: &str) -> Result<FirmwarePackage, Wrong> {
    text.parse().map_err(|UnknownFirmware(name)| {
        Wrong::new(
            format!("unknown firmware package: `{name}`"),
            "use `ovmf:12` or `ovmf:13`",
        )
    })
}

fn pixiecore(item: &Item) -> Option<Located<PixiecoreService>> {
    if !item.is_table() {
        let own = item.choice(&[("none", false), ("boot-server", true)])?;
        let value = if own.value {
            PixiecoreService::BootServer
        } else {
            PixiecoreService::None
        };
        return Some(Located { value, at: own.at });
    }
    let table = item.table("services.pixiecore")?;
    let example = "command = [\"/usr/bin/pixiecore\", \"api\", \"{api}\"]";
    let words = table.required("command", example)?;
    table.finish();
    let command: Vec<String> = words
        .list()?
        .iter()
        .filter_map(|word| word.text())
        .map(|word| word.value)
        .collect();
    if command.first().is_none_or(|program| program.is_empty()) {
        words.wrong(Wrong::new(
            "missing program in the command",
            format!("write `{example}`"),
        ));
    }
    Some(Located {
        value: PixiecoreService::Command(command),
        at: words.at(),
    })
}

fn node(item: &Item) -> Option<DraftNode> {
    let table = item.table("[[node]]")?;
    let cards = table.optional("nics");
    let written = match cards.is_none() {
        true => table.required("mac", "mac = \"52:54:00:a1:9c:ae\""),
        false => table.optional("mac"),
    };
    let nics = cards.map(|item| topology::nics(&item)).unwrap_or_default();
    let booting = nics.iter().find(|nic| nic.boots());
    let booting = booting.and_then(|nic| nic.mac.clone());
    let node = DraftNode {
        at: table.at(),
        name: table
            .required("name", "name = \"node1\"")
            .and_then(|item| item.parse(|text| word(text, "node name"))),
        uuid: table
            .required("uuid", "uuid = \"16e7d8a7-bfa9-428b-9117-363341bb330b\"")
            .and_then(|item| item.parse(uuid)),
        mac: written.and_then(|item| item.parse(mac)).or(booting),
        network: table.optional("network").and_then(|item| item.text()),
        nics,
        further_macs: table
            .optional("further_macs")
            .and_then(|item| item.list())
            .into_iter()
            .flatten()
            .filter_map(|item| item.parse(mac))
            .collect(),
        serial: table
            .optional("serial")
            .and_then(|item| item.parse(|text| filled(text, "serial")))
            .map(|serial| serial.value),
        dhcp_hostname: table
            .optional("dhcp_hostname")
            .and_then(|item| item.parse(expect::host_name))
            .map(|name| name.value),
        memory_mib: table
            .optional("memory_mib")
            .and_then(|item| item.number(MEMORY_MIB_MIN..=MEMORY_MIB_MAX, "MiB"))
            .map_or(MEMORY_MIB_DEFAULT, |memory| memory.value),
        disks_mib: table
            .optional("disks_mib")
            .and_then(|item| item.list())
            .into_iter()
            .flatten()
            .filter_map(|item| item.number(DISK_MIB_MIN..=DISK_MIB_MAX, "MiB"))
            .collect(),
        secure_boot: secure_boot::read(&table),
        check_console: table
            .optional("check_console")
            .and_then(|item| item.choice(&CheckConsole::ALL)),
        expect: table
            .required("expect", "[node.expect]")
            .and_then(|item| item.table("[node.expect]"))
            .map(expect::read),
    };
    table.finish();
    Some(node)
}

/// Parses the name of an image, such as `flatcar:stable` or `coreos@835.9.0`.
fn image_name(text: &str) -> Result<String, Wrong> {
    match text.parse::<ImageName>() {
        Ok(name) => Ok(name.to_string()),
        Err(bad) => Err(Wrong::new(
            bad.to_string(),
            "use a name that `lab images list` shows, e.g. `stand-in` or `flatcar:stable`",
        )),
    }
}

fn uuid(text: &str) -> Result<Uuid, Wrong> {
    let help = "use five groups of hexadecimal digits, e.g. `16e7d8a7-bfa9-428b-9117-363341bb330b`";
    match Uuid::try_parse(text) {
        Ok(uuid) if uuid.is_nil() || uuid.is_max() => Err(Wrong::new(
            "unusable UUID: firmware treats it as unset",
            help,
        )),
        Ok(uuid) if uuid.to_string().eq_ignore_ascii_case(text) => Ok(uuid),
        Ok(uuid) => Err(Wrong::new(
            format!("malformed UUID: `{text}`"),
            format!("write `{uuid}`"),
        )),
        Err(error) => Err(Wrong::new(
            format!("invalid UUID: `{text}` ({error})"),
            help,
        )),
    }
}

pub(super) fn mac(text: &str) -> Result<MacAddr, Wrong> {
    card_mac(text).map_err(|error| {
        let help = match &error {
            MacError::Notation(_) => "use six hexadecimal octets, e.g. `52:54:00:a1:9c:ae`".into(),
            MacError::Zero => "use an address that begins with QEMU's `52:54:00`".into(),
            MacError::Multicast(mac) => {
                let MacAddr([first, rest @ ..]) = mac;
                let rest: String = rest.iter().map(|octet| format!(":{octet:02x}")).collect();
                format!("make the first octet even, e.g. `{:02x}{rest}`", first & !1)
            }
        };
        Wrong::new(error.to_string(), help)
    })
}
