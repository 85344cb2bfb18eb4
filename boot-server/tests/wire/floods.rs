//! Floods of a few packets from many addresses: an honest client is served within two seconds, and the operator is
//! told.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::support::{SERVER, Server, ServerSide, is_inside, run};

/// Time limit of an honest client.
const PATIENCE: Duration = Duration::from_secs(2);
/// TFTP requests from as many addresses: more than there are places.
const REQUESTS: u32 = 1_600;
/// Addresses that hold HTTP connections, and how many each holds.
const HOLDERS: u32 = 40;
const HELD_BY_EACH: u32 = 8;

/// An address of the flooding host: all of 10.92.0.0/16 are its own.
fn flooder(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 92, 0, 0).to_bits() + 1 + number)
}

fn network() -> ServerSide {
    let side = ServerSide::new();
    run("ip", &["link", "set", "lo", "up"]);
    run("ip", &["addr", "add", "10.91.0.2/24", "dev", "cli"]);
    run(
        "ip",
        &["route", "add", "local", "10.92.0.0/16", "dev", "lo"],
    );
    let there = ["route", "add", "10.92.0.0/16", "via", "10.91.0.2"];
    let status = side.command("ip").args(there).status().unwrap();
    assert!(status.success(), "{status}");
    side
}

fn data(folder: &Path) {
    for (file, text) in [
        ("data/groups/all.json", r#"{"id":"all","profile":"p"}"#),
        ("data/profiles/p.json", r#"{"id":"p"}"#),
        ("tftp/nbp", "program"),
    ] {
        let file = folder.join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
}

fn config(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "interface = \"srv\"\n[tftp]\nroots = [\"{folder}/tftp\"]\n\
         [http]\nlisten = \"10.91.0.1:8080\"\ndata = \"{folder}/data\"\nmax_connections = 256\n"
    )
}

/// Asks until the answer's last byte; an end without one is an empty answer.
fn get(path: &str) -> String {
    let address = SocketAddr::from((SERVER, 8080));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .unwrap_or_else(|error| panic!("no answer within {PATIENCE:?}: {error}"));
    answer
}

#[test]
fn tftp_request_flood_leaves_an_honest_client_served() {
    if !is_inside() {
        return;
    }
    let side = network();
    let folder = tempfile::tempdir().unwrap();
    data(folder.path());
    let _server = Server::start(&side, folder.path(), &config(folder.path()));
    let request = b"\x00\x01nbp\0octet\0timeout\x0010\0";
    let sockets: Vec<UdpSocket> = (0..REQUESTS / 8)
        .map(|n| UdpSocket::bind((flooder(n), 0)).unwrap())
        .collect();
    for port in 0..8 {
        for (n, socket) in (0..).zip(&sockets) {
            // A port of its own for each request, so that each is another client.
            let socket = match port {
                0 => socket.try_clone().unwrap(),
                _ => UdpSocket::bind((flooder(n), 0)).unwrap(),
            };
            socket.send_to(request, (SERVER, 69)).unwrap();
        }
    }
    let client = UdpSocket::bind(("10.91.0.2", 0)).unwrap();
    // The flood may have filled the socket's queue: firmware asks again.
    let again = PATIENCE / 8;
    client.set_read_timeout(Some(again)).unwrap();
    let mut packet = [0; 600];
    let answered = (0..8).find_map(|_| {
        client
            .send_to(b"\x00\x01nbp\0octet\0", (SERVER, 69))
            .unwrap();
        client.recv_from(&mut packet).ok()
    });
    let (len, from) = answered.unwrap_or_else(|| panic!("no data within {PATIENCE:?}"));
    assert_eq!(&packet[..len], b"\x00\x03\x00\x01program");
    client.send_to(&[0, 4, 0, 1], from).unwrap();
}

#[test]
fn http_connection_flood_leaves_an_honest_client_served_and_is_counted() {
    if !is_inside() {
        return;
    }
    let side = network();
    let folder = tempfile::tempdir().unwrap();
    data(folder.path());
    let _server = Server::start(&side, folder.path(), &config(folder.path()));
    let held: Vec<Socket> = (0..HOLDERS * HELD_BY_EACH)
        .map(|n| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
            let own = SocketAddr::from((flooder(n % HOLDERS), 0));
            socket.bind(&own.into()).unwrap();
            let address = SocketAddr::from((SERVER, 8080));
            socket.connect_timeout(&address.into(), PATIENCE).unwrap();
            let _ = socket.send(b"GET / HTTP/1.1\r\nHost:");
            socket
        })
        .collect();
    assert!(get("/healthz").ends_with("ok\n"));
    let metrics = get("/metrics");
    let evicted = "boot_server_refused_total{service=\"http\",reason=\"evicted\"}";
    assert!(metrics.contains(evicted), "{metrics}");
    assert!(metrics.contains("boot_server_http_connections{state=\"idle\"}"));
    drop(held);
}
