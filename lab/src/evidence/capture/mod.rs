//! The live capture of a scenario's network: every frame on its bridge, from before the first machine.
//!
//! libpcap reads from a ring that it shares with the kernel: frames carry the kernel's times (corrected to the
//! clock of all records), they are copied in blocks and not one by one, and what did not fit is counted. It needs no
//! more than a cell has, an ordinary user's included. In promiscuous mode a bridge also hands up what it
//! forwards between machines.
//!
//! | file | job |
//! |---|---|
//! | [`cut`] | how much of a frame is kept; pure |
//! | [`pcapng`] | blocks of the file; pure |
//! | [`names`] | which node a MAC or an address is |
//! | [`ports`] | what crosses each machine's own port |

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

use clap::ValueEnum;
use flate2::Compression;
use flate2::write::GzEncoder;
use ipnet::Ipv4Net;
use pcap::{Active, BreakLoop, Linktype};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use self::cut::Cutter;
use self::names::Names;
use super::clock::{now_us, run_clock};
use super::saved;
use crate::scenario::MacAddr;

/// How long the kernel gathers frames before it hands them over.
const GATHER: Duration = Duration::from_millis(50);

/// Bytes taken over of a frame when only the beginnings of messages are kept.
const SNAP_LENGTH: i32 = 4096;

/// Bytes taken over of a frame when all is kept: what offloading cards hand over at most.
const FULL_SNAP_LENGTH: i32 = 262_144;

/// Memory of the ring. A second of the fastest transfer seen in a cell fits.
const RING_BYTES: i32 = 8 << 20;

/// The same when all is kept.
const FULL_RING_BYTES: i32 = 64 << 20;

/// How much is captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Extent {
    /// Every frame, to its last byte.
    Full,
    /// Every frame; of file transfers only headers and the beginning.
    #[default]
    Headers,
    /// Nothing.
    Off,
}

/// What is captured, and who is who on it.
#[derive(Debug, Clone)]
pub struct CaptureSpec {
    /// Bridge.
    pub interface: String,
    /// Where to; once it is complete, its compressed form stands there with `.gz` behind its name.
    pub file: PathBuf,
    /// How much.
    pub extent: Extent,
    /// Scenario and firmware, for whoever opens the file.
    pub title: String,
    /// The host's address on the network, and the network.
    pub host: Ipv4Addr,
    /// The network.
    pub subnet: Ipv4Net,
    /// The machines.
    pub nodes: Vec<(String, MacAddr)>,
}

/// Why there is no capture.
#[derive(Debug, Error)]
pub enum CaptureFault {
    /// libpcap refused.
    #[error(
        "the packets on {interface} cannot be captured: {source}; `--pcap off` runs without a capture"
    )]
    Open {
        /// Which interface.
        interface: String,
        /// libpcap's reason.
        source: pcap::Error,
    },
    /// libpcap refused to listen on a machine's own port.
    #[error("cannot listen on {interface}, the port of a machine: {source}")]
    Port {
        /// Interface.
        interface: String,
        /// libpcap's reason.
        source: pcap::Error,
    },
    /// The interface is no Ethernet.
    #[error("{interface} is no Ethernet interface: its link type is {linktype}")]
    NotEthernet {
        /// Which interface.
        interface: String,
        /// What it is.
        linktype: i32,
    },
    /// The capture began and broke.
    #[error("the capture on {interface} broke off: {source}")]
    Broken {
        /// Which interface.
        interface: String,
        /// Why.
        source: pcap::Error,
    },
    /// The file can't be written.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The task is gone.
    #[error("the capture's task ended: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// What a capture came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames in the file.
    pub frames: u64,
    /// Frames that came while the ring was full.
    pub dropped: u64,
}

/// A running capture.
pub struct Capture {
    is_stopped: Arc<AtomicBool>,
    wake: BreakLoop,
    /// Taken by [`Capture::stop`].
    task: Option<JoinHandle<Result<Counts, CaptureFault>>>,
}

/// Starts a capture; from its return on every frame is seen. To be called within a tokio runtime.
///
/// # Errors
/// [`CaptureFault`] when the interface can't be listened on or the file can't be made.
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

/// Writes a capture to `out` as it comes, until nobody reads it any more.
///
/// # Errors
/// [`CaptureFault`] when the interface can't be listened on or is gone.
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

/// Whether somebody holds the other end of a pipe.
fn has_reader(pipe: impl AsFd) -> bool {
    let mut ends = [PollFd::new(&pipe, PollFlags::empty())];
    let polled = poll(&mut ends, Some(&Timespec::default()));
    let [end] = ends;
    polled.is_ok() && !end.revents().intersects(PollFlags::ERR | PollFlags::HUP)
}

fn open(spec: &CaptureSpec) -> Result<pcap::Capture<Active>, CaptureFault> {
    let is_full = spec.extent == Extent::Full;
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
    /// Takes in what the kernel still holds, completes and compresses the file, and ends.
    ///
    /// # Errors
    /// [`CaptureFault`] when it broke off before.
    pub async fn stop(mut self) -> Result<Counts, CaptureFault> {
        // What was sent before now is handed over when the kernel's gathering ends.
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
    /// Ends the thread on every way out; a cell whose set-up failed would wait for it.
    fn drop(&mut self) {
        self.end();
    }
}

/// Replaces a complete capture by its compressed form, which Wireshark opens as well. Headers of ten thousands
/// of blocks of one file are much alike: a fifth or less is left.
fn compress(capture: &Path) -> io::Result<()> {
    let target = saved::compressed(capture);
    // Nobody finds half of it under the name of the whole.
    let unfinished = target.with_extension("part");
    let file = BufWriter::new(File::create(&unfinished)?);
    let mut encoder = GzEncoder::new(file, Compression::fast());
    io::copy(&mut File::open(capture)?, &mut encoder)?;
    encoder.finish()?.flush()?;
    fs::rename(&unfinished, &target)?;
    fs::remove_file(capture)
}

/// Writes frames as blocks of a capture file.
struct Writer<W> {
    out: W,
    cutter: Option<Cutter>,
    names: Names,
    frames: u64,
}

impl<W: Write> Writer<W> {
    /// Writes what a capture begins with.
    fn begin(spec: &CaptureSpec, mut out: W) -> io::Result<Writer<W>> {
        let names = Names::new(spec);
        out.write_all(&pcapng::beginning(spec, &names))?;
        out.flush()?;
        Ok(Writer {
            out,
            cutter: (spec.extent != Extent::Full).then(Cutter::default),
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

/// Returns the time of a frame, in microseconds since the Unix epoch: the kernel's, by the wall clock, corrected to
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

    /// Takes one batch of frames from the kernel, waiting for it unless the capture does not block. The
    /// file is complete up to there afterwards: somebody may kill the lab next.
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
            // Being woken up to stop is told as an error.
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
