//! What must fit together in a scenario: names that may stand once only, services that cannot work
//! side by side, machines that would prove nothing.

use std::collections::HashMap;
use std::hash::Hash;
use std::path::Path;

use boot_server::config::BiosLoader;

use super::draft::{Draft, DraftNode};
use super::expect::DraftExpect;
use super::model::{DhcpService, Firmware, Machines, Network, PixiecoreService, ProxyDhcpService};
use super::problem::{Located, Source, Wrong};

/// Firmware and operating system may ask with different client ids, and get an address each.
const ADDRESSES_PER_NODE: u64 = 2;

/// `vda` to `vdz`.
const DISKS_PER_NODE: usize = 26;

/// Notes in `source` all that does not fit together in a scenario that is to be run.
pub(super) fn check(draft: &Draft, source: &Source) {
    fitting(draft, source);
    for node in &draft.nodes {
        expectations(node, source);
    }
}

/// Notes in `source` all that does not fit together, except that nothing is expected of a node: a run of
/// an earlier version may have been made so, and stays readable.
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
        draft
            .nodes
            .iter()
            .flat_map(|node| node.mac.iter().chain(&node.further_macs)),
    );
    host_address(draft, source);
    room_for_nodes(draft, source);
    services(draft, source);
    loaders(draft, source);
    simulated(draft, source);
    for node in &draft.nodes {
        secure_boot(node, draft, source);
        disks(node, draft, source);
        if let Some(expect) = &node.expect {
            hashes(expect, source);
        }
    }
}

/// Simulated machines know how iPXE boots, and nothing else.
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
    let pixiecore = draft
        .pixiecore
        .as_ref()
        .filter(|pixiecore| pixiecore.value != PixiecoreService::None)
        .map(|pixiecore| (pixiecore.at.clone(), "Pixiecore"));
    for (at, what) in [pxelinux, pixiecore].into_iter().flatten() {
        source.clash(
            (machines.at.clone(), "cannot be simulated"),
            (at, what),
            Wrong::new(
                format!("simulated machines do not know how to boot by {what}"),
                "`machines = \"virtual\"`: they boot by DHCP, TFTP and iPXE scripts only",
            ),
        );
    }
}

fn secure_boot(node: &DraftNode, draft: &Draft, source: &Source) {
    let Some(secure) = node.secure_boot.as_ref().filter(|secure| secure.value) else {
        return;
    };
    let bios = |firmware: &&Located<Firmware>| !firmware.value.is_uefi();
    if let Some(bios) = draft.firmware.iter().find(bios) {
        source.clash(
            (secure.at.clone(), "UEFI only"),
            (bios.at.clone(), "has no Secure Boot"),
            Wrong::new(
                "Secure Boot is a matter of UEFI firmware",
                "`firmware = [\"uefi\"]`, or remove `secure_boot`",
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
            (machines.at.clone(), "nothing that could write to it"),
            Wrong::new(
                "simulated machines execute nothing and have no disks",
                "`machines = \"virtual\"`, or remove `disks_mib`",
            ),
        );
    }
    if node.disks_mib.len() > DISKS_PER_NODE {
        source.wrong(
            one_more.at.clone(),
            "one of them",
            Wrong::new(
                format!("a machine with {} disks", node.disks_mib.len()),
                format!("at most {DISKS_PER_NODE}: `vda` to `vdz`"),
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
                    format!("{what} `{}` stands twice", value.value),
                    format!("each machine has a {what} of its own"),
                ),
            );
        } else {
            first.insert(&value.value, value);
        }
    }
}

fn host_address(draft: &Draft, source: &Source) {
    let (Some(address), Some(subnet)) = (&draft.address, &draft.subnet) else {
        return;
    };
    let net = subnet.value;
    let is_host =
        net.contains(&address.value) && ![net.network(), net.broadcast()].contains(&address.value);
    if !is_host {
        let what = format!("{} is no host's address in {net}", address.value);
        let help = format!(
            "an address of the subnet, e.g. `{}`",
            Network::new(net).host()
        );
        source.clash(
            (address.at.clone(), "outside"),
            (subnet.at.clone(), "of this subnet"),
            Wrong::new(what, help),
        );
    }
}

