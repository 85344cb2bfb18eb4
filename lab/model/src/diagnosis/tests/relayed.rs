//! Machines of a rack behind a router: what the relay made of their DHCP messages, and what came through.

use std::net::Ipv4Addr;

use boot_server_proto::mac::MacAddr;

use super::*;
use crate::evidence::packet::Direction;
use crate::evidence::{RefusedFrame, Way};
use crate::scenario::{Network, Networks, Nic, RelayProgram, Router};
use crate::timeline::StageName;

const RACK: Ipv4Addr = Ipv4Addr::new(192, 168, 93, 1);
const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 168, 92, 254);
const XID: u32 = 7;

fn given(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 93, last)
}

/// A story of which nothing happened but the power-on; the node's network is a rack behind a relay.
fn racked() -> Story {
    let mut story = Story::at_port("ipxe-chainload", "node1", Firmware::Bios);
    story.stop_before(is_dhcp(MessageType::Discover));
    let scenario = &mut story.attempt.scenario;
    let mut servers = (*scenario.network).clone();
    servers.name = Some("servers".into());
    let mut rack = Network::new("192.168.93.0/24".parse().unwrap());
    rack.name = Some("rack1".into());
    scenario.routers.push(Router {
        name: "router1".into(),
        joins: vec!["servers".into(), "rack1".into()],
        relay_to: Some(servers.host()),
        relay: RelayProgram::Ours,
        link_selection: false,
        server_id_override: false,
        vpn: None,
        trunk: false,
        native: None,
        blocked: Vec::new(),
        outside: None,
        addresses: BTreeMap::from([("servers".into(), ROUTER), ("rack1".into(), RACK)]),
    });
    scenario.network = Networks::with(servers, vec![rack]);
    for node in &mut scenario.nodes {
        node.network = Some("rack1".into());
    }
    story.node.network = Some("rack1".into());
    story.attempt.wire.frames = 9;
    let port = story.attempt.ports.get_mut(&story.node.name).unwrap();
    port.packets.clear();
    port.transfers.clear();
    story.at_port_packet(discover(&story, |_| {}), Direction::FromMachine);
    story
}

impl Story {
    /// A packet at the machine's own port, after all else.
    fn at_port_packet(&mut self, what: PacketContent, direction: Direction) {
        let ends = (self.rack_host(68), self.router(RACK, 67));
        self.at_port_between(ends, what, direction);
    }

    fn at_port_between(
        &mut self,
        (machine, other): (Endpoint, Endpoint),
        what: PacketContent,
        direction: Direction,
    ) {
        let at_us = self.last_us() + 100_000;
        let (from, to) = match direction {
            Direction::FromMachine => (machine, other),
            Direction::ToMachine => (other, machine),
        };
        let port = self.attempt.ports.get_mut(&self.node.name).unwrap();
        port.frames += 1;
        port.packets.push(Packet {
            at_us,
            frame: port.frames,
            network: None,
            from,
            to,
            direction: Some(direction),
            what,
        });
    }

    fn rack_host(&self, port: u16) -> Endpoint {
        Endpoint {
            mac: self.node.mac.to_string(),
            address: Some(given(20).into()),
            port: Some(port),
        }
    }

    fn router(&self, address: Ipv4Addr, port: u16) -> Endpoint {
        self.stranger(&address.to_string(), port)
    }

    /// The relay's copy of the request in the servers' network.
    fn copied(&mut self, change: impl FnOnce(&mut DhcpSaid)) {
        let copy = discover(self, |said| {
            said.relay = Some(RACK);
            said.options.push(82);
            change(said);
        });
        self.packet(self.router(ROUTER, 67), self.host(67), copy);
    }

    /// The machine's packet in the servers' network, where it has the router's MAC.
    fn forwarded(&mut self, (mut from, to): (Endpoint, Endpoint), what: PacketContent) {
        from.mac = self.router(ROUTER, 0).mac;
        self.packet(from, to, what);
    }

    /// The server's offer to the relay.
    fn offered(&mut self, relay: Option<Ipv4Addr>, address: Ipv4Addr) {
        let what = offer(self, relay, address);
        self.packet(self.host(67), self.router(RACK, 67), what);
    }

