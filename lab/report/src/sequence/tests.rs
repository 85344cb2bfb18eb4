//! Tests of the diagram: the packets it shows, and those it leaves out.

use std::net::Ipv4Addr;

use boot_server_proto::dhcp::MessageType;
use lab_model::evidence::packet::{Endpoint, PacketContent, TransferEnd};

use super::{Diagram, Moment, Relay, Role, Shown, Tone, build};
use crate::sample::{MAC, Story, ZERO_US, boot};

fn diagram(story: &Story) -> Diagram {
    build(&story.wire, MAC, &[], &[])
}

/// The rows in short: `DHCP> Offer …`, `TFTP= file`, with a mark for their tone.
fn told(diagram: &Diagram) -> Vec<String> {
    let lane = |from: usize, to: usize| {
        let role = |at: usize| diagram.lanes[at].role.name();
        format!("{}>{}", role(from), role(to))
    };
    let row = |what: &Shown| match what {
        Shown::Message(said) => {
            let times = if said.times > 1 {
                format!(" x{}", said.times)
            } else {
                String::new()
            };
            format!(
                "{} {}{times} {:?}",
                lane(said.from, said.to),
                said.title,
                said.tone
            )
        }
        Shown::Transfer(sent) => format!(
            "{} ={}= {} {:?} {:?}",
            lane(sent.from, sent.to),
            sent.file,
            sent.bytes,
            sent.status,
            sent.tone
        ),
        Shown::Note { text, .. } => text.clone(),
        Shown::Silence(seconds) => format!("{seconds:.1} s of silence"),
        Shown::LeftOut(rows) => format!("{rows} rows left out"),
    };
    diagram.rows.iter().map(|one| row(&one.what)).collect()
}

#[test]
fn every_server_that_is_seen_has_a_lane_of_its_own() {
    let lanes = diagram(&boot()).lanes;
    let shown: Vec<(Role, Option<&str>)> = lanes
        .iter()
        .map(|lane| (lane.role, lane.address.as_deref()))
        .collect();
    let server = Some("192.168.91.1");
    let expected = [
        (Role::Machine, Some(MAC)),
        (Role::Dhcp, server),
        (Role::Proxy, server),
        (Role::Tftp, server),
        (Role::Http, Some("192.168.91.1:8080")),
    ];
    assert_eq!(shown, expected);
}

#[test]
fn a_boot_is_told_packet_by_packet_and_file_by_file() {
    let expected = [
        "machine>proxy Discover Plain",
        "DHCP>machine Offer 192.168.91.12 Good",
        "proxy>machine Offer Good",
        "machine>proxy Request 192.168.91.12 Plain",
        "DHCP>machine Ack 192.168.91.12 Good",
        "machine>TFTP Read undionly.kpxe Plain",
        "TFTP>machine =undionly.kpxe= 68000 None Good",
        "machine>HTTP GET /boot.ipxe Plain",
        "HTTP>machine 200 OK Good",
        "machine>HTTP GET /assets/coreos/current/coreos_production_pxe.vmlinuz Plain",
        "HTTP>machine =coreos_production_pxe.vmlinuz= 8100000 Some(200) Good",
        "machine>HTTP GET /assets/coreos/current/coreos_production_pxe_image.cpio.gz Plain",
        "HTTP>machine =coreos_production_pxe_image.cpio.gz= 54000000 Some(200) Good",
    ];
    assert_eq!(told(&diagram(&boot())), expected);
}

#[test]
fn a_machine_that_nobody_answers_has_a_lane_to_ask_into() {
    let mut story = Story::default();
    for _ in 0..4 {
        story.asks(MessageType::Discover, 7);
    }
    let diagram = diagram(&story);
    assert_eq!(told(&diagram), ["machine>DHCP Discover x4 Unanswered"]);
    assert_eq!(diagram.lanes[1].address, None);
    let frames = diagram.rows[0].frames.iter();
    let numbers: Vec<u64> = frames.map(|frame| frame.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4], "each can still be linked to");
    let mut frame = diagram.rows[0].frames[2].clone();
    assert_eq!(diagram.row_of(&frame), Some(0));
    frame.network = Some("rack1".into());
    assert_eq!(diagram.row_of(&frame), None, "a frame of another capture");
}