fn room_for_nodes(draft: &Draft, source: &Source) {
    let Some(subnet) = &draft.subnet else { return };
    let nodes = draft.nodes.len() as u64;
    // Without network, broadcast and host address.
    let room = (1_u64 << (32 - subnet.value.prefix_len())).saturating_sub(3);
    if room < nodes * ADDRESSES_PER_NODE {
        let what = format!("{} has {room} addresses for {nodes} machines", subnet.value);
        let help = format!(
            "firmware and system may take {ADDRESSES_PER_NODE} a machine: take a shorter prefix, e.g. /24"
        );
        source.wrong(subnet.at.clone(), "here", Wrong::new(what, help));
    }
}

/// Rules out what cannot boot a machine, whatever the data says.
fn services(draft: &Draft, source: &Source) {
    let Some(dhcp) = &draft.dhcp else { return };
    let proxy = draft
        .proxy_dhcp
        .as_ref()
        .filter(|proxy| proxy.value == ProxyDhcpService::BootServer)
        .map(|proxy| (proxy.at.clone(), "gives boot options"));
    let pixiecore = draft
        .pixiecore
        .as_ref()
        .filter(|pixiecore| pixiecore.value != PixiecoreService::None)
        .map(|pixiecore| (pixiecore.at.clone(), "gives boot options"));
    if let (Some(proxy), Some(pixiecore)) = (&proxy, &pixiecore) {
        let what = "proxyDHCP and Pixiecore would both answer every machine";
        let help = "Pixiecore is a proxyDHCP server itself: set one of them to \"none\"";
        source.clash(pixiecore.clone(), proxy.clone(), Wrong::new(what, help));
    }
    let giver = proxy.or(pixiecore);
    dnsmasq(dhcp, draft, source);
    match (dhcp.value, giver) {
        (DhcpService::BootServer | DhcpService::Dnsmasq, Some(giver)) => {
            let what = "the PXE-enabled DHCP server and a proxy would both give boot options";
            let help = "a proxy stands beside a DHCP server that knows nothing of booting: `dhcp = \"libvirt\"`, or set the proxy to \"none\"";
            source.clash(
                giver,
                (dhcp.at.clone(), "gives them too"),
                Wrong::new(what, help),
            );
        }
        (DhcpService::Libvirt, None) => {
            let what = "nobody gives boot options";
            let help = "`dhcp = \"boot-server\"`, or a `proxy_dhcp` or `pixiecore` beside it";
            source.wrong(
                dhcp.at.clone(),
                "knows nothing of booting",
                Wrong::new(what, help),
            );
        }
        // `none`: an address server that the lab does not know of, or none on purpose.
        _ => {}
    }
}

/// The files that services are started with are there; one that is not absolute lies in the scenario's folder.
pub(super) fn files(dir: &Path, draft: &Draft, source: &Source) {
    for file in [&draft.dnsmasq_conf, &draft.boot_server_config] {
        let Some(file) = file else { continue };
        let path = dir.join(&file.value);
        if let Err(error) = std::fs::File::open(&path) {
            let what = format!("{}: {error}", path.display());
            let help =
                "name a file that is there, as an absolute path or from the scenario's folder";
            source.wrong(file.at.clone(), "this file", Wrong::new(what, help));
        }
    }
}

