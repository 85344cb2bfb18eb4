//! The TFTP server over loopback: Pixiecore's recorded answers, and whole files.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use boot_server_events::{BootEvent, Event, TftpFailure, TftpFailureCode};
use boot_server_proto::tftp::Packet;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::UdpSocket;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

use super::places::MAX_TRANSFERS_PER_CLIENT;
use super::read_ahead::READ_AHEAD_BYTES;
use super::*;
use crate::config::BootConfig;
use crate::event_sink::EventSink;
use crate::net::context::Context;
use crate::net::files::TftpFiles;
use crate::net::interface::Interface;
use crate::net::neighbours::Neighbours;
use crate::policy::{Policy, Rules};

/// Longer than any answer takes, and short of the first retransmission.
const SOON: Duration = Duration::from_millis(900);

struct Server {
    address: SocketAddr,
    events: Receiver<Event>,
    folder: TempDir,
}

fn server(rules: Rules) -> Server {
    let interface = Interface::find("lo", None).unwrap();
    let boot = BootConfig::default();
    let policy = match rules {
        Rules::Boot => Policy::boot(interface.address, boot, None),
        Rules::Pixiecore => Policy::pixiecore(interface.address, boot, 80),
    };
    let (sink, events) = EventSink::channel();
    let context = Context::new(interface, Neighbours::default(), sink, policy);
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    for name in ["undionly.kpxe", "ipxe-i386.efi", "ipxe.efi", "ipxe.pxe"] {
        std::fs::write(root.join(name), vec![b'x'; 74_213]).unwrap();
    }
    let files = TftpFiles::new(Arc::clone(&context), &[root], None, None, None);
    let service = TftpService::bind(context, files, 0).unwrap();
    let address = service.socket.local_addr().unwrap();
    tokio::spawn(service.serve());
    Server {
        address,
        events,
        folder,
    }
}

fn request(file: &str, mode: &str, options: &[(&str, &str)]) -> Vec<u8> {
    let mut out = vec![0, 1];
    let options = options.iter().flat_map(|(name, value)| [*name, *value]);
    for text in [file, mode].into_iter().chain(options) {
        out.extend(text.bytes());
        out.push(0);
    }
    out
}

/// The first packet that comes back, and whether it comes from the port that was asked.
async fn first_answer(server: SocketAddr, request: &[u8]) -> Option<(Vec<u8>, bool)> {
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.send_to(request, server).await.unwrap();
    let mut buffer = vec![0; 2000];
    let (len, from) = timeout(SOON, client.recv_from(&mut buffer))
        .await
        .ok()?
        .unwrap();
    buffer.truncate(len);
    Some((buffer, from == server))
}

/// Cases where we answer otherwise; argued in `docs/differences-pixiecore.md`.
const DIFFERENCES: [&str; 3] = ["tftp undionly.kpxe", "tftp netascii", "tftp blksize 7"];

/// The recorded case as a request.
fn recorded_request(case: &str) -> Vec<u8> {
    let (nbp, both) = (
        "52:54:00:00:00:01/0",
        [("blksize", "65464"), ("tsize", "0")],
    );
    match case.strip_prefix("tftp ").unwrap() {
        "netascii" => request(nbp, "netascii", &[]),
        "no options" => request(nbp, "octet", &[]),
        "blksize 65464" => request(nbp, "octet", &[("blksize", "65464")]),
        "blksize 7" => request(nbp, "octet", &[("blksize", "7")]),
        file => request(file, "octet", &both),
    }
}

#[tokio::test]
async fn pixiecores_tftp_answers_are_ours_but_for_the_named_differences() {
    let server = server(Rules::Pixiecore);
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/conformance/pixiecore/exchanges.jsonl"
    );
    let text = std::fs::read_to_string(path).unwrap();
    let (mut seen, mut different) = (0, Vec::new());
    for line in text.lines() {
        let exchange: Value = serde_json::from_str(line).unwrap();
        let case = exchange["case"].as_str().unwrap();
        if !case.starts_with("tftp ") {
            continue;
        }
        seen += 1;
        let ours = first_answer(server.address, &recorded_request(case)).await;
        let recorded = &exchange["answer"];
        let same = match (&ours, recorded.is_null()) {
            (None, silent) => silent,
            (Some(_), true) => false,
            (Some((packet, same_port)), false) => {
                let opcode = u64::from(packet[1]);
                let text = recorded["text"].as_str().unwrap();
                *same_port == recorded["same_port"]
                    && recorded["opcode"] == opcode
                    && (opcode != 6 || options(&packet[2..]) == options(text.as_bytes()))
            }
        };
        if !same {
            different.push(case.to_owned());
        }
    }
    assert_eq!(seen, 13, "the record has all its TFTP exchanges");
    assert_eq!(different, DIFFERENCES);
}