#[test]
fn a_question_is_answered_only_by_what_comes_before_it_is_asked_again() {
    let mut story = Story::default();
    story.asks(MessageType::Discover, 1);
    story.asks(MessageType::Discover, 1);
    story.gives(MessageType::Offer, 1);
    story.reads(2070, "a.0");
    story.reads(2070, "a.0");
    story.sends(2070, "a.0", 10);
    let told = told(&diagram(&story));
    let expected = [
        "machine>DHCP Discover Unanswered",
        "machine>DHCP Discover Plain",
        "DHCP>machine Offer 192.168.91.12 Good",
        "machine>TFTP Read a.0 Unanswered",
        "machine>TFTP Read a.0 Plain",
        "TFTP>machine =a.0= 10 None Good",
    ];
    assert_eq!(told, expected);
}

#[test]
fn an_offer_with_another_transaction_id_answers_nothing() {
    let mut story = Story::default();
    story.asks(MessageType::Discover, 1);
    story.gives(MessageType::Offer, 2);
    assert_eq!(
        told(&diagram(&story))[0],
        "machine>DHCP Discover Unanswered"
    );
}

#[test]
fn a_transfer_that_stops_is_shown_as_bad_and_names_its_end() {
    let mut story = Story::default();
    story.fetches(3001, "/initrd.cpio.gz", 9000, TransferEnd::Open);
    let diagram = diagram(&story);
    let Some(Shown::Transfer(sent)) = diagram.rows.last().map(|row| &row.what) else {
        panic!("{diagram:?}");
    };
    assert_eq!(
        (sent.tone, sent.ending),
        (Tone::Bad, Some("never finished"))
    );
    assert_eq!((sent.bytes, sent.announced), (3000, Some(9000)));
}

#[test]
fn files_that_may_be_absent_are_no_trouble() {
    let mut story = Story::default();
    let missing = |file: &str| PacketContent::TftpError {
        code: 1,
        message: "File not found".into(),
        file: Some(file.into()),
    };
    story.reads(2001, "pxelinux.cfg/01-52-54-00-5b-01-01");
    story.server(40000, 2001, missing("pxelinux.cfg/01-52-54-00-5b-01-01"));
    story.reads(2002, "pxelinux.cfg/default");
    story.server(40000, 2002, missing("pxelinux.cfg/default"));
    let told = told(&diagram(&story));
    assert_eq!(told[1], "TFTP>machine Error 1: File not found Plain");
    assert_eq!(told[3], "TFTP>machine Error 1: File not found Bad");
}

#[test]
fn other_machines_and_the_chatter_of_the_link_are_left_out() {
    let mut story = boot();
    let before = told(&diagram(&story));
    let address = Ipv4Addr::new(192, 168, 91, 1);
    story.machine(0, 0, PacketContent::ArpRequest { address });
    story.server(0, 0, PacketContent::ArpReply { address });
    story.machine(0, 0, PacketContent::RouterSolicitation);
    assert_eq!(told(&diagram(&story)), before);
    assert!(
        build(&story.wire, "52:54:00:00:00:99", &[], &[])
            .rows
            .is_empty()
    );

    story.machine(0, 0, PacketContent::ArpRequest { address });
    let after = told(&diagram(&story));
    let last = after.last().map(String::as_str);
    assert_eq!(last, Some("machine>other Who has 192.168.91.1? Unanswered"));
}

