//! HTTP conversations as they seldom go: cut, repeated, out of order, broken off.

use etherparse::TcpHeader;

use super::{Script, only_transfer};
use crate::evidence::packet::{PacketContent, TransferEnd, Wire};

pub(super) const CLIENT: u16 = 50000;
const SERVER: u16 = 8080;

/// A connection: what each side has sent so far.
pub(super) struct Talk {
    pub(super) script: Script,
    client: u32,
    server: u32,
}

impl Talk {
    /// Asked for and accepted.
    pub(super) fn new() -> Talk {
        let mut talk = Talk {
            script: Script::new(),
            client: 1000,
            server: u32::MAX - 10,
        };
        talk.flags(CLIENT, |header| (header.syn, header.ack) = (true, false));
        talk.client += 1;
        talk.flags(SERVER, |header| header.syn = true);
        talk.server = talk.server.wrapping_add(1);
        talk
    }

    fn header(&self, from: u16) -> TcpHeader {
        let (to, sequence, acknowledged) = if from == CLIENT {
            (SERVER, self.client, self.server)
        } else {
            (CLIENT, self.server, self.client)
        };
        let mut header = TcpHeader::new(from, to, sequence, 1000);
        header.acknowledgment_number = acknowledged;
        header.ack = true;
        header
    }

    pub(super) fn flags(&mut self, from: u16, change: impl Fn(&mut TcpHeader)) {
        let mut header = self.header(from);
        change(&mut header);
        self.script.tcp(&header, b"", 0);
    }

    pub(super) fn client(&mut self, text: &[u8]) {
        let header = self.header(CLIENT);
        self.script.tcp(&header, text, usize::MAX);
        self.client += u32::try_from(text.len()).unwrap();
    }

    pub(super) fn server(&mut self, bytes: &[u8], kept: usize) {
        self.server_ahead(0, bytes, kept);
        self.server = self
            .server
            .wrapping_add(u32::try_from(bytes.len()).unwrap());
    }

    /// Sent at another place of the stream than where it is.
    pub(super) fn server_ahead(&mut self, ahead: i32, bytes: &[u8], kept: usize) {
        let mut header = self.header(SERVER);
        header.sequence_number = header.sequence_number.wrapping_add_signed(ahead);
        self.script.tcp(&header, bytes, kept);
    }

    fn read(&self) -> Wire {
        self.script.read()
    }
}

fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: 192.168.91.1:8080\r\nUser-Agent: iPXE/1.21\r\n\r\n")
        .into_bytes()
}

fn ok(length: usize) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").into_bytes()
}

#[test]
fn several_requests_on_one_connection_have_their_own_answers() {
    let mut talk = Talk::new();
    for (target, text) in [
        ("/boot.ipxe", "#!ipxe\nchain next"),
        ("/next", "#!ipxe\nboot"),
    ] {
        talk.client(&get(target));
        let message = [ok(text.len()), text.into()].concat();
        talk.server(&message, usize::MAX);
        talk.flags(CLIENT, |_| {});
    }
    let wire = talk.read();
    insta::assert_json_snapshot!(wire.packets.iter().map(|p| &p.what).collect::<Vec<_>>());
    let names: Vec<(&str, u64, TransferEnd)> = wire
        .transfers
        .iter()
        .map(|t| (t.name.as_str(), t.bytes, t.end))
        .collect();
    assert_eq!(
        names,
        [
            ("/boot.ipxe", 17, TransferEnd::Whole),
            ("/next", 11, TransferEnd::Whole)
        ]
    );
}

#[test]
fn a_body_of_which_nothing_was_captured_is_counted_all_the_same() {
    let mut talk = Talk::new();
    talk.client(&get("/vmlinuz"));
    talk.server(&ok(60_000), usize::MAX);
    for _ in 0..6 {
        talk.server(&[7; 10_000], 0);
    }
    talk.flags(CLIENT, |_| {});
    let wire = talk.read();
    let file = only_transfer(&wire);
    assert_eq!((file.bytes, file.announced), (60_000, Some(60_000)));
    assert_eq!(file.end, TransferEnd::Whole);
}

#[test]
fn segments_that_come_again_or_late_are_put_in_order() {
    let mut talk = Talk::new();
    talk.client(&get("/file"));
    talk.server(&ok(12), usize::MAX);
    talk.server_ahead(4, b"5678", usize::MAX);
    talk.server_ahead(0, b"1234", usize::MAX);
    talk.server_ahead(0, b"1234", usize::MAX);
    talk.server_ahead(6, b"789abc", usize::MAX);
    talk.server = talk.server.wrapping_add(12);
    talk.flags(CLIENT, |_| {});
    let wire = talk.read();
    let file = only_transfer(&wire);
    assert_eq!((file.bytes, file.end), (12, TransferEnd::Whole));
    assert_eq!(file.retransmits, 2, "one whole, one in part");
    let PacketContent::HttpResponse { body, .. } = &wire.packets[1].what else {
        panic!("{:?}", wire.packets);
    };
    assert_eq!(body.as_deref(), Some("123456789abc"));
}

#[test]
fn what_is_acknowledged_has_arrived_even_if_the_capture_missed_it() {
    let mut talk = Talk::new();
    talk.client(&get("/file"));
    talk.server(&ok(12), usize::MAX);
    talk.server_ahead(8, b"9abc", usize::MAX);
    talk.server = talk.server.wrapping_add(12);
    talk.flags(CLIENT, |_| {});
    let file = only_transfer(&talk.read()).clone();
    assert_eq!((file.bytes, file.end), (12, TransferEnd::Whole));
}

