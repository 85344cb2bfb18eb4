//! Writes events as they come, one JSON line each, to a file or to standard output.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::thread::{self, JoinHandle};

use tokio::sync::mpsc::UnboundedReceiver;
use tracing::error;

use crate::event::Event;

/// A thread that writes until all event sinks are gone.
pub(super) struct EventLog(JoinHandle<()>);

impl EventLog {
    /// Starts writing: appends to the file, or writes to standard output when there is none.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(super) fn start(
        path: Option<&Path>,
        events: UnboundedReceiver<Event>,
    ) -> io::Result<EventLog> {
        let out: Box<dyn Write + Send> = match path {
            Some(path) => Box::new(OpenOptions::new().create(true).append(true).open(path)?),
            None => Box::new(io::stdout()),
        };
        let write = move || write_all(BufWriter::new(out), events);
        Ok(EventLog(
            thread::Builder::new().name("events".into()).spawn(write)?,
        ))
    }

    /// Waits until everything is written.
    pub(super) fn finish(self) {
        if self.0.join().is_err() {
            error!("the event log ended early");
        }
    }
}

fn write_all(mut out: impl Write, mut events: UnboundedReceiver<Event>) {
    let mut failing = false;
    while let Some(event) = events.blocking_recv() {
        let mut written = write_line(&mut out, &event);
        while let Ok(event) = events.try_recv() {
            written = written.and(write_line(&mut out, &event));
        }
        let flushed = written.and(out.flush());
        if let Err(error) = &flushed
            && !failing
        {
            // Machines are served without it: said once, not once an event.
            error!(%error, "events cannot be written");
        }
        failing = flushed.is_err();
    }
}

fn write_line(out: &mut impl Write, event: &Event) -> io::Result<()> {
    let mut line = serde_json::to_vec(event)?;
    line.push(b'\n');
    out.write_all(&line)
}
