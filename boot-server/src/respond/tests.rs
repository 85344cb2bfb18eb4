//! Replies of the DHCP server and of the proxies, field by field.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant, SystemTime};

use super::*;
use crate::config::{BootConfig, DhcpConfig, RawOptions, Reservation};
use crate::lease::MemoryOnly;
use crate::policy::{BootStep, Client, Policy, classify};
use crate::proto::dhcp::{MessageType, Op, Options, code};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const OTHER_SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
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
    let mut hardware_address = [0; 16];
    hardware_address[..6].copy_from_slice(&MAC);
    hardware_address[5] = last;
    let mut options = Options::default();
    options.set(code::MESSAGE_TYPE, [kind.to_wire()]);
    Message {
        op: Op::Request,
        hardware_type: 1,
        hardware_len: 6,
        hops: 0,
        xid: 7,
        secs: 0,
        flags: 0,
        client_address: Ipv4Addr::UNSPECIFIED,
        your_address: Ipv4Addr::UNSPECIFIED,
        next_server: Ipv4Addr::UNSPECIFIED,
        relay_agent: Ipv4Addr::UNSPECIFIED,
        hardware_address,
        server_name: Vec::new(),
        boot_file: Vec::new(),
        options,
    }
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
    DhcpServer::new(SERVER, Habits::default(), pools, &[], MemoryOnly)
}

fn handle(server: &mut DhcpServer<MemoryOnly>, request: &Message, now: u64) -> Answer {
    let (client, step) = decide(request);
    server.handle(request, &client, &step, at(now))
}

fn reply(answer: Answer) -> Reply {
    match answer {
        Answer::Reply(reply) => *reply,
        Answer::Silence(why) => panic!("silence: {why}"),
    }
}

fn silence(answer: Answer) -> String {
    match answer {
        Answer::Reply(reply) => panic!("{reply:?}"),
        Answer::Silence(why) => why,
    }
}

fn kind(reply: &Reply) -> MessageType {
    reply.message.message_type().unwrap().unwrap()
}

fn leased(server: &mut DhcpServer<MemoryOnly>) {
    reply(handle(server, &message(MessageType::Discover, 1), 0));
    let request = with(message(MessageType::Request, 1), |m| {
        m.options.set_addresses(code::REQUESTED_ADDRESS, &[ip(10)]);
        m.options.set_addresses(code::SERVER_ID, &[SERVER]);
    });
    assert_eq!(kind(&reply(handle(server, &request, 0))), MessageType::Ack);
}

/// RFC 2131 §4.1: where replies go.
mod rfc2131_4_1 {
    use super::*;

    #[test]
    fn a_relayed_request_is_answered_to_the_relay() {
        let relayed = with(message(MessageType::Discover, 1), |m| {
            m.relay_agent = ip(253)
        });
        let answer = reply(handle(&mut server(), &relayed, 0));
        assert_eq!(answer.to, SocketAddrV4::new(ip(253), 67));
    }

    #[test]
    fn a_client_without_an_address_is_answered_by_its_mac_unless_it_asks_for_broadcast() {
        let plain = message(MessageType::Discover, 1);
        let answer = reply(handle(&mut server(), &plain, 0));
        assert_eq!(answer.to, SocketAddrV4::new(ip(10), 68));
        assert_eq!(answer.link, Some(MacAddr(MAC)));
        let asking = with(plain, |m| m.set_broadcast());
        let answer = reply(handle(&mut server(), &asking, 0));
        assert_eq!(answer.to, SocketAddrV4::new(Ipv4Addr::BROADCAST, 68));
        assert_eq!(answer.link, None);
    }

    #[test]
    fn a_client_that_renews_is_answered_at_its_address() {
        let mut server = server();
        leased(&mut server);
        let renew = with(message(MessageType::Request, 1), |m| {
            m.client_address = ip(10)
        });
        let answer = reply(handle(&mut server, &renew, 1800));
        assert_eq!(answer.to, SocketAddrV4::new(ip(10), 68));
        assert_eq!(
            (kind(&answer), answer.address),
            (MessageType::Ack, Some(ip(10)))
        );
        assert_eq!(answer.message.client_address, ip(10));
    }

    #[test]
    fn a_nak_is_broadcast_and_through_a_relay_asks_for_broadcast() {
        let mut server = server();
        let renew = with(message(MessageType::Request, 1), |m| {
            m.client_address = Ipv4Addr::new(192, 0, 2, 1);
        });
        let nak = reply(handle(&mut server, &renew, 0));
        assert_eq!(kind(&nak), MessageType::Nak);
        assert_eq!(nak.to, SocketAddrV4::new(Ipv4Addr::BROADCAST, 68));
        let nak = reply(handle(
            &mut server,
            &with(renew, |m| m.relay_agent = ip(253)),
            0,
        ));
        assert_eq!(nak.to, SocketAddrV4::new(ip(253), 67));
        assert!(nak.message.wants_broadcast());
    }
}

/// RFC 2131 §4.3: what each message is answered with.
mod rfc2131_4_3 {
    use super::*;

