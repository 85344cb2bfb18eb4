//! Replies of the DHCP server and of the proxies, field by field.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant, SystemTime};

use boot_server_proto::dhcp::{Message, MessageType, code};
use boot_server_proto::mac::MacAddr;

use super::*;
use crate::config::{BootConfig, DhcpConfig, RawOptions, Reservation};
use crate::lease::MemoryOnly;
use crate::policy::{BootStep, Client, Policy, classify};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const SCRIPT: &str = "http://10.0.0.1:8080/boot.ipxe";
const MAC: [u8; 6] = [0x52, 0x54, 0, 0, 0, 1];

fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, last)
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
}

/// A client's message.
fn message(kind: MessageType, last: u8) -> Message {
    let [a, b, c, d, e, _] = MAC;
    Message::from_client(kind, MacAddr([a, b, c, d, e, last]), 7)
}

fn with(mut message: Message, change: impl FnOnce(&mut Message)) -> Message {
    change(&mut message);
    message
}

fn pxe(kind: MessageType, arch: u16) -> Message {
    with(message(kind, 1), |m| {
        m.options.set(code::CLIENT_ARCH, arch.to_be_bytes());
        m.options.set(
            code::VENDOR_CLASS,
            format!("PXEClient:Arch:{arch:05}:UNDI:003000"),
        );
        let mut id = vec![0];
        id.extend(1..=16);
        m.options.set(code::MACHINE_ID, id);
    })
}

fn ipxe(kind: MessageType, arch: u16) -> Message {
    with(pxe(kind, arch), |m| {
        m.options.set(code::USER_CLASS, *b"iPXE")
    })
}

fn decide(request: &Message) -> (Client, BootStep) {
    let client = classify(request).unwrap();
    let mut policy = Policy::boot(SERVER, BootConfig::default(), Some(SCRIPT.into()));
    let step = policy.decide(&client, request.xid, Instant::now());
    (client, step)
}

fn server() -> DhcpServer<MemoryOnly> {
    let mut config = DhcpConfig::new("10.0.0.0/24".parse().unwrap(), ip(10), ip(20));
    config.router = Some(ip(254));
    config.dns = vec![ip(2), ip(3)];
    config.domain = Some("lab.example".into());
    config.reservations = vec![Reservation {
        mac: Some("52:54:00:00:00:09".into()),
        uuid: None,
        client_id: None,
        address: ip(99),
        hostname: Some("node9".into()),
        options: RawOptions::new(),
    }];
    let pools = config.pools(SERVER).unwrap();
    DhcpServer::new(SERVER, ServerOptions::default(), pools, &[], MemoryOnly)
}

fn handle(server: &mut DhcpServer<MemoryOnly>, request: &Message, now: u64) -> Answer {
    let (client, step) = decide(request);
    server.handle(request, &client, &step, Arrival::Broadcast, at(now))
}

fn reply(answer: Answer) -> Reply {
    match answer {
        Answer::Reply(reply) => *reply,
        Answer::Silence(why) | Answer::Unserved(_, why) => panic!("silence: {why}"),
    }
}

fn silence(answer: Answer) -> String {
    match answer {
        Answer::Reply(reply) => panic!("{reply:?}"),
        Answer::Silence(why) | Answer::Unserved(_, why) => why,
    }
}

fn kind(reply: &Reply) -> MessageType {
    reply.message.message_type().unwrap().unwrap()
}

/// RFC 3046 §2.2 and RFC 6842 §3.
#[test]
fn relay_information_and_client_identifier_come_back_as_they_were_sent_relay_information_last() {
    let request = with(ipxe(MessageType::Discover, 0), |m| {
        m.options.set(code::RELAY_AGENT_INFO, *b"\x01\x03abc");
        m.options
            .set(code::CLIENT_ID, *b"\x01\x52\x54\x00\x00\x00\x01");
    });
    let offer = reply(handle(&mut server(), &request, 0));
    let last = offer.message.options.iter().last().unwrap();
    assert_eq!(last, (code::RELAY_AGENT_INFO, &b"\x01\x03abc"[..]));
    assert_eq!(
        offer.message.options.bytes(code::CLIENT_ID),
        request.options.bytes(code::CLIENT_ID)
    );
}

#[test]
fn a_full_offer_names_the_nbp_in_header_and_options_and_is_not_pxe_specific() {
    for (arch, nbp) in [(0, "undionly.kpxe"), (7, "ipxe.efi")] {
        let request = pxe(MessageType::Discover, arch);
        let offer = reply(handle(&mut server(), &request, 0)).message;
        assert_eq!(offer.next_server, SERVER);
        assert_eq!(offer.server_name, b"10.0.0.1");
        assert_eq!(offer.boot_file, nbp.as_bytes());
        assert_eq!(
            offer.options.bytes(code::TFTP_SERVER_NAME),
            Some(&b"10.0.0.1\0"[..])
        );
        assert_eq!(
            offer.options.bytes(code::BOOT_FILE_NAME),
            Some(format!("{nbp}\0").as_bytes())
        );
        assert_eq!(
            offer.options.bytes(code::MACHINE_ID),
            request.options.bytes(code::MACHINE_ID)
        );
        for absent in [code::VENDOR_CLASS, code::VENDOR_SPECIFIC, code::IPXE] {
            assert!(!offer.options.contains(absent), "option {absent}");
        }
    }
}

