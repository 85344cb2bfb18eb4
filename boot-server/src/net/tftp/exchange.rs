//! One transfer from the request to the event that tells how it ended.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Instant;

use tracing::debug;

use super::Shared;
use super::link::Link;
use super::places::Place;
use super::read_ahead::ReadAhead;
use crate::event::BootEvent;
use crate::net::files::{Content, Opened, Refusal};
use crate::policy::Rules;
use crate::proto::tftp::{ErrorCode, Limits, Outcome, Packet, ReadRequest, Transfer, Transmit};

/// Largest window granted: beyond it a boot ROM's receive buffers only lose packets.
const MAX_WINDOW_SIZE: u16 = 64;
/// Largest block that Pixiecore grants, whatever the link.
const PIXIECORE_BLOCK_SIZE: u16 = 1450;
/// The error code of clients that break off after the options (RFC 2347).
const OPTIONS_REFUSED: u16 = ErrorCode::OptionsRefused as u16;

/// Transfers that may wait without sleeping: not so many that they keep each other from running.
static SPINNERS: LazyLock<usize> =
    LazyLock::new(|| thread::available_parallelism().map_or(1, |cores| cores.get() / 2));

/// A request being answered.
pub(super) struct Exchange {
    pub(super) shared: Arc<Shared>,
    pub(super) peer: SocketAddr,
    pub(super) place: Place,
}

/// How the sending ended.
enum Ended {
    /// As the protocol knows it.
    Transfer(Outcome),
    /// The server is told to stop.
    Stopped,
}

impl Exchange {
    /// Answers the request, whatever comes of it.
    pub(super) fn run(self, request: &ReadRequest) {
        let file = request.file.as_str();
        let (shared, peer) = (&self.shared, self.peer);
        let mut link = match Link::open(&shared.context.interface, peer) {
            Ok(link) => link,
            Err(error) => {
                return shared.failed(peer, file, &format!("opening a socket: {error}"));
            }
        };
        let opened = match shared.files.open(file, peer) {
            Ok(opened) => opened,
            Err(Refusal { code, reason }) => {
                send_error(&mut link, code, &reason);
                return shared.failed(peer, file, &reason);
            }
        };
        let started = Instant::now();
        let len = opened.content.len();
        let mut transfer = Transfer::new(&request.options, self.limits(&link), len, started);
        shared.context.events.emit(BootEvent::TftpRequest {
            who: shared.who(peer),
            file: file.to_owned(),
            block_size: transfer.block_size(),
            window_size: transfer.window_size(),
        });
        let reason = match self.drive(&mut link, &opened.content, &mut transfer) {
            Ok(Ended::Transfer(Outcome::Done)) => {
                return self.done(&transfer, file, opened, started);
            }
            // EDK2 asks for a file's size first, and breaks off to ask again for the file.
            Ok(Ended::Transfer(Outcome::Aborted {
                code: OPTIONS_REFUSED,
                message,
            })) if request.options.transfer_size => {
                format!("the client only asked for the size: {message}")
            }
            Ok(Ended::Transfer(Outcome::Aborted { code, message })) => {
                format!("the client broke off: error {code} {message}")
            }
            Ok(Ended::Transfer(Outcome::TimedOut)) => {
                if transfer.is_answered() {
                    send_error(&mut link, ErrorCode::NotDefined, "no answer for too long");
                }
                "the client fell silent".to_owned()
            }
            Ok(Ended::Stopped) => {
                send_error(&mut link, ErrorCode::NotDefined, "the server is stopping");
                "the server is stopping".to_owned()
            }
            Err(error) => {
                let reason = error.to_string();
                send_error(&mut link, ErrorCode::NotDefined, &reason);
                reason
            }
        };
        shared.failed(peer, file, &reason);
    }

    fn limits(&self, link: &Link) -> Limits {
        let most = match self.shared.context.policy().rules() {
            Rules::Pixiecore => PIXIECORE_BLOCK_SIZE,
            Rules::Boot => 65464,
        };
        Limits {
            block_size: link.safe_block_size().min(most),
            window_size: MAX_WINDOW_SIZE,
        }
    }

    /// Feeds a transfer with packets and time until it ends.
    fn drive(
        &self,
        link: &mut Link,
        content: &Content,
        transfer: &mut Transfer,
    ) -> io::Result<Ended> {
        let mut incoming = [0; 1500];
        let mut ahead = ReadAhead::default();
        loop {
            while let Some(transmit) = transfer.poll_transmit() {
                match transmit {
                    Transmit::OptionsAck(bytes) => link.queue(&bytes, 0, |_| Ok(()))?,
                    Transmit::Data { block, offset, len } => {
                        let header = Packet::data_header(block);
                        link.queue(&header, len, |out| ahead.read(content, offset, len, out))?;
                    }
                }
            }
            link.flush();
            if let Some(outcome) = transfer.outcome() {
                return Ok(Ended::Transfer(outcome.clone()));
            }
            let may_spin = self.place.active() <= *SPINNERS;
            let received = link.receive(&mut incoming, may_spin)?;
            let now = Instant::now();
            if let Some(len) = received {
                let datagram = incoming.get(..len).unwrap_or_default();
                if let Some(block) = Packet::decode_ack(datagram) {
                    transfer.handle_ack(now, block);
                } else if let Ok(packet) = Packet::decode(datagram) {
                    transfer.handle_packet(now, &packet);
                }
            }
            // Also when packets keep coming that bring the transfer nowhere.
            transfer.handle_timeout(now);
            if self.place.is_over(now) {
                return Ok(Ended::Stopped);
            }
        }
    }

    fn done(&self, transfer: &Transfer, file: &str, opened: Opened, started: Instant) {
        let context = &self.shared.context;
        let now = Instant::now();
        let millis = u64::try_from(now.duration_since(started).as_millis()).unwrap_or(u64::MAX);
        let bytes = opened.content.len();
        debug!(bytes, millis, group = opened.group, "sent");
        let mac = match self.peer.ip() {
            IpAddr::V4(ip) => context.neighbours.lookup(ip).map(|neighbour| neighbour.mac),
            IpAddr::V6(_) => None,
        };
        context.policy().file_fetched(mac, file, now);
        context.events.emit(BootEvent::TftpDone {
            who: self.shared.who(self.peer),
            file: file.to_owned(),
            bytes,
            retransmits: transfer.retransmits(),
            millis,
            sha256: opened.content.sha256(),
            group: opened.group,
            selectors: opened.selectors,
        });
    }
}

fn send_error(link: &mut Link, code: ErrorCode, reason: &str) {
    let packet = Packet::encode_error(code, reason);
    if link.queue(&packet, 0, |_| Ok(())).is_ok() {
        link.flush();
    }
}
