//! A TFTP client (RFC 1350, 2348, 7440) that compares each byte it is sent.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

/// Clients give a server up after so long without a packet.
const PATIENCE: Duration = Duration::from_secs(10);
/// An acknowledgement is sent again after this.
const REPEAT: Duration = Duration::from_millis(500);

/// A fetch as a client asks for it.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) file: &'a str,
    /// Expected content of the file.
    pub(crate) bytes: &'a [u8],
    pub(crate) block_size: u16,
    pub(crate) window: u16,
    /// Waits for packets without sleeping; for a client with its own processor.
    pub(crate) spin: bool,
}

/// Seconds that all clients together take.
pub(crate) fn fetch_all(server: SocketAddr, clients: usize, ask: Ask<'_>) -> anyhow::Result<f64> {
    let start = Instant::now();
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..clients)
            .map(|_| scope.spawn(move || fetch(server, ask)))
            .collect();
        all.into_iter()
            .try_for_each(|one| one.join().ok().context("a client ended early")?)
    })?;
    Ok(start.elapsed().as_secs_f64())
}

fn fetch(server: SocketAddr, ask: Ask<'_>) -> anyhow::Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    let mut request = format!("\0\u{1}{}\0octet\0blksize\0{}\0", ask.file, ask.block_size);
    if ask.window > 1 {
        request.push_str(&format!("windowsize\0{}\0", ask.window));
    }
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send_to(request.as_bytes(), server)?;
    let mut buffer = vec![0; 65_536];
    let (len, peer) = socket
        .recv_from(&mut buffer)
        .context("no answer to the request")?;
    socket.connect(peer)?;
    let granted = String::from_utf8_lossy(&buffer[..len]).into_owned();
    ensure!(buffer[1] == 6, "no options granted: {granted:?}");
    ensure!(
        granted.contains(&format!("blksize\0{}\0", ask.block_size)),
        "another block size: {granted:?}"
    );
    if ask.window > 1 && !granted.contains(&format!("windowsize\0{}\0", ask.window)) {
        let _ = socket.send(b"\0\x05\0\x08windows are what is measured\0");
        bail!("no windowsize");
    }
    receive(&socket, ask, &mut buffer)
}

fn receive(socket: &UdpSocket, ask: Ask<'_>, buffer: &mut [u8]) -> anyhow::Result<()> {
    socket.set_nonblocking(ask.spin)?;
    socket.set_read_timeout(Some(REPEAT))?;
    let block_size = usize::from(ask.block_size);
    let (mut last, mut in_window, mut offset) = (0_u16, 0, 0_usize);
    let mut progress = Instant::now();
    let mut acked = progress;
    socket.send(&ack(0))?;
    loop {
        let len = match socket.recv(buffer) {
            Ok(len) => len,
            Err(error) => {
                ensure!(
                    progress.elapsed() < PATIENCE,
                    "it fell silent at {offset}: {error}"
                );
                if acked.elapsed() >= REPEAT {
                    socket.send(&ack(last))?;
                    (in_window, acked) = (0, Instant::now());
                }
                continue;
            }
        };
        let (head, data) = buffer[..len]
            .split_at_checked(4)
            .context("a short packet")?;
        ensure!(
            head[1] == 3,
            "not data: {:?}",
            String::from_utf8_lossy(&buffer[..len])
        );
        let block = u16::from_be_bytes([head[2], head[3]]);
        if block != last.wrapping_add(1) {
            // A gap, or an old block: RFC 7440 tells where to continue.
            if ask.window > 1 && in_window > 0 {
                socket.send(&ack(last))?;
                in_window = 0;
            }
            continue;
        }
        ensure!(
            ask.bytes.get(offset..offset + data.len()) == Some(data),
            "other bytes at {offset}"
        );
        (last, offset, in_window) = (block, offset + data.len(), in_window + 1);
        let ended = data.len() < block_size;
        if ended || in_window == ask.window {
            socket.send(&ack(last))?;
            in_window = 0;
            progress = Instant::now();
            acked = progress;
        }
        if ended {
            ensure!(offset == ask.bytes.len(), "it ended after {offset} bytes");
            return Ok(());
        }
    }
}

fn ack(block: u16) -> [u8; 4] {
    let [high, low] = block.to_be_bytes();
    [0, 4, high, low]
}
