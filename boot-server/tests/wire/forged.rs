//! Addresses that others claim: one that is in use behind a pair of relay agents, one that another host gives
//! back, and the sources that the boot service on port 4011 answers.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use boot_server_proto::dhcp::{Message, MessageType, code};
use boot_server_proto::mac::MacAddr;

use crate::leases::select;
use crate::support::{SERVER, Server, ServerSide, client, exchange, is_inside, run};

const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 1]);
const OTHER_MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 2]);
const DHCP: &str = "interface = \"srv\"\n[dhcp]\nsubnet = \"10.91.0.0/24\"\nfirst = \"10.91.0.100\"\n\
                    last = \"10.91.0.101\"\nprobe_ms = 0\n[boot]\nscript_url = \"http://10.91.0.1/s\"\n";

/// A socket of an address and port of the client's side.
fn socket_at(address: [u8; 4], port: u16) -> UdpSocket {
    let socket = UdpSocket::bind(SocketAddrV4::new(address.into(), port)).unwrap();
    let pause = Some(Duration::from_millis(200));
    socket.set_read_timeout(pause).unwrap();
    socket
}

fn add_address(address: &str) {
    run("ip", &["addr", "add", address, "dev", "cli"]);
}

fn discover(mac: MacAddr, xid: u32) -> Message {
    let mut message = Message::from_client(MessageType::Discover, mac, xid);
    message.set_broadcast();
    message
}

fn is_some(answers: &[Message]) -> bool {
    !answers.is_empty()
}

/// RFC 3046 §2.1 and RFC 1542 §4.1.1: both relay agents of a link hand on each message of a client.
#[test]
fn address_in_use_is_offered_through_neither_of_two_relay_agents() {
    if !is_inside() {
        return;
    }
    let side = ServerSide::new();
    let folder = tempfile::tempdir().unwrap();
    run("ip", &["link", "set", "lo", "up"]);
    for relay in ["10.91.0.2/24", "10.91.0.3/24"] {
        add_address(relay);
    }
    // The host that uses the first address, behind the relay agents.
    run("ip", &["addr", "add", "10.92.0.100/32", "dev", "lo"]);
    let there = ["route", "add", "10.92.0.0/24", "via", "10.91.0.2"];
    let status = side.command("ip").args(there).status().unwrap();
    assert!(status.success(), "{status}");
    let pool = "\n[[dhcp.pool]]\nsubnet = \"10.92.0.0/24\"\nfirst = \"10.92.0.100\"\n\
                last = \"10.92.0.101\"\nrouter = \"10.92.0.1\"\n";
    let config = DHCP.replace("probe_ms = 0", "probe_ms = 1000") + pool;
    let server = Server::start(&side, folder.path(), &config);
    let relays = [[10, 91, 0, 2], [10, 91, 0, 3]].map(|own| (own, socket_at(own, 67)));
    let relayed = |own: [u8; 4]| {
        let mut message = discover(MAC, 7);
        message.relay_agent = own.into();
        let link = [5, 4, 10, 92, 0, 0];
        message.options.set(code::RELAY_AGENT_INFO, link);
        message
    };
    // Again and again while the address is looked for.
    for _ in 0..10 {
        for (own, socket) in &relays {
            let bytes = relayed(*own).encode(548).unwrap();
            socket.send_to(&bytes, (SERVER, 67)).unwrap();
        }
    }
    let event = server.wait_for("address_in_use");
    assert!(event.contains("10.92.0.100"), "{event}");
    let mut answers = Vec::new();
    for (own, socket) in &relays {
        answers.extend(exchange(socket, &relayed(*own), SERVER, is_some));
    }
    let free = Ipv4Addr::new(10, 92, 0, 101);
    for answer in &answers {
        assert_eq!(answer.your_address, free, "{answers:#?}");
    }
}

