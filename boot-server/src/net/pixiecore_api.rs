//! The one question that DHCP asks a Pixiecore API server; the HTTP client answers it elsewhere.

use std::future::Future;

use boot_server_proto::mac::MacAddr;

/// Knows which machines a Pixiecore API server would boot.
pub trait PixiecoreApi: Send + Sync {
    /// Reason that the API's word on a machine is unknown.
    type Error: std::error::Error + Send;

    /// Asks if the API has an answer for this machine: `true` for a 200 from which a script can be made,
    /// `false` when it refuses (any other status). A refused machine gets silence, so that its firmware goes on
    /// to the next boot device.
    ///
    /// # Errors
    /// The API could not be reached in time or its 200 made no sense. The machine gets silence as well, and
    /// the event says why.
    fn knows(&self, mac: MacAddr) -> impl Future<Output = Result<bool, Self::Error>> + Send;
}
