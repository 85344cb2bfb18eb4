//! Diagnosis of a capture from another network: no scenario, no expectations, perhaps a console.
//!
//! Each machine that tries to boot becomes an attempt of its own at a scenario without services of the lab, so
//! that the same knowledge about packets applies.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use ipnet::Ipv4Net;
use uuid::Uuid;

use super::explain::{Explained, of_capture};
use super::{Finding, diagnose};
use boot_server_proto::mac::MacAddr;

use crate::evidence::beside::Beside;
use crate::evidence::packet::{DhcpSaid, Packet, PacketContent, Wire};
use crate::evidence::saved::Attempt;
use crate::evidence::{Observation, Record};
use crate::scenario::{
    Boot, Deadline, Firmware, Image, Machines, Network, Node, Scenario, Services, Silence,
};
use crate::timeline::{self, Outcome, StageName, Timeline};
use crate::verdict::NodeVerdict;

/// Option 93 of BIOS firmware.
const BIOS_ARCH: u16 = 0;

/// Maximum number of machines that are explained from the whole capture, in which other machines may be the
/// cause.
const WHOLE_MACHINES: usize = 16;

/// Maximum number of packets and transfers for examining a capture as a whole, and of one machine: from the
/// beginning and from the end. A boot never has more.
const WHOLE_PACKETS: usize = 4_000;

/// Returns the MACs of the machines that boot over the network in this capture, in the order of their
/// appearance: those whose DHCP shows it; else all that load files by TFTP or HTTP; else all that request an
/// address.
#[must_use]
pub fn machines(wire: &Wire) -> Vec<MacAddr> {
    let clients = |wanted: &dyn Fn(&DhcpSaid) -> bool| -> Vec<&str> {
        let packets = wire.packets.iter();
        let macs = packets.filter_map(|packet| match &packet.what {
            PacketContent::Dhcp(said) if !said.from_server && wanted(said) => {
                Some(said.client.as_str())
            }
            _ => None,
        });
        macs.collect()
    };
    let loaders = || -> Vec<&str> {
        let asks = wire.packets.iter().filter(|packet| loads(packet));
        asks.map(|packet| packet.from.mac.as_str()).collect()
    };
    let mut found = clients(&boots);
    if found.is_empty() {
        found = loaders();
    }
    if found.is_empty() {
        found = clients(&|_| true);
    }
    let mut known = HashSet::new();
    let macs = found.into_iter().filter_map(|text| text.parse().ok());
    macs.filter(|mac| known.insert(*mac)).collect()
}

/// True for a DHCP message of a client that boots.
fn boots(said: &DhcpSaid) -> bool {
    let class = said.vendor_class.as_deref().unwrap_or_default();
    !said.arch.is_empty()
        || said.is_ipxe()
        || class.starts_with("PXEClient")
        || class.starts_with("HTTPClient")
}

/// True for a request for a file.
fn loads(packet: &Packet) -> bool {
    matches!(
        packet.what,
        PacketContent::TftpRequest { .. } | PacketContent::HttpRequest { .. }
    )
}

/// Explains one machine of a capture called `name`; `console` is its serial console without times.
#[must_use]
pub fn explain_machine(name: &str, wire: &Wire, mac: MacAddr, console: Option<&str>) -> Explained {
    let mut all = explain_machines(name, wire, &[mac], console);
    let Some(explained) = all.pop() else {
        unreachable!("each machine is explained");
    };
    explained
}

/// Explains several machines like [`explain_machine`], with one pass over the capture.
#[must_use]
pub fn explain_machines(
    name: &str,
    wire: &Wire,
    macs: &[MacAddr],
    console: Option<&str>,
) -> Vec<Explained> {
    let all = machines(wire);
    let is_small = wire.packets.len() + wire.transfers.len() <= WHOLE_PACKETS;
    if is_small && all.len() <= WHOLE_MACHINES {
        let explain = |mac: &MacAddr| {
            let others: Vec<MacAddr> = all.iter().copied().filter(|one| one != mac).collect();
            explain_in(name, wire, *mac, &others, console)
        };
        return macs.iter().map(explain).collect();
    }
    let parts = Parts::of(wire, macs);
    let explain = |mac: &MacAddr| explain_in(name, &parts.part(wire, *mac), *mac, &[], console);
    macs.iter().map(explain).collect()
}

/// Indices of packets and transfers by machine.
struct Parts(HashMap<String, (Vec<usize>, Vec<usize>)>);

