//! Sink that every part of the server hands its events to: counts them and passes them on.

use std::sync::Arc;

use boot_server_events::{BootEvent, Event, now_us};
use tokio::sync::mpsc;

use crate::metrics::Metrics;

/// Events that wait to be written. When whoever reads them stands still, more are dropped and counted:
/// machines are served on, in bounded memory.
const MAX_WAITING: usize = 8192;

/// Sink of events; cheap to clone, never blocks, never fails.
#[derive(Debug, Clone)]
pub struct EventSink {
    sender: mpsc::Sender<Event>,
    metrics: Arc<Metrics>,
}

impl EventSink {
    /// A sink and the stream that it feeds.
    pub fn channel() -> (EventSink, mpsc::Receiver<Event>) {
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        let metrics = Arc::default();
        (EventSink { sender, metrics }, receiver)
    }

    /// The counters of everything that was handed in.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Counts the event, stamps it with the present time and hands it in.
    pub fn emit(&self, what: BootEvent) {
        self.metrics.count(&what);
        let at_us = now_us();
        // The receiver is gone only while the program ends.
        if let Err(mpsc::error::TrySendError::Full(_)) = self.sender.try_send(Event { at_us, what })
        {
            self.metrics.event_dropped();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_that_nobody_reads_are_dropped_and_counted() {
        let (sink, mut events) = EventSink::channel();
        for _ in 0..MAX_WAITING + 5 {
            sink.emit(BootEvent::Ready {
                listeners: Vec::new(),
            });
        }
        assert_eq!(sink.metrics().events_dropped(), 5);
        let read = std::iter::from_fn(|| events.try_recv().ok()).count();
        assert_eq!(read, MAX_WAITING);
    }
}
