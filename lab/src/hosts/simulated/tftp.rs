//! TFTP client like firmware's (RFC 1350, options of RFC 2347, 2348, 2349 and 7440).

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use boot_server_proto::tftp::{ErrorCode, Packet};

use super::LoadError;

const PORT: u16 = 69;
/// Waiting times for answers; after the last one, the server is given up.
const WAITS: [Duration; 4] = [
    Duration::from_millis(1000),
    Duration::from_millis(1500),
    Duration::from_millis(2000),
    Duration::from_millis(3000),
];

/// Program that the client imitates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Habits {
    /// iPXE: blocks of 1432 bytes.
    Ipxe,
    /// EDK2: aborts a first request after reading the size, then requests windows of 4 blocks.
    Edk2,
}

/// Loads a file.
///
/// # Errors
/// [`LoadError`] if the file does not arrive completely.
pub(super) fn load(server: Ipv4Addr, file: &str, habits: Habits) -> Result<Vec<u8>, LoadError> {
    match habits {
        Habits::Ipxe => read(
            server,
            file,
            &[("blksize", "1432"), ("tsize", "0")],
            Until::End,
        ),
        Habits::Edk2 => {
            let asked = [("tsize", "0"), ("blksize", "1468"), ("windowsize", "4")];
            read(server, file, &asked, Until::Size)?;
            let asked = [("blksize", "1468"), ("windowsize", "4")];
            read(server, file, &asked, Until::End)
        }
    }
}

/// Part of a file to read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// Only its size.
    Size,
    /// All of it.
    End,
}

fn read(
    server: Ipv4Addr,
    file: &str,
    options: &[(&str, &str)],
    until: Until,
) -> Result<Vec<u8>, LoadError> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).map_err(LoadError::from_io)?;
    let mut transfer = Incoming {
        peer: None,
        block_size: 512,
        window: 1,
        blocks: 0,
        bytes: Vec::new(),
        done: false,
    };
    let mut last = request(file, options);
    let mut to = SocketAddr::V4(SocketAddrV4::new(server, PORT));
    let mut waits = WAITS.iter();
    let mut buffer = vec![0; 65_536];
    send(&socket, &last, to)?;
    loop {
        let Some(wait) = waits.clone().next() else {
            return Err(LoadError::TimedOut);
        };
        socket
            .set_read_timeout(Some(*wait))
            .map_err(LoadError::from_io)?;
        let (length, from) = match socket.recv_from(&mut buffer) {
            Ok(received) => received,
            Err(error) => match LoadError::from_io(error) {
                LoadError::TimedOut => {
                    waits.next();
                    send(&socket, &last, to)?;
                    continue;
                }
                // A closed port means that no server is running, which firmware cannot detect.
                _ => {
                    std::thread::sleep(*wait);
                    waits.next();
                    send(&socket, &last, to)?;
                    continue;
                }
            },
        };
        if transfer.peer.is_some_and(|peer| peer != from) || from.ip() != to.ip() {
            continue;
        }
        let Ok(packet) = Packet::decode(buffer.get(..length).unwrap_or_default()) else {
            continue;
        };
        transfer.peer = Some(from);
        to = from;
        if let (Packet::OptionsAck(_), Until::Size) = (&packet, until) {
            let enough =
                Packet::encode_error(ErrorCode::OptionsRefused, "User aborted the transfer");
            send(&socket, &enough, to)?;
            return Ok(Vec::new());
        }
        if let Some(answer) = transfer.take(packet)? {
            waits = WAITS.iter();
            send(&socket, &answer, to)?;
            last = answer;
        }
        if transfer.done {
            return Ok(transfer.bytes);
        }
    }
}

fn send(socket: &UdpSocket, bytes: &[u8], to: SocketAddr) -> Result<(), LoadError> {
    match socket.send_to(bytes, to) {
        Err(error) if error.kind() != std::io::ErrorKind::ConnectionRefused => {
            Err(LoadError::from_io(error))
        }
        _ => Ok(()),
    }
}

/// File transfer.
struct Incoming {
    peer: Option<SocketAddr>,
    block_size: usize,
    window: u64,
    blocks: u64,
    bytes: Vec<u8>,
    done: bool,
}

impl Incoming {
    /// Processes a packet; returns the packet to send in response, if any.
    fn take(&mut self, packet: Packet) -> Result<Option<Vec<u8>>, LoadError> {
        match packet {
            Packet::OptionsAck(options) => {
                for (name, value) in options {
                    let number: u64 = value.parse().unwrap_or(0);
                    match name.to_ascii_lowercase().as_str() {
                        "blksize" => self.block_size = usize::try_from(number).unwrap_or(512),
                        "windowsize" => self.window = number.max(1),
                        _ => {}
                    }
                }
                Ok(Some(ack(0)))
            }
            Packet::Data { block, bytes } => {
                let next = (self.blocks + 1) & 0xffff;
                if u64::from(block) != next {
                    // Out of order or duplicated: the last acknowledgement is repeated.
                    return Ok(Some(ack(self.blocks)));
                }
                self.blocks += 1;
                self.done = bytes.len() < self.block_size;
                self.bytes.extend(bytes);
                let through = self.done || self.blocks.is_multiple_of(self.window);
                Ok(through.then(|| ack(self.blocks)))
            }
            Packet::Error { code: 1, .. } => Err(LoadError::NotFound),
            Packet::Error { code, message } => {
                Err(LoadError::Refused(format!("TFTP error {code}: {message}")))
            }
            _ => Ok(None),
        }
    }
}

fn ack(block: u64) -> Vec<u8> {
    let [.., high, low] = block.to_be_bytes();
    vec![0, 4, high, low]
}

fn request(file: &str, options: &[(&str, &str)]) -> Vec<u8> {
    let mut packet = vec![0, 1];
    for text in [file, "octet"] {
        packet.extend(text.bytes());
        packet.push(0);
    }
    for (name, value) in options {
        for text in [name, value] {
            packet.extend(text.bytes());
            packet.push(0);
        }
    }
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(block: u16, bytes: &[u8]) -> Packet {
        Packet::Data {
            block,
            bytes: bytes.to_vec(),
        }
    }

    fn incoming(block_size: usize, window: u64) -> Incoming {
        Incoming {
            peer: None,
            block_size,
            window,
            blocks: 0,
            bytes: Vec::new(),
            done: false,
        }
    }

    #[test]
    fn blocks_are_acknowledged_window_by_window_and_the_last_at_once() {
        let mut file = incoming(2, 2);
        assert_eq!(file.take(data(1, b"ab")).unwrap(), None);
        assert_eq!(file.take(data(2, b"cd")).unwrap(), Some(vec![0, 4, 0, 2]));
        assert_eq!(file.take(data(3, b"e")).unwrap(), Some(vec![0, 4, 0, 3]));
        assert!(file.done);
        assert_eq!(file.bytes, b"abcde");
    }

    #[test]
    fn a_block_that_is_not_the_next_is_not_taken() {
        let mut file = incoming(2, 1);
        assert_eq!(file.take(data(2, b"cd")).unwrap(), Some(vec![0, 4, 0, 0]));
        assert_eq!(file.take(data(1, b"ab")).unwrap(), Some(vec![0, 4, 0, 1]));
        assert_eq!(file.take(data(1, b"ab")).unwrap(), Some(vec![0, 4, 0, 1]));
        assert_eq!(file.bytes, b"ab");
    }
}
