//! Live faults in a persistent cell: its machines are moved behind a link that handles each frame, and back
//! after the last fault, so that the link has no effect before and after.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lab_model::fault::{Direction, LiveFault, LiveFaults};

use super::link;
use crate::hosts::attachment;

/// Prefix of libvirt's names for the host's end of a machine's network card.
const MACHINE_DEVICE: &str = "vnet";

/// Live faults of a cell, and their link.
#[derive(Debug)]
pub(super) struct LiveFaultLink {
    run_id: String,
    bridge: String,
    faults: Arc<Mutex<LiveFaults>>,
    /// True once the link exists; it then remains until the end, without machines if no fault is active.
    is_joined: bool,
}

impl LiveFaultLink {
    /// Starts without faults.
    pub(super) fn new(run_id: &str, bridge: &str) -> LiveFaultLink {
        LiveFaultLink {
            run_id: run_id.to_owned(),
            bridge: bridge.to_owned(),
            faults: Arc::default(),
            is_joined: false,
        }
    }

    /// Activates a fault.
    ///
    /// # Errors
    /// Fails if the link cannot be created.
    pub(super) async fn set(&mut self, fault: LiveFault) -> io::Result<()> {
        if !self.is_joined {
            let (out, back) = (self.fate(Direction::Out), self.fate(Direction::In));
            link::join(&self.run_id, &self.bridge, out, back).await?;
            self.is_joined = true;
        }
        lock(&self.faults).set(fault);
        self.place_machines().await
    }

    /// Clears all faults.
    ///
    /// # Errors
    /// Fails if the machines cannot be moved back.
    pub(super) async fn clear(&mut self) -> io::Result<()> {
        lock(&self.faults).clear();
        self.place_machines().await
    }

    /// Returns the active faults.
    pub(super) fn in_force(&self) -> Vec<LiveFault> {
        lock(&self.faults).in_force()
    }

    /// Moves every machine's card to its current bridge; must be called for new machines too.
    ///
    /// # Errors
    /// Fails if a card cannot be moved.
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
            attachment::ip(&["link", "set", &device, "master", to]).await?;
        }
        Ok(())
    }

    fn fate(&self, direction: Direction) -> impl link::Fate + use<> {
        let faults = Arc::clone(&self.faults);
        move |frame: &mut [u8]| lock(&faults).fate(direction, frame)
    }
}

fn lock(faults: &Mutex<LiveFaults>) -> MutexGuard<'_, LiveFaults> {
    // No operation leaves the state inconsistent under the lock.
    faults.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the machines' cards on a bridge.
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
