//! An impaired link: a bridge of the machines' own, and between it and the cell's bridge two network taps
//! whose frames are handed on here, or not, or later, or twice.
//!
//! `tc netem` would do the same but is not in every kernel; taps are wherever virtual machines are.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tun_rs::{AsyncDevice, DeviceBuilder, Layer};

use super::plug::ip;

/// Longest frame: Ethernet's header and tag, and its usual payload.
const FRAME_MAX: usize = 2048;

/// Name of the bridge on the machines' side.
#[must_use]
pub fn far_bridge(run_id: &str) -> String {
    format!("lab-{run_id}-fb")
}

/// Makes the machines' bridge and joins it to `bridge` by a link on which each frame has the fate that `out` (from
/// the machines) and `back` (to them) say: when it arrives, never, once or twice. It is there as long as the
/// process.
///
/// # Errors
/// When an interface can't be made.
pub async fn join(run_id: &str, bridge: &str, out: impl Fate, back: impl Fate) -> io::Result<()> {
    let far = far_bridge(run_id);
    // Without snooping, so that IPv6 multicast is a matter of the cell's own bridge.
    let options = ["forward_delay", "0", "mcast_snooping", "0"];
    let make = ["link", "add", "name", &far, "type", "bridge"];
    ip(&[&make[..], &options[..]].concat()).await?;
    // Without an address resolution of its own: the host would answer for its address there as well, and
    // machines that believe that answer would talk to a bridge on which nobody listens.
    ip(&["link", "set", &far, "arp", "off", "up"]).await?;
    let near_tap = tap(&format!("lab-{run_id}-t1"), bridge).await?;
    let far_tap = tap(&format!("lab-{run_id}-t2"), &far).await?;
    let other_way = (Arc::clone(&near_tap), Arc::clone(&far_tap));
    tokio::spawn(carry(far_tap, near_tap, out));
    tokio::spawn(carry(other_way.0, other_way.1, back));
    Ok(())
}

/// What becomes of a frame.
pub trait Fate: FnMut(&[u8]) -> Vec<Duration> + Send + 'static {}

impl<F: FnMut(&[u8]) -> Vec<Duration> + Send + 'static> Fate for F {}

async fn tap(name: &str, bridge: &str) -> io::Result<Arc<AsyncDevice>> {
    let device = DeviceBuilder::new()
        .name(name)
        .layer(Layer::L2)
        .enable(false)
        .build_async()?;
    ip(&["link", "set", name, "master", bridge, "up"]).await?;
    Ok(Arc::new(device))
}

/// A frame on its way.
struct Late {
    due: Instant,
    /// Of two that are due at once, the earlier one goes first.
    number: u64,
    frame: Vec<u8>,
}

impl Late {
    fn key(&self) -> (Instant, u64) {
        (self.due, self.number)
    }
}

impl PartialEq for Late {
    fn eq(&self, other: &Late) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Late {}

impl PartialOrd for Late {
    fn partial_cmp(&self, other: &Late) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Late {
    fn cmp(&self, other: &Late) -> Ordering {
        self.key().cmp(&other.key())
    }
}

/// Carries one direction's frames, until a tap is gone.
async fn carry(from: Arc<AsyncDevice>, to: Arc<AsyncDevice>, mut fate: impl Fate) {
    let mut late: BinaryHeap<Reverse<Late>> = BinaryHeap::new();
    let mut number = 0;
    let mut buffer = vec![0; FRAME_MAX];
    loop {
        let due = late.peek().map(|Reverse(next)| next.due);
        tokio::select! {
            biased;
            () = until(due) => {
                if let Some(Reverse(next)) = late.pop() {
                    // A full queue loses frames, as on any link.
                    let _ = to.send(&next.frame).await;
                }
            }
            length = from.recv(&mut buffer) => {
                let Ok(length) = length else { return };
                let frame = buffer.get(..length).unwrap_or_default();
                for delay in fate(frame) {
                    if delay.is_zero() {
                        let _ = to.send(frame).await;
                        continue;
                    }
                    number += 1;
                    let (due, frame) = (Instant::now() + delay, frame.to_vec());
                    late.push(Reverse(Late { due, number, frame }));
                }
            }
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
