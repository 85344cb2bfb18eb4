//! Transfer of one file, from the request to the event of its end.
//!
//! Until the client has acknowledged something, a transfer is a task that waits on the server's runtime: a
//! request costs its sender nothing, and its source may be forged. Then it gets its own thread.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

use boot_server_events::{BootEvent, TftpFailureCode};
use boot_server_proto::tftp::{
    ErrorCode, Limits, Outcome, Packet, ReadRequest, Transfer, Transmit,
};
use tokio::time::sleep_until;
use tracing::{debug, debug_span};

use super::link::Link;
use super::places::Place;
use super::read_ahead::ReadAhead;
use super::shared::Shared;
use crate::net::files::{Opened, Refusal};
use crate::policy::Rules;

/// Largest window granted: beyond it a boot ROM's receive buffers only lose packets.
const MAX_WINDOW_SIZE: u16 = 64;
/// Largest block that Pixiecore grants, whatever the link.
const PIXIECORE_BLOCK_SIZE: u16 = 1450;
/// The error code of clients that break off after the options (RFC 2347).
const OPTIONS_REFUSED: u16 = ErrorCode::OptionsRefused as u16;
/// Interval at which a transfer that waits for its first acknowledgement checks for a shutdown.
const LOOK: Duration = Duration::from_millis(250);
/// Stack of a transfer's thread: its buffers are on the heap.
const STACK_BYTES: usize = 256 * 1024;

/// Transfers that may wait without sleeping: not so many that they keep each other from running.
static SPINNERS: LazyLock<usize> =
    LazyLock::new(|| thread::available_parallelism().map_or(1, |cores| cores.get() / 2));

/// A request being answered.
pub(super) struct Exchange {
    pub(super) shared: Arc<Shared>,
    pub(super) peer: SocketAddr,
    pub(super) place: Place,
    pub(super) request: ReadRequest,
}

/// A transfer whose first packet is sent.
struct Begun {
    exchange: Exchange,
    link: Link,
    opened: Opened,
    transfer: Transfer,
    ahead: ReadAhead,
    started: Instant,
}

/// Result of the sending.
enum Ended {
    /// The protocol ended the transfer.
    Transfer(Outcome),
    /// The server is shutting down.
    Stopped,
    /// Another request has the place.
    Replaced,
    /// The file or the socket failed.
    Failed(io::Error),
}

impl Exchange {
    /// Answers the request, whatever comes of it.
    pub(super) async fn run(self) {
        let mut exchange = self;
        loop {
            // Opening reads disks and renders menus: off the thread that waits for packets, a few at once.
            let shared = Arc::clone(&exchange.shared);
            let permit = shared.opening.acquire().await;
            if exchange.place.ended().is_cancelled() {
                let (peer, file) = (exchange.peer, exchange.request.file.as_str());
                let why = "dropped from the queue to make room";
                shared.failed(peer, file, (TftpFailureCode::NoPlace, why));
                return;
            }
            let begun = tokio::task::spawn_blocking(move || exchange.begin()).await;
            drop(permit);
            let Ok(Some(begun)) = begun else {
                return;
            };
            let (begun, ended) = match begun.first_answer().await {
                Ok(begun) => return begun.start_thread(),
                Err(boxed) => *boxed,
            };
            let aborted = matches!(ended, Ended::Transfer(Outcome::Aborted { .. }));
            exchange = begun.conclude(ended);
            if !aborted || !exchange.place.take_repeated(Instant::now()) {
                return;
            }
        }
    }