impl Parts {
    fn of(wire: &Wire, macs: &[MacAddr]) -> Parts {
        let mut parts: HashMap<String, (Vec<usize>, Vec<usize>)> = macs
            .iter()
            .map(|mac| (mac.to_string(), Default::default()))
            .collect();
        for (index, packet) in wire.packets.iter().enumerate() {
            let client = match &packet.what {
                PacketContent::Dhcp(said) => said.client.as_str(),
                _ => "",
            };
            let of = [packet.from.mac.as_str(), packet.to.mac.as_str(), client];
            for (position, mac) in of.iter().enumerate() {
                let is_again = of.iter().take(position).any(|before| before == mac);
                if let (false, Some((packets, _))) = (is_again, parts.get_mut(*mac)) {
                    packets.push(index);
                }
            }
        }
        for (index, transfer) in wire.transfers.iter().enumerate() {
            if let Some((_, transfers)) = parts.get_mut(&transfer.to.mac) {
                transfers.push(index);
            }
        }
        Parts(parts)
    }

    /// Packets of one machine in the capture.
    fn part(&self, wire: &Wire, mac: MacAddr) -> Wire {
        let (packets, transfers) = match self.0.get(&mac.to_string()) {
            Some((packets, transfers)) => (packets.as_slice(), transfers.as_slice()),
            None => (&[][..], &[][..]),
        };
        let (kept_packets, kept_transfers) = (ends(packets), ends(transfers));
        let left_out = packets.len() + transfers.len() - kept_packets.len() - kept_transfers.len();
        Wire {
            packets: pick(&wire.packets, &kept_packets),
            transfers: pick(&wire.transfers, &kept_transfers),
            frames: wire.frames,
            dropped: wire.dropped,
            left_out: wire.left_out + left_out as u64,
            kind: wire.kind.clone(),
            damage: wire.damage.clone(),
        }
    }
}

/// Returns the packets and transfers to examine for these machines of a large capture.
#[cfg(test)]
pub(super) fn looked_at(wire: &Wire, macs: &[MacAddr]) -> usize {
    let parts = Parts::of(wire, macs);
    let parts = macs.iter().map(|mac| parts.part(wire, *mac));
    parts
        .map(|part| part.packets.len() + part.transfers.len())
        .sum()
}

/// Keeps the first and the last of them, [`WHOLE_PACKETS`] / 2 together.
fn ends(all: &[usize]) -> Vec<usize> {
    let half = WHOLE_PACKETS / 4;
    if all.len() <= 2 * half {
        return all.to_vec();
    }
    let (first, rest) = all.split_at(half);
    let (_, last) = rest.split_at(rest.len() - half);
    [first, last].concat()
}

fn pick<T: Clone>(all: &[T], positions: &[usize]) -> Vec<T> {
    let picked = positions.iter().filter_map(|index| all.get(*index));
    picked.cloned().collect()
}

fn explain_in(
    name: &str,
    wire: &Wire,
    mac: MacAddr,
    others: &[MacAddr],
    console: Option<&str>,
) -> Explained {
    let attempt = attempt(name, wire, mac, others, console);
    let Some(node) = attempt.scenario.nodes.iter().find(|node| node.mac == mac) else {
        unreachable!("the scenario was generated with it");
    };
    let timeline = timeline::build(&attempt.scenario, node, &attempt.records, wire, None);
    if let Some(reason) = has_no_wish_to_boot(wire, &node.name) {
        let verdict = NodeVerdict::Skipped { reason };
        return of_capture(&attempt, node, timeline, verdict, Vec::new());
    }
    let verdict = judge(node, &timeline);
    let findings: Vec<Finding> = diagnose(&attempt, node, &timeline, &verdict);
    of_capture(&attempt, node, timeline, verdict, findings)
}

/// Explains why a machine that only requests an address is not judged: it does not try to boot.
fn has_no_wish_to_boot(wire: &Wire, mac: &str) -> Option<String> {
    let asks = wire.packets.iter().any(|packet| match &packet.what {
        PacketContent::Dhcp(said) => said.client == mac && !said.from_server && boots(said),
        _ => packet.from.mac == mac && loads(packet),
    });
    let got = wire.address_of(mac).map_or_else(
        || "nobody gave it an address".to_owned(),
        |address| format!("it was given {address}"),
    );
    (!asks).then(|| {
        format!(
            "{mac} is not booting from the network: its DHCP messages have no architecture (option \
             93) and no boot client's vendor class (option 60), and it requests no file; {got}"
        )
    })
}

