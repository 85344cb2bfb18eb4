//! Two network namespaces made for a test and joined by a cable, programs in them, and a client.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use boot_server_proto::dhcp::Message;

/// Time limit of every step.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
/// The servers' address.
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 91, 0, 1);

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

/// True in the half of a test that runs inside a network namespace of its own, as root of the host: some of these
/// tests change owners and give up root.
pub(crate) fn is_inside() -> bool {
    if !rustix::process::geteuid().is_root() {
        test_support::skip("these tests give up root, and need it for that");
        return false;
    }
    test_support::is_in_network_namespace()
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

/// A server over there, its events as they come.
pub(crate) struct Server {
    pub(crate) process: Running,
    events: std::sync::mpsc::Receiver<String>,
}

impl Server {
    /// Starts boot-server with a configuration and waits until it is ready.
    pub(crate) fn start(side: &ServerSide, folder: &Path, config: &str) -> Server {
        let file = folder.join("boot-server.toml");
        std::fs::write(&file, config).unwrap();
        let mut child = side
            .command(env!("CARGO_BIN_EXE_boot-server"))
            .arg("--config")
            .arg(&file)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, events) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let process = Running(child);
        let server = Server { process, events };
        server.wait_for("\"ready\"");
        server
    }

    /// The next event that has this text.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        let mut last = Vec::new();
        while let Ok(line) = self
            .events
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            if line.contains(text) {
                return line;
            }
            last.push(line);
        }
        panic!("no `{text}` in:\n{}", last.join("\n"));
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
