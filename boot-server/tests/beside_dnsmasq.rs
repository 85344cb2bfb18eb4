//! The proxy on one host with a DHCP server that libvirt would start: both hear each broadcast, and
//! the other server's unicasts stay its own. In a network namespace made for the test; needs root.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/cable.rs"]
mod cable;

use std::io::BufReader;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Stdio;

use boot_server::proto::dhcp::{Message, MessageType, code};
use cable::{Running, ServerSide, client, exchange, in_namespace, request, run, wait_for_line};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 91, 0, 1);

/// How libvirt has its dnsmasq share port 67, and how dnsmasq is without that.
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
        .arg("--keep-in-foreground")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    let running = Running(child);
    wait_for_line(log, "DHCP, IP range");
    running
}

fn start_boot_server(side: &ServerSide, folder: &Path, no_bind: bool) -> Running {
    let config = folder.join("boot-server.toml");
    let text = format!(
        "interface = \"srv\"\n[proxy_dhcp]\nno_bind = {no_bind}\n[boot]\n\
         script_url = \"http://10.91.0.1/s\"\n"
    );
    std::fs::write(&config, text).unwrap();
    let mut child = side
        .command(env!("CARGO_BIN_EXE_boot-server"))
        .arg("--config")
        .arg(&config)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let events = BufReader::new(child.stdout.take().unwrap());
    let running = Running(child);
    wait_for_line(events, "\"ready\"");
    running
}

fn is_from_proxy(message: &Message) -> bool {
    message.options.bytes(code::VENDOR_CLASS) == Some(b"PXEClient")
}

#[test]
fn a_proxy_shares_port_67_with_libvirts_dnsmasq_and_takes_nothing_from_it() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: making a network namespace and binding port 67 needs root");
        return;
    }
    let name = "a_proxy_shares_port_67_with_libvirts_dnsmasq_and_takes_nothing_from_it";
    if !in_namespace(name) {
        return;
    }
    let side = ServerSide::new();
    let folder = tempfile::tempdir().unwrap();
    let _dnsmasq = start_dnsmasq(&side, folder.path(), SHARED);
    let _boot_server = start_boot_server(&side, folder.path(), false);
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
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: making a network namespace and raw sockets needs root");
        return;
    }
    let name = "a_proxy_that_does_not_bind_port_67_answers_beside_a_dnsmasq_that_does_not_share_it";
    if !in_namespace(name) {
        return;
    }
    let side = ServerSide::new();
    let folder = tempfile::tempdir().unwrap();
    let _dnsmasq = start_dnsmasq(&side, folder.path(), EXCLUSIVE);
    let refused = side
        .command(env!("CARGO_BIN_EXE_boot-server"))
        .args([
            "--interface",
            "srv",
            "--proxy-dhcp",
            "--script-url",
            "http://10.91.0.1/s",
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("no_bind"), "{said}");

    let _boot_server = start_boot_server(&side, folder.path(), true);
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