/// The options of an OACK; the size of the file is not the same as the recorded NBPs'.
fn options(body: &[u8]) -> Vec<String> {
    let texts = body
        .split(|byte| *byte == 0)
        .map(|text| String::from_utf8_lossy(text).into());
    let texts: Vec<String> = texts.collect();
    let sizes_at = texts
        .iter()
        .position(|text| text == "tsize")
        .map(|at| at + 1);
    let sized = |(at, text)| {
        if Some(at) == sizes_at {
            "<size>".to_owned()
        } else {
            text
        }
    };
    texts.into_iter().enumerate().map(sized).collect()
}

#[tokio::test]
async fn the_differences_answer_with_a_reason_or_the_file() {
    let server = server(Rules::Pixiecore);
    let opcode = async |case: &str| {
        first_answer(server.address, &recorded_request(case))
            .await
            .unwrap()
            .0[1]
    };
    assert_eq!(opcode("tftp undionly.kpxe").await, 6);
    assert_eq!(opcode("tftp netascii").await, 5);
    // An invalid block size is as if not asked: RFC 2347.
    assert_eq!(opcode("tftp blksize 7").await, 3);
}

async fn fetch(server: SocketAddr, file: &str, options: &[(&str, &str)]) -> Vec<u8> {
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client
        .send_to(&request(file, "octet", options), server)
        .await
        .unwrap();
    let mut received = Vec::new();
    let mut block_size = 512;
    let mut buffer = vec![0; 70_000];
    loop {
        let next = timeout(Duration::from_secs(10), client.recv_from(&mut buffer));
        let (len, from) = next.await.expect("an answer within 10 s").unwrap();
        let block = match Packet::decode(&buffer[..len]).unwrap() {
            Packet::OptionsAck(granted) => {
                for (name, value) in granted {
                    if name == "blksize" {
                        block_size = value.parse().unwrap();
                    }
                }
                0
            }
            Packet::Data { block, bytes } => {
                let last = bytes.len() < block_size;
                received.extend(bytes);
                if last {
                    let ack = [0, 4, (block >> 8) as u8, block as u8];
                    client.send_to(&ack, from).await.unwrap();
                    return received;
                }
                block
            }
            other => panic!("{other:?}"),
        };
        let ack = [0, 4, (block >> 8) as u8, block as u8];
        client.send_to(&ack, from).await.unwrap();
    }
}

async fn next_event(server: &mut Server, wanted: fn(&BootEvent) -> bool) -> BootEvent {
    loop {
        let next = timeout(Duration::from_secs(10), server.events.recv());
        let event = next.await.expect("an event within 10 s").unwrap().what;
        if wanted(&event) {
            return event;
        }
    }
}

#[tokio::test]
async fn a_file_larger_than_the_read_ahead_arrives_whole_and_is_told_of() {
    let mut server = server(Rules::Boot);
    let file: Vec<u8> = (0..READ_AHEAD_BYTES * 2 + 77)
        .map(|n| (n * 7 + n / 255) as u8)
        .collect();
    std::fs::write(server.folder.path().join("big"), &file).unwrap();
    for options in [
        &[][..],
        &[("blksize", "1468")],
        &[("blksize", "60000"), ("tsize", "0")],
    ] {
        assert!(
            fetch(server.address, "big", options).await == file,
            "{options:?}"
        );
        let done = next_event(&mut server, |e| matches!(e, BootEvent::TftpDone { .. })).await;
        let BootEvent::TftpDone {
            bytes, file: name, ..
        } = done
        else {
            unreachable!()
        };
        assert_eq!((bytes, name.as_str()), (file.len() as u64, "big"));
    }
}

#[tokio::test]
async fn a_write_is_refused_and_told_of() {
    let mut server = server(Rules::Boot);
    let mut write = request("undionly.kpxe", "octet", &[]);
    write[1] = 2;
    let (answer, _) = first_answer(server.address, &write).await.unwrap();
    assert_eq!(answer[..4], [0, 5, 0, 2]);
    let failed = next_event(&mut server, |e| matches!(e, BootEvent::TftpFailed { .. })).await;
    assert!(matches!(failed, BootEvent::TftpFailed { file, .. } if file == "undionly.kpxe"));
}

