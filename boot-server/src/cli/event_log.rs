//! Writes events as they come: one JSON line each to a file or to standard output, and a line for
//! people to the log. Where the lines go is [`super::event_file`]'s affair.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use boot_server_events::{BootEvent, Event, now_us};
use tokio::sync::mpsc::Receiver;
use tracing::{Level, debug, error, info, warn};

use super::collapse::Collapser;
use super::event_file::Out;
use super::narrate::{Narrator, Weight, is_warning};
use crate::metrics::Metrics;

/// After it has written, the thread sleeps this long: events that come meanwhile are written together,
/// and nobody who tells of them has to wake it.
const TOGETHER: Duration = Duration::from_millis(10);
/// Time limit for writing the last events at shutdown, because their reader may have stopped.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A thread that writes until all event sinks are gone.
pub(super) struct EventLog {
    /// Ends when the thread does.
    done: mpsc::Receiver<()>,
    reopen: Reopen,
}

/// Asks for the event file to be opened again, after it was renamed.
#[derive(Debug, Clone, Default)]
pub(super) struct Reopen(Arc<AtomicBool>);

impl Reopen {
    /// The next event opens it.
    pub(super) fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl EventLog {
    /// Starts writing: appends to the file; to standard output when there is none. A file is begun anew
    /// when it has `max_bytes`; 0 is no bound.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(super) fn start(
        path: Option<&Path>,
        max_bytes: u64,
        events: Receiver<Event>,
        metrics: Arc<Metrics>,
    ) -> io::Result<EventLog> {
        let out = Out::open(path, max_bytes)?;
        let reopen = Reopen::default();
        let asked = reopen.clone();
        let (ended, done) = mpsc::channel();
        let write = move || {
            write_all(out, events, &metrics, &asked);
            let _ = ended.send(());
        };
        thread::Builder::new().name("events".into()).spawn(write)?;
        Ok(EventLog { done, reopen })
    }

    /// Asks for the event file to be opened again.
    pub(super) fn reopener(&self) -> Reopen {
        self.reopen.clone()
    }

    /// Waits until everything is written, for 2 s at most.
    pub(super) fn finish(self) {
        match self.done.recv_timeout(LAST_WORDS) {
            Ok(()) => {}
            Err(mpsc::RecvTimeoutError::Timeout) => {
                error!("cannot write the last events: their reader has stopped reading");
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => error!("the event log ended early"),
        }
    }
}

fn write_all(mut out: Out, mut events: Receiver<Event>, metrics: &Metrics, reopen: &Reopen) {
    let mut narrator = Narrator::default();
    let (mut failing, mut told) = (false, 0);
    // Lines that are not shown are not rendered.
    let narrates = tracing::enabled!(Level::INFO);
    let mut collapser = Collapser::default();
    let mut next = events.blocking_recv();
    loop {
        if next.is_none() && events.is_closed() && events.is_empty() && !collapser.is_pending() {
            return;
        }
        if reopen.0.swap(false, Ordering::Relaxed)
            && let Err(error) = out.flush().and_then(|()| out.reopen())
        {
            error!(%error, "cannot reopen the event file; still writing to the old one");
        }
        let dropped = metrics.events_dropped();
        let gap = (dropped > told).then(|| Event {
            at_us: now_us(),
            what: BootEvent::EventsDropped {
                count: dropped - told,
            },
        });
        told = dropped;
        let mut written = Ok(());
        let mut write = |event: &Event| {
            written = std::mem::replace(&mut written, Ok(())).and(out.write(event));
            if narrates || is_warning(&event.what) {
                log(narrator.tell(&event.what));
            }
        };
        let batch = std::iter::from_fn(|| next.take().or_else(|| events.try_recv().ok()));
        for event in gap.into_iter().chain(batch) {
            for collapsed in collapser.turn(event.at_us) {
                metrics.count(&collapsed.what);
                write(&collapsed);
            }
            if collapser.admit(&event) {
                write(&event);
            }
        }
        if events.is_closed() && events.is_empty() {
            // The last ones: their second is not waited for.
            for collapsed in collapser.turn(u64::MAX) {
                let at_us = now_us();
                write(&Event { at_us, ..collapsed });
            }
        }
        let flushed = written.and(out.flush());
        if let Err(error) = &flushed
            && !failing
        {
            // Machines are served without it: said once, not once an event.
            error!(%error, "cannot write events");
        }
        failing = flushed.is_err();
        thread::sleep(TOGETHER);
        next = events.try_recv().ok();
        if next.is_none() {
            if collapser.is_pending() {
                // Suppressed events are reported when their second is over, with or without further events.
                for collapsed in collapser.turn(now_us()) {
                    metrics.count(&collapsed.what);
                    if out.write(&collapsed).and_then(|()| out.flush()).is_err() {
                        failing = true;
                    }
                    log(narrator.tell(&collapsed.what));
                }
            } else {
                next = events.blocking_recv();
            }
        }
    }
}

fn log(line: Option<(Weight, String)>) {
    match line {
        Some((Weight::Warning, line)) => warn!("{line}"),
        Some((Weight::Step, line)) => info!("{line}"),
        Some((Weight::Detail, line)) => debug!("{line}"),
        None => {}
    }
}
