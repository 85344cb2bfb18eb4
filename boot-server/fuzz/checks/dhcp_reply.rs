//! DHCP packets → replies: whatever arrives, no answer is broken, a proxy gives no address, and no
//! address has two owners.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant, SystemTime};

use boot_server::config::{BootConfig, DhcpConfig};
use boot_server::lease::MemoryOnly;
use boot_server::policy::{Policy, classify};
use boot_server::respond::{
    Answer, Arrival, DhcpServer, ProxyStyle, Reply, ServerOptions, boot_service_ack, proxy_offer,
};
use boot_server_proto::dhcp::{Message, MessageType};
use boot_server_proto::mac::MacAddr;

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 10);
/// A small pool: addresses change hands.
const LAST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 13);

/// Each datagram is preceded by a byte that says to whom it goes and how much later it comes, and by
/// its length in two bytes.
pub(crate) fn check(data: &[u8]) {
    let config = DhcpConfig::new("10.0.0.0/24".parse().unwrap(), FIRST, LAST);
    let lease_time = Duration::from_secs(config.lease_seconds.into());
    let pools = config.pools(SERVER).unwrap();
    let mut server = DhcpServer::new(SERVER, ServerOptions::default(), pools, &[], MemoryOnly);
    let script = Some("http://10.0.0.1:8080/boot.ipxe".to_owned());
    let mut policy = Policy::boot(SERVER, BootConfig::default(), script);
    let mut pixiecore = Policy::pixiecore(SERVER, BootConfig::default(), 80);
    let mut owners: HashMap<Ipv4Addr, (MacAddr, SystemTime)> = HashMap::new();
    let began = Instant::now();
    let mut elapsed = Duration::ZERO;
    let mut rest = data;
    while let [how, high, low, after @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*high, *low])).min(after.len());
        let (datagram, next) = after.split_at(len);
        rest = next;
        elapsed += Duration::from_secs(u64::from(how >> 2) * 60);
        let (now, instant) = (SystemTime::UNIX_EPOCH + elapsed, began + elapsed);
        let Ok(request) = Message::decode(datagram) else {
            continue;
        };
        let Ok(client) = classify(&request) else {
            continue;
        };
        let from = SocketAddrV4::new(FIRST, 4011);
        let is_server = how & 3 == 0;
        let answer = match how & 3 {
            0 => {
                let step = policy.decide(&client, request.xid, instant);
                let arrival = match how & 4 {
                    0 => Arrival::Broadcast,
                    _ => Arrival::Unicast,
                };
                server.handle(&request, &client, &step, arrival, now)
            }
            1 => {
                let step = policy.decide(&client, request.xid, instant);
                proxy_offer(ProxyStyle::Plain, &request, &client, &step, SERVER)
            }
            2 => {
                let step = pixiecore.decide(&client, request.xid, instant);
                proxy_offer(ProxyStyle::Pixiecore, &request, &client, &step, SERVER)
            }
            _ => {
                let step = policy.decide(&client, request.xid, instant);
                boot_service_ack(&request, &client, &step, SERVER, from)
            }
        };
        server.commit().unwrap();
        if is_server && matches!(client.message, MessageType::Release | MessageType::Decline) {
            owners.retain(|_, (mac, _)| *mac != client.mac);
        }
        let Answer::Reply(reply) = answer else {
            continue;
        };
        let message = must_hold(&request, &reply);
        if !is_server {
            assert!(
                message.your_address.is_unspecified(),
                "a proxy gives an address"
            );
            continue;
        }
        let given = message.your_address;
        let kind = message.message_type().unwrap().unwrap();
        if given.is_unspecified() || kind == MessageType::Nak {
            continue;
        }
        assert!(
            (FIRST..=LAST).contains(&given),
            "{given} is not of the pool"
        );
        if let Some((mac, until)) = owners.get(&given) {
            assert!(
                *mac == client.mac || *until <= now,
                "{given} has two owners"
            );
        }
        if kind == MessageType::Ack {
            owners.insert(given, (client.mac, now + lease_time));
        }
    }
}

/// Asserts that an answer decodes, belongs to the request's exchange, and fits the client's maximum message
/// size.
fn must_hold(request: &Message, reply: &Reply) -> Message {
    let most = request.max_message_len();
    let Ok(bytes) = reply.message.encode(most) else {
        // E.g. an option 82 that leaves no room: told as an event, nothing is sent.
        return reply.message.clone();
    };
    assert!(
        bytes.len() <= most.max(300),
        "{} bytes, {most} are taken",
        bytes.len()
    );
    let message = Message::decode(&bytes).expect("our own answer can be read");
    assert_eq!(message.xid, request.xid);
    assert_eq!(message.mac(), request.mac());
    assert_ne!(reply.to.port(), 0);
    message
}
