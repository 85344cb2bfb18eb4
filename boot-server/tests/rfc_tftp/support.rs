//! The running server, and a client that sends and reads single packets.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for anything that must come.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
/// Duration in which nothing must arrive; shorter than the first retransmission.
const SILENCE: Duration = Duration::from_millis(300);

/// The program, serving one folder on the loopback device of a namespace.
pub(crate) struct Server {
    child: Child,
    folder: tempfile::TempDir,
}

/// Starts the server in a namespace made for the test; `None` outside of it, where the test has then passed.
pub(crate) fn server() -> Option<Server> {
    // Port 69 is free to the root of a namespace, who need not be the host's.
    if !test_support::is_in_network_namespace() {
        return None;
    }
    run("ip", &["link", "set", "lo", "up"]);
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let config = folder.path().join("boot-server.toml");
    let text = format!(
        "interface = \"lo\"\n[boot]\nscript_url = \"http://10.0.0.1/s\"\n[tftp]\nroots = [{root:?}]\n"
    );
    std::fs::write(&config, text).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_boot-server"))
        .arg("--config")
        .arg(&config)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut events = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    events.read_line(&mut line).unwrap();
    assert!(line.contains("\"ready\""), "{line}");
    // A pipe that nobody reads would stop the writer.
    std::thread::spawn(move || std::io::copy(&mut events, &mut std::io::sink()));
    Some(Server { child, folder })
}

/// Runs a command that must succeed.
pub(crate) fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status();
    let status = status.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(status.success(), "{program} {arguments:?}: {status}");
}

impl Server {
    /// Puts a file of this length into the served folder, and tells its bytes.
    pub(crate) fn file(&self, name: &str, len: usize) -> Vec<u8> {
        let bytes: Vec<u8> = (0..len.div_ceil(4))
            .flat_map(|n| (n as u32).wrapping_mul(2_654_435_761).to_le_bytes())
            .take(len)
            .collect();
        std::fs::write(self.folder.path().join("root").join(name), &bytes).unwrap();
        bytes
    }

    /// A folder for what clients write.
    pub(crate) fn scratch(&self) -> &Path {
        self.folder.path()
    }

    /// Sends a read request for a file.
    pub(crate) fn ask(&self, file: &str, options: &[(&str, &str)]) -> Client {
        let mut packet = vec![0, 1];
        let options = options.iter().flat_map(|(name, value)| [*name, *value]);
        for text in [file, "octet"].into_iter().chain(options) {
            packet.extend(text.bytes());
            packet.push(0);
        }
        self.send(&packet)
    }

    /// Sends any first packet.
    pub(crate) fn send(&self, packet: &[u8]) -> Client {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(packet, "127.0.0.1:69").unwrap();
        Client { socket, peer: None }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client after its request.
pub(crate) struct Client {
    pub(crate) socket: UdpSocket,
    /// Source address of the server's packets.
    pub(crate) peer: Option<SocketAddr>,
}

impl Client {
    /// The next packet, which must come.
    pub(crate) fn next(&mut self) -> Vec<u8> {
        self.within(DEADLINE).expect("a packet in time")
    }

    fn within(&mut self, time: Duration) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 70_000];
        self.socket.set_read_timeout(Some(time)).unwrap();
        let (len, from) = self.socket.recv_from(&mut buffer).ok()?;
        assert_eq!(*self.peer.get_or_insert(from), from, "the server's port");
        buffer.truncate(len);
        Some(buffer)
    }

    /// Asserts that no more packets arrive.
    pub(crate) fn expect_silence(&mut self) {
        let packet = self.within(SILENCE);
        assert_eq!(packet.as_deref().map(head), None);
    }

    /// The next packet is this data block with this many bytes.
    pub(crate) fn expect_data(&mut self, block: u16, len: usize) -> Vec<u8> {
        let packet = self.next();
        let [high, low] = block.to_be_bytes();
        assert_eq!(head(&packet), (vec![0, 3, high, low], len + 4));
        packet[4..].to_vec()
    }

    /// The next packet acknowledges exactly these options.
    pub(crate) fn expect_options(&mut self, options: &[(&str, &str)]) {
        let mut expected = vec![0, 6];
        for text in options.iter().flat_map(|(name, value)| [*name, *value]) {
            expected.extend(text.bytes());
            expected.push(0);
        }
        let packet = self.next();
        let shown = String::from_utf8_lossy(&packet).into_owned();
        assert_eq!(packet, expected, "{shown:?}");
    }

    /// The next packet is an error with this code; its message.
    pub(crate) fn expect_error(&mut self, code: u8) -> String {
        let packet = self.next();
        assert_eq!(packet[..4], [0, 5, 0, code]);
        assert_eq!(packet.last(), Some(&0), "the message ends with a NUL");
        String::from_utf8(packet[4..packet.len() - 1].to_vec()).unwrap()
    }

    pub(crate) fn ack(&self, block: u16) {
        let [high, low] = block.to_be_bytes();
        self.reply(&[0, 4, high, low]);
    }

    /// Sends a packet to where the server's come from.
    pub(crate) fn reply(&self, packet: &[u8]) {
        let peer = self.peer.expect("a packet of the server came first");
        self.socket.send_to(packet, peer).unwrap();
    }

    /// Takes the rest of a file in lockstep, from block 1 on.
    pub(crate) fn receive(&mut self, block_size: usize) -> Vec<u8> {
        let mut file = Vec::new();
        let mut block = 1_u16;
        let start = Instant::now();
        loop {
            let packet = self.next();
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "the simulation does not terminate"
            );
            if packet[1] != 3 || packet[2..4] != block.to_be_bytes() {
                continue;
            }
            file.extend_from_slice(&packet[4..]);
            self.ack(block);
            if packet.len() < block_size + 4 {
                return file;
            }
            block = block.wrapping_add(1);
        }
    }
}

/// The first bytes and the length, which is what one wants to read of a packet that is wrong.
fn head(packet: &[u8]) -> (Vec<u8>, usize) {
    (packet.iter().take(4).copied().collect(), packet.len())
}
