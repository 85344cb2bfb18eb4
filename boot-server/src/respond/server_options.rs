//! Behaviour of the DHCP server that an operator can choose.

/// Addressing of replies to clients without an address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Addressing {
    /// Broadcast when requested by the client, else unicast to its MAC and new address.
    #[default]
    AsAsked,
    /// Always by broadcast.
    Broadcast,
}

/// Behaviour of the server that an operator can choose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServerOptions {
    /// Addressing of replies to clients without an address.
    pub addressing: Addressing,
    /// True if offers to PXE firmware carry the vendor class `PXEClient`.
    pub pxe_vendor_class: bool,
    /// True if addresses that are new to their client are probed before they are offered.
    pub probing: bool,
}
