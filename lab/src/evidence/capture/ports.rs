//! What crosses each machine's own port: the host's end of its network card.
//!
//! A port is listened on from before its machine runs. Each direction has a libpcap handle of its own, because only
//! the kernel knows whether a frame came out of the machine or went into it: addresses are the sender's claim. Frames
//! are read whole, so that everything a machine was sent can be hashed; they are not kept.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use pcap::{Active, BreakLoop};

use super::{CaptureFault, GATHER};
use crate::evidence::packet::{Direction, Wire};
use crate::evidence::wire::PortReader;
use crate::evidence::{Record, Seen};

/// Bytes taken over of a frame: what a card that joins segments hands over at most.
const SNAP_LENGTH: i32 = 262_144;

/// Memory of the ring of what a machine sends: requests and acknowledgements.
const SENT_RING_BYTES: i32 = 4 << 20;

/// Memory of the ring of what a machine is sent. Half a second of the fastest transfer seen in a cell fits.
const DELIVERED_RING_BYTES: i32 = 32 << 20;

/// How long frames wait until those of the other direction have been handed over as well.
const SETTLE: Duration = GATHER.saturating_mul(3);

/// Frames of one direction of one port, as they were handed over together.
struct Batch {
    port: usize,
    direction: Direction,
    frames: Vec<RawFrame>,
}

struct RawFrame {
    at_us: u64,
    bytes: Vec<u8>,
}

enum Message {
    Open { node: String },
    Batch(Batch),
    Closed { port: usize, dropped: u64 },
}

/// Receives what arrived at a port, as soon as it did.
type Told = Arc<dyn Fn(Record) + Send + Sync>;

/// Listens on the ports of one cell's machines.
#[derive(Clone)]
pub struct Ports {
    shared: Arc<Shared>,
}

struct Shared {
    is_stopped: Arc<AtomicBool>,
    inner: Mutex<Inner>,
}

struct Inner {
    messages: Option<Sender<Message>>,
    /// Ports opened so far.
    count: usize,
    wakers: Vec<BreakLoop>,
    listeners: Vec<JoinHandle<()>>,
    reader: Option<JoinHandle<BTreeMap<String, Wire>>>,
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ports").finish_non_exhaustive()
    }
}

impl Ports {
    /// No port is listened on yet. `told` gets a record of each file, script and config that arrived whole at a port.
    #[must_use]
    pub fn new(told: impl Fn(Record) + Send + Sync + 'static) -> Ports {
        let (messages, inbox) = mpsc::channel();
        let told: Told = Arc::new(told);
        let reader = thread::spawn(move || read_all(&inbox, &told));
        Ports {
            shared: Arc::new(Shared {
                is_stopped: Arc::default(),
                inner: Mutex::new(Inner {
                    messages: Some(messages),
                    count: 0,
                    wakers: Vec::new(),
                    listeners: Vec::new(),
                    reader: Some(reader),
                }),
            }),
        }
    }

    /// Listens on the interface `device`, the host's end of the network card of `node`. On return every frame is seen.
    ///
    /// # Errors
    /// [`CaptureFault::Port`] when the interface cannot be listened on.
    pub fn listen(&self, node: &str, device: &str) -> Result<(), CaptureFault> {
        let sent = open(device, Direction::FromMachine)?;
        let delivered = open(device, Direction::ToMachine)?;
        let mut inner = self.inner();
        let Some(messages) = inner.messages.clone() else {
            return Ok(());
        };
        let port = inner.count;
        inner.count += 1;
        // The reader is gone only when everything ends.
        let _ = messages.send(Message::Open {
            node: node.to_owned(),
        });
        for (direction, mut capture) in [
            (Direction::FromMachine, sent),
            (Direction::ToMachine, delivered),
        ] {
            inner.wakers.push(capture.breakloop_handle());
            let listener = Listener {
                port,
                direction,
                is_stopped: Arc::clone(&self.shared.is_stopped),
                messages: messages.clone(),
            };
            inner
                .listeners
                .push(thread::spawn(move || listener.run(capture)));
        }
        Ok(())
    }

