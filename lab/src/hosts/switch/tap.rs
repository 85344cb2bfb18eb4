//! Ports of a switch as network taps, each read by a thread of its own.
//!
//! Taps exchange merged TCP segments of up to 64 KiB with the kernel, as network cards do: one frame then costs two
//! system calls, whatever its length. The kernel describes each frame in a header, which the switch passes on.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use lab_model::evidence::RefusedFrame;
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

use super::{Head, Port, Switch, TAG_LEN};

/// Length of `struct virtio_net_hdr` (`include/uapi/linux/virtio_net.h`).
const OFFLOAD_LEN: usize = 10;

/// Offset of a received frame in its buffer: a tag has room before its header.
pub(super) const FRAME_AT: usize = TAG_LEN + OFFLOAD_LEN;

/// Length of the buffer: merged segments are an IP packet at most.
const BUFFER_LEN: usize = FRAME_AT + 14 + TAG_LEN + 65_535;

/// `VIRTIO_NET_HDR_F_NEEDS_CSUM`: a network card has to compute the checksum from `csum_start` on.
const NEEDS_CHECKSUM: u8 = 1;

/// Creates a tap, which stays down.
///
/// # Errors
/// Fails without access to `/dev/net/tun`, or if the name is in use.
pub fn create(name: &str) -> io::Result<SyncDevice> {
    DeviceBuilder::new()
        .name(name)
        .layer(Layer::L2)
        .enable(false)
        .offload(true)
        .build_sync()
}

/// Starts a switch with these ports, whose taps are up. It exists as long as this process.
pub fn start(
    ports: Vec<(Port, SyncDevice)>,
    refused: impl Fn(RefusedFrame) + Send + Sync + 'static,
) {
    let (ports, taps): (Vec<Port>, Vec<SyncDevice>) = ports.into_iter().unzip();
    let running = Arc::new(Running {
        switch: Mutex::new(Switch::new(ports)),
        taps,
        refused: Box::new(refused),
    });
    for port in 0..running.taps.len() {
        let running = Arc::clone(&running);
        thread::spawn(move || running.carry(port));
    }
}

struct Running {
    switch: Mutex<Switch>,
    taps: Vec<SyncDevice>,
    refused: Box<dyn Fn(RefusedFrame) + Send + Sync>,
}

impl Running {
    /// Forwards the frames of one port until its tap disappears.
    fn carry(&self, port: usize) {
        let mut buffer = vec![0; BUFFER_LEN];
        while let Some(end) = self.receive(port, &mut buffer) {
            let Some(received) = Received::parse(&buffer, end) else {
                continue;
            };
            let mut switch = self.switch.lock().unwrap_or_else(PoisonError::into_inner);
            let fate = switch.forward(port, &received.head);
            drop(switch);
            if let Some(refused) = fate.refused {
                (self.refused)(refused);
            }
            for (to, tag) in fate.to {
                let frame = received.written(tag, &mut buffer, end);
                if let (Some(tap), Some(frame)) = (self.taps.get(to), frame) {
                    // A full queue loses frames, as on any link.
                    let _ = tap.send(frame);
                }
            }
        }
    }

    /// Reads a frame after its header, and returns the frame's end in the buffer.
    fn receive(&self, port: usize, buffer: &mut [u8]) -> Option<usize> {
        let tap = self.taps.get(port)?;
        let length = tap.recv(buffer.get_mut(TAG_LEN..)?).ok()?;
        Some(TAG_LEN + length)
    }
}

/// Beginning of a received frame.
pub(super) struct Received {
    offload: [u8; OFFLOAD_LEN],
    pub(super) head: Head,
}

impl Received {
    /// Parses a frame at [`FRAME_AT`] and the kernel's header before it.
    pub(super) fn parse(buffer: &[u8], end: usize) -> Option<Received> {
        let offload = buffer.get(TAG_LEN..FRAME_AT)?;
        Some(Received {
            offload: offload.try_into().ok()?,
            head: Head::parse(buffer.get(FRAME_AT..end)?)?,
        })
    }

    /// Writes header, MACs and tag before the rest of the frame in `buffer`, and returns them all.
    pub(super) fn written<'b>(
        &self,
        tag: Option<u16>,
        buffer: &'b mut [u8],
        end: usize,
    ) -> Option<&'b [u8]> {
        let start = self.head.start(tag);
        let offload = moved(self.offload, self.head.rest, start.len());
        let start = [&offload[..], &start].concat();
        let rest = FRAME_AT + self.head.rest;
        let begin = rest.checked_sub(start.len())?;
        buffer.get_mut(begin..rest)?.copy_from_slice(&start);
        buffer.get(begin..end)
    }
}

/// Returns the kernel's header of a frame whose bytes after MACs and tag have moved.
fn moved(offload: [u8; OFFLOAD_LEN], from: usize, to: usize) -> [u8; OFFLOAD_LEN] {
    let [flags, kind, h0, h1, s0, s1, c0, c1, o0, o1] = offload;
    let shift = |field: [u8; 2]| {
        let moved = usize::from(u16::from_ne_bytes(field)) + to;
        let moved = moved.saturating_sub(from);
        u16::try_from(moved).unwrap_or(u16::MAX).to_ne_bytes()
    };
    // Other frames have zeros there.
    let [h0, h1] = match kind {
        0 => [h0, h1],
        _ => shift([h0, h1]),
    };
    let [c0, c1] = match flags & NEEDS_CHECKSUM {
        0 => [c0, c1],
        _ => shift([c0, c1]),
    };
    [flags, kind, h0, h1, s0, s1, c0, c1, o0, o1]
}
