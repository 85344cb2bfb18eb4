//! Hostile datagrams: no panic, no address from a proxy, no answer longer than its limit.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant, SystemTime};

use boot_server::config::BootConfig;
use boot_server::lease::MemoryOnly;
use boot_server::policy::{Policy, classify};
use boot_server::respond::{
    Answer, Arrival, DhcpServer, ProxyStyle, ServerOptions, boot_service_ack, proxy_offer,
};
use boot_server_proto::dhcp::{Message, code};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use crate::server::{EVERYONE, SERVER, dhcp_config, policy};

/// A datagram that begins as DHCP does and goes on as it likes; options that mean something are
/// likelier than others.
fn datagram() -> impl Strategy<Value = Vec<u8>> {
    let few = |code: u8, values: &[&[u8]]| {
        let values: Vec<Vec<u8>> = values.iter().map(|value| value.to_vec()).collect();
        (Just(code), prop::sample::select(values))
    };
    let option = prop_oneof![
        few(
            93,
            &[&[0, 0], &[0, 7], &[0, 16], &[0, 41], &[0, 11, 0, 7], &[9]]
        ),
        few(97, &[&[0; 17], &[7; 16]]),
        few(77, &[b"iPXE", b"\x04iPXE", b"pixiecore", b""]),
        few(
            60,
            &[
                b"PXEClient:Arch:00007",
                b"HTTPClient:Arch:00016",
                b"PXEClient"
            ]
        ),
        few(
            50,
            &[&[10, 0, 0, 12], &[10, 0, 0, 99], &[192, 0, 2, 1], &[1]]
        ),
        few(54, &[&[10, 0, 0, 1], &[10, 0, 0, 2]]),
        few(57, &[&[0, 0], &[2, 64], &[255, 255], &[5]]),
        few(82, &[&[5, 4, 10, 7, 0, 0], &[5, 255], &[1; 250]]),
        (any::<u8>(), vec(any::<u8>(), 0..40)),
        (any::<u8>(), vec(any::<u8>(), 200..300)),
    ];
    let kind = prop_oneof![4 => Just(1u8), 4 => Just(3u8), 1 => Just(8u8), 1 => 0u8..20];
    let on_link = prop::bool::weighted(0.8);
    (
        vec(any::<u8>(), 28..=28),
        any::<[u8; 6]>(),
        kind,
        vec(option, 0..8),
        on_link,
    )
        .prop_map(|(header, mac, kind, options, on_link)| {
            let mut bytes = vec![1, 1, 6, 0];
            bytes.extend(&header[4..]);
            if on_link {
                // No relay and no address yet: what most messages are.
                bytes[12..28].fill(0);
            }
            bytes.extend(mac);
            bytes[28] &= 0xfe;
            bytes.resize(236, 0);
            bytes.extend([99, 130, 83, 99, code::MESSAGE_TYPE, 1, kind]);
            for (code, value) in options {
                for part in value.chunks(255) {
                    bytes.extend([code, part.len() as u8]);
                    bytes.extend(part);
                }
            }
            bytes
        })
}

/// Every role's answer to a datagram.
fn answers(
    bytes: &[u8],
    server: &mut DhcpServer<MemoryOnly>,
    policy: &mut Policy,
) -> Vec<Answered> {
    let Ok(request) = Message::decode(bytes) else {
        return Vec::new();
    };
    let Ok(client) = classify(&request) else {
        return Vec::new();
    };
    let step = policy.decide(&client, request.xid, Instant::now());
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    let from = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 50), 4011);
    let proxy = |style| proxy_offer(style, &request, &client, &step, SERVER);
    [
        (
            Role::Server,
            server.handle(&request, &client, &step, Arrival::Broadcast, now),
        ),
        (Role::Proxy, proxy(ProxyStyle::Plain)),
        (Role::Proxy, proxy(ProxyStyle::Pixiecore)),
        (
            Role::Proxy,
            boot_service_ack(&request, &client, &step, SERVER, from),
        ),
    ]
    .into_iter()
    .filter_map(|(role, answer)| {
        let Answer::Reply(reply) = answer else {
            return None;
        };
        let limit = request.max_message_len();
        // What does not fit is not sent.
        let (sent, _) = reply.message.encode_fitting(limit).ok()?;
        assert!(sent.len() <= limit);
        Some(Answered {
            role,
            message: Message::decode(&sent).unwrap(),
            to: reply.to,
            relay: request.relay_agent,
        })
    })
    .collect()
}

#[derive(Debug, PartialEq)]
enum Role {
    Server,
    Proxy,
}

#[derive(Debug)]
struct Answered {
    role: Role,
    message: Message,
    to: SocketAddrV4,
    relay: Ipv4Addr,
}

fn server() -> DhcpServer<MemoryOnly> {
    let pools = dhcp_config().pools(SERVER).unwrap();
    DhcpServer::new(SERVER, ServerOptions::default(), pools, &[], MemoryOnly)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_answered_or_not_without_panic(bytes in vec(any::<u8>(), 0..700)) {
        answers(&bytes, &mut server(), &mut policy(BootConfig::default()));
    }

    #[test]
    fn a_proxy_never_gives_an_address_whatever_it_is_sent(bytes in datagram()) {
        for answer in answers(&bytes, &mut server(), &mut policy(BootConfig::default())) {
            if answer.role == Role::Proxy {
                prop_assert_eq!(answer.message.your_address, Ipv4Addr::UNSPECIFIED);
                prop_assert!(!answer.message.options.contains(code::LEASE_TIME));
            }
        }
    }

    /// The full server answers to its own links and their relays only, so nobody else can be flooded
    /// with its answers.
    #[test]
    fn the_server_answers_to_its_own_subnets_only(bytes in datagram()) {
        for answer in answers(&bytes, &mut server(), &mut policy(BootConfig::default())) {
            if answer.role == Role::Server && answer.relay.is_unspecified() {
                let [a, b, ..] = answer.to.ip().octets();
                let ours = (a, b) == (10, 0) || (a, b) == (10, 7);
                prop_assert!(ours || answer.to == EVERYONE, "{:?}", answer.to);
            }
        }
    }
}

/// The properties above are of no use when nothing is answered.
#[test]
fn most_made_up_datagrams_are_read_and_many_are_answered() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut read, mut answered) = (0, [0, 0]);
    for _ in 0..500 {
        let bytes = datagram().new_tree(&mut runner).unwrap().current();
        read += usize::from(Message::decode(&bytes).is_ok());
        for answer in answers(&bytes, &mut server(), &mut policy(BootConfig::default())) {
            answered[usize::from(answer.role == Role::Proxy)] += 1;
        }
    }
    assert!(
        read > 400 && answered[0] > 50 && answered[1] > 20,
        "{read} {answered:?}"
    );
}