    /// Opens what is asked for and sends the first packet; tells of it when that fails.
    fn begin(self) -> Option<Begun> {
        let file = self.request.file.as_str();
        let (shared, peer) = (&self.shared, self.peer);
        let mut link = match Link::open(&shared.context.interface, peer) {
            Ok(link) => link,
            Err(error) => {
                let why = format!("cannot open a socket: {error}");
                shared.failed(peer, file, (TftpFailureCode::Io, &why));
                return None;
            }
        };
        let opened = match shared.files.open(file, peer) {
            Ok(opened) => opened,
            Err(Refusal { code, reason }) => {
                send_error(&mut link, code, &shared.files.told_to(peer, code, &reason));
                let kind = match code {
                    ErrorCode::FileNotFound => TftpFailureCode::NotFound,
                    _ => TftpFailureCode::Refused,
                };
                shared.failed(peer, file, (kind, &reason));
                return None;
            }
        };
        let started = Instant::now();
        let len = opened.content.len();
        let transfer = Transfer::new(&self.request.options, self.limits(&link), len, started);
        shared.context.events.emit(BootEvent::TftpRequest {
            who: shared.who(peer),
            file: file.to_owned(),
            block_size: transfer.block_size(),
            window_size: transfer.window_size(),
        });
        let mut begun = Begun {
            exchange: self,
            link,
            opened,
            transfer,
            ahead: ReadAhead::default(),
            started,
        };
        match begun.transmit() {
            Ok(()) => Some(begun),
            Err(error) => {
                begun.conclude(Ended::Failed(error));
                None
            }
        }
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
}

impl Begun {
    /// Sends what is to be sent now.
    fn transmit(&mut self) -> io::Result<()> {
        let (link, ahead) = (&mut self.link, &mut self.ahead);
        while let Some(transmit) = self.transfer.poll_transmit() {
            match transmit {
                Transmit::OptionsAck(bytes) => link.queue(&bytes, 0, |_| Ok(()))?,
                Transmit::Data { block, offset, len } => {
                    let header = Packet::data_header(block);
                    let content = &self.opened.content;
                    link.queue(&header, len, |out| ahead.read(content, offset, len, out))?;
                }
            }
        }
        link.flush();
        Ok(())
    }

    fn handle(&mut self, now: Instant, datagram: &[u8]) {
        if let Some(block) = Packet::decode_ack(datagram) {
            self.transfer.handle_ack(now, block);
        } else if let Ok(packet) = Packet::decode(datagram) {
            self.transfer.handle_packet(now, &packet);
        }
    }

    /// Waits until the client acknowledges something, and sends again meanwhile.
    async fn first_answer(mut self) -> Result<Begun, Box<(Begun, Ended)>> {
        let waiting = match self.link.waiting() {
            Ok(waiting) => waiting,
            Err(error) => return Err(Box::new((self, Ended::Failed(error)))),
        };
        let ended = loop {
            if let Some(outcome) = self.transfer.outcome() {
                break Ended::Transfer(outcome.clone());
            }
            if self.transfer.is_answered() {
                self.exchange.place.answered();
                drop(waiting);
                match self.link.blocking() {
                    Ok(()) => return Ok(self),
                    Err(error) => break Ended::Failed(error),
                }
            }
            if let Err(error) = self.transmit() {
                break Ended::Failed(error);
            }
            let Some(deadline) = self.transfer.poll_timeout() else {
                continue;
            };
            if self.exchange.place.is_over(Instant::now()) {
                break Ended::Stopped;
            }
            let deadline = deadline.min(Instant::now() + LOOK);
            let mut incoming = [0; 1500];
            let received = tokio::select! {
                biased;
                () = self.exchange.place.ended().cancelled() => break Ended::Replaced,
                received = waiting.receive(&mut incoming) => received,
                () = sleep_until(deadline.into()) => Ok(None),
            };
            let now = Instant::now();
            match received {
                Ok(Some(len)) => self.handle(now, incoming.get(..len).unwrap_or_default()),
                Ok(None) => {}
                Err(error) => break Ended::Failed(error),
            }
            self.transfer.handle_timeout(now);
        };
        Err(Box::new((self, ended)))
    }

    /// Continues in a separate thread.
    fn start_thread(self) {
        let exchange = &self.exchange;
        let (shared, peer) = (Arc::clone(&exchange.shared), exchange.peer);
        let file = exchange.request.file.clone();
        let span = debug_span!("tftp", %peer, file);
        let thread = thread::Builder::new()
            .name("tftp".into())
            .stack_size(STACK_BYTES);
        let run = move || {
            span.in_scope(|| {
                let mut begun = self;
                let ended = begun.drive();
                begun.conclude(ended);
            });
        };
        if let Err(error) = thread.spawn(run) {
            let why = format!("cannot start a thread: {error}");
            shared.failed(peer, &file, (TftpFailureCode::Io, &why));
        }
    }