#[test]
fn moments_stand_between_packets_and_long_silences_are_told() {
    let mut story = Story::default();
    story.asks(MessageType::Discover, 1);
    let moment = |seconds: u64, text: &str| Moment {
        at_us: ZERO_US + seconds * 1_000_000,
        text: text.into(),
        tone: Tone::Plain,
    };
    let moments = [moment(0, "power on"), moment(9, "kernel up")];
    let told = told(&build(&story.wire, MAC, &[], &moments));
    let expected = [
        "power on",
        "machine>DHCP Discover Unanswered",
        "8.9 s of silence",
        "kernel up",
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_loop_is_shown_by_its_beginning_and_its_end() {
    let mut story = Story::default();
    for turn in 0..200 {
        story.reads(2000 + turn, "ipxe.efi");
        story.sends(2000 + turn, "ipxe.efi", 1000);
    }
    let told = told(&diagram(&story));
    assert_eq!(told.len(), 111);
    assert_eq!(told[70], "290 rows left out");
}

/// The machine's DHCP exchange on its own network, and between relay and server on that of the servers.
fn relayed() -> Story {
    let mut story = Story::default();
    let relay = |side: &str, address: [u8; 4]| Endpoint {
        mac: format!("02:5f:00:00:00:{side}"),
        address: Some(Ipv4Addr::from(address).into()),
        port: Some(67),
    };
    for (request, answer) in [
        (MessageType::Discover, MessageType::Offer),
        (MessageType::Request, MessageType::Ack),
    ] {
        story.asks(request, 1);
        let mut asked = story.wire.packets.last().unwrap().clone();
        asked.at_us += 10;
        (asked.from, asked.to) = (relay("01", [10, 20, 0, 254]), server_at([192, 168, 91, 1]));
        story.wire.packets.push(asked);
        story.gives(answer, 1);
        let mut given = story.wire.packets.last().unwrap().clone();
        given.at_us -= 10;
        (given.from, given.to) = (server_at([192, 168, 91, 1]), relay("02", [10, 20, 1, 1]));
        let at = story.wire.packets.len() - 1;
        story.wire.packets.insert(at, given);
        let last = story.wire.packets.last_mut().unwrap();
        last.from = relay("02", [10, 20, 1, 1]);
    }
    story
}

fn server_at(address: [u8; 4]) -> Endpoint {
    Endpoint {
        mac: "02:00:00:00:00:01".into(),
        address: Some(Ipv4Addr::from(address).into()),
        port: Some(67),
    }
}

fn relays() -> Vec<Relay> {
    vec![Relay {
        name: "router1".into(),
        addresses: vec![Ipv4Addr::new(10, 20, 0, 254), Ipv4Addr::new(10, 20, 1, 1)],
    }]
}

#[test]
fn relay_has_one_lane_between_machine_and_server_for_all_its_addresses() {
    let diagram = build(&relayed().wire, MAC, &relays(), &[]);
    let lanes: Vec<(Role, Option<&str>)> = diagram
        .lanes
        .iter()
        .map(|lane| (lane.role, lane.address.as_deref()))
        .collect();
    let expected = [
        (Role::Machine, Some(MAC)),
        (Role::Relay, Some("router1")),
        (Role::Dhcp, Some("192.168.91.1")),
    ];
    assert_eq!(lanes, expected);
    assert_eq!(
        told(&diagram),
        [
            "machine>relay Discover Plain",
            "relay>DHCP Discover Plain",
            "DHCP>relay Offer 192.168.91.12 Good",
            "relay>machine Offer 192.168.91.12 Good",
            "machine>relay Request 192.168.91.12 Plain",
            "relay>DHCP Request 192.168.91.12 Plain",
            "DHCP>relay Ack 192.168.91.12 Good",
            "relay>machine Ack 192.168.91.12 Good",
        ]
    );
}

#[test]
fn request_that_only_the_relay_got_an_answer_to_is_unanswered() {
    let mut story = relayed();
    // The relay drops the server's offer.
    story.wire.packets.truncate(3);
    let diagram = build(&story.wire, MAC, &relays(), &[]);
    assert_eq!(
        told(&diagram),
        [
            "machine>relay Discover Unanswered",
            "relay>DHCP Discover Plain",
            "DHCP>relay Offer 192.168.91.12 Good",
        ]
    );
}

#[test]
fn relay_that_forwards_nothing_has_a_lane_to_ask_into() {
    let mut story = Story::default();
    story.asks(MessageType::Discover, 7);
    let diagram = build(&story.wire, MAC, &relays(), &[]);
    assert_eq!(told(&diagram), ["machine>relay Discover Unanswered"]);
}