fn attempt(
    name: &str,
    wire: &Wire,
    mac: MacAddr,
    others: &[MacAddr],
    console: Option<&str>,
) -> Attempt {
    let nodes: Vec<Node> = std::iter::once(mac)
        .chain(others.iter().copied())
        .map(|mac| node(wire, mac))
        .collect();
    let end_us = wire.packets.last().map_or(0, |packet| packet.at_us);
    // After all packets, because the time of a line is unknown.
    let lines = console.unwrap_or_default().lines().zip(1..);
    let records = lines.map(|(line, number)| Record {
        at_us: end_us + number,
        node: Some(mac.to_string()),
        seen: Observation::Console {
            line: String::from_utf8_lossy(&strip_ansi_escapes::strip(line)).into_owned(),
        },
    });
    let text = mac.to_string();
    let said = wire.packets.iter().find_map(|packet| match &packet.what {
        PacketContent::Dhcp(said) if said.client == text && !said.arch.is_empty() => Some(said),
        _ => None,
    });
    let is_uefi = said.is_some_and(|said| said.arch.iter().all(|arch| *arch != BIOS_ARCH));
    let firmware = if is_uefi {
        Firmware::Uefi
    } else {
        Firmware::Bios
    };
    Attempt {
        firmware,
        records: records.collect(),
        wire: wire.clone(),
        ports: BTreeMap::new(),
        node_seconds: BTreeMap::new(),
        broken: None,
        interrupted: false,
        beside: Beside::default(),
        scenario: Scenario {
            name: name.into(),
            dir: std::path::PathBuf::new(),
            summary: "a capture".into(),
            runs_first: false,
            machines: Machines::Virtual,
            firmware: vec![firmware],
            firmware_package: None,
            network: Network::new(subnet(wire)).into(),
            routers: Vec::new(),
            services: Services::NONE,
            boot: Boot {
                bios: boot_server_policy::BiosLoader::Ipxe,
                efi: crate::scenario::EfiLoader::Ipxe,
                chainload_ipxe: true,
            },
            image: Image {
                name: "unknown".into(),
            },
            deadline: Deadline {
                boot: std::time::Duration::ZERO,
                silence: Silence::default(),
            },
            custom_services: Vec::new(),
            programs: Vec::new(),
            nodes,
        },
    }
}

fn node(wire: &Wire, mac: MacAddr) -> Node {
    let text = mac.to_string();
    let uuid = wire.packets.iter().find_map(|packet| match &packet.what {
        PacketContent::Dhcp(said) if said.client == text => {
            said.uuid.as_deref()?.parse::<Uuid>().ok()
        }
        _ => None,
    });
    Node::stranger(&text, uuid.unwrap_or_default(), mac, 0)
}

/// Returns the subnet of the first address, for display only.
fn subnet(wire: &Wire) -> Ipv4Net {
    let address = wire
        .packets
        .iter()
        .find_map(|packet| match packet.from.address {
            Some(IpAddr::V4(address)) if !address.is_unspecified() => Some(address),
            _ => None,
        });
    let address = address.unwrap_or(std::net::Ipv4Addr::UNSPECIFIED);
    Ipv4Net::new(address, 24).map_or_else(|_| Ipv4Net::default(), |net| net.trunc())
}

/// Returns the verdict without expectations: the machine failed at the first stage that was begun, or is next,
/// and was never completed.
fn judge(node: &Node, timeline: &Timeline) -> NodeVerdict {
    let through = |stage| {
        timeline
            .stage(stage)
            .is_some_and(|stage| stage.end_us.is_some())
    };
    let failed = |stage| {
        let stage_events = timeline.stage(stage).map_or(&[][..], |stage| &stage.events);
        stage_events
            .last()
            .filter(|last| last.outcome == Outcome::Failed)
    };
    let chain = [
        StageName::Dhcp,
        StageName::Nbp,
        StageName::Script,
        StageName::Kernel,
        StageName::Initrd,
    ];
    let last = chain.into_iter().rev().find(|stage| through(*stage));
    let late = [
        StageName::Ignition,
        StageName::Generic,
        StageName::CloudConfig,
        StageName::ConfigApplied,
    ];
    let stage = match last {
        // Later stages are optional or not on the network: only observed failures count.
        Some(StageName::Kernel | StageName::Initrd) => std::iter::once(StageName::Initrd)
            .chain(late)
            .find(|stage| {
                failed(*stage).is_some()
                    || (*stage == StageName::Initrd && begun(timeline, *stage) && !through(*stage))
            })
            .or_else(|| (!timeline.trouble.is_empty()).then_some(StageName::KernelUp)),
        Some(StageName::Script) => Some(StageName::Kernel),
        // PXELINUX and GRUB have no script of their own, iPXE as ROM no boot program.
        Some(StageName::Nbp) if begun(timeline, StageName::Kernel) => Some(StageName::Kernel),
        Some(StageName::Nbp) => Some(StageName::Script),
        Some(_) if begun(timeline, StageName::Script) => Some(StageName::Script),
        Some(_) => Some(StageName::Nbp),
        None => Some(StageName::Dhcp),
    };
    let Some(stage) = stage else {
        return NodeVerdict::Pass;
    };
    let why = match failed(stage) {
        Some(stage_event) => stage_event.text.clone(),
        None if begun(timeline, stage) => {
            "the stage began, but its end is not in the capture".into()
        }
        None => "the capture shows nothing of this stage".into(),
    };
    let waited_for = format!("{stage} of {} to be complete", node.mac);
    NodeVerdict::Fail {
        stage,
        missing: vec![waited_for.clone()],
        waited_for,
        why,
    }
}

fn begun(timeline: &Timeline, stage: StageName) -> bool {
    timeline.stage(stage).is_some()
}
