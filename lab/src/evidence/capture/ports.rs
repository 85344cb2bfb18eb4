//! What crosses each machine's own port: the host's end of its network card.
//!
//! A port is listened on from before its machine runs. Each direction has a libpcap handle of its own, because only
//! the kernel knows whether a frame came out of the machine or went into it: addresses are the sender's claim. Frames
//! are read whole, so that everything a machine was sent can be hashed; they are not kept.
//!
//! One thread empties all handles in turn. A frame is read when those of the other direction that were sent before it
//! must have been handed over, so that a late thread changes no order.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use pcap::Active;

use super::{CaptureFault, GATHER};
use crate::evidence::packet::{Direction, Wire};
use crate::evidence::wire::PortReader;
use crate::evidence::{Record, Seen};

/// Bytes taken over of a frame: what a card that joins segments hands over at most.
const SNAP_LENGTH: i32 = 262_144;

/// Memory of a handle's ring, which the kernel fills with both directions. Half a second of the fastest transfer seen in
/// a cell fits.
const RING_BYTES: i32 = 32 << 20;

/// How often the handles are emptied.
const EMPTY_INTERVAL: Duration = Duration::from_millis(40);

/// How long frames wait after they were taken over: the kernel may still gather those of the other direction.
const SETTLE: Duration = GATHER.saturating_mul(3);

/// Receives what arrived at a port, as soon as it did.
type Told = dyn Fn(Record) + Send;

/// Listens on the ports of one cell's machines.
#[derive(Clone)]
pub struct Ports {
    shared: Arc<Shared>,
}

struct Shared {
    is_stopped: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<Port>>>,
    thread: Mutex<Option<JoinHandle<BTreeMap<String, Wire>>>>,
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ports").finish_non_exhaustive()
    }
}

