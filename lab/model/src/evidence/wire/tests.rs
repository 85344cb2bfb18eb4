//! Captures made up frame by frame, for what real ones seldom show; and garbage.

mod http;
mod port;
mod tftp;

use std::net::{IpAddr, Ipv4Addr};

use etherparse::PacketBuilder;
use proptest::prelude::*;

use super::script::{CLIENT, CLIENT_MAC, SERVER, SERVER_MAC, Script};
use super::*;
use crate::evidence::packet::Protocol;

pub(super) fn only_transfer(wire: &Wire) -> &Transfer {
    match wire.transfers.as_slice() {
        [one] => one,
        others => panic!("{others:#?}"),
    }
}

#[test]
fn what_is_no_capture_is_refused() {
    assert_eq!(read(&b""[..]), Err(CaptureError::Empty));
    assert_eq!(
        read(&b"#!/bin/sh\necho this is a script\n"[..]),
        Err(CaptureError::NoCapture)
    );
}

#[test]
fn a_capture_cut_off_in_a_frame_is_read_up_to_it() {
    let mut script = Script::new();
    script.udp(true, 2000, 69, b"\x00\x01one\0octet\0");
    script.udp(true, 2001, 69, b"\x00\x01two\0octet\0");
    let whole = script.bytes.len();
    let wire = read(&script.bytes[..whole - 3]).unwrap();
    assert_eq!(wire.frames, 1);
    assert_eq!(wire.packets.len(), 1);
    assert_eq!(
        wire.damage.as_deref(),
        Some("after frame 1: the file ends within a block")
    );
    assert_eq!(script.read().damage, None);
}

#[test]
fn times_and_ends_are_those_of_the_frame() {
    let mut script = Script::new();
    script.udp(true, 2000, 69, b"\x00\x01one\0octet\0");
    let wire = script.read();
    let packet = &wire.packets[0];
    assert_eq!(packet.at_us, 1_700_000_000_001_000);
    assert_eq!(packet.frame, 1);
    assert_eq!(packet.from.mac, "52:54:00:a1:9c:ae");
    assert_eq!(packet.from.address, Some(IpAddr::V4(CLIENT.into())));
    assert_eq!((packet.from.port, packet.to.port), (Some(2000), Some(69)));
}

#[test]
fn a_port_nobody_listens_on_is_named() {
    let mut script = Script::new();
    let mut quoted = Vec::new();
    PacketBuilder::ipv4(CLIENT, SERVER, 64)
        .udp(2070, 69)
        .write(&mut quoted, b"\x00\x01x\0octet\0")
        .unwrap();
    let mut frame = Vec::new();
    Script::to_client()
        .icmpv4_raw(3, 3, [0; 4])
        .write(&mut frame, &quoted)
        .unwrap();
    script.frame_cut(&frame, usize::MAX);
    let wire = script.read();
    assert_eq!(
        wire.packets[0].what,
        PacketContent::Unreachable {
            why: "port unreachable".into(),
            port: Some(69),
            address: Some(SERVER.into())
        }
    );
}

#[test]
fn a_dhcp_message_of_which_half_was_captured_says_so() {
    let mut script = Script::new();
    let mut frame = Vec::new();
    Script::to_server()
        .udp(68, 67)
        .write(&mut frame, &[1; 300])
        .unwrap();
    script.frame_cut(&frame, 96);
    let wire = script.read();
    let PacketContent::Malformed { protocol, why } = &wire.packets[0].what else {
        panic!("{:?}", wire.packets);
    };
    assert_eq!(protocol, "dhcp");
    assert!(
        why.starts_with("only 54 of its 300 bytes were captured: "),
        "{why}"
    );
}

#[test]
fn who_has_an_address_is_asked_and_told() {
    let mut script = Script::new();
    for (operation, from, to) in [
        (etherparse::ArpOperation::REQUEST, CLIENT, SERVER),
        (etherparse::ArpOperation::REPLY, SERVER, CLIENT),
    ] {
        let arp = etherparse::ArpPacket::new(
            etherparse::ArpHardwareId::ETHERNET,
            etherparse::EtherType::IPV4,
            operation,
            &CLIENT_MAC,
            &from,
            &SERVER_MAC,
            &to,
        )
        .unwrap();
        let mut frame = Vec::new();
        PacketBuilder::ethernet2(CLIENT_MAC, SERVER_MAC)
            .arp(arp)
            .write(&mut frame)
            .unwrap();
        script.frame_cut(&frame, usize::MAX);
    }
    let said: Vec<PacketContent> = script.read().packets.into_iter().map(|p| p.what).collect();
    let server = Ipv4Addr::from(SERVER);
    assert_eq!(
        said,
        [
            PacketContent::ArpRequest { address: server },
            PacketContent::ArpReply { address: server }
        ]
    );
}

proptest! {
    #[test]
    fn garbage_is_no_reason_to_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = read(bytes.as_slice());
    }

    /// Garbage where a frame should be, behind a good header.
    #[test]
    fn garbage_frames_are_no_reason_to_panic(
        frames in proptest::collection::vec(
            (any::<bool>(), any::<u16>(), proptest::collection::vec(any::<u8>(), 0..200)), 0..20),
        link in prop_oneof![Just(1u32), Just(101), Just(113), Just(276)],
    ) {
        let mut script = Script::new();
        script.bytes[20..24].copy_from_slice(&link.to_le_bytes());
        for (is_ip, kept, bytes) in &frames {
            let mut frame = if *is_ip { vec![0; 14] } else { Vec::new() };
            if *is_ip {
                frame[12] = 8;
                frame.push(0x45);
            }
            frame.extend(bytes);
            script.frame_cut(&frame, usize::from(*kept));
        }
        let wire = script.read();
        prop_assert_eq!(wire.frames, frames.len() as u64);
    }

    /// Any datagrams and segments between two hosts, in any order, each cut anywhere.
    #[test]
    fn any_conversation_is_read_without_a_panic(
        steps in proptest::collection::vec(
            (0u8..4, any::<[bool; 6]>(), any::<u32>(), any::<u32>(), 0usize..8, 0usize..80), 0..60),
    ) {
        let texts: [&[u8]; 8] = [
            b"GET /boot.ipxe HTTP/1.1\r\nHost: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n0123456789",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n",
            b"\x00\x01file\0octet\0blksize\x001432\0",
            b"\x00\x03\x00\x01data",
            b"\x00\x04\x00\x01",
            b"\x00\x06blksize\x001432\0tsize\x008\0",
            b"0\r\n\r\n",
        ];
        let mut script = Script::new();
        for (port, flags, sequence, acknowledged, text, kept) in steps {
            let [from_client, is_udp, syn, ack, fin, rst] = flags;
            let (client, server) = (2000 + u16::from(port), 69 + u16::from(port));
            if is_udp {
                script.udp(from_client, client, server, texts[text]);
                continue;
            }
            let (source, destination) =
                if from_client { (client, server) } else { (server, client) };
            let mut header = etherparse::TcpHeader::new(source, destination, sequence % 300, 0);
            header.acknowledgment_number = acknowledged % 300;
            (header.syn, header.ack) = (syn && sequence % 5 == 0, ack);
            (header.fin, header.rst) = (fin && sequence % 7 == 0, rst && sequence % 11 == 0);
            script.tcp(&header, texts[text], kept);
        }
        let wire = script.read();
        for transfer in &wire.transfers {
            prop_assert!(transfer.end_us >= transfer.start_us);
            prop_assert!(transfer.protocol == Protocol::Tftp || transfer.bytes < 1 << 20);
        }
    }
}
