//! Checks across a scenario: duplicate names, conflicting services, machines without a provable expectation.

use std::collections::HashMap;
use std::hash::Hash;
use std::path::Path;

use boot_server_policy::BiosLoader;
use boot_server_proto::firmware::Firmware;

use super::check_console;
use super::draft::{Draft, DraftNode};
use super::expect::DraftExpect;
use super::model::{DhcpService, EfiLoader, Machines, PixiecoreService, ProxyDhcpService};
use super::problem::{Located, Source, Wrong};
use super::program;
use super::secure_boot;
use super::service::{self, Part};
use super::topology::{self, Network, is_host_of};

/// Firmware and operating system may use different client ids and then lease an address each.
const ADDRESSES_PER_NODE: u64 = 2;

/// Maximum number of disks: `vda` to `vdz`.
const DISKS_PER_NODE: usize = 26;

/// Adds to `source` all conflicts in a scenario that is to be run.
pub(super) fn check(draft: &Draft, source: &Source) {
    fitting(draft, source);
    for node in &draft.nodes {
        expectations(node, source);
    }
    check_console::check(draft, source);
}

/// Adds to `source` all conflicts, but accepts nodes without expectations, which earlier versions could run, so
/// that their artifacts stay readable.
pub(super) fn fitting(draft: &Draft, source: &Source) {
    once(
        source,
        "node name",
        draft.nodes.iter().filter_map(|node| node.name.as_ref()),
    );
    once(
        source,
        "UUID",
        draft.nodes.iter().filter_map(|node| node.uuid.as_ref()),
    );
    once(
        source,
        "MAC",
        draft.nodes.iter().flat_map(|node| {
            // The booting card's MAC is that of the node.
            let others = node.nics.iter().filter(|nic| !nic.boots());
            let others = others.filter_map(|nic| nic.mac.as_ref());
            node.mac.iter().chain(&node.further_macs).chain(others)
        }),
    );
    program::check(&draft.programs, source);
    host_address(draft, source);
    room_for_nodes(draft, source);
    topology::check(draft, source);
    services(draft, source);
    service::check(draft, source);
    service::config_keys(draft, source);
    loaders(draft, source);
    simulated(draft, source);
    firmware_package(draft, source);
    for node in &draft.nodes {
        secure_boot::check(node, draft, source);
        disks(node, draft, source);
        if let Some(expect) = &node.expect {
            hashes(expect, source);
        }
    }
}

/// Returns the choice of shim.
fn shim(draft: &Draft) -> Option<&Located<EfiLoader>> {
    let efi = draft.efi.as_ref();
    efi.filter(|efi| efi.value == EfiLoader::Shim)
}

/// Checks that simulated machines boot by iPXE scripts, the only path they implement.
fn simulated(draft: &Draft, source: &Source) {
    let simulated = |machines: &&Located<Machines>| !machines.value.is_virtual();
    let Some(machines) = draft.machines.as_ref().filter(simulated) else {
        return;
    };
    let pxelinux = draft
        .bios
        .as_ref()
        .filter(|bios| bios.value == BiosLoader::Pxelinux)
        .map(|bios| (bios.at.clone(), "PXELINUX"));
    let shim = shim(draft).map(|efi| (efi.at.clone(), "shim and GRUB"));
    let pixiecore = draft
        .pixiecore
        .as_ref()
        .filter(|pixiecore| pixiecore.value != PixiecoreService::None)
        .map(|pixiecore| (pixiecore.at.clone(), "Pixiecore"));
    for (at, what) in [pxelinux, shim, pixiecore].into_iter().flatten() {
        source.clash(
            (machines.at.clone(), "cannot be simulated"),
            (at, what),
            Wrong::new(
                format!("unsupported on simulated machines: boot by {what}"),
                "use `machines = \"virtual\"`; simulated machines boot by DHCP, TFTP and iPXE scripts only",
            ),
        );
    }
}

/// Rejects UEFI firmware for a scenario without UEFI machines.
fn firmware_package(draft: &Draft, source: &Source) {
    let Some(package) = &draft.firmware_package else {
        return;
    };
    let Some(first) = draft.firmware.first() else {
        return;
    };
    if draft.firmware.iter().all(|one| one.value == Firmware::Bios) {
        source.clash(
            (package.at.clone(), "UEFI"),
            (first.at.clone(), "BIOS only"),
            Wrong::new(
                "`firmware_package` without UEFI machines",
                "add `uefi` to `firmware`, or remove `firmware_package`",
            ),
        );
    }
}

