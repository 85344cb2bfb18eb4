//! The proxy on one host with a DHCP server that libvirt would start: both hear each broadcast, and
//! the other server's unicasts stay its own. In a network namespace made for the test; needs root.

use std::io::BufReader;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Stdio;

use boot_server_proto::dhcp::{Message, MessageType, code};
use boot_server_proto::mac::MacAddr;

use crate::support::{
    Running, SERVER, Server, ServerSide, client, exchange, is_inside, run, wait_for_line,
};

/// Option by which libvirt makes its dnsmasq share port 67; dnsmasq alone does not.
const SHARED: &str = "bind-dynamic\n";
const EXCLUSIVE: &str = "";

/// dnsmasq with the options libvirt gives it for a network with `<dhcp>`.
fn start_dnsmasq(side: &ServerSide, folder: &Path, binding: &str) -> Running {
    let conf = folder.join("dnsmasq.conf");
    let text = "strict-order\nexcept-interface=lo\ninterface=srv\nport=0\nuser=root\n\
                dhcp-range=10.91.0.100,10.91.0.200,255.255.255.0\ndhcp-no-override\n\
                dhcp-authoritative\nlog-dhcp\nlog-facility=-\nno-ping\n";
    std::fs::write(&conf, format!("{binding}{text}")).unwrap();
    let leases = folder.join("leases");
    let mut child = side
        .command("dnsmasq")
        .arg(format!("--conf-file={}", conf.display()))
        .arg(format!("--dhcp-leasefile={}", leases.display()))
        // None: two of these tests at once would write one file.
        .arg("--pid-file=")
        .arg("--keep-in-foreground")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    let running = Running(child);
    wait_for_line(log, "DHCP, IP range");
    running
}

pub(crate) fn request(kind: MessageType, xid: u32) -> Message {
    let mut request = Message::from_client(kind, MacAddr([0x52, 0x54, 0, 0, 0, 1]), xid);
    let vendor_class = *b"PXEClient:Arch:00000:UNDI:002001";
    request.options.set(code::VENDOR_CLASS, vendor_class);
    request.options.set(code::CLIENT_ARCH, [0, 0]);
    request.set_broadcast();
    request
}

fn is_from_proxy(message: &Message) -> bool {
    message.options.bytes(code::VENDOR_CLASS) == Some(b"PXEClient")
}

#[test]
fn a_proxy_shares_port_67_with_libvirts_dnsmasq_and_takes_nothing_from_it() {
    if !is_inside() {
        return;
    }
    let side = ServerSide::new();
    let folder = tempfile::tempdir().unwrap();
    let _dnsmasq = start_dnsmasq(&side, folder.path(), SHARED);
    let config = "interface = \"srv\"\n[proxy_dhcp]\n[boot]\nscript_url = \"http://10.91.0.1/s\"\n";
    let _boot_server = Server::start(&side, folder.path(), config);
    let socket = client();

    let both = |answers: &[Message]| {
        answers.iter().any(is_from_proxy) && answers.iter().any(|answer| !is_from_proxy(answer))
    };
    let offers = exchange(
        &socket,
        &request(MessageType::Discover, 1),
        Ipv4Addr::BROADCAST,
        both,
    );
    let proxy = offers.iter().find(|offer| is_from_proxy(offer)).unwrap();
    assert_eq!(proxy.your_address, Ipv4Addr::UNSPECIFIED);
    assert_eq!(proxy.boot_file, b"undionly.kpxe");
    let lease = offers.iter().find(|offer| !is_from_proxy(offer)).unwrap();
    assert_eq!(lease.server_id(), Some(SERVER));

    let mut select = request(MessageType::Request, 2);
    select.options.set_addresses(code::SERVER_ID, &[SERVER]);
    select
        .options
        .set_addresses(code::REQUESTED_ADDRESS, &[lease.your_address]);
    let acked = |answers: &[Message]| !answers.is_empty();
    let acks = exchange(&socket, &select, Ipv4Addr::BROADCAST, acked);
    assert!(!acks.iter().any(is_from_proxy));
    assert_eq!(acks[0].message_type(), Ok(Some(MessageType::Ack)));

    // A renewal is a unicast to port 67: it must reach the server that gave the lease.
    let address = lease.your_address.to_string();
    run(
        "ip",
        &["addr", "add", &format!("{address}/24"), "dev", "cli"],
    );
    let mut renew = request(MessageType::Request, 3);
    renew.client_address = lease.your_address;
    let acks = exchange(&socket, &renew, SERVER, acked);
    assert_eq!(acks[0].message_type(), Ok(Some(MessageType::Ack)));
    assert_eq!(acks[0].your_address, lease.your_address);
}

#[test]
fn a_proxy_that_does_not_bind_port_67_answers_beside_a_dnsmasq_that_does_not_share_it() {
    if !is_inside() {
        return;
    }
    let side = ServerSide::new();
    let folder = tempfile::tempdir().unwrap();
    let _dnsmasq = start_dnsmasq(&side, folder.path(), EXCLUSIVE);
    let refused = side
        .command(env!("CARGO_BIN_EXE_boot-server"))
        .args(["--interface", "srv", "--proxy-dhcp"])
        .args(["--script-url", "http://10.91.0.1/s"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("no_bind"), "{said}");

    let config = "interface = \"srv\"\n[proxy_dhcp]\nno_bind = true\n\
                  [boot]\nscript_url = \"http://10.91.0.1/s\"\n";
    let _boot_server = Server::start(&side, folder.path(), config);
    let socket = client();
    let both = |answers: &[Message]| {
        answers.iter().any(is_from_proxy) && answers.iter().any(|answer| !is_from_proxy(answer))
    };
    let discover = request(MessageType::Discover, 1);
    let offers = exchange(&socket, &discover, Ipv4Addr::BROADCAST, both);
    let proxy = offers.iter().find(|offer| is_from_proxy(offer)).unwrap();
    assert_eq!(proxy.your_address, Ipv4Addr::UNSPECIFIED);
    assert_eq!(proxy.next_server, SERVER);
    assert_eq!(proxy.boot_file, b"undionly.kpxe");
}
