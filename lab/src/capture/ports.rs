//! Capture at each machine's own port: the host's end of its network card.
//!
//! A port is captured from before its machine starts. Each direction has its own libpcap handle, because only
//! the kernel knows whether a frame came from the machine or went to it: addresses are claims of the sender.
//! Frames are read whole, so that all data sent to a machine can be hashed, but they are not kept.
//!
//! One thread empties all handles in turn. A frame is processed only when earlier frames of the other direction
//! must have been delivered, so that a late thread does not change the order.

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
use lab_model::evidence::packet::{Direction, Packet, Wire};
use lab_model::evidence::wire::PortReader;
use lab_model::evidence::{Observation, Record};
use pcap::Active;
use rustix::process::setpriority_process;

use super::{CaptureFault, GATHER};

/// Snapshot length in bytes: the maximum of network cards that merge segments.
const SNAP_LENGTH: i32 = 262_144;

/// Size of a handle's ring buffer, which the kernel fills with both directions, enough for half a second of the
/// fastest transfer seen in a cell.
const RING_BYTES: i32 = 32 << 20;

/// Interval for emptying the handles.
const EMPTY_INTERVAL: Duration = Duration::from_millis(40);

/// Waiting time of frames after their delivery, during which the kernel may still gather frames of the other
/// direction.
const SETTLE: Duration = GATHER.saturating_mul(3);

/// Callbacks for what crosses a port.
struct Observers {
    /// Receives a record of each completed arrival.
    arrived: Box<dyn Fn(Record) + Send>,
    /// Receives the requests of machines, if anybody waits for one.
    asked: Option<Box<OnRequest>>,
}

/// Callback for packets that a machine sent.
pub type OnRequest = dyn Fn(&Packet) + Send;

/// Nice value of the capture thread, which takes less than a hundredth of a processor's time.
const PRIORITY: i32 = -10;

/// Captures at the ports of one cell's machines.
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
    /// Creates an empty set of ports. `arrived` receives a record of each file, script and config that arrived
    /// completely at a port, `asked` each packet that a machine sent.
    #[must_use]
    pub fn new(arrived: impl Fn(Record) + Send + 'static, asked: Option<Box<OnRequest>>) -> Ports {
        let arrived = Box::new(arrived);
        let told = Observers { arrived, asked };
        let open: Arc<Mutex<Vec<Port>>> = Arc::default();
        let is_stopped: Arc<AtomicBool> = Arc::default();
        let (ports, stop) = (Arc::clone(&open), Arc::clone(&is_stopped));
        let thread = thread::spawn(move || {
            // Best effort: a host with more work than processors must not keep this thread from the rings for so long
            // that they overflow. An ordinary user may not raise a priority.
            if let Err(error) = setpriority_process(None, PRIORITY) {
                tracing::debug!(%error, "ports are read with the usual priority");
            }
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

    /// Captures on the interface `device`, the host's end of `node`'s network card. Every frame after the return
    /// is captured.
    ///
    /// # Errors
    /// [`CaptureFault::Port`] if the interface cannot be opened.
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

    /// Reads the frames still in the kernel and returns the traffic of each port, by node name.
    #[must_use]
    pub fn stop(&self) -> BTreeMap<String, Wire> {
        // Earlier frames are delivered when the kernel's gathering time has passed.
        thread::sleep(SETTLE);
        self.shared.is_stopped.store(true, Ordering::Release);
        let thread = lock(&self.shared.thread).take();
        let wires = thread.map(JoinHandle::join);
        wires.and_then(Result::ok).unwrap_or_default()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The thread ends even if nobody asks for the result.
        self.is_stopped.store(true, Ordering::Release);
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    // No operation leaves the state inconsistent under the lock.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reader of one direction of one port.
struct Handle {
    direction: Direction,
    capture: pcap::Capture<Active>,
    /// Time at which the interface disappeared with its machine. The kernel delivers gathered frames shortly
    /// after.
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
            // Filtered by the packet type (packet(7), `sll_pkttype`). The filters `inbound` and `outbound` would
            // be evaluated in the kernel, but libpcap 1.10 evaluates the first block in user space, where they
            // match nothing.
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

    /// Delivers the frames gathered by the kernel; returns `false` when there will be no more.
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

    /// Returns the number of frames that crossed the port and were not captured.
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

/// Port, with the frames that wait for the other direction.
struct Port {
    node: String,
    /// One handle per direction, until the machine's interface disappears.
    handles: Vec<Handle>,
    reader: PortReader,
    waiting: Vec<(Instant, Direction, RawFrame)>,
    dropped: u64,
}

impl Port {
    /// Reads the frames gathered by the kernel in both directions.
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

    /// Processes the frames that have waited long enough, and all earlier ones, in order.
    fn settle(&mut self, now: Instant, told: &Observers) {
        let is_due = |since: &Instant| now.duration_since(*since) >= SETTLE;
        let due = self.waiting.iter().filter(|(since, ..)| is_due(since));
        if let Some(until_us) = due.map(|(_, _, frame)| frame.at_us).max() {
            self.read(until_us, told);
        }
    }

    fn read(&mut self, until_us: u64, told: &Observers) {
        // Stable sort: frames of the same microsecond keep their order of delivery.
        self.waiting.sort_by_key(|(_, _, frame)| frame.at_us);
        let count = self
            .waiting
            .partition_point(|(_, _, frame)| frame.at_us <= until_us);
        for (_, direction, frame) in self.waiting.drain(..count) {
            self.reader.take(frame.at_us, direction, &frame.bytes);
        }
        if let Some(asked) = &told.asked {
            self.reader.requests().for_each(asked);
        }
        for transfer in self.reader.arrivals() {
            let Some(content) = transfer.content else {
                continue;
            };
            (told.arrived)(Record {
                at_us: transfer.end_us,
                node: Some(self.node.clone()),
                seen: Observation::Arrived {
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

/// Returns the processor time of this thread (`schedstat` in proc_pid(5): nanoseconds on a processor come first).
fn processor_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: u64 = stat.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds).as_secs_f64())
}

fn finish(ports: Vec<Port>, told: &Observers) -> BTreeMap<String, Wire> {
    let mut wires: BTreeMap<String, Wire> = BTreeMap::new();
    for mut port in ports {
        port.empty();
        port.read(u64::MAX, told);
        let still_open = port.handles.iter_mut().map(Handle::lost);
        let dropped = port.dropped + still_open.sum::<u64>();
        let mut wire = port.reader.finish(dropped);
        // Texts are in the records of arrivals.
        for transfer in &mut wire.transfers {
            if let Some(content) = &mut transfer.content {
                content.text = None;
            }
        }
        match wires.get_mut(&port.node) {
            // After another power-on, the card is a new interface.
            Some(before) => before.append(wire),
            None => drop(wires.insert(port.node, wire)),
        }
    }
    wires
}

/// Writes the traffic of a port as compressed JSON.
///
/// # Errors
/// Fails if the file cannot be written.
pub fn save(file: &Path, wire: &Wire) -> io::Result<()> {
    let mut out = GzEncoder::new(BufWriter::new(File::create(file)?), Compression::fast());
    serde_json::to_writer(&mut out, wire)?;
    out.write_all(b"\n")?;
    out.finish()?.flush()
}