    /// The offer and the acknowledgement at the machine's port.
    fn leased(&mut self, address: Ipv4Addr) {
        let what = offer(self, None, address);
        self.at_port_packet(what, Direction::ToMachine);
        let mut what = offer(self, None, address);
        if let PacketContent::Dhcp(said) = &mut what {
            said.message = MessageType::Ack.into();
        }
        self.at_port_packet(what, Direction::ToMachine);
    }
}

fn discover(story: &Story, change: impl FnOnce(&mut DhcpSaid)) -> PacketContent {
    let mut said = DhcpSaid {
        message: MessageType::Discover.into(),
        xid: XID,
        client: story.node.mac.to_string(),
        ..DhcpSaid::default()
    };
    change(&mut said);
    PacketContent::Dhcp(Box::new(said))
}

fn offer(story: &Story, relay: Option<Ipv4Addr>, address: Ipv4Addr) -> PacketContent {
    discover(story, |said| {
        said.message = MessageType::Offer.into();
        said.from_server = true;
        said.relay = relay;
        said.given = Some(address);
        said.server = Some(story.attempt.scenario.network.host());
        said.boot_file = Some("undionly.kpxe".into());
        if relay.is_some() {
            said.options.push(82);
        }
    })
}

#[test]
fn request_that_no_relay_copies_is_told_from_one_whose_server_is_silent() {
    let mut story = racked();
    story.gave_up(60, "no progress for 60 s");
    let words = [
        "router1 sent nothing to 192.168.92.1",
        "no copy of the request in servers",
    ];
    story.is_explained(Cause::RelayServerUnreachable, &words);
    let address = story.attempt.scenario.network.host();
    let ask = PacketContent::ArpRequest { address };
    story.packet(story.router(ROUTER, 0), story.guest(0), ask);
    let words = ["192.168.92.1 does not answer ARP", "nobody answers"];
    story.is_explained(Cause::RelayServerUnreachable, &words);
    // A copy that came there is no fault of the relay.
    story.copied(|_| {});
    let causes: Vec<Cause> = story.findings().iter().map(|one| one.cause).collect();
    assert_eq!(causes.first(), Some(&Cause::NoDhcpServer), "{causes:?}");
    assert!(!causes.contains(&Cause::RelayServerUnreachable));
}

#[test]
fn copy_for_another_host_names_it_and_the_server() {
    let mut story = racked();
    let copy = discover(&story, |said| said.relay = Some(RACK));
    let other = story.stranger("192.168.92.9", 67);
    story.packet(story.router(ROUTER, 67), other, copy);
    story.gave_up(60, "no progress for 60 s");
    let words = [
        "to 192.168.92.9, which does not answer",
        "is 192.168.92.1",
        "without option 82",
    ];
    story.is_explained(Cause::RelayToWrongServer, &words);
}

#[test]
fn copy_without_giaddr_is_the_cause_whether_or_not_the_server_answers() {
    let mut story = racked();
    story.copied(|said| said.relay = None);
    story.gave_up(60, "no progress for 60 s");
    story.is_explained(Cause::RelayWithoutGiaddr, &["giaddr 0.0.0.0"]);
    story.offered(None, Ipv4Addr::new(192, 168, 92, 20));
    let words = ["OFFER of 192.168.92.20", "not to a relay"];
    story.is_explained(Cause::RelayWithoutGiaddr, &words);
}

#[test]
fn offer_that_ends_at_the_relay_names_its_option() {
    let mut story = racked();
    story.copied(|_| {});
    story.offered(Some(RACK), given(20));
    story.gave_up(60, "no progress for 60 s");
    let words = [
        "1 OFFER with option 82 came to 192.168.93.1",
        "no answer at the port",
    ];
    story.is_explained(Cause::RelayDropsReplies, &words);
    // What came on to the machine was not dropped.
    let what = offer(&story, None, given(20));
    story.at_port_packet(what, Direction::ToMachine);
    let dropped = |one: &Finding| one.cause == Cause::RelayDropsReplies;
    assert!(!story.findings().iter().any(dropped));
}