#[tokio::test]
async fn one_client_has_a_limited_number_of_transfers() {
    let mut server = server(Rules::Boot);
    let mut clients = Vec::new();
    for _ in 0..=MAX_TRANSFERS_PER_CLIENT {
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let ask = request("undionly.kpxe", "octet", &[]);
        client.send_to(&ask, server.address).await.unwrap();
        clients.push(client);
    }
    let failed = next_event(&mut server, |e| matches!(e, BootEvent::TftpFailed { .. })).await;
    assert!(
        matches!(failed, BootEvent::TftpFailed { reason, .. } if reason.code == TftpFailureCode::NoPlace)
    );
}

/// A short block would say that the file ends there, and the client would boot half of it.
#[tokio::test]
async fn a_file_that_became_shorter_ends_with_an_error_and_never_with_a_short_block() {
    let server = server(Rules::Boot);
    let path = server.folder.path().join("shrinks");
    std::fs::write(&path, vec![7; READ_AHEAD_BYTES * 4]).unwrap();
    for window in ["1", "16"] {
        std::fs::write(&path, vec![7; READ_AHEAD_BYTES * 4]).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let ask = request("shrinks", "octet", &[("windowsize", window)]);
        client.send_to(&ask, server.address).await.unwrap();
        let (mut buffer, mut cut) = (vec![0; 2000], false);
        let message = loop {
            let next = timeout(Duration::from_secs(10), client.recv_from(&mut buffer));
            let (len, from) = next.await.expect("an answer within 10 s").unwrap();
            let block = match Packet::decode(&buffer[..len]).unwrap() {
                Packet::OptionsAck(_) => 0,
                Packet::Data { block, bytes } => {
                    assert_eq!(bytes.len(), 512, "a whole block, window {window}");
                    block
                }
                Packet::Error { message, .. } => break message,
                other => panic!("{other:?}"),
            };
            if !std::mem::replace(&mut cut, block > 20) && cut {
                std::fs::write(&path, b"short").unwrap();
            }
            if block % window.parse::<u16>().unwrap() == 0 {
                let ack = [0, 4, (block >> 8) as u8, block as u8];
                client.send_to(&ack, from).await.unwrap();
            }
        };
        assert!(!message.is_empty());
    }
}

#[tokio::test]
async fn a_stopped_server_gives_up_clients_that_do_not_answer() {
    let interface = Interface::find("lo", None).unwrap();
    let policy = Policy::boot(interface.address, BootConfig::default(), None);
    let (sink, mut events) = EventSink::channel();
    let context = Context::new(interface, Neighbours::default(), sink, policy);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("f"), [1; 5000]).unwrap();
    let roots = [folder.path().to_owned()];
    let files = TftpFiles::new(Arc::clone(&context), &roots, None, None, None);
    let service = TftpService::bind(context, files, 0).unwrap();
    let address = service.socket.local_addr().unwrap();
    let serving = tokio::spawn(service.serve());
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client
        .send_to(&request("f", "octet", &[]), address)
        .await
        .unwrap();
    client.recv(&mut [0; 600]).await.unwrap();
    serving.abort();
    let ended = async {
        while let Some(event) = events.recv().await {
            if let BootEvent::TftpFailed { reason, .. } = event.what {
                return reason;
            }
        }
        TftpFailure::from("no event")
    };
    let reason = timeout(Duration::from_secs(10), ended).await.unwrap();
    assert_eq!(reason.code, TftpFailureCode::Stopping);
    assert_eq!(reason.text(), "the server is stopping");
}

/// The next packet, and the port it comes from.
async fn packet(client: &UdpSocket) -> (Packet, SocketAddr) {
    let mut buffer = vec![0; 70_000];
    let next = timeout(Duration::from_secs(10), client.recv_from(&mut buffer));
    let (len, from) = next.await.expect("an answer within 10 s").unwrap();
    (Packet::decode(&buffer[..len]).unwrap(), from)
}

fn two_files(server: &Server) {
    std::fs::write(server.folder.path().join("big.bin"), vec![b'b'; 100_000]).unwrap();
    std::fs::write(server.folder.path().join("exact.bin"), vec![b'e'; 1024]).unwrap();
}