fn disks(node: &DraftNode, draft: &Draft, source: &Source) {
    let (Some(first), Some(one_more)) = (node.disks_mib.first(), node.disks_mib.last()) else {
        return;
    };
    if let Some(machines) = draft
        .machines
        .as_ref()
        .filter(|all| !all.value.is_virtual())
    {
        source.clash(
            (first.at.clone(), "a disk"),
            (machines.at.clone(), "without disks"),
            Wrong::new(
                "unsupported on simulated machines: disks",
                "use `machines = \"virtual\"`, or remove `disks_mib`",
            ),
        );
    }
    if node.disks_mib.len() > DISKS_PER_NODE {
        source.wrong(
            one_more.at.clone(),
            "last disk",
            Wrong::new(
                format!("too many disks: {}", node.disks_mib.len()),
                format!("a machine has at most {DISKS_PER_NODE} disks: `vda` to `vdz`"),
            ),
        );
    }
}

fn once<'d, T>(source: &Source, what: &str, values: impl Iterator<Item = &'d Located<T>>)
where
    T: Eq + Hash + std::fmt::Display + 'd,
{
    let mut first: HashMap<&T, &Located<T>> = HashMap::new();
    for value in values {
        if let Some(earlier) = first.get(&value.value) {
            source.clash(
                (value.at.clone(), "again here"),
                (earlier.at.clone(), "first here"),
                Wrong::new(
                    format!("duplicate {what}: `{}`", value.value),
                    format!("each machine needs its own {what}"),
                ),
            );
        } else {
            first.insert(&value.value, value);
        }
    }
}

fn host_address(draft: &Draft, source: &Source) {
    let Some(first) = draft.networks.first() else {
        return;
    };
    let (Some(address), Some(subnet)) = (&first.address, &first.subnet) else {
        return;
    };
    let net = subnet.value;
    if !is_host_of(net, address.value) {
        let what = format!("invalid host address: {} (not in {net})", address.value);
        let help = format!(
            "use an address of the subnet, e.g. `{}`",
            Network::new(net).host()
        );
        source.clash(
            (address.at.clone(), "outside"),
            (subnet.at.clone(), "subnet"),
            Wrong::new(what, help),
        );
    }
}

fn room_for_nodes(draft: &Draft, source: &Source) {
    for network in &draft.networks {
        let Some(subnet) = &network.subnet else {
            continue;
        };
        let nodes = draft.nodes_in(network.title()).count() as u64;
        // Excludes the network, broadcast and host addresses.
        let room = (1_u64 << (32 - subnet.value.prefix_len())).saturating_sub(3);
        if room < nodes * ADDRESSES_PER_NODE {
            let what = format!(
                "subnet too small: {} has {room} addresses for {nodes} machines",
                subnet.value
            );
            let help = format!(
                "firmware and system may lease {ADDRESSES_PER_NODE} addresses per machine; use a shorter prefix, e.g. /24"
            );
            source.wrong(subnet.at.clone(), "here", Wrong::new(what, help));
        }
    }
}

/// Rejects combinations of services that cannot boot any machine.
fn services(draft: &Draft, source: &Source) {
    let Some(dhcp) = &draft.dhcp else { return };
    let proxy = draft
        .proxy_dhcp
        .as_ref()
        .filter(|proxy| proxy.value == ProxyDhcpService::BootServer)
        .map(|proxy| (proxy.at.clone(), "sends boot options"));
    let pixiecore = draft
        .pixiecore
        .as_ref()
        .filter(|pixiecore| pixiecore.value != PixiecoreService::None)
        .map(|pixiecore| (pixiecore.at.clone(), "sends boot options"));
    if let (Some(proxy), Some(pixiecore)) = (&proxy, &pixiecore) {
        let what = "conflicting services: proxyDHCP and Pixiecore would both answer every machine";
        let help = "Pixiecore is a proxyDHCP server itself: set one of them to \"none\"";
        source.clash(pixiecore.clone(), proxy.clone(), Wrong::new(what, help));
    }
    let giver = proxy.or(pixiecore);
    dnsmasq(dhcp, draft, source);
    https(draft, source);
    match (dhcp.value, giver) {
        (DhcpService::BootServer | DhcpService::Dnsmasq, Some(giver)) => {
            let what =
                "conflicting services: the DHCP server and a proxy would both send boot options";
            let help = "a proxy needs a DHCP server without boot options: use `dhcp = \"libvirt\"`, or set the proxy to \"none\"";
            source.clash(
                giver,
                (dhcp.at.clone(), "also sends boot options"),
                Wrong::new(what, help),
            );
        }
        (DhcpService::Libvirt, None) if !has_custom_proxy(draft) => {
            let what = "missing service: no server sends boot options";
            let help = "use `dhcp = \"boot-server\"`, or add `proxy_dhcp` or `pixiecore`";
            source.wrong(
                dhcp.at.clone(),
                "sends no boot options",
                Wrong::new(what, help),
            );
        }
        // `none`: the DHCP server is outside the lab, or missing on purpose.
        _ => {}
    }
}