impl Ports {
    /// No port is listened on yet. `told` gets a record of each file, script and config that arrived whole at a port.
    #[must_use]
    pub fn new(told: impl Fn(Record) + Send + 'static) -> Ports {
        let open: Arc<Mutex<Vec<Port>>> = Arc::default();
        let is_stopped: Arc<AtomicBool> = Arc::default();
        let (ports, stop) = (Arc::clone(&open), Arc::clone(&is_stopped));
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::Acquire) {
                thread::sleep(EMPTY_INTERVAL);
                for port in lock(&ports).iter_mut() {
                    port.empty();
                    port.settle(Instant::now(), &told);
                }
            }
            let wires = finish(std::mem::take(&mut *lock(&ports)), &told);
            tracing::debug!(processor_seconds = processor_seconds(), "ports were read");
            wires
        });
        Ports {
            shared: Arc::new(Shared {
                is_stopped,
                open,
                thread: Mutex::new(Some(thread)),
            }),
        }
    }

    /// Listens on the interface `device`, the host's end of the network card of `node`. On return every frame is seen.
    ///
    /// # Errors
    /// [`CaptureFault::Port`] when the interface cannot be listened on.
    pub fn listen(&self, node: &str, device: &str) -> Result<(), CaptureFault> {
        let port = Port {
            node: node.to_owned(),
            handles: vec![
                Handle::open(device, Direction::FromMachine)?,
                Handle::open(device, Direction::ToMachine)?,
            ],
            reader: PortReader::default(),
            waiting: Vec::new(),
            dropped: 0,
        };
        lock(&self.shared.open).push(port);
        Ok(())
    }

    /// Takes in what the kernel still holds and returns what crossed each port, by node name.
    #[must_use]
    pub fn stop(&self) -> BTreeMap<String, Wire> {
        // What was sent before now is handed over when the kernel's gathering ends.
        thread::sleep(SETTLE);
        self.shared.is_stopped.store(true, Ordering::Release);
        let thread = lock(&self.shared.thread).take();
        let wires = thread.map(JoinHandle::join);
        wires.and_then(Result::ok).unwrap_or_default()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The thread ends even when nobody asks for what it saw.
        self.is_stopped.store(true, Ordering::Release);
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing is left half done under the lock.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads one direction of one port.
struct Handle {
    direction: Direction,
    capture: pcap::Capture<Active>,
    /// When the interface went with its machine. The kernel hands over what it had gathered a little later.
    gone: Option<Instant>,
}

impl Handle {
    fn open(device: &str, direction: Direction) -> Result<Handle, CaptureFault> {
        let opened = pcap::Capture::from_device(device).and_then(|capture| {
            let capture = capture
                .promisc(true)
                .snaplen(SNAP_LENGTH)
                .buffer_size(RING_BYTES)
                .timeout(i32::try_from(GATHER.as_millis()).unwrap_or(i32::MAX))
                .open()?;
            // By how the frame came to the device (packet(7), `sll_pkttype`). The filters `inbound` and `outbound` would
            // be evaluated in the kernel, but libpcap 1.10 evaluates the first block in user space, where they match nothing.
            capture.direction(match direction {
                Direction::FromMachine => pcap::Direction::In,
                Direction::ToMachine => pcap::Direction::Out,
            })?;
            capture.setnonblock()
        });
        let capture = opened.map_err(|source| CaptureFault::Port {
            interface: device.to_owned(),
            source,
        })?;
        Ok(Handle {
            direction,
            capture,
            gone: None,
        })
    }

    /// Hands over what the kernel has gathered; `false` when there will be no more.
    fn empty(&mut self, now: Instant, mut take: impl FnMut(Direction, RawFrame)) -> bool {
        let direction = self.direction;
        loop {
            let taken = self.capture.dispatch(None, |packet| {
                let frame = RawFrame {
                    at_us: super::at_us(packet.header),
                    bytes: packet.data.to_vec(),
                };
                take(direction, frame);
            });
            match taken {
                Ok(1..) => {}
                Ok(0) => break,
                Err(error) => {
                    tracing::debug!(%error, "a port is gone");
                    self.gone.get_or_insert(now);
                    break;
                }
            }
        }
        self.gone
            .is_none_or(|since| now.duration_since(since) < SETTLE)
    }

    /// Frames that crossed the port and were lost to the capture.
    fn lost(&mut self) -> u64 {
        self.capture.stats().map_or(0, |stats| {
            u64::from(stats.dropped) + u64::from(stats.if_dropped)
        })
    }
}

struct RawFrame {
    at_us: u64,
    bytes: Vec<u8>,
}

/// A port with the frames that wait for those of the other direction.
struct Port {
    node: String,
    /// A handle for each direction, until the machine and with it the interface are gone.
    handles: Vec<Handle>,
    reader: PortReader,
    waiting: Vec<(Instant, Direction, RawFrame)>,
    dropped: u64,
}

impl Port {
    /// Takes over what the kernel has gathered in both directions.
    fn empty(&mut self) {
        let now = Instant::now();
        let (waiting, dropped) = (&mut self.waiting, &mut self.dropped);
        self.handles.retain_mut(|handle| {
            let is_open = handle.empty(now, |direction, frame| {
                waiting.push((now, direction, frame));
            });
            if !is_open {
                *dropped += handle.lost();
            }
            is_open
        });
    }

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

/// Processor time of this thread (`schedstat` in proc_pid(5): nanoseconds on a processor come first).
fn processor_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: u64 = stat.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds).as_secs_f64())
}

fn finish(ports: Vec<Port>, told: &Told) -> BTreeMap<String, Wire> {
    let mut wires: BTreeMap<String, Wire> = BTreeMap::new();
    for mut port in ports {
        port.empty();
        port.read(u64::MAX, told);
        let still_open = port.handles.iter_mut().map(Handle::lost);
        let dropped = port.dropped + still_open.sum::<u64>();
        let mut wire = port.reader.finish(dropped);
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
