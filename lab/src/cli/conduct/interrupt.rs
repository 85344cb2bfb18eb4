//! Ctrl-C and SIGTERM, in every phase of a run: heard once by one listener, which all phases look at.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A listener for Ctrl-C and SIGTERM; they no longer end the process by themselves.
#[derive(Debug)]
pub(super) struct Interrupt {
    heard: watch::Receiver<bool>,
    listener: JoinHandle<()>,
}

impl Interrupt {
    /// Starts to listen. To be called within a tokio runtime.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
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
            // Whoever asks later still finds it.
            std::future::pending().await
        });
        Ok(Interrupt { heard, listener })
    }

    /// True once the run is to stop.
    pub(super) fn is_heard(&self) -> bool {
        *self.heard.borrow()
    }

    /// Returns when the run is to stop.
    pub(super) async fn heard(&self) {
        let mut heard = self.heard.clone();
        if heard.wait_for(|heard| *heard).await.is_err() {
            std::future::pending().await
        }
    }

    /// Turns true when the run is to stop.
    pub(super) fn stopping(&self) -> watch::Receiver<bool> {
        self.heard.clone()
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.listener.abort();
    }
}