    /// Takes in what the kernel still holds and returns what crossed each port, by node name.
    #[must_use]
    pub fn stop(&self) -> BTreeMap<String, Wire> {
        // What was sent before now is handed over when the kernel's gathering ends.
        thread::sleep(GATHER * 2);
        self.shared.is_stopped.store(true, Ordering::Release);
        let (listeners, reader) = {
            let mut inner = self.inner();
            inner.messages = None;
            for waker in &inner.wakers {
                waker.breakloop();
            }
            (std::mem::take(&mut inner.listeners), inner.reader.take())
        };
        for listener in listeners {
            if listener.join().is_err() {
                tracing::error!("a port's listener panicked");
            }
        }
        let wires = reader.map(JoinHandle::join);
        wires.and_then(Result::ok).unwrap_or_default()
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        // Nothing is left half done under the lock.
        self.shared
            .inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Listeners end even when nobody asks for what they saw.
        self.is_stopped.store(true, Ordering::Release);
        let inner = self.inner.get_mut().unwrap_or_else(PoisonError::into_inner);
        for waker in &inner.wakers {
            waker.breakloop();
        }
    }
}

fn open(device: &str, direction: Direction) -> Result<pcap::Capture<Active>, CaptureFault> {
    let (ring, filter) = match direction {
        Direction::FromMachine => (SENT_RING_BYTES, "inbound"),
        Direction::ToMachine => (DELIVERED_RING_BYTES, "outbound"),
    };
    let opened = pcap::Capture::from_device(device).and_then(|capture| {
        let mut capture = capture
            .promisc(true)
            .snaplen(SNAP_LENGTH)
            .buffer_size(ring)
            .timeout(i32::try_from(GATHER.as_millis()).unwrap_or(i32::MAX))
            .open()?;
        // The kernel tells the directions apart by how the frame came to the device (packet(7), `sll_pkttype`).
        capture.filter(filter, true)?;
        Ok(capture)
    });
    opened.map_err(|source| CaptureFault::Port {
        interface: device.to_owned(),
        source,
    })
}

/// Reads one direction of one port.
struct Listener {
    port: usize,
    direction: Direction,
    is_stopped: Arc<AtomicBool>,
    messages: Sender<Message>,
}

impl Listener {
    fn run(self, mut capture: pcap::Capture<Active>) {
        while !self.is_stopped.load(Ordering::Acquire) {
            if !self.take(&mut capture) {
                break;
            }
        }
        let mut dropped = 0;
        if let Ok(mut capture) = capture.setnonblock() {
            while self.take(&mut capture) && !self.is_empty(&mut capture) {}
            dropped = capture.stats().map_or(0, |stats| {
                u64::from(stats.dropped) + u64::from(stats.if_dropped)
            });
        }
        let _ = self.messages.send(Message::Closed {
            port: self.port,
            dropped,
        });
    }

    /// Hands on one batch; `false` when there will be no more: the machine and with it the interface are gone.
    fn take(&self, capture: &mut pcap::Capture<Active>) -> bool {
        let mut frames = Vec::new();
        let taken = capture.dispatch(None, |packet| frames.push(raw(&packet)));
        let is_open = taken.is_ok() || self.is_stopped.load(Ordering::Acquire);
        self.hand_on(frames) && is_open
    }

    /// Hands on what is there at once; `true` when nothing was.
    fn is_empty(&self, capture: &mut pcap::Capture<Active>) -> bool {
        let mut frames = Vec::new();
        let taken = capture.dispatch(None, |packet| frames.push(raw(&packet)));
        let is_empty = !matches!(taken, Ok(1..));
        !self.hand_on(frames) || is_empty
    }