#[test]
fn address_of_another_network_is_blamed_on_the_relay_that_named_its_link_or_on_the_server() {
    let elsewhere = Ipv4Addr::new(192, 168, 94, 20);
    let link = Ipv4Addr::new(192, 168, 94, 1);
    for (named, words) in [
        (Some(link), "router1 names the link of 192.168.94.1"),
        (None, "192.168.92.1 chose that pool by itself"),
    ] {
        let mut story = racked();
        story.copied(|said| said.link = named);
        story.leased(elsewhere);
        story.gave_up(60, "no progress for 60 s");
        story.is_explained(Cause::WrongPool, &["got 192.168.94.20", words]);
    }
    let mut story = racked();
    story.copied(|said| said.link = Some(link));
    story.copied(|_| {});
    story.leased(elsewhere);
    story.gave_up(60, "no progress for 60 s");
    let words = [
        "2 relays pass one request",
        "for the link of 192.168.93.1",
        "took 192.168.94.20",
    ];
    story.is_explained(Cause::TwoRelays, &words);
}

#[test]
fn two_copies_of_one_link_are_no_cause() {
    let mut story = racked();
    for _ in 0..2 {
        story.copied(|_| {});
    }
    story.leased(given(20));
    story.gave_up(60, "no progress for 60 s");
    let relays = [Cause::TwoRelays, Cause::WrongPool, Cause::RelayDropsReplies];
    let findings = story.findings();
    assert!(
        !findings.iter().any(|one| relays.contains(&one.cause)),
        "{findings:#?}"
    );
}

fn tftp_request() -> PacketContent {
    PacketContent::TftpRequest {
        file: "undionly.kpxe".into(),
        options: Vec::new(),
        write: false,
    }
}

#[test]
fn request_that_ends_at_the_router_is_blocked_by_it() {
    let mut story = racked();
    story.copied(|_| {});
    story.leased(given(20));
    let ends = (story.rack_host(1024), story.host(69));
    story.at_port_between(ends.clone(), tftp_request(), Direction::FromMachine);
    story.gave_up(60, "no progress for 60 s");
    let words = [
        "192.168.93.20 to 192.168.92.1 at UDP port 69",
        "never reach servers",
    ];
    story.is_explained(Cause::BlockedByRouter, &words);
    // The request came through: the server is silent.
    story.forwarded(ends, tftp_request());
    let finding = story.is_explained(Cause::TftpServerDied, &["never answered"]);
    assert!(finding.weight < 98);
}

#[test]
fn blocks_that_leave_the_server_and_never_arrive_are_too_long() {
    let mut story = racked();
    story.copied(|_| {});
    story.leased(given(20));
    let ends = (story.rack_host(1024), story.host(69));
    story.at_port_between(ends.clone(), tftp_request(), Direction::FromMachine);
    story.forwarded(ends.clone(), tftp_request());
    let options = PacketContent::TftpOptions {
        options: vec![("blksize".into(), "1432".into())],
    };
    story.at_port_between(ends.clone(), options, Direction::ToMachine);
    let sent = story.transfer(Protocol::Tftp, "undionly.kpxe", 20);
    sent.to = ends.0.clone();
    sent.to.mac = "52:54:00:ee:ee:ee".into();
    (sent.bytes, sent.retransmits) = (1432, 3);
    story.gave_up(60, "no progress for 60 s");
    let words = [
        "packets of 1464 bytes are lost between servers and rack1",
        "3 blocks repeated",
    ];
    story.is_explained(Cause::MtuTooSmall, &words);
    // Blocks that arrived are no fault of the link's length.
    let mut arrived = story.attempt.wire.transfers[0].clone();
    arrived.to = ends.0;
    arrived.direction = Some(Direction::ToMachine);
    let port = story.attempt.ports.get_mut(&story.node.name).unwrap();
    port.transfers.push(arrived);
    let narrow = |one: &Finding| one.cause == Cause::MtuTooSmall;
    assert!(!story.findings().iter().any(narrow));
}

#[test]
fn timeline_follows_the_exchange_across_the_relay() {
    let mut story = racked();
    story.copied(|said| said.link = Some(RACK));
    story.offered(Some(RACK), given(20));
    let result = judge_node(&story.attempt, &story.node);
    let stage = result.timeline.stage(StageName::Dhcp).unwrap();
    let texts: Vec<&str> = stage.events.iter().map(|event| &*event.text).collect();
    let across = [
        "discover relayed by 192.168.92.254 to 192.168.92.1 as the relay 192.168.93.1, link 192.168.93.1",
        "offer of 192.168.93.20 by 192.168.92.1 to the relay 192.168.93.1",
    ];
    for text in across {
        assert!(texts.contains(&text), "{texts:#?}");
    }
}