    /// Feeds the transfer with packets and time until it ends.
    fn drive(&mut self) -> Ended {
        let mut incoming = [0; 1500];
        loop {
            if self.exchange.place.ended().is_cancelled() {
                return Ended::Replaced;
            }
            if let Err(error) = self.transmit() {
                return Ended::Failed(error);
            }
            if let Some(outcome) = self.transfer.outcome() {
                return Ended::Transfer(outcome.clone());
            }
            let may_spin = self.exchange.place.active() <= *SPINNERS;
            let received = match self.link.receive(&mut incoming, may_spin) {
                Ok(received) => received,
                Err(error) => return Ended::Failed(error),
            };
            let now = Instant::now();
            if let Some(len) = received {
                self.handle(now, incoming.get(..len).unwrap_or_default());
            }
            // Also when packets keep coming that bring the transfer nowhere.
            self.transfer.handle_timeout(now);
            if self.exchange.place.is_over(now) {
                return Ended::Stopped;
            }
        }
    }

    /// Tells how it ended.
    fn conclude(mut self, ended: Ended) -> Exchange {
        let link = &mut self.link;
        let (code, reason) = match ended {
            Ended::Transfer(Outcome::Done) => return self.done(),
            // EDK2 asks for a file's size first, and breaks off to ask again for the file.
            Ended::Transfer(Outcome::Aborted {
                code: OPTIONS_REFUSED,
                message,
            }) if self.exchange.request.options.transfer_size => (
                TftpFailureCode::SizeOnly,
                format!("the client only asked for the size: {message}"),
            ),
            Ended::Transfer(Outcome::Aborted { code, message }) => (
                TftpFailureCode::ClientAborted,
                format!("the client broke off: error {code} {message}"),
            ),
            Ended::Transfer(Outcome::TimedOut) => {
                if self.transfer.is_answered() {
                    send_error(link, ErrorCode::NotDefined, "no answer for too long");
                }
                (
                    TftpFailureCode::TimedOut,
                    "the client fell silent".to_owned(),
                )
            }
            Ended::Stopped => {
                send_error(link, ErrorCode::NotDefined, "the server is stopping");
                (
                    TftpFailureCode::Stopping,
                    "the server is stopping".to_owned(),
                )
            }
            // Nothing is sent: the client's port may be that of its next transfer.
            Ended::Replaced if self.transfer.is_answered() => (
                TftpFailureCode::NoPlace,
                "the client began another transfer".to_owned(),
            ),
            Ended::Replaced => (
                TftpFailureCode::NoPlace,
                "the client began another transfer, or made room for another client before it \
                 acknowledged anything"
                    .to_owned(),
            ),
            Ended::Failed(error) => {
                let reason = error.to_string();
                let files = &self.exchange.shared.files;
                let told = files.told_to(self.exchange.peer, ErrorCode::NotDefined, &reason);
                send_error(link, ErrorCode::NotDefined, &told);
                (TftpFailureCode::Io, reason)
            }
        };
        let exchange = self.exchange;
        let file = exchange.request.file.as_str();
        exchange.shared.failed(exchange.peer, file, (code, &reason));
        exchange
    }

    fn done(self) -> Exchange {
        let exchange = self.exchange;
        let context = &exchange.shared.context;
        let file = exchange.request.file.clone();
        let now = Instant::now();
        let millis =
            u64::try_from(now.duration_since(self.started).as_millis()).unwrap_or(u64::MAX);
        let bytes = self.opened.content.len();
        debug!(bytes, millis, group = self.opened.group, "sent");
        let mac = match exchange.peer.ip() {
            IpAddr::V4(ip) => context.neighbours.lookup(ip).map(|neighbour| neighbour.mac),
            IpAddr::V6(_) => None,
        };
        context.policy().file_fetched(mac, &file, now);
        context.events.emit(BootEvent::TftpDone {
            who: exchange.shared.who(exchange.peer),
            file,
            bytes,
            retransmits: self.transfer.retransmits(),
            millis,
            sha256: self.opened.content.sha256(),
            group: self.opened.group,
            selectors: self.opened.selectors,
        });
        exchange
    }
}

fn send_error(link: &mut Link, code: ErrorCode, reason: &str) {
    let packet = Packet::encode_error(code, reason);
    if link.queue(&packet, 0, |_| Ok(())).is_ok() {
        link.flush();
    }
}
