//! The TFTP server: a task and a socket of its own for each transfer (RFC 1350 §4), within limits.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rustix::net::sockopt::ip_mtu;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::time::{sleep_until, timeout_at};
use tracing::{Instrument, debug, debug_span, info, warn};

use super::context::Context;
use super::files::{Content, Opened, Refusal, TftpFiles};
use crate::event::{BootEvent, Who};
use crate::policy::Rules;
use crate::proto::pxelinux::CONFIG_FOLDER;
use crate::proto::tftp::{
    ErrorCode, Limits, Mode, Outcome, Packet, ReadRequest, Transfer, Transmit,
};

/// The port that requests come to.
pub(super) const TFTP_PORT: u16 = 69;
/// Headers of IP, UDP and TFTP in each data packet.
const DATA_HEADERS_LEN: u32 = 20 + 8 + 4;
/// Largest window granted: beyond it a boot ROM's receive buffers only lose packets.
const MAX_WINDOW_SIZE: u16 = 64;
/// Largest block that Pixiecore grants, whatever the link.
const PIXIECORE_BLOCK_SIZE: u16 = 1450;
/// Transfers under way at once.
const MAX_TRANSFERS: usize = 1024;
/// Of them for one address.
const MAX_TRANSFERS_PER_CLIENT: usize = 16;
/// The error code of clients that break off after the options (RFC 2347).
const OPTIONS_REFUSED: u16 = ErrorCode::OptionsRefused as u16;
/// Bytes read from a file at once.
const READ_AHEAD: usize = 128 * 1024;

/// The server's socket for requests, and what it serves.
pub(super) struct TftpService {
    context: Arc<Context>,
    socket: UdpSocket,
    files: TftpFiles,
    active: Mutex<Active>,
}

#[derive(Default)]
struct Active {
    peers: HashSet<SocketAddr>,
    by_client: HashMap<IpAddr, usize>,
}

