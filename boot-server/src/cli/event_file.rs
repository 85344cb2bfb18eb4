//! Sink of event lines: a file of bounded size, or standard output.

use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use boot_server_events::Event;

use crate::state_file;

/// Lines handed to the kernel together.
const BUFFER_LEN: usize = 64 * 1024;

/// Sink of JSON lines.
pub(super) enum Out {
    File(EventFile),
    Stdout(BufWriter<io::Stdout>),
    /// Standard output is a terminal, where they would only hide the log.
    Nowhere,
}

impl Out {
    /// Opens a file, or standard output when there is none. A file is begun anew when it has `max_bytes`;
    /// 0 is no bound.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(super) fn open(path: Option<&Path>, max_bytes: u64) -> io::Result<Out> {
        Ok(match path {
            None if io::stdout().is_terminal() => Out::Nowhere,
            None => Out::Stdout(BufWriter::with_capacity(BUFFER_LEN, io::stdout())),
            Some(path) if path == Path::new("-") => {
                Out::Stdout(BufWriter::with_capacity(BUFFER_LEN, io::stdout()))
            }
            Some(path) => Out::File(EventFile::open(path, max_bytes)?),
        })
    }

    /// Opens the file again, after it was renamed.
    ///
    /// # Errors
    /// The file cannot be opened; the old one stays open.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        if let Out::File(file) = self {
            *file = EventFile::open(&file.path, file.max_bytes)?;
        }
        Ok(())
    }

    /// Writes a line.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn write(&mut self, event: &Event) -> io::Result<()> {
        match self {
            Out::File(file) => file.write(event),
            Out::Stdout(stdout) => {
                serde_json::to_writer(&mut *stdout, event)?;
                stdout.write_all(b"\n")
            }
            Out::Nowhere => Ok(()),
        }
    }

    /// Hands all lines to the kernel.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Out::File(file) => file.out.flush(),
            Out::Stdout(stdout) => stdout.flush(),
            Out::Nowhere => Ok(()),
        }
    }
}

/// A file of events. The one before it is kept beside it, with `.1` at the end of its name.
pub(super) struct EventFile {
    path: PathBuf,
    out: BufWriter<File>,
    len: u64,
    max_bytes: u64,
    line: Vec<u8>,
}

impl EventFile {
    fn open(path: &Path, max_bytes: u64) -> io::Result<EventFile> {
        let file = state_file::append(path)?;
        Ok(EventFile {
            path: path.to_owned(),
            len: file.metadata()?.len(),
            out: BufWriter::with_capacity(BUFFER_LEN, file),
            max_bytes,
            line: Vec::new(),
        })
    }

    fn write(&mut self, event: &Event) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, event)?;
        self.line.push(b'\n');
        let len = self.line.len() as u64;
        let is_full = self.max_bytes > 0 && self.len + len > self.max_bytes;
        if is_full && self.len > 0 {
            self.begin_anew()?;
        }
        self.len += len;
        self.out.write_all(&self.line)
    }

    /// Puts the file aside and begins another. When that cannot be done the file is emptied: the bound
    /// holds, and the newest events are kept.
    fn begin_anew(&mut self) -> io::Result<()> {
        self.out.flush()?;
        let file = self.out.get_ref();
        if !file.metadata()?.is_file() {
            // A device or a pipe does not grow; its lines are still handed over together.
            self.len = 0;
            return Ok(());
        }
        let mut aside = self.path.clone().into_os_string();
        aside.push(".1");
        let renamed = fs::rename(&self.path, aside);
        match renamed.and_then(|()| EventFile::open(&self.path, self.max_bytes)) {
            Ok(new) => *self = new,
            Err(_) => {
                file.set_len(0)?;
                self.len = 0;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use boot_server_events::BootEvent;

    use super::*;

    fn event(count: u64) -> Event {
        let what = BootEvent::EventsDropped { count };
        Event { at_us: 1, what }
    }

    fn write_all(out: &mut Out, count: u64) {
        for number in 0..count {
            out.write(&event(number)).unwrap();
        }
        out.flush().unwrap();
    }

    fn last_count(path: &Path) -> u64 {
        let text = fs::read_to_string(path).unwrap();
        let last: Event = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        match last.what {
            BootEvent::EventsDropped { count } => count,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn event_file_at_its_bound_is_begun_anew_and_the_newest_events_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events");
        let mut out = Out::open(Some(&path), 1000).unwrap();
        write_all(&mut out, 500);
        let aside = folder.path().join("events.1");
        for file in [&path, &aside] {
            assert!(fs::metadata(file).unwrap().len() <= 1000);
        }
        assert_eq!(last_count(&path), 499);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        // The existing content counts.
        drop(out);
        let mut out = Out::open(Some(&path), 1000).unwrap();
        write_all(&mut out, 20);
        assert!(fs::metadata(&path).unwrap().len() <= 1000);
    }

    #[test]
    fn event_file_that_cannot_be_put_aside_is_emptied() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events");
        fs::create_dir_all(folder.path().join("events.1/x")).unwrap();
        let mut out = Out::open(Some(&path), 1000).unwrap();
        write_all(&mut out, 500);
        assert!(fs::metadata(&path).unwrap().len() <= 1000);
        assert_eq!(last_count(&path), 499);
    }

    #[test]
    fn device_as_event_file_is_not_flushed_for_each_event_beyond_the_bound() {
        let mut file = EventFile::open(Path::new("/dev/null"), 1000).unwrap();
        let mut kept = 0;
        for number in 0..500 {
            let waiting = file.out.buffer().len();
            file.write(&event(number)).unwrap();
            kept += usize::from(file.out.buffer().len() > waiting);
        }
        assert!(kept > 400, "only {kept} events wait for others");
    }

    #[test]
    fn event_file_without_a_bound_grows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events");
        let mut out = Out::open(Some(&path), 0).unwrap();
        write_all(&mut out, 500);
        assert!(fs::metadata(&path).unwrap().len() > 1000);
    }
}
