//! Identity of a client, as pools and reservations see it.

use boot_server_proto::dhcp::MachineId;
use boot_server_proto::mac::MacAddr;

/// Client that requests an address, by all identifiers it sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseClient<'a> {
    /// MAC, the key of leases.
    pub mac: MacAddr,
    /// SMBIOS UUID (option 97).
    pub machine_id: Option<MachineId>,
    /// Client identifier (option 61).
    pub client_id: Option<&'a [u8]>,
    /// The name it gives itself (option 12).
    pub hostname: Option<&'a str>,
    /// The circuit of the relay agent that it is behind (option 82).
    pub circuit: Option<&'a [u8]>,
}

impl LeaseClient<'_> {
    /// Returns a machine that says nothing but its MAC.
    pub fn of_mac(mac: MacAddr) -> LeaseClient<'static> {
        LeaseClient {
            mac,
            machine_id: None,
            client_id: None,
            hostname: None,
            circuit: None,
        }
    }
}