/// dnsmasq is started with a configuration, and with nothing else.
fn dnsmasq(dhcp: &Located<DhcpService>, draft: &Draft, source: &Source) {
    let is_dnsmasq = dhcp.value == DhcpService::Dnsmasq;
    match &draft.dnsmasq_conf {
        None if is_dnsmasq => source.wrong(
            dhcp.at.clone(),
            "with which configuration?",
            Wrong::new(
                "dnsmasq has no configuration",
                "`dnsmasq_conf = \"/etc/dnsmasq.d/boot.conf\"`",
            ),
        ),
        Some(conf) if !is_dnsmasq => source.clash(
            (conf.at.clone(), "for dnsmasq"),
            (dhcp.at.clone(), "no dnsmasq here"),
            Wrong::new(
                "a configuration for dnsmasq, and no dnsmasq",
                "`dhcp = \"dnsmasq\"`, or remove the line",
            ),
        ),
        _ => {}
    }
    if let (Some(config), true) = (&draft.boot_server_config, is_dnsmasq) {
        source.clash(
            (config.at.clone(), "for boot-server"),
            (dhcp.at.clone(), "no boot-server here"),
            Wrong::new(
                "a configuration for boot-server where dnsmasq gives addresses and boot options",
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
        let what = "PXELINUX is for BIOS machines, and the scenario has UEFI machines as well";
        let help = "`firmware = [\"bios\"]`, or `bios = \"ipxe\"`";
        source.clash(
            (pxelinux.at.clone(), "for BIOS machines"),
            (uefi.at.clone(), "not for these"),
            Wrong::new(what, help),
        );
    }
    if let (Some(pxelinux), Some(chainload)) = (pxelinux, chainload) {
        let what = "`chainload_ipxe` has no meaning where PXELINUX is given to every machine";
        source.clash(
            (chainload.at.clone(), "iPXE after the ROM's iPXE"),
            (pxelinux.at.clone(), "no iPXE here"),
            Wrong::new(what, "`chainload_ipxe = false`, or `bios = \"ipxe\"`"),
        );
    }
    let choices = [
        pxelinux.map(|bios| ("bios", bios.at.clone())),
        chainload.map(|chainload| ("chainload_ipxe", chainload.at.clone())),
    ];
    let by_http = draft
        .firmware
        .iter()
        .find(|firmware| firmware.value == Firmware::UefiHttp);
    if let (Some(pixiecore), Some(by_http)) = (pixiecore, by_http) {
        let what = "Pixiecore gives nothing to machines that boot by HTTP";
        let help =
            "`firmware = [\"bios\", \"uefi\"]`, or a `proxy_dhcp` in the place of `pixiecore`";
        source.clash(
            (by_http.at.clone(), "asks for an HTTP boot"),
            (pixiecore.at.clone(), "knows PXE only"),
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
                    "remove the line: Pixiecore always gives iPXE",
                ),
            );
        }
    }
}

/// A hash is of a file that the machine has to load.
fn hashes(expect: &DraftExpect, source: &Source) {
    let Some(hashes) = &expect.sha256 else { return };
    let of = |key: &str, has_hash: bool, has_file: bool| {
        if has_hash && !has_file {
            source.clash(
                (hashes.at.clone(), "a hash"),
                (expect.at.clone(), "of no file that is expected"),
                Wrong::new(
                    format!("`sha256` has `{key}`, and `{key}` is not expected"),
                    format!("name the file as well (`{key} = \"…\"`), or remove the hash"),
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
    // Without a name, the image's one initrd is expected.
    let initrds = expect.initrd.len().max(1);
    if value.initrd.len() > initrds {
        source.wrong(
            hashes.at.clone(),
            "here",
            Wrong::new(
                format!("{} hashes for {initrds} initrd", value.initrd.len()),
                "one hash for each initrd, in their order",
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
    let help = "write at least one of `hostname`, `kernel_options`, `units_active` and `[[node.expect.file]]`";
    let wrong = Wrong::new(
        format!("`{name}` expects nothing of the machine, so it could never fail"),
        help,
    );
    let here = (node.at.clone(), "of this machine");
    match expect.empty_lists.first() {
        Some(list) => {
            let label = format!("an empty `{}` checks nothing", list.value);
            source.clash((list.at.clone(), &label), here, wrong);
        }
        None => {
            let at = expect.at.clone();
            source.clash((at, "nothing to check inside the machine"), here, wrong);
        }
    }
}
