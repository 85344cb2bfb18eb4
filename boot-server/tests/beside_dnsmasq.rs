//! The proxy on one host with a DHCP server that libvirt would start: both hear each broadcast, and
//! the other server's unicasts stay its own. In a network namespace made for the test; needs root.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use boot_server::proto::dhcp::{Message, MessageType, Op, Options, code};

const DEADLINE: Duration = Duration::from_secs(20);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 91, 0, 1);

/// Ends a process when the test ends, however it ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}: {status}");
}

/// Runs a part of this test in a network namespace of its own, by starting this program again.
fn in_namespace(test: &str) -> bool {
    if std::env::var_os("BOOT_SERVER_TEST_NAMESPACE").is_some() {
        return true;
    }
    let program = std::env::current_exe().unwrap();
    let status = Command::new("unshare")
        .args(["--net", "--"])
        .arg(program)
        .args(["--exact", test, "--nocapture"])
        .env("BOOT_SERVER_TEST_NAMESPACE", "1")
        .status()
        .unwrap();
    assert!(status.success(), "inside the namespace: {status}");
    false
}

/// A second network namespace for the servers, joined to this one by a cable: `srv` there, `cli` here.
struct ServerSide {
    holder: Running,
}

impl ServerSide {
    fn new() -> ServerSide {
        let mut child = Command::new("unshare")
            .args(["--net", "--", "sh", "-c", "echo made; exec sleep 600"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let side = ServerSide {
            holder: Running(child),
        };
        wait_for_line(out, "made");
        let pid = side.holder.0.id().to_string();
        run(
            "ip",
            &[
                "link", "add", "cli", "type", "veth", "peer", "name", "srv", "netns", &pid,
            ],
        );
        run("ip", &["link", "set", "cli", "up"]);
        for arguments in [
            &["link", "set", "lo", "up"][..],
            &["addr", "add", "10.91.0.1/24", "dev", "srv"],
            &["link", "set", "srv", "up"],
        ] {
            let status = side.command("ip").args(arguments).status().unwrap();
            assert!(status.success(), "ip {arguments:?}: {status}");
        }
        side
    }

    /// A program that runs over there.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/proc/{}/ns/net", self.holder.0.id()))
            .arg("--")
            .arg(program);
        command
    }
}

/// dnsmasq with the options libvirt gives it for a network with `<dhcp>`.
fn start_dnsmasq(side: &ServerSide, folder: &Path) -> Running {
    let conf = folder.join("dnsmasq.conf");
    let text = "strict-order\nexcept-interface=lo\nbind-dynamic\ninterface=srv\nport=0\nuser=root\n\
                dhcp-range=10.91.0.100,10.91.0.200,255.255.255.0\ndhcp-no-override\n\
                dhcp-authoritative\nlog-dhcp\nlog-facility=-\nno-ping\n";
    std::fs::write(&conf, text).unwrap();
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

fn start_boot_server(side: &ServerSide, folder: &Path) -> Running {
    let config = folder.join("boot-server.toml");
    let text = "interface = \"srv\"\n[proxy_dhcp]\n[boot]\nscript_url = \"http://10.91.0.1/s\"\n";
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

/// Reads until a line has the text, then goes on reading so that the writer is never stopped.
fn wait_for_line(mut lines: impl BufRead + Send + 'static, text: &'static str) {
    let (found, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut seen = String::new();
        while lines.read_line(&mut seen).is_ok_and(|len| len > 0) {
            let _ = found.send(std::mem::take(&mut seen));
        }
    });
    let deadline = Instant::now() + DEADLINE;
    let mut last = Vec::new();
    while let Ok(line) = wait.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        if line.contains(text) {
            return;
        }
        last.push(line);
    }
    panic!("no `{text}` in:\n{}", last.concat());
}

/// A client's socket on its end of the cable.
fn client() -> UdpSocket {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
    socket.set_broadcast(true).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind_device(Some(b"cli")).unwrap();
    socket
        .bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 68)).into())
        .unwrap();
    let socket = UdpSocket::from(socket);
    socket
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    socket
}

fn request(kind: MessageType, xid: u32) -> Message {
    let mut hardware_address = [0; 16];
    hardware_address[..6].copy_from_slice(&[0x52, 0x54, 0, 0, 0, 1]);
    let mut options = Options::default();
    options.set(code::MESSAGE_TYPE, [kind.to_wire()]);
    options.set(code::VENDOR_CLASS, *b"PXEClient:Arch:00000:UNDI:002001");
    options.set(code::CLIENT_ARCH, [0, 0]);
    Message {
        op: Op::Request,
        hardware_type: 1,
        hardware_len: 6,
        hops: 0,
        xid,
        secs: 0,
        flags: 0x8000,
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

/// Sends a message again and again until `enough` is true of the answers, or the deadline passes.
fn exchange(
    socket: &UdpSocket,
    message: &Message,
    to: Ipv4Addr,
    enough: impl Fn(&[Message]) -> bool,
) -> Vec<Message> {
    let bytes = message.encode(548).unwrap();
    let deadline = Instant::now() + DEADLINE;
    let mut answers: Vec<Message> = Vec::new();
    while !enough(&answers) {
        assert!(Instant::now() < deadline, "answers so far: {answers:#?}");
        socket.send_to(&bytes, (to, 67)).unwrap();
        let mut buffer = [0; 1500];
        while let Ok(len) = socket.recv(&mut buffer) {
            let answer = Message::decode(&buffer[..len]).unwrap();
            if answer.xid == message.xid {
                answers.push(answer);
            }
        }
    }
    answers
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
    let _dnsmasq = start_dnsmasq(&side, folder.path());
    let _boot_server = start_boot_server(&side, folder.path());
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