#[test]
fn request_for_an_address_outside_of_the_lab_names_the_address_and_the_routers_answer() {
    let mut story = racked();
    story.copied(|_| {});
    story.leased(given(20));
    let outside = story.stranger("203.0.113.9", 80);
    let ends = (story.rack_host(1025), outside);
    story.at_port_between(ends, PacketContent::TcpSyn, Direction::FromMachine);
    story.gave_up(60, "no progress for 60 s");
    let words = [
        "203.0.113.9, which is outside of the lab (192.168.92.0/24, 192.168.93.0/24)",
        "does not answer",
    ];
    story.is_explained(Cause::OutsideAddress, &words);
    let what = PacketContent::Unreachable {
        why: "network unreachable".into(),
        port: Some(80),
        address: Some(Ipv4Addr::new(203, 0, 113, 9)),
    };
    story.at_port_packet(what, Direction::ToMachine);
    let words = ["the router answers \"network unreachable\""];
    story.is_explained(Cause::OutsideAddress, &words);
    // An address of the lab is another cause.
    let port = story.attempt.ports.get_mut(&story.node.name).unwrap();
    for packet in &mut port.packets {
        if packet.what == PacketContent::TcpSyn {
            packet.to.address = Some(given(77).into());
        }
    }
    let outside = |one: &Finding| one.cause == Cause::OutsideAddress;
    assert!(!story.findings().iter().any(outside));
}

#[test]
fn address_at_another_card_names_both_cards_and_their_networks() {
    let mut story = racked();
    let other: MacAddr = "52:54:00:00:00:99".parse().unwrap();
    let nic = |network: &str, mac, boots| Nic {
        network: Some(network.into()),
        mac,
        boots,
        tagged: false,
    };
    story.copied(|_| {});
    let nics = vec![
        nic("rack1", story.node.mac, true),
        nic("servers", other, false),
    ];
    story.node.nics.clone_from(&nics);
    for node in &mut story.attempt.scenario.nodes {
        node.nics.clone_from(&nics);
    }
    let given = Ipv4Addr::new(192, 168, 92, 20);
    let mut ack = offer(&story, None, given);
    if let PacketContent::Dhcp(said) = &mut ack {
        said.client = other.to_string();
        said.message = MessageType::Ack.into();
    }
    story.at_port_packet(ack, Direction::ToMachine);
    story.gave_up(60, "no progress for 60 s");
    let words = [
        "boots from its card 52:54:00:00:00:99 in servers",
        "192.168.92.1 answers",
        "gets no address",
    ];
    story.is_explained(Cause::BootsFromOtherCard, &words);
    // The right card has an address, too.
    story.leased(Ipv4Addr::new(192, 168, 93, 20));
    let wrong = |one: &Finding| one.cause == Cause::BootsFromOtherCard;
    assert!(!story.findings().iter().any(wrong));
}

#[test]
fn frame_of_one_of_several_captures_is_shown_with_its_network() {
    let mut story = racked();
    story.copied(|said| said.relay = None);
    story.gave_up(60, "no progress for 60 s");
    for packet in &mut story.attempt.wire.packets {
        packet.network = Some("servers".into());
    }
    let finding = story.is_explained(Cause::RelayWithoutGiaddr, &[]);
    let frames = finding
        .evidence
        .iter()
        .filter_map(|proof| proof.frame.as_ref());
    let shown: Vec<String> = frames.map(ToString::to_string).collect();
    assert!(
        shown.iter().any(|frame| frame.ends_with(" of servers")),
        "{shown:?}"
    );
    let json = serde_json::to_value(&finding.evidence).unwrap();
    let named = json.as_array().unwrap().iter();
    let mut named = named.filter(|proof| proof["frame"].is_u64());
    assert!(named.all(|proof| proof["network"] == "servers"), "{json}");
}

/// A rack of VLAN 101 behind a router on a trunk.
fn switched() -> Story {
    let mut story = racked();
    let scenario = &mut story.attempt.scenario;
    let mut servers = (*scenario.network).clone();
    servers.vlan = Some(100);
    let mut racks = scenario.network.further().to_vec();
    racks[0].vlan = Some(101);
    scenario.network = Networks::with(servers, racks);
    scenario.routers[0].trunk = true;
    story
}

