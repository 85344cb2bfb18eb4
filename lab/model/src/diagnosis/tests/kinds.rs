//! Kinds of captures: taken on all interfaces, cut, of links that cannot be read, of machines that do not boot, large.

use super::*;
use crate::diagnosis::capture::{explain_machine, explain_machines, machines};
use crate::evidence::wire;

const ETHERNET: &[u8] = include_bytes!("kinds/eth.pcap");
const COOKED: &[u8] = include_bytes!("kinds/any-sll.pcap");
const COOKED2: &[u8] = include_bytes!("kinds/any-sll2.pcap");

/// Bytes of a classic capture's header, and of each frame's.
const HEADER: usize = 24;
const FRAME_HEADER: usize = 16;

fn number(bytes: &[u8], at: usize) -> usize {
    let field = bytes[at..at + 4].try_into().unwrap();
    usize::try_from(u32::from_le_bytes(field)).unwrap()
}

/// The capture as one with this snapshot length.
fn cut(capture: &[u8], snap_length: usize) -> Vec<u8> {
    let mut bytes = capture[..HEADER].to_vec();
    bytes[16..20].copy_from_slice(&u32::try_from(snap_length).unwrap().to_le_bytes());
    let mut rest = &capture[HEADER..];
    while !rest.is_empty() {
        let length = number(rest, 8);
        let kept = length.min(snap_length);
        let mut header = rest[..FRAME_HEADER].to_vec();
        header[8..12].copy_from_slice(&u32::try_from(kept).unwrap().to_le_bytes());
        bytes.extend(header);
        bytes.extend(&rest[FRAME_HEADER..FRAME_HEADER + kept]);
        rest = &rest[FRAME_HEADER + length..];
    }
    bytes
}

/// The capture as one whose frames are of another link, without the first bytes of each.
fn relinked(capture: &[u8], link: u32, without: usize) -> Vec<u8> {
    let mut bytes = capture[..HEADER].to_vec();
    bytes[20..24].copy_from_slice(&link.to_le_bytes());
    let mut rest = &capture[HEADER..];
    while !rest.is_empty() {
        let length = number(rest, 8);
        let left = u32::try_from(length - without).unwrap().to_le_bytes();
        bytes.extend(&rest[..8]);
        bytes.extend(left);
        bytes.extend(left);
        bytes.extend(&rest[FRAME_HEADER + without..FRAME_HEADER + length]);
        rest = &rest[FRAME_HEADER + length..];
    }
    bytes
}

fn first_causes(capture: &[u8]) -> Vec<Option<Cause>> {
    let wire = wire::read(capture).unwrap();
    let found = machines(&wire);
    assert!(!found.is_empty(), "{wire:#?}");
    let all = explain_machines("x.pcap", &wire, &found, None);
    let first = |one: &crate::diagnosis::Explained| one.findings.first().map(|one| one.cause);
    all.iter().map(first).collect()
}

/// V27, first: all interfaces, or bare IP.
#[test]
fn capture_on_all_interfaces_or_of_bare_ip_has_the_verdict_of_ethernet() {
    let expected = [Some(Cause::NbpNotFound)];
    assert_eq!(first_causes(ETHERNET), expected);
    assert_eq!(first_causes(COOKED), expected);
    assert_eq!(first_causes(COOKED2), expected);
    // 101 is raw IP (pcap-linktype(7)); an Ethernet header has 14 bytes.
    assert_eq!(first_causes(&relinked(ETHERNET, 101, 14)), expected);
    let kind = |capture: &[u8]| wire::read(capture).unwrap().kind;
    assert!(kind(ETHERNET).is_plain());
    assert!(kind(COOKED).is_cooked && kind(COOKED2).is_cooked);
    assert!(kind(&relinked(ETHERNET, 101, 14)).is_raw_ip);
}

/// V27, second: frames that are cut.
#[test]
fn capture_with_a_short_snapshot_length_says_so() {
    let wire = wire::read(&*cut(ETHERNET, 96)).unwrap();
    assert_eq!(wire.kind.cut_at_bytes, Some(96));
    let sentences = wire.kind.sentences();
    let told = "frames are cut at 96 bytes: nothing behind that is known; capture whole frames (`tcpdump -s 0`)";
    assert_eq!(sentences[0], told);
    // Long enough for all frames.
    let whole = wire::read(&*cut(ETHERNET, 2000)).unwrap();
    assert!(whole.kind.is_plain());
}