    #[test]
    fn an_offer_has_the_address_and_the_networks_options() {
        let offer = reply(handle(&mut server(), &message(MessageType::Discover, 1), 0));
        let options = &offer.message.options;
        assert_eq!(offer.message.your_address, ip(10));
        for (option, bytes) in [
            (code::MESSAGE_TYPE, &[2][..]),
            (code::SERVER_ID, &[10, 0, 0, 1]),
            (code::SUBNET_MASK, &[255, 255, 255, 0]),
            (code::BROADCAST_ADDRESS, &[10, 0, 0, 255]),
            (code::ROUTER, &[10, 0, 0, 254]),
            (code::DNS, &[10, 0, 0, 2, 10, 0, 0, 3]),
            (code::DOMAIN_NAME, b"lab.example"),
            (code::LEASE_TIME, &3600u32.to_be_bytes()),
            (code::RENEWAL_TIME, &1800u32.to_be_bytes()),
            (code::REBINDING_TIME, &3150u32.to_be_bytes()),
        ] {
            assert_eq!(options.bytes(option), Some(bytes), "option {option}");
        }
        assert!(!options.contains(code::HOST_NAME));
    }

    #[test]
    fn a_reservation_comes_with_its_host_name() {
        let offer = reply(handle(&mut server(), &message(MessageType::Discover, 9), 0));
        assert_eq!(offer.address, Some(ip(99)));
        assert_eq!(
            offer.message.options.bytes(code::HOST_NAME),
            Some(&b"node9"[..])
        );
    }

    #[test]
    fn a_request_to_another_server_frees_the_offer() {
        let mut server = server();
        reply(handle(&mut server, &message(MessageType::Discover, 1), 0));
        let request = with(message(MessageType::Request, 1), |m| {
            m.options.set_addresses(code::REQUESTED_ADDRESS, &[ip(200)]);
            m.options.set_addresses(code::SERVER_ID, &[OTHER_SERVER]);
        });
        assert!(silence(handle(&mut server, &request, 1)).contains("10.0.0.2"));
        let other = with(message(MessageType::Discover, 2), |m| {
            m.options.set_addresses(code::REQUESTED_ADDRESS, &[ip(10)]);
        });
        assert_eq!(reply(handle(&mut server, &other, 1)).address, Some(ip(10)));
    }

    #[test]
    fn a_rebooted_client_that_nobody_knows_is_left_alone_and_one_on_another_network_refused() {
        let mut server = server();
        let reboot = |address| {
            with(message(MessageType::Request, 1), |m| {
                m.options.set_addresses(code::REQUESTED_ADDRESS, &[address]);
            })
        };
        silence(handle(&mut server, &reboot(ip(10)), 0));
        let elsewhere = Ipv4Addr::new(192, 168, 1, 5);
        assert_eq!(
            kind(&reply(handle(&mut server, &reboot(elsewhere), 0))),
            MessageType::Nak
        );
        leased(&mut server);
        assert_eq!(
            kind(&reply(handle(&mut server, &reboot(ip(10)), 1))),
            MessageType::Ack
        );
    }

    #[test]
    fn an_address_of_somebody_else_is_refused() {
        let mut server = server();
        leased(&mut server);
        let thief = with(message(MessageType::Request, 2), |m| {
            m.client_address = ip(10)
        });
        assert_eq!(
            kind(&reply(handle(&mut server, &thief, 1))),
            MessageType::Nak
        );
    }

    #[test]
    fn a_released_address_can_be_anyone_elses() {
        let mut server = server();
        leased(&mut server);
        let release = with(message(MessageType::Release, 1), |m| {
            m.client_address = ip(10)
        });
        assert_eq!(silence(handle(&mut server, &release, 1)), "released");
        let other = with(message(MessageType::Discover, 2), |m| {
            m.options.set_addresses(code::REQUESTED_ADDRESS, &[ip(10)]);
        });
        assert_eq!(reply(handle(&mut server, &other, 1)).address, Some(ip(10)));
    }

    #[test]
    fn a_declined_address_is_not_offered_again() {
        let mut server = server();
        leased(&mut server);
        let decline = with(message(MessageType::Decline, 1), |m| {
            m.options.set_addresses(code::REQUESTED_ADDRESS, &[ip(10)]);
            m.options.set_addresses(code::SERVER_ID, &[SERVER]);
        });
        silence(handle(&mut server, &decline, 1));
        let again = reply(handle(&mut server, &message(MessageType::Discover, 1), 2));
        assert_eq!(again.address, Some(ip(11)));
    }

    #[test]
    fn an_inform_gets_options_and_no_address() {
        let inform = with(message(MessageType::Inform, 1), |m| {
            m.client_address = ip(50)
        });
        let ack = reply(handle(&mut server(), &inform, 0));
        assert_eq!(kind(&ack), MessageType::Ack);
        assert_eq!(ack.message.your_address, Ipv4Addr::UNSPECIFIED);
        assert!(!ack.message.options.contains(code::LEASE_TIME));
        assert!(ack.message.options.contains(code::ROUTER));
        let outside = with(message(MessageType::Inform, 1), |m| {
            m.client_address = Ipv4Addr::new(192, 0, 2, 7);
        });
        silence(handle(&mut server(), &outside, 0));
    }
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
            Some(&b"10.0.0.1"[..])
        );
        assert_eq!(
            offer.options.bytes(code::BOOT_FILE_NAME),
            Some(nbp.as_bytes())
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
    let offer = reply(server().handle(&request, &client, &step, at(0))).message;
    assert!(offer.boot_file.is_empty());
    let bytes = offer.encode(request.max_message_len()).unwrap();
    let read = Message::decode(&bytes).unwrap();
    assert_eq!(
        read.options.bytes(code::BOOT_FILE_NAME),
        Some(url.as_bytes())
    );
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
