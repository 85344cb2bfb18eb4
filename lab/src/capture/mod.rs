//! Live capture of a scenario's network: every frame on its bridge, from before the first machine starts.
//!
//! libpcap reads from a ring buffer shared with the kernel: frames have the kernel's times (corrected to the
//! run's clock), are copied in blocks, and losses are counted. A cell's privileges suffice, even an ordinary
//! user's. In promiscuous mode a bridge also delivers frames that it forwards between machines.
//!
//! | file | job |
//! |---|---|
//! | [`cut`] | truncation of frames; pure |
//! | [`pcapng`] | blocks of the file format; pure |
//! | [`names`] | node names for MACs and addresses |
//! | [`ports`] | traffic at each machine's own port |

mod cut;
mod names;
mod pcapng;
pub mod ports;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use boot_server_proto::mac::MacAddr;
use clap::{Args, ValueEnum};
use flate2::Compression;
use flate2::write::GzEncoder;
use ipnet::Ipv4Net;
use lab_model::evidence::clock::{now_us, run_clock};
use lab_model::evidence::saved;
use pcap::{Active, BreakLoop, Linktype};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use self::cut::Cutter;
use self::names::Names;

/// Time for which the kernel gathers frames before it delivers them.
const GATHER: Duration = Duration::from_millis(50);

/// Snapshot length in bytes if only the beginnings of messages are kept.
const SNAP_LENGTH: i32 = 4096;

/// Snapshot length in bytes if frames are kept whole: the maximum of offloading network cards.
const FULL_SNAP_LENGTH: i32 = 262_144;

/// Size of the ring buffer in bytes, enough for one second of the fastest transfer seen in a cell.
const RING_BYTES: i32 = 8 << 20;

/// Size of the ring buffer in bytes if frames are kept whole.
const FULL_RING_BYTES: i32 = 64 << 20;

/// Amount of evidence to collect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Args, Serialize, Deserialize)]
pub struct EvidenceOptions {
    /// Part of the network's packets to capture; `headers` keeps the first 2 KiB of each message
    #[arg(long, value_enum, value_name = "EXTENT", default_value_t)]
    pub pcap: PcapMode,
    /// Record the debug console of UEFI firmware
    #[arg(long)]
    pub firmware_log: bool,
    /// Give machines a display, and save a screenshot of a machine that fails
    #[arg(long)]
    pub display: bool,
}

/// Part of the packets to capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PcapMode {
    /// Every frame as a whole
    Full,
    /// Every frame; of file transfers only headers and the beginning
    #[default]
    Headers,
    /// No capture
    Off,
}

/// Parameters of a capture.
#[derive(Debug, Clone)]
pub struct CaptureSpec {
    /// Name of the bridge.
    pub interface: String,
    /// Output file; compressed to the same name plus `.gz` once it is complete.
    pub file: PathBuf,
    pub extent: PcapMode,
    /// Scenario and firmware, stored in the file.
    pub title: String,
    /// Host's address on the network.
    pub host: Ipv4Addr,
    pub subnet: Ipv4Net,
    /// Names and MACs of the machines.
    pub nodes: Vec<(String, MacAddr)>,
}

/// Error of a capture.
#[derive(Debug, Error)]
pub enum CaptureFault {
    /// libpcap cannot capture on the network.
    #[error("cannot capture packets on {interface}: {source}; `--pcap off` runs without a capture")]
    Open {
        interface: String,
        source: pcap::Error,
    },
    /// libpcap cannot listen on a machine's own port.
    #[error("cannot listen on {interface}, the port of a machine: {source}")]
    Port {
        interface: String,
        source: pcap::Error,
    },
    /// The interface is not Ethernet.
    #[error("not an Ethernet interface: {interface} (link type {linktype})")]
    NotEthernet {
        interface: String,
        /// Link type (pcap-linktype(7)).
        linktype: i32,
    },
    /// The capture was aborted.
    #[error("the capture on {interface} was aborted: {source}")]
    Broken {
        interface: String,
        source: pcap::Error,
    },
    /// The file cannot be written.
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    /// The capture task panicked or was cancelled.
    #[error("the capture's task ended: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// Statistics of a capture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Number of frames in the file.
    pub frames: u64,
    /// Number of frames lost while the ring buffer was full.
    pub dropped: u64,
}

