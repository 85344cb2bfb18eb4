//! Socket that requests arrive at.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use boot_server_events::{BootEvent, TftpFailureCode};
use boot_server_proto::tftp::{ErrorCode, Mode, Packet, ReadRequest};
use tokio::net::UdpSocket;
use tokio::sync::Semaphore;
use tracing::{debug, warn};

use super::exchange::Exchange;
use super::link::bound_socket;
use super::places::{NoPlace, Places};
use super::shared::{Refused, Shared};
use crate::net::context::Context;
use crate::net::files::TftpFiles;
use crate::net::refusals::Refusals;

/// The port that requests come to.
pub(in crate::net) const TFTP_PORT: u16 = 69;
/// Files that are opened, and menus that are rendered, at once.
const MAX_OPENING: usize = 16;

/// The server's socket for requests, and what it serves.
pub(in crate::net) struct TftpService {
    pub(super) socket: UdpSocket,
    shared: Arc<Shared>,
}

impl TftpService {
    /// Binds a port of our address on the interface.
    ///
    /// # Errors
    /// The kernel's.
    pub(in crate::net) fn bind(
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
    pub(in crate::net) async fn serve(self) -> io::Result<()> {
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
