//! TFTP server: requests arrive at one socket, each transfer has its own socket (RFC 1350 §4) and, once its
//! client has acknowledged something, its own thread, within [limits](places).
//!
//! A lockstep transfer waits for the client once per block. The cost of that wait decides the speed of the
//! server, so transfers are plain blocking loops beside the runtime that serves the rest.

mod exchange;
mod link;
mod places;
mod read_ahead;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use boot_server_events::{BootEvent, TftpFailure, TftpFailureCode, Who};
use boot_server_proto::tftp::{ErrorCode, Mode, Packet, ReadRequest};
use tokio::net::UdpSocket;
use tokio::sync::Semaphore;
use tracing::{debug, warn};

use self::exchange::Exchange;
use self::link::bound_socket;
use self::places::{NoPlace, Places};
use super::context::Context;
use super::files::TftpFiles;
use super::refusals::Refusals;

/// The port that requests come to.
pub(super) const TFTP_PORT: u16 = 69;
/// Files that are opened, and menus that are rendered, at once.
const MAX_OPENING: usize = 16;

/// The server's socket for requests, and what it serves.
pub(super) struct TftpService {
    socket: UdpSocket,
    shared: Arc<Shared>,
}

/// State shared by the transfers.
struct Shared {
    context: Arc<Context>,
    files: TftpFiles,
    places: Arc<Places>,
    /// Files that may be opened at once before anything is known of who asks.
    opening: Semaphore,
    too_often: Refusals,
    full: Refusals,
}

/// Reasons that a request is not answered.
#[derive(Debug, Clone, Copy)]
enum Refused {
    /// The address sends more requests than any booting machine.
    TooOften,
    /// All places are taken by clients that acknowledge what they get.
    Full,
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
        let socket = bound_socket(&context.interface, port)?;
        socket.set_nonblocking(true)?;
        let places = Arc::new(Places::default());
        Ok(TftpService {
            socket: UdpSocket::from_std(socket.into())?,
            shared: Arc::new(Shared {
                context,
                files,
                places,
                opening: Semaphore::new(MAX_OPENING),
                too_often: Refusals::default(),
                full: Refusals::default(),
            }),
        })
    }

    /// Serves until the task is dropped; transfers under way are then given a moment to end.
    pub(super) async fn serve(self) -> io::Result<()> {
        let mut buffer = vec![0; 1500];
        loop {
            let (len, peer) = match self.socket.recv_from(&mut buffer).await {
                Ok(received) => received,
                Err(error) => {
                    warn!(%error, "cannot receive TFTP requests");
                    tokio::task::yield_now().await;
                    continue;
                }
            };
            let datagram = buffer.get(..len).unwrap_or_default();
            // Before anything is read or answered: what a client may ask for is bounded as a whole.
            if !self.shared.places.may_ask(peer.ip(), Instant::now()) {
                self.shared.refused(peer, Refused::TooOften);
                continue;
            }
            if let Some(request) = self.read(datagram, peer).await {
                self.start(request, peer);
            }
        }
    }

    /// Starts the transfer.
    fn start(&self, request: ReadRequest, peer: SocketAddr) {
        let shared = &self.shared;
        let known = match peer.ip().to_canonical() {
            IpAddr::V4(ip) => shared.context.neighbours.lookup(ip).is_some(),
            IpAddr::V6(_) => false,
        };
        let now = Instant::now();
        let place = match shared.places.take(peer, &request, known, now) {
            Ok(place) => place,
            // What it asks for is under way.
            Err(NoPlace::Repeated) => return,
            Err(NoPlace::Full) => {
                shared.refused(peer, Refused::Full);
                let why = "too many transfers in progress";
                return shared.failed(peer, &request.file, (TftpFailureCode::NoPlace, why));
            }
        };
        let exchange = Exchange {
            shared: Arc::clone(shared),
            peer,
            place,
            request,
        };
        tokio::spawn(exchange.run());
    }

    async fn read(&self, datagram: &[u8], peer: SocketAddr) -> Option<ReadRequest> {
        let (code, reason, file) = match Packet::decode(datagram) {
            Ok(Packet::Read(request)) if request.mode == Mode::Octet => return Some(request),
            Ok(Packet::Read(request)) => (
                ErrorCode::IllegalOperation,
                "only octet mode is supported",
                Some(request.file),
            ),
            Ok(Packet::Write(file)) => (
                ErrorCode::AccessViolation,
                "write requests are not supported",
                Some(file),
            ),
            // Meant for a transfer that has ended: an answer would only start a game of ping-pong.
            Ok(_) => return None,
            Err(error) => {
                debug!(%peer, %error, "malformed TFTP packet");
                let who = self.shared.context.neighbours.who(peer);
                let (protocol, reason) = ("tftp".to_owned(), error.to_string());
                self.shared.context.events.emit(BootEvent::Malformed {
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
        let why = (TftpFailureCode::Refused, reason);
        self.shared.failed(peer, &file.unwrap_or_default(), why);
        None
    }
}

impl Drop for TftpService {
    fn drop(&mut self) {
        self.shared.places.stop(Instant::now());
    }
}

impl Shared {
    fn who(&self, peer: SocketAddr) -> Who {
        self.context.neighbours.who(peer)
    }

    /// Counts a refusal; tells the first one, and how many there were since once a minute.
    fn refused(&self, peer: SocketAddr, why: Refused) {
        let (refusals, reason) = match why {
            Refused::TooOften => (&self.too_often, "rate"),
            Refused::Full => (&self.full, "full"),
        };
        let metrics = self.context.events.metrics();
        metrics.refused("tftp", reason);
        if let Some(requests) = refusals.count(Instant::now()) {
            let why = match why {
                Refused::TooOften => "too many requests from one address",
                Refused::Full => "too many transfers in progress",
            };
            warn!(%peer, requests, "TFTP requests were refused: {why}");
        }
    }

    fn failed(&self, peer: SocketAddr, file: &str, (code, reason): (TftpFailureCode, &str)) {
        debug!(reason, "not sent");
        let (who, file, reason) = (
            self.who(peer),
            file.to_owned(),
            TftpFailure::new(code, reason),
        );
        self.context
            .events
            .emit(BootEvent::TftpFailed { who, file, reason });
    }
}