/// RFC 2131 §4.4.6: a client releases from the address that it gives back.
#[test]
fn release_from_another_address_gives_no_address_back() {
    if !is_inside() {
        return;
    }
    let side = ServerSide::new();
    let folder = tempfile::tempdir().unwrap();
    let one_address = DHCP.replace("10.91.0.101", "10.91.0.100");
    let server = Server::start(&side, folder.path(), &one_address);
    let socket = client();
    let offers = exchange(&socket, &discover(MAC, 1), Ipv4Addr::BROADCAST, is_some);
    let is_ack = |answers: &[Message]| {
        let kinds = answers.iter().map(Message::message_type);
        kinds
            .into_iter()
            .any(|kind| kind == Ok(Some(MessageType::Ack)))
    };
    exchange(&socket, &select(&offers[0]), Ipv4Addr::BROADCAST, is_ack);
    drop(socket);
    let mut release = Message::from_client(MessageType::Release, MAC, 2);
    release.client_address = offers[0].your_address;
    release.options.set_addresses(code::SERVER_ID, &[SERVER]);
    let bytes = release.encode(548).unwrap();
    add_address("10.91.0.9/24");
    let other = socket_at([10, 91, 0, 9], 68);
    other.send_to(&bytes, (SERVER, 67)).unwrap();
    server.wait_for("RELEASE from an address other than the leased one");
    drop(other);
    let asking = client();
    let bytes = discover(OTHER_MAC, 3).encode(548).unwrap();
    asking.send_to(&bytes, (Ipv4Addr::BROADCAST, 67)).unwrap();
    let event = server.wait_for("dhcp_shortage");
    assert!(event.contains("pool_exhausted"), "{event}");
    drop(asking);
    // From its own address it is taken.
    add_address("10.91.0.100/24");
    let own = socket_at([10, 91, 0, 100], 68);
    let bytes = release.encode(548).unwrap();
    own.send_to(&bytes, (SERVER, 67)).unwrap();
    server.wait_for("\"released\"");
}

#[test]
fn boot_service_answers_hosts_of_the_subnet_and_no_other_services() {
    if !is_inside() {
        return;
    }
    let side = ServerSide::new();
    let folder = tempfile::tempdir().unwrap();
    run("ip", &["link", "set", "lo", "up"]);
    run("ip", &["addr", "add", "10.99.0.2/32", "dev", "lo"]);
    add_address("10.91.0.2/24");
    let there = ["route", "add", "10.99.0.0/24", "via", "10.91.0.2"];
    let status = side.command("ip").args(there).status().unwrap();
    assert!(status.success(), "{status}");
    let config = "interface = \"srv\"\n[proxy_dhcp]\n[boot]\nscript_url = \"http://10.91.0.1/s\"\n";
    let server = Server::start(&side, folder.path(), config);
    let request = |from: [u8; 4]| {
        let mut message = Message::from_client(MessageType::Request, MAC, 4);
        message.client_address = from.into();
        let class = b"PXEClient:Arch:00007:UNDI:003000";
        message.options.set(code::VENDOR_CLASS, class.as_slice());
        message.options.set(code::CLIENT_ARCH, [0, 7]);
        message.encode(548).unwrap()
    };
    let to = (SERVER, 4011);
    for (own, port, reason) in [
        ([10, 91, 0, 2], 53, "source port belongs to another service"),
        (
            [10, 91, 0, 2],
            123,
            "source port belongs to another service",
        ),
        ([10, 99, 0, 2], 4011, "source address outside the subnet"),
    ] {
        let socket = socket_at(own, port);
        socket.send_to(&request(own), to).unwrap();
        server.wait_for(reason);
        let mut buffer = [0; 600];
        assert!(socket.recv(&mut buffer).is_err(), "{own:?}:{port}");
    }
    let own = [10, 91, 0, 2];
    for port in [4011, 68] {
        let socket = socket_at(own, port);
        socket.send_to(&request(own), to).unwrap();
        server.wait_for("dhcp_reply");
        let mut buffer = [0; 600];
        let len = socket.recv(&mut buffer).unwrap();
        let answer = Message::decode(&buffer[..len]).unwrap();
        assert_eq!(answer.message_type(), Ok(Some(MessageType::Ack)));
    }
}
