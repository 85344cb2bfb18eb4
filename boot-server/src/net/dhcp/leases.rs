//! Opening of the lease file of `[dhcp]`: reports its damage, and adjusts it to the clock.

use std::time::{Duration, SystemTime};

use boot_server_events::{BootEvent, LeaseFileState};

use crate::config::{DhcpConfig, PoolSettings};
use crate::event_sink::EventSink;
use crate::lease::{Journal, JournalError, LeaseRecord, LeaseStore, MemoryOnly, clamp_ends};

/// Opens the store of leases; returns the leases in it too.
///
/// # Errors
/// [`JournalError`].
pub(super) fn open(
    dhcp: &DhcpConfig,
    pools: &[PoolSettings],
    events: &EventSink,
) -> Result<(Box<dyn LeaseStore>, Vec<LeaseRecord>), JournalError> {
    let Some(path) = &dhcp.lease_file else {
        return Ok((Box::new(MemoryOnly), Vec::new()));
    };
    let (mut journal, mut known) = Journal::open(path, dhcp.durability())?;
    if let Some(damage) = journal.damage() {
        let result = LeaseFileState::Kept(damage.to_string());
        events.emit(BootEvent::LeaseFile { result });
    }
    let lease_time = |address| {
        let plan = pools.iter().map(|pool| &pool.plan);
        plan.filter(|plan| plan.subnet.contains(&address))
            .map(|plan| plan.lease_time)
            .next()
            .unwrap_or(Duration::from_secs(dhcp.lease_seconds.into()))
    };
    let clamped = clamp_ends(&mut known, journal.written(), lease_time, SystemTime::now());
    if let Some(seconds) = clamped.clock_behind {
        let by_seconds = i64::try_from(seconds).map_or(i64::MIN, |seconds| -seconds);
        events.emit(BootEvent::ClockJumped { by_seconds });
    }
    if !clamped.records.is_empty() {
        let (count, path) = (clamped.records.len(), path.display());
        let warning = format!(
            "lease file {path}: {count} leases expire too late for this clock; restarted as if given now"
        );
        let result = LeaseFileState::Kept(warning);
        events.emit(BootEvent::LeaseFile { result });
    }
    // Written with the first commit, at once after the start.
    journal.amend(clamped.records);
    Ok((Box::new(journal), known))
}