#[test]
fn ipxe_is_told_not_to_wait_for_proxies_by_the_full_server_only() {
    let request = ipxe(MessageType::Discover, 0);
    let offer = reply(handle(&mut server(), &request, 0)).message;
    assert_eq!(offer.options.bytes(code::IPXE), Some(&[176, 1, 1][..]));
    assert_eq!(offer.boot_file, SCRIPT.as_bytes());
    let (client, step) = decide(&request);
    for style in [ProxyStyle::Plain, ProxyStyle::Pixiecore] {
        let offer = reply(proxy_offer(style, &request, &client, &step, SERVER)).message;
        assert!(!offer.options.contains(code::IPXE));
    }
}

#[test]
fn a_system_that_does_not_boot_is_told_nothing_of_booting() {
    let offer = reply(handle(&mut server(), &message(MessageType::Discover, 1), 0)).message;
    assert_eq!(offer.next_server, Ipv4Addr::UNSPECIFIED);
    assert!(offer.boot_file.is_empty() && !offer.options.contains(code::BOOT_FILE_NAME));
}

#[test]
fn a_script_url_too_long_for_the_header_is_in_option_67() {
    let request = ipxe(MessageType::Discover, 0);
    let url = format!("http://10.0.0.1/{}", "x".repeat(200));
    let client = classify(&request).unwrap();
    let mut policy = Policy::boot(SERVER, BootConfig::default(), Some(url.clone()));
    let step = policy.decide(&client, 7, Instant::now());
    let offer = reply(server().handle(&request, &client, &step, Arrival::Broadcast, at(0))).message;
    assert!(offer.boot_file.is_empty());
    let bytes = offer.encode(request.max_message_len()).unwrap();
    let read = Message::decode(&bytes).unwrap();
    assert_eq!(read.text_bytes(code::BOOT_FILE_NAME), Some(url.as_bytes()));
}

#[test]
fn proxy_offer_omits_your_ip_and_sends_edk2_to_the_boot_service() {
    for (request, direct) in [
        (pxe(MessageType::Discover, 0), true),
        (ipxe(MessageType::Discover, 0), true),
        (ipxe(MessageType::Discover, 7), true),
        (pxe(MessageType::Discover, 7), false),
        (pxe(MessageType::Discover, 9), false),
    ] {
        let (client, step) = decide(&request);
        let answer = reply(proxy_offer(
            ProxyStyle::Plain,
            &request,
            &client,
            &step,
            SERVER,
        ));
        let offer = &answer.message;
        assert_eq!(answer.address, None);
        assert_eq!(offer.your_address, Ipv4Addr::UNSPECIFIED);
        assert_eq!(offer.next_server, SERVER);
        assert!(!offer.boot_file.is_empty() && offer.wants_broadcast());
        assert_eq!(
            offer.options.bytes(code::VENDOR_CLASS),
            Some(&b"PXEClient"[..])
        );
        assert!(!offer.options.contains(code::LEASE_TIME));
        let control = direct.then_some(&[6, 1, 8, 255][..]);
        assert_eq!(offer.options.bytes(code::VENDOR_SPECIFIC), control);
        assert_eq!(answer.to, SocketAddrV4::new(Ipv4Addr::BROADCAST, 68));
    }
}

#[test]
fn a_proxy_is_silent_to_everyone_it_has_nothing_for() {
    for request in [
        message(MessageType::Discover, 1),
        pxe(MessageType::Discover, 11),
        pxe(MessageType::Request, 0),
    ] {
        let (client, step) = decide(&request);
        silence(proxy_offer(
            ProxyStyle::Plain,
            &request,
            &client,
            &step,
            SERVER,
        ));
    }
}

#[test]
fn the_boot_service_answers_to_where_the_request_came_from() {
    let request = with(pxe(MessageType::Request, 7), |m| m.client_address = ip(77));
    let (client, step) = decide(&request);
    for port in [4011, 68] {
        let from = SocketAddrV4::new(ip(77), port);
        let answer = reply(boot_service_ack(&request, &client, &step, SERVER, from));
        assert_eq!((answer.to, kind(&answer)), (from, MessageType::Ack));
        assert_eq!(answer.message.client_address, ip(77));
        assert_eq!(answer.message.boot_file, b"ipxe.efi");
    }
}

#[test]
fn the_mask_goes_before_the_router_and_the_machine_id_after_all_that_firmware_reads() {
    // EDK2 (Debian 12's OVMF) declined an acknowledgement whose machine id, with a byte 0xff in it,
    // stood before the mask.
    let offer = reply(handle(&mut server(), &pxe(MessageType::Discover, 7), 0)).message;
    let codes: Vec<u8> = offer.options.iter().map(|(code, _)| code).collect();
    let place = |code: u8| codes.iter().position(|c| *c == code).unwrap();
    assert!(place(code::SUBNET_MASK) < place(code::ROUTER), "{codes:?}");
    for read in [
        code::SUBNET_MASK,
        code::ROUTER,
        code::LEASE_TIME,
        code::DNS,
        code::DOMAIN_NAME,
        code::TFTP_SERVER_NAME,
        code::BOOT_FILE_NAME,
    ] {
        assert!(place(read) < place(code::MACHINE_ID), "{read}: {codes:?}");
    }
}
