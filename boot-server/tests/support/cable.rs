//! Two network namespaces joined by a cable, for tests with real servers on real ports; needs root.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use boot_server::proto::dhcp::{Message, MessageType, Op, Options, code};

pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Ends a process when the test ends, however it ends.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}: {status}");
}

/// Runs a part of this test in a network namespace of its own, by starting this program again.
pub(crate) fn in_namespace(test: &str) -> bool {
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
pub(crate) struct ServerSide {
    holder: Running,
}

impl ServerSide {
    pub(crate) fn new() -> ServerSide {
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
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/proc/{}/ns/net", self.holder.0.id()))
            .arg("--")
            .arg(program);
        command
    }
}

/// Reads until a line has the text, then goes on reading so that the writer is never stopped.
pub(crate) fn wait_for_line(mut lines: impl BufRead + Send + 'static, text: &'static str) {
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
pub(crate) fn client() -> UdpSocket {
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

pub(crate) fn request(kind: MessageType, xid: u32) -> Message {
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
pub(crate) fn exchange(
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