/// True if a service of the user sends boot options beside another DHCP server.
fn has_custom_proxy(draft: &Draft) -> bool {
    let mut custom = draft.custom_services.iter();
    custom.any(|service| service.part(Part::ProxyDhcp).is_some())
}

/// Checks that the services' configuration files exist; relative paths start at the scenario's folder.
pub(super) fn files(dir: &Path, draft: &Draft, source: &Source) {
    service::roots(dir, draft, source);
    for file in [&draft.dnsmasq_conf, &draft.boot_server_config] {
        let Some(file) = file else { continue };
        let path = dir.join(&file.value);
        if let Err(error) = std::fs::File::open(&path) {
            let what = format!("{}: {error}", path.display());
            let help =
                "name an existing file, by its absolute path or relative to the scenario's folder";
            source.wrong(file.at.clone(), "this file", Wrong::new(what, help));
        }
    }
}

/// Rejects HTTPS for machines that cannot be made to trust the authority of the run.
fn https(draft: &Draft, source: &Source) {
    let Some(https) = &draft.https else { return };
    let bios = draft
        .firmware
        .iter()
        .find(|one| one.value == Firmware::Bios);
    if let Some(bios) = bios {
        source.clash(
            (bios.at.clone(), "without variables"),
            (https.at.clone(), "needs UEFI firmware"),
            Wrong::new(
                "`https` with BIOS firmware, which cannot be told whom to trust",
                "use `firmware = [\"uefi-http\"]` or `[\"uefi\"]`",
            ),
        );
    }
    let simulated = draft.machines.as_ref();
    if let Some(machines) = simulated.filter(|one| one.value == Machines::Simulated) {
        source.clash(
            (machines.at.clone(), "without TLS"),
            (https.at.clone(), "needs TLS"),
            Wrong::new(
                "`https` with simulated machines, which have no TLS",
                "use virtual machines, or remove `https`",
            ),
        );
    }
    let pixiecore = draft.pixiecore.as_ref();
    if let Some(pixiecore) = pixiecore.filter(|one| one.value != PixiecoreService::None) {
        source.clash(
            (pixiecore.at.clone(), "serves HTTP"),
            (https.at.clone(), "for HTTPS"),
            Wrong::new(
                "`https` with Pixiecore, whose clients use HTTP",
                "remove one of them",
            ),
        );
    }
}

/// Checks the configuration of dnsmasq, which has no other settings.
fn dnsmasq(dhcp: &Located<DhcpService>, draft: &Draft, source: &Source) {
    let is_dnsmasq = dhcp.value == DhcpService::Dnsmasq;
    match &draft.dnsmasq_conf {
        None if is_dnsmasq => source.wrong(
            dhcp.at.clone(),
            "needs `dnsmasq_conf`",
            Wrong::new(
                "missing configuration of dnsmasq",
                "`dnsmasq_conf = \"/etc/dnsmasq.d/boot.conf\"`",
            ),
        ),
        Some(conf) if !is_dnsmasq => source.clash(
            (conf.at.clone(), "for dnsmasq"),
            (dhcp.at.clone(), "no dnsmasq"),
            Wrong::new(
                "`dnsmasq_conf` without dnsmasq",
                "use `dhcp = \"dnsmasq\"`, or remove the line",
            ),
        ),
        _ => {}
    }
    if let (Some(config), true) = (&draft.boot_server_config, is_dnsmasq) {
        source.clash(
            (config.at.clone(), "for boot-server"),
            (dhcp.at.clone(), "no boot-server"),
            Wrong::new(
                "`boot_server_config` together with dnsmasq, which sends addresses and boot options",
                "remove one of them",
            ),
        );
    }
}