/// Running capture.
pub struct Capture {
    is_stopped: Arc<AtomicBool>,
    wake: BreakLoop,
    /// Taken by [`Capture::stop`].
    task: Option<JoinHandle<Result<Counts, CaptureFault>>>,
}

/// Starts a capture; every later frame is captured. Must be called within a tokio runtime.
///
/// # Errors
/// [`CaptureFault`] if the interface cannot be opened or the file cannot be created.
pub fn start(spec: &CaptureSpec) -> Result<Capture, CaptureFault> {
    let mut capture = open(spec)?;
    let out = File::create(&spec.file)
        .and_then(|file| Writer::begin(spec, BufWriter::new(file)))
        .map_err(|source| CaptureFault::File {
            path: spec.file.clone(),
            source,
        })?;
    let is_stopped = Arc::new(AtomicBool::new(false));
    let recorder = Recorder {
        interface: spec.interface.clone(),
        path: spec.file.clone(),
        out,
        is_stopped: Arc::clone(&is_stopped),
    };
    Ok(Capture {
        is_stopped,
        wake: capture.breakloop_handle(),
        task: Some(tokio::task::spawn_blocking(move || recorder.run(capture))),
    })
}

/// Writes a capture to `out` until its reader closes it.
///
/// # Errors
/// [`CaptureFault`] if the interface cannot be opened or disappears.
pub fn stream(spec: &CaptureSpec, out: impl Write + AsFd) -> Result<(), CaptureFault> {
    let mut capture = open(spec)?;
    let Ok(mut out) = Writer::begin(spec, out) else {
        return Ok(());
    };
    loop {
        let mut written = Ok(());
        let taken = capture.dispatch(None, |packet| {
            if written.is_ok() {
                written = out.write(&packet);
            }
        });
        if written.and_then(|()| out.out.flush()).is_err() || !has_reader(&out.out) {
            return Ok(());
        }
        taken.map_err(|source| CaptureFault::Broken {
            interface: spec.interface.clone(),
            source,
        })?;
    }
}

/// True if the other end of a pipe is open.
fn has_reader(pipe: impl AsFd) -> bool {
    let mut ends = [PollFd::new(&pipe, PollFlags::empty())];
    let polled = poll(&mut ends, Some(&Timespec::default()));
    let [end] = ends;
    polled.is_ok() && !end.revents().intersects(PollFlags::ERR | PollFlags::HUP)
}

fn open(spec: &CaptureSpec) -> Result<pcap::Capture<Active>, CaptureFault> {
    let is_full = spec.extent == PcapMode::Full;
    let capture = pcap::Capture::from_device(spec.interface.as_str())
        .and_then(|capture| {
            capture
                .promisc(true)
                .snaplen(if is_full {
                    FULL_SNAP_LENGTH
                } else {
                    SNAP_LENGTH
                })
                .buffer_size(if is_full { FULL_RING_BYTES } else { RING_BYTES })
                .timeout(i32::try_from(GATHER.as_millis()).unwrap_or(i32::MAX))
                .open()
        })
        .map_err(|source| CaptureFault::Open {
            interface: spec.interface.clone(),
            source,
        })?;
    let linktype = capture.get_datalink();
    if linktype != Linktype::ETHERNET {
        return Err(CaptureFault::NotEthernet {
            interface: spec.interface.clone(),
            linktype: linktype.0,
        });
    }
    Ok(capture)
}

impl Capture {
    /// Reads the frames still in the kernel, completes and compresses the file, and ends.
    ///
    /// # Errors
    /// [`CaptureFault`] if the capture was aborted before.
    pub async fn stop(mut self) -> Result<Counts, CaptureFault> {
        // Earlier frames are delivered when the kernel's gathering time has passed.
        sleep(GATHER * 2).await;
        self.end();
        match self.task.take() {
            Some(task) => task.await?,
            None => Ok(Counts::default()),
        }
    }

    fn end(&self) {
        self.is_stopped.store(true, Ordering::Release);
        self.wake.breakloop();
    }
}

impl Drop for Capture {
    /// Ends the thread in any case; a cell whose set-up failed would wait for it.
    fn drop(&mut self) {
        self.end();
    }
}

