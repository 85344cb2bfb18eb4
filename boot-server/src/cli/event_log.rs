//! Writes events as they come: one JSON line each to a file or to standard output, and a line for
//! people to the log.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tracing::{Level, debug, error, info, warn};

use super::narrate::{Narrator, Weight, is_warning};
use crate::event::{BootEvent, Event, now_us};
use crate::metrics::Metrics;

/// After it has written, the thread sleeps this long: events that come meanwhile are written together,
/// and nobody who tells of them has to wake it.
const TOGETHER: Duration = Duration::from_millis(10);
/// Lines handed to the kernel together.
const BUFFER_LEN: usize = 64 * 1024;

/// A thread that writes until all event sinks are gone.
pub(super) struct EventLog {
    thread: JoinHandle<()>,
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

/// Where JSON lines go.
enum Out {
    File(PathBuf, BufWriter<File>),
    Stdout(BufWriter<io::Stdout>),
    /// Standard output is a terminal, where they would only hide the log.
    Nowhere,
}

impl Out {
    fn open(path: Option<&Path>) -> io::Result<Out> {
        Ok(match path {
            None if io::stdout().is_terminal() => Out::Nowhere,
            None => Out::Stdout(BufWriter::with_capacity(BUFFER_LEN, io::stdout())),
            Some(path) if path == Path::new("-") => {
                Out::Stdout(BufWriter::with_capacity(BUFFER_LEN, io::stdout()))
            }
            Some(path) => {
                let file = OpenOptions::new().create(true).append(true).open(path)?;
                Out::File(path.to_owned(), BufWriter::with_capacity(BUFFER_LEN, file))
            }
        })
    }

    fn reopen(&mut self) -> io::Result<()> {
        if let Out::File(path, _) = self {
            let path = path.clone();
            *self = Out::open(Some(&path))?;
        }
        Ok(())
    }

    fn write(&mut self, event: &Event) -> io::Result<()> {
        fn line(mut out: impl Write, event: &Event) -> io::Result<()> {
            serde_json::to_writer(&mut out, event)?;
            out.write_all(b"\n")
        }
        match self {
            Out::File(_, file) => line(file, event),
            Out::Stdout(stdout) => line(stdout, event),
            Out::Nowhere => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Out::File(_, file) => file.flush(),
            Out::Stdout(stdout) => stdout.flush(),
            Out::Nowhere => Ok(()),
        }
    }
}

impl EventLog {
    /// Starts writing: appends to the file; to standard output when there is none.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(super) fn start(
        path: Option<&Path>,
        events: Receiver<Event>,
        metrics: Arc<Metrics>,
    ) -> io::Result<EventLog> {
        let out = Out::open(path)?;
        let reopen = Reopen::default();
        let asked = reopen.clone();
        let write = move || write_all(out, events, &metrics, &asked);
        let thread = thread::Builder::new().name("events".into()).spawn(write)?;
        Ok(EventLog { thread, reopen })
    }

    /// Asks for the event file to be opened again.
    pub(super) fn reopener(&self) -> Reopen {
        self.reopen.clone()
    }

    /// Waits until everything is written.
    pub(super) fn finish(self) {
        if self.thread.join().is_err() {
            error!("the event log ended early");
        }
    }
}

fn write_all(mut out: Out, mut events: Receiver<Event>, metrics: &Metrics, reopen: &Reopen) {
    let mut narrator = Narrator::default();
    let (mut failing, mut told) = (false, 0);
    // Lines that nobody is shown are not even made.
    let narrates = tracing::enabled!(Level::INFO);
    let mut first = events.blocking_recv();
    while let Some(event) = first {
        if reopen.0.swap(false, Ordering::Relaxed)
            && let Err(error) = out.flush().and_then(|()| out.reopen())
        {
            error!(%error, "the event file cannot be opened again; the old one is written on");
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
        let mut next = Some(event);
        for event in gap.into_iter().chain(std::iter::from_fn(|| {
            next.take().or_else(|| events.try_recv().ok())
        })) {
            written = written.and(out.write(&event));
            if narrates || is_warning(&event.what) {
                log(narrator.tell(&event.what));
            }
        }
        let flushed = written.and(out.flush());
        if let Err(error) = &flushed
            && !failing
        {
            // Machines are served without it: said once, not once an event.
            error!(%error, "events cannot be written");
        }
        failing = flushed.is_err();
        thread::sleep(TOGETHER);
        first = events.try_recv().ok().or_else(|| events.blocking_recv());
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
