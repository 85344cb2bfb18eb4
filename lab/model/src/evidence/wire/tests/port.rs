//! Packets at a machine's own port: directions as the port saw them, contents as they arrived.

use sha2::{Digest, Sha256};

use super::super::file::for_each_frame;
use super::Script;
use super::http::{CLIENT, Talk};
use crate::evidence::packet::{Direction, Transfer, TransferEnd, Wire};
use crate::evidence::wire::PortReader;

const REQUEST: &[u8] = b"\x00\x01undionly.kpxe\0octet\0blksize\x008\0";
const OPTIONS: &[u8] = b"\x00\x06blksize\x008\0";

fn data(block: u16, bytes: &[u8]) -> Vec<u8> {
    [&[0, 3], &block.to_be_bytes()[..], bytes].concat()
}

fn ack(block: u16) -> Vec<u8> {
    [&[0, 4], &block.to_be_bytes()[..]].concat()
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Reads a script as the client's port sees it: the client's frames come out of the machine.
fn at_port(script: &Script) -> (Wire, Vec<Transfer>) {
    let mut reader = PortReader::default();
    for_each_frame(script.bytes(), |frame| {
        let is_from_client = frame.bytes.get(6..12) == Some(&super::CLIENT_MAC[..]);
        let direction = match is_from_client {
            true => Direction::FromMachine,
            false => Direction::ToMachine,
        };
        reader.take(frame.at_us, direction, frame.bytes);
    })
    .unwrap();
    let arrivals = reader.arrivals();
    assert_eq!(reader.arrivals(), [], "each is told once");
    (reader.finish(0), arrivals)
}

fn tftp(blocks: &[(u16, &[u8])]) -> Script {
    let mut script = Script::new();
    script.udp(true, 2070, 69, REQUEST);
    script.udp(false, 2070, 40000, OPTIONS);
    script.udp(true, 2070, 40000, &ack(0));
    for (block, bytes) in blocks {
        script.udp(false, 2070, 40000, &data(*block, bytes));
    }
    script
}

#[test]
fn tftp_content_that_arrived_has_the_hash_of_the_file() {
    let mut script = tftp(&[(1, b"01234567"), (2, b"89")]);
    script.udp(true, 2070, 40000, &ack(2));
    let (_, arrivals) = at_port(&script);
    let content = arrivals[0].content.as_ref().unwrap();
    assert_eq!(content.sha256, sha256(b"0123456789"));
    assert_eq!(content.text.as_deref(), Some("0123456789"));
    assert_eq!(arrivals[0].direction, Some(Direction::ToMachine));
}

#[test]
fn tftp_blocks_behind_a_gap_count_when_they_are_sent_again() {
    let mut script = tftp(&[(1, b"01234567"), (3, b"XX"), (2, b"89abcdef"), (3, b"gh")]);
    script.udp(true, 2070, 40000, &ack(3));
    let (_, arrivals) = at_port(&script);
    let content = arrivals[0].content.as_ref().unwrap();
    assert_eq!(content.sha256, sha256(b"0123456789abcdefgh"));
}

#[test]
fn tftp_without_the_last_acknowledgement_has_not_arrived() {
    let (wire, arrivals) = at_port(&tftp(&[(1, b"01234567"), (2, b"89")]));
    assert_eq!(arrivals, []);
    assert_eq!(wire.transfers.len(), 1);
}

#[test]
fn an_upload_of_the_machine_is_no_arrival() {
    // The server asks the machine: the data comes out of the port.
    let mut script = Script::new();
    script.udp(false, 69, 2070, REQUEST);
    script.udp(true, 40001, 2070, &data(1, b"0123"));
    script.udp(false, 40001, 2070, &ack(1));
    let (_, arrivals) = at_port(&script);
    assert_eq!(arrivals, []);
}

#[test]
fn http_content_that_arrived_is_hashed_and_kept_as_text() {
    let mut talk = Talk::new();
    talk.client(b"GET /cloud?uuid=1 HTTP/1.1\r\n\r\n");
    talk.server(
        b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n#cloud",
        usize::MAX,
    );
    talk.server(b"-config\n", usize::MAX);
    talk.flags(CLIENT, |_| ());
    let (_, arrivals) = at_port(&talk.script);
    assert_eq!(arrivals[0].name, "/cloud?uuid=1");
    let content = arrivals[0].content.as_ref().unwrap();
    assert_eq!(content.text.as_deref(), Some("#cloud-config\n"));
    assert_eq!(content.sha256, sha256(b"#cloud-config\n"));
}

#[test]
fn http_content_is_whole_however_many_segments_wait_for_a_lost_one() {
    let mut talk = Talk::new();
    talk.client(b"GET /k HTTP/1.1\r\n\r\n");
    let body: Vec<u8> = (0..2000u32).map(|n| (n % 251) as u8).collect();
    talk.server(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n",
        usize::MAX,
    );
    for at in (10..2000).step_by(10) {
        talk.server_ahead(i32::try_from(at).unwrap(), &body[at..at + 10], usize::MAX);
    }
    talk.server(&body, usize::MAX);
    talk.flags(CLIENT, |_| ());
    let (_, arrivals) = at_port(&talk.script);
    assert_eq!(
        arrivals[0]
            .content
            .as_ref()
            .map(|content| content.sha256.clone()),
        Some(sha256(&body))
    );
}

#[test]
fn part_of_a_file_has_no_content_to_compare() {
    let mut talk = Talk::new();
    talk.client(b"GET /k HTTP/1.1\r\nRange: bytes=2-\r\n\r\n");
    talk.server(
        b"HTTP/1.1 206 Partial\r\nContent-Length: 2\r\n\r\ncd",
        usize::MAX,
    );
    talk.flags(CLIENT, |_| ());
    let (wire, arrivals) = at_port(&talk.script);
    assert_eq!(arrivals, []);
    assert_eq!(wire.transfers.len(), 1);
}

/// One connection for each part; returns the hash of the last.
fn loaded_in_parts(parts: &[(usize, &[u8], usize)]) -> Option<String> {
    let mut talk = Talk::new();
    for (start, bytes, total) in parts {
        talk.client(b"GET /k HTTP/1.1\r\nRange: bytes=0-\r\n\r\n");
        let (last, length) = (start + bytes.len() - 1, bytes.len());
        let head = format!(
            "HTTP/1.1 206 Partial\r\nContent-Range: bytes {start}-{last}/{total}\r\nContent-Length: {length}\r\n\r\n"
        );
        talk.server(&[head.as_bytes(), bytes].concat(), usize::MAX);
        talk.flags(CLIENT, |_| ());
    }
    let (wire, arrivals) = at_port(&talk.script);
    assert_eq!(wire.transfers.len(), parts.len());
    let last = wire.transfers.last()?.content.as_ref()?;
    assert!(
        arrivals
            .iter()
            .any(|one| one.content.as_ref() == Some(last))
    );
    Some(last.sha256.clone())
}

#[test]
fn parts_of_a_file_in_order_have_the_hash_of_the_file() {
    let whole = loaded_in_parts(&[(0, b"ab", 6), (2, b"cde", 6), (5, b"f", 6)]);
    assert_eq!(whole, Some(sha256(b"abcdef")));
    let again = loaded_in_parts(&[(0, b"ab", 6), (0, b"abc", 6), (3, b"def", 6)]);
    assert_eq!(again, Some(sha256(b"abcdef")));
}

#[test]
fn parts_of_a_file_with_a_gap_or_of_two_files_have_no_content() {
    for parts in [
        [(0, &b"ab"[..], 6), (3, &b"def"[..], 6)],
        [(0, b"ab", 6), (2, b"c", 6)],
        [(0, b"abc", 6), (2, b"cdef", 6)],
        [(0, b"abc", 7), (3, b"def", 6)],
        [(3, b"def", 6), (0, b"abc", 6)],
    ] {
        assert_eq!(loaded_in_parts(&parts), None, "{parts:?}");
    }
}

#[test]
fn the_direction_is_that_of_the_port_whatever_addresses_a_frame_names() {
    // Another host sends with the machine's own MAC and address.
    let mut script = Script::new();
    script.udp(true, 2070, 69, REQUEST);
    let mut reader = PortReader::default();
    for_each_frame(script.bytes(), |frame| {
        reader.take(frame.at_us, Direction::ToMachine, frame.bytes);
    })
    .unwrap();
    let wire = reader.finish(3);
    assert_eq!(wire.packets[0].direction, Some(Direction::ToMachine));
    assert_eq!((wire.frames, wire.dropped), (1, 3));
}

#[test]
fn http_content_without_the_last_acknowledgement_is_hashed_and_has_no_end() {
    let mut talk = Talk::new();
    talk.client(b"GET /initrd HTTP/1.1\r\n\r\n");
    talk.server(
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab",
        usize::MAX,
    );
    talk.flags(CLIENT, |_| ());
    talk.server(b"cd", usize::MAX);
    let (wire, arrivals) = at_port(&talk.script);
    assert_eq!(arrivals, []);
    let [transfer] = &wire.transfers[..] else {
        panic!("{wire:?}")
    };
    assert_eq!(transfer.end, TransferEnd::Open);
    let content = transfer.content.as_ref().unwrap();
    assert_eq!(content.sha256, sha256(b"abcd"));
}