/// Replaces a complete capture by its compressed form, which Wireshark can open too. The headers of a file's
/// many blocks are similar, so that it shrinks to a fifth or less.
fn compress(capture: &Path) -> io::Result<()> {
    let target = saved::compressed(capture);
    // Written under a temporary name, so that the final name never has a partial file.
    let unfinished = target.with_extension("part");
    let file = BufWriter::new(File::create(&unfinished)?);
    let mut encoder = GzEncoder::new(file, Compression::fast());
    io::copy(&mut File::open(capture)?, &mut encoder)?;
    encoder.finish()?.flush()?;
    fs::rename(&unfinished, &target)?;
    fs::remove_file(capture)
}

/// Writer of frames as blocks of a capture file.
struct Writer<W> {
    out: W,
    cutter: Option<Cutter>,
    names: Names,
    frames: u64,
}

impl<W: Write> Writer<W> {
    /// Writes the first blocks of a capture.
    fn begin(spec: &CaptureSpec, mut out: W) -> io::Result<Writer<W>> {
        let names = Names::new(spec);
        out.write_all(&pcapng::beginning(spec, &names.known()))?;
        out.flush()?;
        Ok(Writer {
            out,
            cutter: (spec.extent != PcapMode::Full).then(Cutter::default),
            names,
            frames: 0,
        })
    }

    fn write(&mut self, packet: &pcap::Packet<'_>) -> io::Result<()> {
        let at_us = at_us(packet.header);
        let kept = match &mut self.cutter {
            Some(cutter) => cutter.keep(packet.data),
            None => packet.data.len(),
        };
        let kept = packet.data.get(..kept).unwrap_or(packet.data);
        self.frames += 1;
        let block = pcapng::frame(at_us, kept, packet.header.len);
        self.out.write_all(&block)?;
        match self.names.learn(packet.data) {
            Some(block) => self.out.write_all(&block),
            None => Ok(()),
        }
    }
}

/// Returns the time of a frame in microseconds since the Unix epoch: the kernel's wall clock time, corrected to
/// the run's clock.
fn at_us(header: &pcap::PacketHeader) -> u64 {
    let seconds = u64::try_from(header.ts.tv_sec).unwrap_or(0);
    let micros = u64::try_from(header.ts.tv_usec).unwrap_or(0);
    run_clock().corrected(seconds.saturating_mul(1_000_000).saturating_add(micros))
}

struct Recorder {
    interface: String,
    path: PathBuf,
    out: Writer<BufWriter<File>>,
    is_stopped: Arc<AtomicBool>,
}

impl Recorder {
    fn run(mut self, mut capture: pcap::Capture<Active>) -> Result<Counts, CaptureFault> {
        while !self.is_stopped.load(Ordering::Acquire) {
            self.take(&mut capture)?;
        }
        let mut capture = capture.setnonblock().map_err(|error| self.broken(error))?;
        while self.take(&mut capture)? > 0 {}
        let dropped = capture
            .stats()
            .map(|stats| u64::from(stats.dropped) + u64::from(stats.if_dropped))
            .map_err(|error| self.broken(error))?;
        let counts = Counts {
            frames: self.out.frames,
            dropped,
        };
        let out = &mut self.out.out;
        out.write_all(&pcapng::statistics(now_us(), counts))
            .and_then(|()| out.flush())
            .and_then(|()| compress(&self.path))
            .map_err(|error| self.file_fault(error))?;
        Ok(counts)
    }

    /// Reads one batch of frames from the kernel; waits for it if the capture is blocking. Afterwards the file
    /// is complete so far, in case the lab is killed.
    fn take(&mut self, capture: &mut pcap::Capture<Active>) -> Result<usize, CaptureFault> {
        let mut written = Ok(());
        let taken = capture.dispatch(None, |packet| {
            if written.is_ok() {
                written = self.out.write(&packet);
            }
        });
        written
            .and_then(|()| self.out.out.flush())
            .map_err(|error| self.file_fault(error))?;
        match taken {
            Ok(count) => Ok(count),
            // A wake-up to stop is reported as an error.
            Err(_) if self.is_stopped.load(Ordering::Acquire) => Ok(0),
            Err(error) => Err(self.broken(error)),
        }
    }

    fn file_fault(&self, source: io::Error) -> CaptureFault {
        CaptureFault::File {
            path: self.path.clone(),
            source,
        }
    }

    fn broken(&self, source: pcap::Error) -> CaptureFault {
        CaptureFault::Broken {
            interface: self.interface.clone(),
            source,
        }
    }
}