/// Waits until a packet has these contents; what an ended transfer sent before is passed over.
async fn data_of(client: &UdpSocket, byte: u8, not_from: Option<SocketAddr>) -> SocketAddr {
    loop {
        let (packet, from) = packet(client).await;
        match packet {
            Packet::Data { block: 1, bytes } if bytes[0] == byte && Some(from) != not_from => {
                return from;
            }
            Packet::Data { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn request_for_another_file_from_the_same_port_ends_the_old_transfer() {
    let mut server = server(Rules::Boot);
    two_files(&server);
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for acked in [false, true] {
        let ask = request("big.bin", "octet", &[]);
        client.send_to(&ask, server.address).await.unwrap();
        let old = data_of(&client, b'b', None).await;
        if acked {
            client.send_to(&[0, 4, 0, 1], old).await.unwrap();
            assert!(matches!(
                packet(&client).await.0,
                Packet::Data { block: 2, .. }
            ));
        }
        let ask = request("exact.bin", "octet", &[]);
        client.send_to(&ask, server.address).await.unwrap();
        let new = data_of(&client, b'e', Some(old)).await;
        let failed = next_event(&mut server, |e| matches!(e, BootEvent::TftpFailed { .. })).await;
        let is_old = matches!(&failed, BootEvent::TftpFailed { file, .. } if file == "big.bin");
        assert!(is_old, "{failed:?}");
        client.send_to(&[0, 5, 0, 0, 0], new).await.unwrap();
        next_event(&mut server, |e| matches!(e, BootEvent::TftpFailed { .. })).await;
    }
}

#[tokio::test]
async fn same_request_after_an_acknowledgement_starts_anew() {
    let server = server(Rules::Boot);
    two_files(&server);
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let ask = request("big.bin", "octet", &[]);
    client.send_to(&ask, server.address).await.unwrap();
    let old = data_of(&client, b'b', None).await;
    client.send_to(&[0, 4, 0, 1], old).await.unwrap();
    assert!(matches!(
        packet(&client).await.0,
        Packet::Data { block: 2, .. }
    ));
    client.send_to(&ask, server.address).await.unwrap();
    data_of(&client, b'b', Some(old)).await;
}

#[tokio::test]
async fn request_right_after_an_error_is_answered() {
    let server = server(Rules::Boot);
    two_files(&server);
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let ask = request("big.bin", "octet", &[("tsize", "0"), ("blksize", "1468")]);
    let mut last = None;
    for _ in 0..20 {
        client.send_to(&ask, server.address).await.unwrap();
        let (answer, from) = packet(&client).await;
        assert!(matches!(answer, Packet::OptionsAck(_)), "{answer:?}");
        assert_ne!(Some(from), last, "a transfer of its own");
        last = Some(from);
        // Both are in flight at once, as EDK2 sends them.
        client
            .send_to(&[0, 5, 0, 8, b'n', b'o', 0], from)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn repeated_request_that_nothing_followed_is_one_transfer() {
    let mut server = server(Rules::Boot);
    two_files(&server);
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let ask = request("exact.bin", "octet", &[]);
    for _ in 0..5 {
        client.send_to(&ask, server.address).await.unwrap();
    }
    let from = data_of(&client, b'e', None).await;
    for block in 1..=3 {
        client.send_to(&[0, 4, 0, block], from).await.unwrap();
    }
    next_event(&mut server, |e| matches!(e, BootEvent::TftpDone { .. })).await;
    let mut requests = 1;
    while let Ok(event) = server.events.try_recv() {
        requests += usize::from(matches!(event.what, BootEvent::TftpRequest { .. }));
    }
    assert_eq!(requests, 1);
}

#[tokio::test]
async fn file_overwritten_in_place_under_way_is_broken_off() {
    let mut server = server(Rules::Boot);
    let path = server.folder.path().join("big");
    std::fs::write(&path, vec![b'a'; READ_AHEAD_BYTES * 2]).unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let ask = request("big", "octet", &[("blksize", "60000")]);
    client.send_to(&ask, server.address).await.unwrap();
    let (_, from) = packet(&client).await;
    client.send_to(&[0, 4, 0, 0], from).await.unwrap();
    assert!(matches!(
        packet(&client).await.0,
        Packet::Data { block: 1, .. }
    ));
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    let later = std::time::SystemTime::now() + Duration::from_secs(5);
    file.set_modified(later).unwrap();
    let mut block = 1;
    loop {
        client.send_to(&[0, 4, 0, block], from).await.unwrap();
        match packet(&client).await.0 {
            Packet::Data { .. } => block += 1,
            Packet::Error { .. } => break,
            other => panic!("{other:?}"),
        }
        assert!(block < 5, "the whole file was sent");
    }
    let failed = next_event(&mut server, |e| matches!(e, BootEvent::TftpFailed { .. })).await;
    assert!(matches!(failed, BootEvent::TftpFailed { file, .. } if file == "big"));
}
