//! A lease as it is kept: one line of the lease file, and of `boot-server leases`.

use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use boot_server_proto::mac::MacAddr;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::client::LeaseClient;

/// Duration for which a declined address is withheld (RFC 2131 §4.3.3), unless no other is left.
pub(super) const DECLINE_TIME: Duration = Duration::from_secs(600);
/// Latest end in seconds since the Unix epoch, about the year 136,000,000: far below what a 64-bit
/// `time_t` overflows at when a lease time is added.
const MAX_END: u64 = 1 << 52;

/// State of an address in the lease file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LeaseState {
    /// Given to its machine until its end.
    #[default]
    Bound,
    /// Released by the client.
    Released,
    /// Found in use by another host: withheld until the end.
    Declined,
}

impl LeaseState {
    fn is_bound(&self) -> bool {
        *self == LeaseState::Bound
    }
}

/// Lease record that survives a restart. Files of versions that stored only address, MAC and end are read too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRecord {
    /// Leased or declined address.
    pub address: Ipv4Addr,
    /// MAC of the owner, or of the machine that declined the address.
    pub mac: MacAddr,
    /// End of the state, in seconds since the Unix epoch; 0 when the address was released.
    pub expires: u64,
    /// State of the address.
    #[serde(default, skip_serializing_if = "LeaseState::is_bound")]
    pub state: LeaseState,
    /// SMBIOS UUID of the owner, if the owner sent one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<Uuid>,
    /// Client identifier of the owner in hex, if the owner sent one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The owner's host name: the reserved one, else what it calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
}

impl LeaseRecord {
    /// Creates a record with the identifiers that a machine sent.
    pub(super) fn new(
        who: &LeaseClient<'_>,
        hostname: Option<&str>,
        address: Ipv4Addr,
        state: LeaseState,
        until: SystemTime,
    ) -> LeaseRecord {
        LeaseRecord {
            address,
            mac: who.mac,
            expires: match state {
                LeaseState::Released => 0,
                LeaseState::Bound | LeaseState::Declined => seconds(until),
            },
            state,
            uuid: who.machine_id.map(|id| id.uuid()),
            client_id: who.client_id.map(hex),
            hostname: hostname.or(who.hostname).map(str::to_owned),
        }
    }

    /// Returns the end of the state. An end beyond the system clock's range is its last representable year.
    pub(super) fn end(&self) -> SystemTime {
        let end = Duration::from_secs(self.expires.min(MAX_END));
        SystemTime::UNIX_EPOCH + end
    }

    /// True if the lease has not expired at this time.
    pub fn is_running(&self, now: SystemTime) -> bool {
        self.expires > seconds(now)
    }
}

/// Returns the bytes in hex with colons, as client identifiers are usually shown.
fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| {
        DIGITS
            .get(usize::from(nibble))
            .map_or('?', |d| char::from(*d))
    };
    let mut out = String::with_capacity(3 * bytes.len());
    for byte in bytes {
        if !out.is_empty() {
            out.push(':');
        }
        out.push(digit(byte >> 4));
        out.push(digit(byte & 15));
    }
    out
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
