//! Tests at link level: answers by MAC to machines without an address, and the probe of an address.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use boot_server_proto::dhcp::{Message, MessageType};
use boot_server_proto::mac::MacAddr;
use socket2::{Domain, Protocol, Socket, Type};

use crate::support::{DEADLINE, Server, ServerSide, client, exchange, is_inside, run};

const CONFIG: &str = "interface = \"srv\"\n[dhcp]\nsubnet = \"10.91.0.0/24\"\n\
                      first = \"10.91.0.100\"\nlast = \"10.91.0.120\"\n\
                      [boot]\nscript_url = \"http://10.91.0.1/s\"\n";
const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 1]);

/// Gives our end of the cable a MAC that is known.
fn set_own_mac() -> MacAddr {
    let mac = MacAddr([0x52, 0x54, 0, 0, 0, 0xfe]);
    let text = mac.to_string();
    run("ip", &["link", "set", "cli", "address", &text]);
    mac
}

/// Hears every IPv4 frame of this namespace.
fn every_frame() -> Socket {
    let ipv4 = Protocol::from(i32::from(0x0800u16.to_be()));
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(ipv4)).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    socket
}

/// Sends a message until a frame with an answer to it is seen.
fn frame_with_answer(client: &UdpSocket, message: &Message) -> (Vec<u8>, Message) {
    let mut frames = every_frame();
    let bytes = message.encode(548).unwrap();
    let deadline = Instant::now() + DEADLINE;
    while Instant::now() < deadline {
        client.send_to(&bytes, (Ipv4Addr::BROADCAST, 67)).unwrap();
        let mut frame = [0; 1600];
        while let Ok(len) = frames.read(&mut frame) {
            let answer = frame
                .get(42..len)
                .and_then(|dhcp| Message::decode(dhcp).ok());
            if let Some(answer) = answer
                && answer.xid == message.xid
                && answer.message_type() == Ok(Some(MessageType::Offer))
            {
                return (frame[..len].to_vec(), answer);
            }
        }
    }
    panic!("no offer was seen on the link");
}

#[test]
fn a_machine_without_an_address_is_answered_at_its_mac_and_new_address() {
    if !is_inside() {
        return;
    }
    let side = ServerSide::new();
    let folder = tempfile::tempdir().unwrap();
    let _server = Server::start(&side, folder.path(), CONFIG);
    let client = client();
    let discover = Message::from_client(MessageType::Discover, MAC, 1);
    let (frame, offer) = frame_with_answer(&client, &discover);
    assert_eq!(frame[..6], MAC.0);
    assert_eq!(frame[26..34], [10, 91, 0, 1, 10, 91, 0, 100]);
    assert_eq!(frame[34..38], [0, 67, 0, 68]);
    assert_eq!(offer.your_address, Ipv4Addr::new(10, 91, 0, 100));
    let mut asking = Message::from_client(MessageType::Discover, MAC, 2);
    asking.set_broadcast();
    let (frame, _) = frame_with_answer(&client, &asking);
    assert_eq!(frame[..6], [0xff; 6]);
    assert_eq!(frame[30..34], [255; 4]);
}

#[test]
fn the_kernel_takes_the_frame_for_a_datagram_to_its_address() {
    if !is_inside() {
        return;
    }
    let side = ServerSide::new();
    let folder = tempfile::tempdir().unwrap();
    let _server = Server::start(&side, folder.path(), CONFIG);
    let own = set_own_mac();
    // The address it is about to be given: what a kernel that checks the sums delivers to it.
    run("ip", &["addr", "add", "10.91.0.100/24", "dev", "cli"]);
    let socket = UdpSocket::bind(SocketAddr::from(([10, 91, 0, 100], 68))).unwrap();
    socket.set_broadcast(true).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let discover = Message::from_client(MessageType::Discover, own, 3);
    let answers = exchange(&socket, &discover, Ipv4Addr::BROADCAST, |a| !a.is_empty());
    assert_eq!(answers[0].your_address, Ipv4Addr::new(10, 91, 0, 100));
}

#[test]
fn an_address_that_somebody_uses_unasked_is_not_offered() {
    if !is_inside() {
        return;
    }
    let side = ServerSide::new();
    let own = set_own_mac();
    let folder = tempfile::tempdir().unwrap();
    for address in ["10.91.0.100/24", "10.91.0.101/24"] {
        run("ip", &["addr", "add", address, "dev", "cli"]);
    }
    let server = Server::start(&side, folder.path(), CONFIG);
    let mut discover = Message::from_client(MessageType::Discover, MAC, 4);
    discover.set_broadcast();
    let offered = |answers: &[Message]| !answers.is_empty();
    let answers = exchange(&client(), &discover, Ipv4Addr::BROADCAST, offered);
    assert_eq!(answers[0].your_address, Ipv4Addr::new(10, 91, 0, 102));
    for address in ["10.91.0.100", "10.91.0.101"] {
        let event = server.wait_for("address_in_use");
        assert!(
            event.contains(address) && event.contains(&own.to_string()),
            "{event}"
        );
    }
}

/// RFC 2131 §3.1.2: behind a relay the server asks by ICMP.
#[test]
fn an_address_behind_a_relay_is_looked_for_by_echo() {
    if !is_inside() {
        return;
    }
    let side = ServerSide::new();
    let folder = tempfile::tempdir().unwrap();
    run("ip", &["addr", "add", "10.91.0.2/24", "dev", "cli"]);
    run("ip", &["link", "set", "lo", "up"]);
    run("ip", &["addr", "add", "10.92.0.100/32", "dev", "lo"]);
    let status = side
        .command("ip")
        .args(["route", "add", "10.92.0.0/24", "via", "10.91.0.2"])
        .status()
        .unwrap();
    assert!(status.success());
    let pool = "\n[[dhcp.pool]]\nsubnet = \"10.92.0.0/24\"\nfirst = \"10.92.0.100\"\n\
                last = \"10.92.0.120\"\nrouter = \"10.92.0.1\"\n";
    // Long enough for an answer by way of the neighbour's own address resolution.
    let config = CONFIG.replace("[dhcp]\n", "[dhcp]\nprobe_ms = 1000\n") + pool;
    let server = Server::start(&side, folder.path(), &config);
    // The relay agent.
    let relay = UdpSocket::bind(SocketAddr::from(([10, 91, 0, 2], 67))).unwrap();
    relay
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let mut discover = Message::from_client(MessageType::Discover, MAC, 5);
    discover.relay_agent = Ipv4Addr::new(10, 91, 0, 2);
    discover.options.set(
        boot_server_proto::dhcp::code::RELAY_AGENT_INFO,
        [5, 4, 10, 92, 0, 0],
    );
    let offered = |answers: &[Message]| !answers.is_empty();
    let answers = exchange(&relay, &discover, crate::support::SERVER, offered);
    assert_eq!(answers[0].your_address, Ipv4Addr::new(10, 92, 0, 101));
    let event = server.wait_for("address_in_use");
    assert!(event.contains("10.92.0.100"), "{event}");
}
