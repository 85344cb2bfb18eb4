//! TFTP server with a flaw, based on boot-server's own transfer.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Component, Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use boot_server_proto::tftp::{
    ErrorCode, Limits, Packet, ReadRequest, RequestedOptions, Transfer, Transmit,
};
use lab_model::fault::TftpFlaw;

const PORT: u16 = 69;

/// Block size of boot-server: packets are not fragmented on Ethernet.
const LIMITS: Limits = Limits {
    block_size: 1468,
    window_size: 16,
};

/// End of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TransferEnd {
    /// The client has the file, or gave up.
    Over,
    /// The flaw demands that the server crashes.
    Crash,
}

/// Serves until it is killed; `up` is called when it listens.
///
/// # Errors
/// Fails on purpose if the flaw demands it: the process then ends with all its sockets, like a server that crashes.
pub(super) fn serve(
    address: Ipv4Addr,
    flaw: TftpFlaw,
    roots: &[PathBuf],
    up: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    let socket = UdpSocket::bind((address, PORT))?;
    up()?;
    let (failures, failure) = mpsc::channel();
    let roots = roots.to_vec();
    thread::spawn(move || {
        if let Err(error) = listen(&socket, address, flaw, &roots, &failures) {
            let _ = failures.send(error);
        }
    });
    failure.recv().map_or(Ok(()), Err)
}

/// Answers requests, each in its own thread.
fn listen(
    socket: &UdpSocket,
    address: Ipv4Addr,
    flaw: TftpFlaw,
    roots: &[PathBuf],
    failures: &mpsc::Sender<io::Error>,
) -> io::Result<()> {
    let mut buffer = [0; 2048];
    loop {
        let (length, peer) = socket.recv_from(&mut buffer)?;
        let heard = buffer.get(..length).unwrap_or_default();
        let Ok(Packet::Read(request)) = Packet::decode(heard) else {
            continue;
        };
        let answers = UdpSocket::bind((address, 0))?;
        if flaw == TftpFlaw::RefuseOptions && request.options != RequestedOptions::default() {
            let text = "no options, please";
            answers.send_to(&Packet::encode_error(ErrorCode::OptionsRefused, text), peer)?;
            continue;
        }
        let Some(file) = find(&request, roots) else {
            if flaw == TftpFlaw::SilentIfMissing {
                continue;
            }
            let text = "file not found";
            answers.send_to(&Packet::encode_error(ErrorCode::FileNotFound, text), peer)?;
            continue;
        };
        let failures = failures.clone();
        thread::spawn(move || {
            // Clients that disappear are ignored.
            if let Ok(TransferEnd::Crash) = send(&answers, peer, &request, &file, flaw) {
                let _ = failures.send(io::Error::other("crashed on purpose"));
            }
        });
    }
}

/// Returns the file's bytes, if one of the folders has it.
fn find(request: &ReadRequest, roots: &[PathBuf]) -> Option<Vec<u8>> {
    let path = Path::new(request.file.trim_start_matches('/'));
    let inside = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    let mut files = roots.iter().map(|root| fs::read(root.join(path)));
    inside.then(|| files.find_map(Result::ok)).flatten()
}

fn send(
    socket: &UdpSocket,
    peer: SocketAddr,
    request: &ReadRequest,
    file: &[u8],
    flaw: TftpFlaw,
) -> io::Result<TransferEnd> {
    let length = u64::try_from(file.len()).unwrap_or(u64::MAX);
    let mut transfer = Transfer::new(&request.options, LIMITS, length, Instant::now());
    let mut buffer = [0; 2048];
    loop {
        while let Some(packet) = transfer.poll_transmit() {
            let bytes = match packet {
                Transmit::OptionsAck(bytes) => bytes,
                Transmit::Data { block, offset, len } => {
                    if let TftpFlaw::DieAfter(bytes) = flaw
                        && offset >= bytes
                    {
                        return Ok(TransferEnd::Crash);
                    }
                    let start = usize::try_from(offset).unwrap_or(usize::MAX);
                    let data = file.get(start..start.saturating_add(len));
                    let mut bytes = Packet::data_header(block).to_vec();
                    bytes.extend(data.unwrap_or_default());
                    bytes
                }
            };
            socket.send_to(&bytes, peer)?;
        }
        let Some(timeout) = transfer.poll_timeout() else {
            return Ok(TransferEnd::Over);
        };
        let wait = timeout.saturating_duration_since(Instant::now());
        socket.set_read_timeout(Some(wait.max(Duration::from_millis(1))))?;
        if let Ok((length, from)) = socket.recv_from(&mut buffer)
            && from == peer
            && let Ok(packet) = Packet::decode(buffer.get(..length).unwrap_or_default())
        {
            transfer.handle_packet(Instant::now(), &packet);
        } else {
            transfer.handle_timeout(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn send_transfer_that_is_to_crash_ends_after_that_many_bytes() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        let peer = client.local_addr().unwrap();
        let Ok(Packet::Read(request)) = Packet::decode(b"\0\x01ipxe.efi\0octet\0") else {
            panic!("a read request");
        };
        client.connect(server.local_addr().unwrap()).unwrap();
        // The acknowledgement of the first block is there before it is waited for.
        client.send(&[0, 4, 0, 1]).unwrap();
        let file = [7; 1024];
        let end = send(&server, peer, &request, &file, TftpFlaw::DieAfter(512)).unwrap();
        assert_eq!(end, TransferEnd::Crash);
        let mut buffer = [0; 2048];
        assert_eq!(client.recv(&mut buffer).unwrap(), 4 + 512);
        client.set_nonblocking(true).unwrap();
        assert!(client.recv(&mut buffer).is_err(), "a second block arrived");
    }
}