impl TftpService {
    /// Binds a port of our address on the interface.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn bind(
        context: Arc<Context>,
        files: TftpFiles,
        port: u16,
    ) -> io::Result<TftpService> {
        let socket = transfer_socket(&context, port)?;
        Ok(TftpService {
            context,
            socket,
            files,
            active: Mutex::default(),
        })
    }

    /// Serves until the task is dropped.
    pub(super) async fn serve(self) -> io::Result<()> {
        let service = Arc::new(self);
        let mut buffer = vec![0; 1500];
        loop {
            let (len, peer) = match service.socket.recv_from(&mut buffer).await {
                Ok(received) => received,
                Err(error) => {
                    warn!(%error, "receiving a TFTP request");
                    tokio::task::yield_now().await;
                    continue;
                }
            };
            let datagram = buffer.get(..len).unwrap_or_default();
            let Some(request) = service.read(datagram, peer).await else {
                continue;
            };
            let Some(place) = Place::take(&service, peer) else {
                continue;
            };
            let span = debug_span!("tftp", %peer, file = request.file);
            let task = Arc::clone(&service);
            tokio::spawn(
                async move {
                    task.transfer(request, peer).await;
                    drop(place);
                }
                .instrument(span),
            );
        }
    }

    async fn read(&self, datagram: &[u8], peer: SocketAddr) -> Option<ReadRequest> {
        let (code, reason, file) = match Packet::decode(datagram) {
            Ok(Packet::Read(request)) if request.mode == Mode::Octet => return Some(request),
            Ok(Packet::Read(request)) => (
                ErrorCode::IllegalOperation,
                "only octet mode is served",
                Some(request.file),
            ),
            Ok(Packet::Write(file)) => (
                ErrorCode::AccessViolation,
                "nothing is written here",
                Some(file),
            ),
            // Meant for a transfer that has ended: an answer would only start a game of ping-pong.
            Ok(_) => return None,
            Err(error) => {
                debug!(%peer, %error, "a TFTP packet that is none");
                let who = self.context.neighbours.who(peer);
                let (protocol, reason) = ("tftp".to_owned(), error.to_string());
                self.context.events.emit(BootEvent::Malformed {
                    who,
                    protocol,
                    reason,
                });
                return None;
            }
        };
        let _ = self
            .socket
            .send_to(&Packet::encode_error(code, reason), peer)
            .await;
        self.failed(peer, &file.unwrap_or_default(), reason);
        None
    }

    async fn transfer(&self, request: ReadRequest, peer: SocketAddr) {
        let file = request.file.as_str();
        let socket = match self.connect(peer).await {
            Ok(socket) => socket,
            Err(error) => return self.failed(peer, file, &format!("opening a socket: {error}")),
        };
        let opened = match self.files.open(file, peer) {
            Ok(opened) => opened,
            Err(Refusal { code, reason }) => {
                let _ = socket.send(&Packet::encode_error(code, &reason)).await;
                return self.failed(peer, file, &reason);
            }
        };
        let started = Instant::now();
        let len = opened.content.len();
        let mut transfer = Transfer::new(&request.options, self.limits(&socket), len, started);
        self.context.events.emit(BootEvent::TftpRequest {
            who: self.who(peer),
            file: file.to_owned(),
            block_size: transfer.block_size(),
            window_size: transfer.window_size(),
        });
        match drive(&socket, &opened.content, &mut transfer).await {
            Ok(Outcome::Done) => self.done(&transfer, file, peer, opened, started),
            // EDK2 asks for a file's size first, and breaks off to ask again for the file.
            Ok(Outcome::Aborted {
                code: OPTIONS_REFUSED,
                message,
            }) if request.options.transfer_size => {
                self.failed(
                    peer,
                    file,
                    &format!("the client only asked for the size: {message}"),
                );
            }
            Ok(Outcome::Aborted { code, message }) => {
                self.failed(
                    peer,
                    file,
                    &format!("the client broke off: error {code} {message}"),
                );
            }
            Ok(Outcome::TimedOut) => self.failed(peer, file, "the client fell silent"),
            Err(error) => {
                let reason = error.to_string();
                let _ = socket
                    .send(&Packet::encode_error(ErrorCode::NotDefined, &reason))
                    .await;
                self.failed(peer, file, &reason);
            }
        }
    }

    /// A socket for one transfer, on a port of its own and deaf to everyone else.
    async fn connect(&self, peer: SocketAddr) -> io::Result<UdpSocket> {
        let socket = transfer_socket(&self.context, 0)?;
        socket.connect(peer).await?;
        Ok(socket)
    }

    fn limits(&self, socket: &UdpSocket) -> Limits {
        // The connected socket knows the MTU of the way to its peer.
        let mtu = ip_mtu(socket).unwrap_or(1500);
        let safe = u16::try_from(mtu.saturating_sub(DATA_HEADERS_LEN)).unwrap_or(u16::MAX);
        let most = match self.context.policy().rules() {
            Rules::Pixiecore => PIXIECORE_BLOCK_SIZE,
            Rules::Boot => 65464,
        };
        Limits {
            block_size: safe.min(most),
            window_size: MAX_WINDOW_SIZE,
        }
    }

    fn who(&self, peer: SocketAddr) -> Who {
        self.context.neighbours.who(peer)
    }

    fn done(
        &self,
        transfer: &Transfer,
        file: &str,
        peer: SocketAddr,
        opened: Opened,
        started: Instant,
    ) {
        let now = Instant::now();
        let millis = u64::try_from(now.duration_since(started).as_millis()).unwrap_or(u64::MAX);
        let bytes = opened.content.len();
        info!(bytes, millis, group = opened.group, "sent");
        let mac = match peer.ip() {
            IpAddr::V4(ip) => self
                .context
                .neighbours
                .lookup(ip)
                .map(|neighbour| neighbour.mac),
            IpAddr::V6(_) => None,
        };
        self.context.policy().file_fetched(mac, file, now);
        self.context.events.emit(BootEvent::TftpDone {
            who: self.who(peer),
            file: file.to_owned(),
            bytes,
            retransmits: transfer.retransmits(),
            millis,
            group: opened.group,
        });
    }

    fn failed(&self, peer: SocketAddr, file: &str, reason: &str) {
        // PXELINUX asks for a dozen names until one exists: that is no news.
        if file.contains(CONFIG_FOLDER) {
            debug!(reason, "not sent");
        } else {
            info!(reason, "not sent");
        }
        let (who, file, reason) = (self.who(peer), file.to_owned(), reason.to_owned());
        self.context
            .events
            .emit(BootEvent::TftpFailed { who, file, reason });
    }
}