fn loaders(draft: &Draft, source: &Source) {
    let pixiecore = draft
        .pixiecore
        .as_ref()
        .filter(|pixiecore| pixiecore.value != PixiecoreService::None);
    let pxelinux = draft
        .bios
        .as_ref()
        .filter(|bios| bios.value == BiosLoader::Pxelinux);
    let chainload = draft
        .chainload_ipxe
        .as_ref()
        .filter(|chainload| chainload.value);
    let uefi = draft
        .firmware
        .iter()
        .find(|firmware| firmware.value.is_uefi());
    if let (Some(pxelinux), Some(uefi)) = (pxelinux, uefi) {
        let what = "PXELINUX supports only BIOS machines, but the scenario has UEFI machines";
        let help = "use `firmware = [\"bios\"]`, or `bios = \"ipxe\"`";
        source.clash(
            (pxelinux.at.clone(), "for BIOS machines"),
            (uefi.at.clone(), "not BIOS"),
            Wrong::new(what, help),
        );
    }
    if let (Some(pxelinux), Some(chainload)) = (pxelinux, chainload) {
        let what = "`chainload_ipxe` has no effect with PXELINUX";
        source.clash(
            (chainload.at.clone(), "no effect"),
            (pxelinux.at.clone(), "no iPXE"),
            Wrong::new(what, "use `chainload_ipxe = false`, or `bios = \"ipxe\"`"),
        );
    }
    if let (Some(shim), None, Some(first)) = (shim(draft), uefi, draft.firmware.first()) {
        source.clash(
            (shim.at.clone(), "for UEFI machines"),
            (first.at.clone(), "no UEFI"),
            Wrong::new(
                "`efi = \"shim\"` has no effect: the scenario has no UEFI machines",
                "use `firmware = [\"uefi\"]`, or remove the line",
            ),
        );
    }
    let choices = [
        pxelinux.map(|bios| ("bios", bios.at.clone())),
        shim(draft).map(|efi| ("efi", efi.at.clone())),
        chainload.map(|chainload| ("chainload_ipxe", chainload.at.clone())),
    ];
    let by_http = draft
        .firmware
        .iter()
        .find(|firmware| firmware.value == Firmware::UefiHttp);
    if let (Some(pixiecore), Some(by_http)) = (pixiecore, by_http) {
        let what = "Pixiecore does not support UEFI HTTP boot";
        let help = "use `firmware = [\"bios\", \"uefi\"]`, or `proxy_dhcp` instead of `pixiecore`";
        source.clash(
            (by_http.at.clone(), "boots by HTTP"),
            (pixiecore.at.clone(), "PXE only"),
            Wrong::new(what, help),
        );
    }
    if let Some(pixiecore) = pixiecore {
        for (key, at) in choices.into_iter().flatten() {
            source.clash(
                (at, "has no effect"),
                (pixiecore.at.clone(), "chooses the boot program itself"),
                Wrong::new(
                    format!("`{key}` has no effect on Pixiecore"),
                    "remove the line; Pixiecore always sends iPXE",
                ),
            );
        }
    }
}

/// Checks that every hash belongs to an expected file.
fn hashes(expect: &DraftExpect, source: &Source) {
    let Some(hashes) = &expect.sha256 else { return };
    let of = |key: &str, has_hash: bool, has_file: bool| {
        if has_hash && !has_file {
            source.clash(
                (hashes.at.clone(), "hash"),
                (expect.at.clone(), "no such expectation"),
                Wrong::new(
                    format!("`sha256` has `{key}`, but `{key}` is not expected"),
                    format!("add the file (`{key} = \"…\"`), or remove the hash"),
                ),
            );
        }
    };
    let value = &hashes.value;
    of(
        "cloud_config",
        value.cloud_config.is_some(),
        expect.cloud_config.is_some(),
    );
    of(
        "ignition",
        value.ignition.is_some(),
        expect.ignition.is_some(),
    );
    // Without a name, only the image's initrd is expected.
    let initrds = expect.initrd.len().max(1);
    if value.initrd.len() > initrds {
        source.wrong(
            hashes.at.clone(),
            "here",
            Wrong::new(
                format!(
                    "wrong number of hashes: {} for {initrds} initrds",
                    value.initrd.len()
                ),
                "write one hash per initrd, in the same order",
            ),
        );
    }
}

fn expectations(node: &DraftNode, source: &Source) {
    let Some(expect) = &node.expect else { return };
    if expect.checks_something {
        return;
    }
    let name = node.name.as_ref().map_or("the node", |name| &name.value);
    let help = "write at least one of `hostname`, `kernel_options`, `units_active`, `[node.expect.preseed]` and `[[node.expect.file]]`";
    let wrong = Wrong::new(
        format!("missing expectations of `{name}`: the machine could never fail"),
        help,
    );
    let here = (node.at.clone(), "machine");
    match expect.empty_lists.first() {
        Some(list) => {
            let label = format!("`{}` is empty", list.value);
            source.clash((list.at.clone(), &label), here, wrong);
        }
        None => {
            let at = expect.at.clone();
            source.clash((at, "no checks inside the machine"), here, wrong);
        }
    }
}
