//! Faults that are set by hand in a cell that stays: its machines are moved behind a link whose frames are looked
//! at, and back when the last fault is gone, so that nothing is in the way before and after.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{link, plug};
use crate::fault::{Direction, HandFault, HandFaults};

/// How libvirt calls the host's end of a machine's network card.
const MACHINE_DEVICE: &str = "vnet";

/// The faults of a cell, and the link on which they happen.
#[derive(Debug)]
pub(super) struct Hand {
    run_id: String,
    bridge: String,
    faults: Arc<Mutex<HandFaults>>,
    /// Whether the link was made: it is there to the end then, with nobody behind it.
    is_joined: bool,
}

impl Hand {
    /// None are in force.
    pub(super) fn new(run_id: &str, bridge: &str) -> Hand {
        Hand {
            run_id: run_id.to_owned(),
            bridge: bridge.to_owned(),
            faults: Arc::default(),
            is_joined: false,
        }
    }

    /// Sets one more.
    ///
    /// # Errors
    /// When the link can't be made.
    pub(super) async fn set(&mut self, fault: HandFault) -> io::Result<()> {
        if !self.is_joined {
            let (out, back) = (self.fate(Direction::Out), self.fate(Direction::In));
            link::join(&self.run_id, &self.bridge, out, back).await?;
            self.is_joined = true;
        }
        lock(&self.faults).set(fault);
        self.place_machines().await
    }

    /// Takes all away.
    ///
    /// # Errors
    /// When the machines can't be moved back.
    pub(super) async fn clear(&mut self) -> io::Result<()> {
        lock(&self.faults).clear();
        self.place_machines().await
    }

    /// Those in force.
    pub(super) fn in_force(&self) -> Vec<HandFault> {
        lock(&self.faults).in_force()
    }

    /// Moves every machine's card to where it belongs now; to be called for new machines too.
    ///
    /// # Errors
    /// When one can't be moved.
    pub(super) async fn place_machines(&self) -> io::Result<()> {
        if !self.is_joined {
            return Ok(());
        }
        let far = link::far_bridge(&self.run_id);
        let (from, to) = match self.in_force().is_empty() {
            false => (&self.bridge, &far),
            true => (&far, &self.bridge),
        };
        for device in devices(from)? {
            plug::ip(&["link", "set", &device, "master", to]).await?;
        }
        Ok(())
    }

    fn fate(&self, direction: Direction) -> impl link::Fate + use<> {
        let faults = Arc::clone(&self.faults);
        move |frame: &[u8]| lock(&faults).fate(direction, frame)
    }
}

fn lock(faults: &Mutex<HandFaults>) -> MutexGuard<'_, HandFaults> {
    // Nothing is left half done under the lock.
    faults.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Machines' cards on a bridge.
fn devices(bridge: &str) -> io::Result<Vec<String>> {
    let ports = PathBuf::from("/sys/class/net").join(bridge).join("brif");
    let mut devices = Vec::new();
    for port in fs::read_dir(ports)? {
        let name = port?.file_name().to_string_lossy().into_owned();
        if name.starts_with(MACHINE_DEVICE) {
            devices.push(name);
        }
    }
    Ok(devices)
}