/// Feeds a transfer with packets and time until it ends.
async fn drive(
    socket: &UdpSocket,
    content: &Content,
    transfer: &mut Transfer,
) -> io::Result<Outcome> {
    let mut incoming = vec![0; 1500];
    let mut ahead = ReadAhead::default();
    let mut packet = Vec::new();
    loop {
        while let Some(transmit) = transfer.poll_transmit() {
            packet.clear();
            match transmit {
                Transmit::OptionsAck(bytes) => packet.extend(bytes),
                Transmit::Data { block, offset, len } => {
                    packet.extend(Packet::data_header(block));
                    ahead.read(content, offset, len, &mut packet)?;
                }
            }
            if let Err(error) = socket.send(&packet).await {
                // A full queue, or the client's port closed: what is lost is sent again or given up.
                debug!(%error, "sending a TFTP packet");
            }
        }
        if let Some(outcome) = transfer.outcome() {
            return Ok(outcome.clone());
        }
        let deadline = transfer.poll_timeout().unwrap_or_else(Instant::now);
        match timeout_at(deadline.into(), socket.recv(&mut incoming)).await {
            Ok(Ok(len)) => {
                if let Ok(packet) = Packet::decode(incoming.get(..len).unwrap_or_default()) {
                    transfer.handle_packet(Instant::now(), &packet);
                }
            }
            Ok(Err(error)) => {
                // ICMP says the port is closed. Boot ROMs that close and reopen it are waited for.
                debug!(%error, "receiving a TFTP packet");
                sleep_until(deadline.into()).await;
                transfer.handle_timeout(Instant::now());
            }
            Err(_) => transfer.handle_timeout(Instant::now()),
        }
    }
}

/// Reads a file in large pieces for small blocks.
#[derive(Default)]
struct ReadAhead {
    start: u64,
    bytes: Vec<u8>,
}

impl ReadAhead {
    fn read(
        &mut self,
        content: &Content,
        offset: u64,
        len: usize,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        if self.part(offset, len).is_none() {
            let left = usize::try_from(content.len().saturating_sub(offset)).unwrap_or(usize::MAX);
            self.bytes.clear();
            content.read_into(offset, left.min(READ_AHEAD.max(len)), &mut self.bytes)?;
            self.start = offset;
        }
        out.extend(self.part(offset, len).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn part(&self, offset: u64, len: usize) -> Option<&[u8]> {
        let from = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        self.bytes.get(from..from.checked_add(len)?)
    }
}

/// A transfer's place among those under way; given back when dropped.
struct Place {
    service: Arc<TftpService>,
    peer: SocketAddr,
}

impl Place {
    /// `None` for a repeated request whose transfer is under way, or when there is no place left.
    fn take(service: &Arc<TftpService>, peer: SocketAddr) -> Option<Place> {
        let mut active = service
            .active
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if active.peers.contains(&peer) {
            return None;
        }
        let mine = active.by_client.get(&peer.ip()).copied().unwrap_or(0);
        if active.peers.len() >= MAX_TRANSFERS || mine >= MAX_TRANSFERS_PER_CLIENT {
            drop(active);
            service.failed(peer, "", "too many transfers are under way");
            return None;
        }
        active.peers.insert(peer);
        active.by_client.insert(peer.ip(), mine + 1);
        drop(active);
        Some(Place {
            service: Arc::clone(service),
            peer,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut active = self
            .service
            .active
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        active.peers.remove(&self.peer);
        let left = active
            .by_client
            .get(&self.peer.ip())
            .map_or(0, |count| count - 1);
        if left == 0 {
            active.by_client.remove(&self.peer.ip());
        } else {
            active.by_client.insert(self.peer.ip(), left);
        }
    }
}

fn transfer_socket(context: &Context, port: u16) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.bind_device(Some(context.interface.name.as_bytes()))?;
    let address = SocketAddrV4::new(context.interface.address, port);
    socket.bind(&SocketAddr::V4(address).into())?;
    UdpSocket::from_std(socket.into())
}
