//! State shared by the transfers, and their events.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use boot_server_events::{BootEvent, TftpFailure, TftpFailureCode, Who};
use tokio::sync::Semaphore;
use tracing::{debug, warn};

use super::places::Places;
use crate::net::context::Context;
use crate::net::files::TftpFiles;
use crate::net::refusals::Refusals;

/// State shared by the transfers.
pub(super) struct Shared {
    pub(super) context: Arc<Context>,
    pub(super) files: TftpFiles,
    pub(super) places: Arc<Places>,
    /// Files that may be opened at once before anything is known of who asks.
    pub(super) opening: Semaphore,
    pub(super) too_often: Refusals,
    pub(super) full: Refusals,
}

/// Reasons that a request is not answered.
#[derive(Debug, Clone, Copy)]
pub(super) enum Refused {
    /// The address sends more requests than any booting machine.
    TooOften,
    /// All places are taken by clients that acknowledge what they get.
    Full,
}

impl Shared {
    pub(super) fn who(&self, peer: SocketAddr) -> Who {
        self.context.neighbours.who(peer)
    }

    /// Counts a refusal; tells the first one, and how many there were since once a minute.
    pub(super) fn refused(&self, peer: SocketAddr, why: Refused) {
        let (refusals, reason) = match why {
            Refused::TooOften => (&self.too_often, "rate"),
            Refused::Full => (&self.full, "full"),
        };
        let metrics = self.context.events.metrics();
        metrics.refused("tftp", reason);
        if let Some(requests) = refusals.count(Instant::now()) {
            let why = match why {
                Refused::TooOften => "too many requests from one address",
                Refused::Full => "too many transfers in progress",
            };
            warn!(%peer, requests, "TFTP requests were refused: {why}");
        }
    }

    pub(super) fn failed(
        &self,
        peer: SocketAddr,
        file: &str,
        (code, reason): (TftpFailureCode, &str),
    ) {
        debug!(reason, "not sent");
        let (who, file, reason) = (
            self.who(peer),
            file.to_owned(),
            TftpFailure::new(code, reason),
        );
        self.context
            .events
            .emit(BootEvent::TftpFailed { who, file, reason });
    }
}