impl Story {
    /// A frame that a port of the switch refused, after all else.
    fn refused(&mut self, port: &str, vlan: Option<u16>, way: Way, source: MacAddr) {
        let record = Record {
            at_us: self.last_us() + 100_000,
            node: None,
            seen: Observation::FrameRefused(RefusedFrame {
                port: port.into(),
                vlan,
                way,
                source,
            }),
        };
        self.attempt.records.push(record);
    }

    fn has_cause(&self, cause: Cause) -> bool {
        self.findings().iter().any(|one| one.cause == cause)
    }
}

#[test]
fn vlan_that_the_port_of_the_router_refuses_is_named_unless_it_is_another_racks() {
    for (vlan, name) in [(101, "rack1"), (100, "servers")] {
        let mut story = switched();
        let mac = story.node.mac;
        story.refused("router1", Some(vlan), Way::Out, mac);
        story.gave_up(60, "no progress for 60 s");
        let words = [
            &*format!("refuses frames of VLAN {vlan} ({name}) at the port of router1"),
            &*format!("frame of VLAN {vlan} refused at the port of router1"),
        ];
        story.is_explained(Cause::VlanNotAllowed, &words);
    }
    let mut story = switched();
    let mac = story.node.mac;
    story.refused("router1", Some(102), Way::Out, mac);
    story.gave_up(60, "no progress for 60 s");
    assert!(!story.has_cause(Cause::VlanNotAllowed));
    // An answer came through: no port refuses the VLAN.
    let mut story = switched();
    story.refused("router1", Some(101), Way::Out, mac);
    story.leased(given(20));
    story.gave_up(60, "no progress for 60 s");
    assert!(!story.has_cause(Cause::VlanNotAllowed));
}

#[test]
fn untagged_frames_of_the_router_in_the_wrong_network_or_refused_are_a_native_mismatch() {
    let mut story = switched();
    let ask = PacketContent::ArpRequest {
        address: story.attempt.scenario.network.host(),
    };
    let ends = (story.rack_host(0), story.router(ROUTER, 0));
    story.at_port_between(ends, ask, Direction::ToMachine);
    story.gave_up(60, "no progress for 60 s");
    let words = [
        "untagged frames of servers arrive in rack1",
        "ARP request of 192.168.92.254 (router1 in servers) at the port of node1",
    ];
    story.is_explained(Cause::NativeVlanMismatch, &words);

    let mut story = switched();
    story.attempt.scenario.routers[0].native = Some("servers".into());
    let router = MacAddr([2, 0, 0, 0, 9, 9]);
    story.refused("router1", None, Way::In, router);
    story.gave_up(60, "no progress for 60 s");
    let words = [
        "sends frames of servers without a tag",
        "untagged frame refused at the port of router1",
    ];
    story.is_explained(Cause::NativeVlanMismatch, &words);
}

#[test]
fn arp_request_of_the_router_in_its_own_network_is_no_native_mismatch() {
    let mut story = switched();
    let address = given(20);
    let ask = PacketContent::ArpRequest { address };
    let ends = (story.rack_host(0), story.router(RACK, 0));
    story.at_port_between(ends, ask, Direction::ToMachine);
    story.gave_up(60, "no progress for 60 s");
    assert!(!story.has_cause(Cause::NativeVlanMismatch));
}

#[test]
fn tag_is_lost_by_the_program_that_sends_untagged_frames_last() {
    let tagged = |story: &mut Story| {
        let nic = Nic {
            network: Some("rack1".into()),
            mac: story.node.mac,
            boots: true,
            tagged: true,
        };
        story.node.nics = vec![nic];
        let scenario = &mut story.attempt.scenario;
        scenario.nodes = vec![story.node.clone()];
    };
    let mut story = switched();
    let (name, mac) = (story.node.name.clone(), story.node.mac);
    story.refused(&name, None, Way::In, mac);
    story.gave_up(60, "no progress for 60 s");
    // A machine that does not tag has no tag to lose.
    assert!(!story.has_cause(Cause::VlanTagLost));
    tagged(&mut story);
    let words = ["the firmware sends without the tag of VLAN 101"];
    story.is_explained(Cause::VlanTagLost, &words);
}