/// V27, third: loopback and PPP.
#[test]
fn capture_of_a_link_that_cannot_be_read_names_it() {
    let sentences = [0, 9, 147].map(|link| {
        let wire = wire::read(&*relinked(ETHERNET, link, 0)).unwrap();
        assert_eq!(machines(&wire), []);
        wire.kind.sentences().join("\n")
    });
    insta::assert_snapshot!(sentences.join("\n"));
}

/// A DHCP message of a client, or of the server to it.
fn dhcp(story: &mut Story, said: DhcpSaid) {
    let client = Endpoint {
        mac: said.client.clone(),
        address: None,
        port: Some(68),
    };
    let server = wiring::host(&story.attempt.scenario, 67);
    let what = PacketContent::Dhcp(Box::new(said.clone()));
    if said.from_server {
        story.packet(server, client, what);
    } else {
        story.packet(client, server, what);
    }
}

fn said(message: MessageType, client: &str, from_server: bool) -> DhcpSaid {
    DhcpSaid {
        message: message.into(),
        client: client.into(),
        from_server,
        xid: 7,
        ..DhcpSaid::default()
    }
}

/// V28, second: clients that do not ask to boot.
#[test]
fn client_of_plain_dhcp_does_not_ask_to_boot() {
    let mut story = Story::chainload();
    story.attempt.wire = Wire::default();
    let mac = "52:54:00:aa:bb:cc";
    dhcp(&mut story, said(MessageType::Discover, mac, false));
    dhcp(&mut story, said(MessageType::Request, mac, false));
    let given = Some([10, 1, 2, 3].into());
    let ack = said(MessageType::Ack, mac, true);
    dhcp(&mut story, DhcpSaid { given, ..ack });
    let found = machines(&story.attempt.wire);
    assert_eq!(found, [mac.parse().unwrap()]);
    let told = explain_machine("x", &story.attempt.wire, found[0], None);
    assert!(
        matches!(told.verdict, NodeVerdict::Skipped { .. }),
        "{}",
        told.text
    );
    assert!(told.findings.is_empty());
    insta::assert_snapshot!(told.text);
}

/// V28, first: an INFORM after a boot.
#[test]
fn answer_to_an_inform_is_no_proxys() {
    let mut story = Story::of("pxe-dhcp", "node1", Firmware::Bios);
    story.stop_before(|said| matches!(said, PacketContent::TftpRequest { .. }));
    let mac = story.node.mac.to_string();
    let before = explain_machine("x", &story.attempt.wire, story.node.mac, None);
    dhcp(&mut story, said(MessageType::Inform, &mac, false));
    dhcp(&mut story, said(MessageType::Ack, &mac, true));
    let told = explain_machine("x", &story.attempt.wire, story.node.mac, None);
    let causes = |told: &crate::diagnosis::Explained| -> Vec<Cause> {
        told.findings.iter().map(|one| one.cause).collect()
    };
    assert!(
        !causes(&told).contains(&Cause::ProxyMalformed),
        "{}",
        told.text
    );
    assert_eq!(
        causes(&told).first(),
        causes(&before).first(),
        "{}",
        told.text
    );
    insta::assert_snapshot!(told.text);
}

#[test]
fn address_without_a_mac_is_no_conflict() {
    let mut story = Story::of("pxe-dhcp", "node1", Firmware::Bios);
    story.stop_before(|said| matches!(said, PacketContent::TftpRequest { .. }));
    let mac = story.node.mac.to_string();
    let address = story.attempt.wire.address_of(&mac).unwrap();
    let nameless = Endpoint {
        mac: String::new(),
        address: Some(address.into()),
        port: Some(1024),
    };
    let server = wiring::host(&story.attempt.scenario, 80);
    story.packet(nameless, server, PacketContent::TcpSyn);
    let told = explain_machine("x", &story.attempt.wire, story.node.mac, None);
    let causes: Vec<Cause> = told.findings.iter().map(|one| one.cause).collect();
    assert!(!causes.contains(&Cause::AddressConflict), "{}", told.text);
}

