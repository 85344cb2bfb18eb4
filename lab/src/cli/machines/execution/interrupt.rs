//! Ctrl-C and SIGTERM: one listener for all phases of a run.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Listener for Ctrl-C and SIGTERM, which no longer end the process by themselves.
#[derive(Debug)]
pub(super) struct Interrupt {
    heard: watch::Receiver<bool>,
    listener: JoinHandle<()>,
}

impl Interrupt {
    /// Starts to listen. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// Fails if the handlers cannot be installed.
    pub(super) fn listen() -> std::io::Result<Interrupt> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (hear, heard) = watch::channel(false);
        let listener = tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            hear.send_replace(true);
            // Kept for phases that ask later.
            std::future::pending().await
        });
        Ok(Interrupt { heard, listener })
    }

    /// True if the run is to stop.
    pub(super) fn is_heard(&self) -> bool {
        *self.heard.borrow()
    }

    /// Waits until the run is to stop.
    pub(super) async fn heard(&self) {
        let mut heard = self.heard.clone();
        if heard.wait_for(|heard| *heard).await.is_err() {
            std::future::pending().await
        }
    }

    /// Returns a receiver that turns true when the run is to stop.
    pub(super) fn stopping(&self) -> watch::Receiver<bool> {
        self.heard.clone()
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.listener.abort();
    }
}