#[test]
fn a_body_that_stops_early_is_broken_by_who_stopped() {
    for (closing, resets, end) in [
        (SERVER, false, TransferEnd::BrokenBySender),
        (SERVER, true, TransferEnd::BrokenBySender),
        (CLIENT, true, TransferEnd::BrokenByReceiver),
        (CLIENT, false, TransferEnd::BrokenByReceiver),
    ] {
        let mut talk = Talk::new();
        talk.client(&get("/initrd"));
        talk.server(&ok(100), usize::MAX);
        talk.server(&[1; 40], usize::MAX);
        talk.flags(closing, |header| {
            (header.rst, header.fin) = (resets, !resets);
        });
        let wire = talk.read();
        let file = only_transfer(&wire);
        assert_eq!((file.bytes, file.end), (40, end), "{closing} {resets}");
        let has_reset = wire
            .packets
            .iter()
            .any(|p| p.what == PacketContent::TcpReset);
        assert_eq!(has_reset, resets);
    }
}

#[test]
fn a_body_that_goes_on_is_open() {
    let mut talk = Talk::new();
    talk.client(&get("/initrd"));
    talk.server(&ok(100), usize::MAX);
    talk.server(&[1; 40], usize::MAX);
    talk.flags(CLIENT, |_| {});
    assert_eq!(only_transfer(&talk.read()).end, TransferEnd::Open);
}

#[test]
fn a_reset_after_everything_was_said_is_not_listed() {
    let mut talk = Talk::new();
    talk.client(&get("/file"));
    talk.server(&[ok(2), b"ok".to_vec()].concat(), usize::MAX);
    talk.flags(CLIENT, |header| header.rst = true);
    let wire = talk.read();
    assert!(
        wire.packets
            .iter()
            .all(|p| p.what != PacketContent::TcpReset)
    );
    assert_eq!(only_transfer(&wire).end, TransferEnd::Whole);
}

#[test]
fn only_connections_that_nobody_accepts_are_listed() {
    let mut talk = Talk::new();
    assert_eq!(talk.read().packets, [], "accepted");
    talk.script = Script::new();
    talk.flags(CLIENT, |header| (header.syn, header.ack) = (true, false));
    talk.script.silence(1000);
    talk.flags(CLIENT, |header| (header.syn, header.ack) = (true, false));
    talk.flags(SERVER, |header| header.rst = true);
    let said: Vec<PacketContent> = talk.read().packets.into_iter().map(|p| p.what).collect();
    assert_eq!(
        said,
        [
            PacketContent::TcpSyn,
            PacketContent::TcpSyn,
            PacketContent::TcpReset
        ]
    );
}

#[test]
fn a_body_without_a_length_ends_with_its_connection_or_its_last_chunk() {
    for (head, rest, closes) in [
        ("HTTP/1.0 200 OK\r\n\r\n", "#!ipxe\n", true),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "3\r\nabc\r\n0\r\n\r\n",
            false,
        ),
    ] {
        let mut talk = Talk::new();
        talk.client(&get("/script"));
        talk.server(head.as_bytes(), usize::MAX);
        talk.server(rest.as_bytes(), usize::MAX);
        if closes {
            talk.flags(SERVER, |header| header.fin = true);
            talk.server = talk.server.wrapping_add(1);
        }
        talk.flags(CLIENT, |_| {});
        let wire = talk.read();
        assert_eq!(only_transfer(&wire).end, TransferEnd::Whole, "{head}");
    }
}

#[test]
fn an_answer_to_head_has_no_body() {
    let mut talk = Talk::new();
    talk.client(b"HEAD /snponly.efi HTTP/1.1\r\nHost: x\r\n\r\n");
    talk.server(&ok(1_000_000), usize::MAX);
    talk.client(&get("/snponly.efi"));
    talk.server(&[ok(3), b"\x7fEL".to_vec()].concat(), usize::MAX);
    talk.flags(CLIENT, |_| {});
    let wire = talk.read();
    assert_eq!(only_transfer(&wire).bytes, 3);
    let PacketContent::HttpResponse { body, .. } = &wire.packets.last().unwrap().what else {
        panic!("{:?}", wire.packets);
    };
    assert_eq!(*body, None, "no text");
}

#[test]
fn a_head_that_was_not_captured_to_its_end_still_tells() {
    let mut talk = Talk::new();
    talk.client(&get("/ignition?uuid=16e7d8a7"));
    talk.server(
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\nX: yyyyyyy",
        45,
    );
    let wire = talk.read();
    assert_eq!(
        wire.packets.last().unwrap().what,
        PacketContent::HttpResponse {
            status: 404,
            length: Some(5),
            target: Some("/ignition?uuid=16e7d8a7".into()),
            body: None
        }
    );
}

#[test]
fn tls_connection_is_one_hello_and_nothing_of_what_follows() {
    let mut talk = Talk::new();
    // Records of a handshake (22), TLS 1.0 and 1.2: hellos of the client (1) and of the server (2); then encrypted data (23)
    // that looks like a request.
    talk.client(&[22, 3, 1, 0, 90, 1, 0, 0, 86, 3, 3]);
    talk.server(&[22, 3, 3, 0, 60, 2, 0, 0, 56, 3, 3], usize::MAX);
    talk.client(b"\x17\x03\x03\x00\x30");
    talk.client(b"GET /secret HTTP/1.1\r\nHost: a\r\n\r\n");
    let wire = talk.script.read();
    let told: Vec<&PacketContent> = wire.packets.iter().map(|packet| &packet.what).collect();
    assert_eq!(told, [&PacketContent::TlsHello]);
    assert_eq!(wire.packets[0].from.port, Some(CLIENT));
}