/// V28, third: a capture does not tell the memory.
#[test]
fn machine_of_unknown_memory_is_not_said_to_have_none() {
    let mut story = Story::chainload();
    let requested = story.time_of(|said| matches!(said, PacketContent::HttpRequest { .. }));
    story.stop_at(requested);
    let console = "Not enough memory to load specified image.";
    let told = explain_machine("x", &story.attempt.wire, story.node.mac, Some(console));
    assert!(!told.text.contains("0 MiB"), "{}", told.text);
}

/// A capture in which each of so many machines asks twice, all at once.
fn crowd(machines: u32) -> Wire {
    let mut wire = Wire::default();
    for frame in 1..=u64::from(2 * machines) {
        let number = u32::try_from(frame).unwrap() % machines;
        let [_, a, b, c] = number.to_be_bytes();
        let mac = format!("52:54:00:{a:02x}:{b:02x}:{c:02x}");
        let from = Endpoint {
            mac: mac.clone(),
            address: None,
            port: Some(68),
        };
        let to = Endpoint {
            mac: "ff:ff:ff:ff:ff:ff".into(),
            address: None,
            port: Some(67),
        };
        let what = PacketContent::Dhcp(Box::new(DhcpSaid {
            arch: vec![0],
            ..said(MessageType::Discover, &mac, false)
        }));
        wire.frames = frame;
        wire.packets.push(Packet {
            at_us: frame * 1000,
            frame,
            network: None,
            from,
            to,
            direction: None,
            what,
        });
    }
    wire
}

#[test]
fn work_for_a_crowd_of_machines_grows_with_its_packets() {
    for count in [5_000, 10_000, 100_000] {
        let wire = crowd(count);
        let found = machines(&wire);
        assert_eq!(found.len(), usize::try_from(count).unwrap());
        // Each machine is explained from its own packets alone, so the work is their number.
        let looked_at = crate::diagnosis::capture::looked_at(&wire, &found);
        assert_eq!(looked_at, wire.packets.len());
    }
    let wire = crowd(3_000);
    let told = explain_machines("x", &wire, &machines(&wire), None);
    assert_eq!(told.len(), 3_000);
    let causes = told
        .iter()
        .filter_map(|one| Some(one.findings.first()?.cause));
    assert!(
        causes.clone().count() == 3_000 && { causes }.all(|cause| cause == Cause::NoDhcpServer)
    );
}

#[test]
fn work_for_one_machine_with_endless_packets_is_bounded() {
    let mut wire = crowd(1);
    let one = wire.packets[0].clone();
    for frame in 2..50_000 {
        wire.packets.push(Packet {
            at_us: frame * 1000,
            frame,
            network: None,
            ..one.clone()
        });
    }
    let found = machines(&wire);
    assert!(crate::diagnosis::capture::looked_at(&wire, &found) <= 4_000);
    let told = explain_machines("x", &wire, &found, None);
    assert_eq!(
        told[0].findings[0].cause,
        Cause::NoDhcpServer,
        "{}",
        told[0].text
    );
}

#[test]
fn mutated_captures_are_refused_or_explained() {
    // A fixed sequence (Knuth's MMIX), so that a finding comes again.
    let mut state = 1_u64;
    let mut next = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    for round in 0..600 {
        let corpus = [ETHERNET, COOKED, COOKED2];
        let mut bytes = corpus[round % corpus.len()].to_vec();
        for _ in 0..=next(6) {
            let at = next(bytes.len());
            match next(4) {
                0 => bytes.truncate(at.max(1)),
                1 => bytes[at] = u8::try_from(next(256)).unwrap(),
                2 => bytes.insert(at, 0xff),
                _ => drop(bytes.remove(at)),
            }
            if bytes.is_empty() {
                bytes.push(0);
            }
        }
        let Ok(wire) = wire::read(&*bytes) else {
            continue;
        };
        let found = machines(&wire);
        let told = explain_machines("x", &wire, &found, None);
        assert_eq!(told.len(), found.len());
    }
}
