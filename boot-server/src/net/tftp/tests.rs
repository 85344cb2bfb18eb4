//! The TFTP server over loopback: Pixiecore's recorded answers, and whole files.

use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

use super::places::MAX_TRANSFERS_PER_CLIENT;
use super::read_ahead::READ_AHEAD_BYTES;
use super::*;
use crate::config::BootConfig;
use crate::event::{Event, EventSink};
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
    assert!(matches!(failed, BootEvent::TftpFailed { reason, .. } if reason.contains("too many")));
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
        String::new()
    };
    let reason = timeout(Duration::from_secs(10), ended).await.unwrap();
    assert_eq!(reason, "the server is stopping");
}
