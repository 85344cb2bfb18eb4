//! Impaired link: a separate bridge for the machines, joined to the cell's bridge by two network taps whose
//! frames are forwarded, dropped, delayed or duplicated here.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tun_rs::{AsyncDevice, DeviceBuilder, Layer};

use crate::hosts::attachment::ip;

/// Maximum length of a frame: Ethernet header, tag and the usual payload.
const FRAME_MAX: usize = 2048;

/// Returns the name of the bridge on the machines' side.
#[must_use]
pub fn far_bridge(run_id: &str) -> String {
    format!("lab-{run_id}-fb")
}

/// Creates the machines' bridge and joins it to `bridge` by a link. `out` (from the machines) and `back` (to
/// them) return the delays of each frame's copies: none for a lost frame, two for a duplicated one. The link
/// exists as long as this process.
///
/// Fails if an interface cannot be created.
pub async fn join(run_id: &str, bridge: &str, out: impl Fate, back: impl Fate) -> io::Result<()> {
    let far = far_bridge(run_id);
    add_bridge(&far).await?;
    let near_tap = tap(&format!("lab-{run_id}-t1"), bridge).await?;
    let far_tap = tap(&format!("lab-{run_id}-t2"), &far).await?;
    let other_way = (Arc::clone(&near_tap), Arc::clone(&far_tap));
    tokio::spawn(carry(far_tap, near_tap, out));
    tokio::spawn(carry(other_way.0, other_way.1, back));
    Ok(())
}

/// Creates a bridge without an address.
///
/// Fails if `ip` fails.
pub async fn add_bridge(name: &str) -> io::Result<()> {
    // No snooping: IPv6 multicast is handled by the cell's own bridge.
    let options = ["forward_delay", "0", "mcast_snooping", "0"];
    let make = ["link", "add", "name", name, "type", "bridge"];
    ip(&[&make[..], &options[..]].concat()).await?;
    // No ARP: otherwise the host would answer for its address on this bridge too, and machines that use that
    // answer would send to a bridge without a listener.
    ip(&["link", "set", name, "arp", "off", "up"]).await
}

/// Function that decides the fate of a frame, and may change it.
pub trait Fate: FnMut(&mut [u8]) -> Vec<Duration> + Send + 'static {}

impl<F: FnMut(&mut [u8]) -> Vec<Duration> + Send + 'static> Fate for F {}

async fn tap(name: &str, bridge: &str) -> io::Result<Arc<AsyncDevice>> {
    let device = DeviceBuilder::new()
        .name(name)
        .layer(Layer::L2)
        .enable(false)
        .build_async()?;
    ip(&["link", "set", name, "master", bridge, "up"]).await?;
    Ok(Arc::new(device))
}

/// Delayed frame.
struct Late {
    due: Instant,
    /// Sequence number: of two frames due at the same time, the earlier one goes first.
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

/// Forwards frames in one direction until a tap disappears.
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
                let frame = buffer.get_mut(..length).unwrap_or_default();
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