    fn hand_on(&self, frames: Vec<RawFrame>) -> bool {
        let batch = Batch {
            port: self.port,
            direction: self.direction,
            frames,
        };
        batch.frames.is_empty() || self.messages.send(Message::Batch(batch)).is_ok()
    }
}

fn raw(packet: &pcap::Packet<'_>) -> RawFrame {
    RawFrame {
        at_us: super::at_us(packet.header),
        bytes: packet.data.to_vec(),
    }
}

/// A port with the frames that wait for those of the other direction.
#[derive(Default)]
struct Port {
    node: String,
    reader: PortReader,
    waiting: Vec<(Instant, Direction, RawFrame)>,
    dropped: u64,
}

impl Port {
    /// Reads the frames that have waited long enough, and all that were sent before them, in their order.
    fn settle(&mut self, now: Instant, told: &Told) {
        let is_due = |since: &Instant| now.duration_since(*since) >= SETTLE;
        let due = self.waiting.iter().filter(|(since, ..)| is_due(since));
        if let Some(until_us) = due.map(|(_, _, frame)| frame.at_us).max() {
            self.read(until_us, told);
        }
    }

    fn read(&mut self, until_us: u64, told: &Told) {
        // Stable: frames of one microsecond stay in the order in which they were handed over.
        self.waiting.sort_by_key(|(_, _, frame)| frame.at_us);
        let count = self
            .waiting
            .partition_point(|(_, _, frame)| frame.at_us <= until_us);
        for (_, direction, frame) in self.waiting.drain(..count) {
            self.reader.take(frame.at_us, direction, &frame.bytes);
        }
        for transfer in self.reader.arrivals() {
            let Some(content) = transfer.content else {
                continue;
            };
            told(Record {
                at_us: transfer.end_us,
                node: Some(self.node.clone()),
                seen: Seen::Arrived {
                    protocol: transfer.protocol,
                    name: transfer.name,
                    from: transfer.from,
                    start_us: transfer.start_us,
                    bytes: transfer.bytes,
                    content,
                },
            });
        }
    }
}

fn read_all(inbox: &Receiver<Message>, told: &Told) -> BTreeMap<String, Wire> {
    let mut ports: Vec<Port> = Vec::new();
    loop {
        match inbox.recv_timeout(GATHER) {
            Ok(Message::Open { node }) => ports.push(Port {
                node,
                ..Port::default()
            }),
            Ok(Message::Batch(batch)) => {
                if let Some(port) = ports.get_mut(batch.port) {
                    let now = Instant::now();
                    let frames = batch.frames.into_iter();
                    port.waiting
                        .extend(frames.map(|frame| (now, batch.direction, frame)));
                }
            }
            Ok(Message::Closed { port, dropped }) => {
                if let Some(port) = ports.get_mut(port) {
                    port.dropped += dropped;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        let now = Instant::now();
        for port in &mut ports {
            port.settle(now, told);
        }
    }
    let mut wires: BTreeMap<String, Wire> = BTreeMap::new();
    for mut port in ports {
        port.read(u64::MAX, told);
        let mut wire = port.reader.finish(port.dropped);
        // Texts are in the records of what arrived.
        for transfer in &mut wire.transfers {
            if let Some(content) = &mut transfer.content {
                content.text = None;
            }
        }
        match wires.get_mut(&port.node) {
            // Switched on once more: the card is another interface then.
            Some(before) => before.append(wire),
            None => drop(wires.insert(port.node, wire)),
        }
    }
    wires
}

/// Writes what crossed a port as compressed JSON.
///
/// # Errors
/// When the file cannot be written.
pub fn save(file: &Path, wire: &Wire) -> io::Result<()> {
    let mut out = GzEncoder::new(BufWriter::new(File::create(file)?), Compression::fast());
    serde_json::to_writer(&mut out, wire)?;
    out.write_all(b"\n")?;
    out.finish()?.flush()
}
