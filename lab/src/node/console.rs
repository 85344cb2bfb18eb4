//! Serial console of a machine over a Unix socket: forwards every line, and logs every byte if no other process
//! does.
//!
//! QEMU binds the socket and drops output while no client is connected; the machine is therefore created paused
//! and runs only after [`Console::connect`].

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Maximum length of a line; output of firmware that moves the cursor instead of ending lines is split here.
const LINE_LIMIT_BYTES: usize = 64 * 1024;

/// Connected console.
#[derive(Debug)]
pub struct Console {
    writer: OwnedWriteHalf,
    text: Arc<Mutex<Text>>,
    grown: watch::Receiver<()>,
    reading: tokio::task::JoinHandle<()>,
}

/// Text of the console so far.
#[derive(Debug, Default)]
struct Text {
    lines: Vec<String>,
    open_line: Vec<u8>,
    bytes: u64,
    /// Bytes that [`Console::read_until`] has not consumed yet; `None` while not recording.
    recorded: Option<Vec<u8>>,
    closed: bool,
}

/// End of an unsuccessful wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// The deadline passed.
    Deadline,
    /// The machine closed its console.
    Closed,
}

impl Console {
    /// Connects to the socket that QEMU has bound; bytes are appended to `log`, cleaned lines are sent to
    /// `lines`.
    ///
    /// # Errors
    /// Fails if the socket refuses for five seconds or the file cannot be created.
    pub async fn connect(
        socket: &Path,
        log: Option<&Path>,
        lines: mpsc::UnboundedSender<String>,
    ) -> io::Result<Console> {
        let deadline = Instant::now() + Duration::from_secs(5);
        let stream = loop {
            match UnixStream::connect(socket).await {
                Ok(stream) => break stream,
                Err(error) if Instant::now() >= deadline => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        let log = match log {
            Some(log) => Some(File::options().create(true).append(true).open(log).await?),
            None => None,
        };
        let (reader, writer) = stream.into_split();
        let text = Arc::new(Mutex::new(Text::default()));
        let (growth, grown) = watch::channel(());
        let reading = tokio::spawn(read_all(reader, log, Arc::clone(&text), growth, lines));
        Ok(Console {
            writer,
            text,
            grown,
            reading,
        })
    }

    /// Disconnects, so that another client can connect: QEMU serves one client at a time.
    pub fn disconnect(self) {
        self.reading.abort();
    }

    /// Counts the console's bytes.
    pub(super) fn meter(&self) -> Meter {
        Meter(Arc::clone(&self.text))
    }

    /// Returns the number of complete lines so far, as the start of a later [`Console::wait_for`].
    #[must_use]
    pub fn line_count(&self) -> usize {
        lock(&self.text).lines.len()
    }

    /// Returns the rows of the unfinished output. A program that draws a screen, such as a menu or a dialogue of shim,
    /// moves the cursor instead of ending its lines.
    #[must_use]
    pub fn open_rows(&self) -> Vec<String> {
        rows(&lock(&self.text).open_line)
    }

    /// Waits until `pick` finds a result in the lines from number `from` on, including the unfinished one.
    ///
    /// # Errors
    /// [`Missed`] if the deadline passes or the console closes first.
    pub async fn wait_for<T>(
        &self,
        from: usize,
        deadline: Instant,
        mut pick: impl FnMut(&[String], &str) -> Option<T>,
    ) -> Result<T, Missed> {
        let mut grown = self.grown.clone();
        loop {
            grown.borrow_and_update();
            {
                let text = lock(&self.text);
                let lines = text.lines.get(from..).unwrap_or_default();
                if let Some(found) = pick(lines, &clean(&text.open_line)) {
                    return Ok(found);
                }
                if text.closed {
                    return Err(Missed::Closed);
                }
            }
            match tokio::time::timeout_at(deadline, grown.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(Missed::Closed),
                Err(_) => return Err(Missed::Deadline),
            }
        }
    }

    /// Records every byte from now on for [`Console::read_until`].
    pub(super) fn record(&self) {
        lock(&self.text).recorded = Some(Vec::new());
    }

    /// Discards the recording and stops it.
    pub(super) fn stop_recording(&self) {
        lock(&self.text).recorded = None;
    }

    /// Waits until `take` returns a result; it is called once with each chunk of recorded bytes.
    ///
    /// # Errors
    /// [`Missed`] if the deadline passes or the console closes first.
    pub(super) async fn read_until<T>(
        &self,
        deadline: Instant,
        mut take: impl FnMut(&[u8]) -> Option<T>,
    ) -> Result<T, Missed> {
        let mut grown = self.grown.clone();
        loop {
            grown.borrow_and_update();
            let (fresh, closed) = {
                let mut text = lock(&self.text);
                let fresh = text.recorded.as_mut().map(std::mem::take);
                (fresh.unwrap_or_default(), text.closed)
            };
            if let Some(found) = take(&fresh) {
                return Ok(found);
            }
            if closed {
                return Err(Missed::Closed);
            }
            match tokio::time::timeout_at(deadline, grown.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(Missed::Closed),
                Err(_) => return Err(Missed::Deadline),
            }
        }
    }

    /// Types a text on the console.
    ///
    /// # Errors
    /// Fails if the machine has ended.
    pub async fn type_text(&mut self, text: &str) -> io::Result<()> {
        self.writer.write_all(text.as_bytes()).await
    }
}

/// Counter of a console's output, for tasks that do not read it.
#[derive(Debug, Clone)]
pub struct Meter(Arc<Mutex<Text>>);

impl Meter {
    /// Returns the number of bytes so far.
    pub(super) fn bytes(&self) -> u64 {
        lock(&self.0).bytes
    }
}

fn lock(text: &Mutex<Text>) -> MutexGuard<'_, Text> {
    // A panic elsewhere leaves the text consistent: every change under the lock is one push.
    text.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn read_all(
    mut reader: OwnedReadHalf,
    mut log: Option<File>,
    text: Arc<Mutex<Text>>,
    growth: watch::Sender<()>,
    lines: mpsc::UnboundedSender<String>,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = match reader.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(read) => buffer.get(..read).unwrap_or_default(),
        };
        if let Some(log) = &mut log
            && let Err(error) = log.write_all(read).await
        {
            tracing::warn!(%error, "console log");
        }
        {
            let mut text = lock(&text);
            text.bytes += read.len() as u64;
            if let Some(recorded) = &mut text.recorded {
                recorded.extend_from_slice(read);
            }
            for byte in read {
                if *byte == b'\n' || text.open_line.len() >= LINE_LIMIT_BYTES {
                    let line = clean(&std::mem::take(&mut text.open_line));
                    // The receiver is gone once the attempt is over.
                    let _ = lines.send(line.clone());
                    text.lines.push(line);
                }
                if *byte != b'\n' {
                    text.open_line.push(*byte);
                }
            }
        }
        growth.send_replace(());
    }
    if let Some(log) = &mut log {
        let _ = log.flush().await;
    }
    lock(&text).closed = true;
    growth.send_replace(());
}

/// Splits output where the cursor is moved to a row (CUP and HVP, ECMA-48 section 8.3), and returns the rows with text.
fn rows(raw: &[u8]) -> Vec<String> {
    let mut rows = Vec::new();
    let mut start = 0;
    let mut at = raw
        .iter()
        .position(|byte| *byte == b'\x1b')
        .unwrap_or(raw.len());
    while let Some(sequence) = raw.get(at..).and_then(|rest| rest.strip_prefix(b"\x1b[")) {
        let length = sequence
            .iter()
            .position(|byte| !matches!(byte, b' '..=b'?'));
        let Some(length) = length else { break };
        if matches!(sequence.get(length), Some(b'H' | b'f')) {
            rows.push(raw.get(start..at).unwrap_or_default());
            start = at;
        }
        let next = raw.get(at + 2..).unwrap_or_default();
        let escape = next.iter().position(|byte| *byte == b'\x1b');
        at = escape.map_or(raw.len(), |escape| at + 2 + escape);
    }
    rows.push(raw.get(start..).unwrap_or_default());
    let is_frame = |letter: char| letter == char::REPLACEMENT_CHARACTER || letter == ' ';
    rows.into_iter()
        .map(|row| clean(row).trim_matches(is_frame).to_owned())
        .filter(|row| row.chars().any(|letter| letter.is_ascii_alphanumeric()))
        .collect()
}

/// Returns a line as a reader sees it: without control sequences, and with overwriting by carriage returns
/// applied.
pub(crate) fn clean(raw: &[u8]) -> String {
    let visible = raw
        .rsplit(|byte| *byte == b'\r')
        .find(|part| !part.iter().all(u8::is_ascii_whitespace))
        .unwrap_or_default();
    let plain = strip_ansi_escapes::strip(visible);
    String::from_utf8_lossy(&plain)
        .chars()
        .filter(|c| !c.is_control() || *c == '\t')
        .collect::<String>()
        .trim_end()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UnixListener;

    async fn pair() -> (
        tempfile::TempDir,
        Console,
        UnixStream,
        mpsc::UnboundedReceiver<String>,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("console");
        let listener = UnixListener::bind(&socket).unwrap();
        let (sender, lines) = mpsc::unbounded_channel();
        let log = dir.path().join("console.log");
        let console = Console::connect(&socket, Some(&log), sender).await.unwrap();
        let (machine, _) = listener.accept().await.unwrap();
        (dir, console, machine, lines)
    }

    #[test]
    fn rows_of_a_dialogue_of_shim_are_its_texts() {
        let dialogue = b"\x1b[0m\x1b[37m\x1b[40m\x1b[01;01H\xb3        \x1b[22;01H\xb3   ERROR    \xb3\
            \x1b[24;01H\xb3 Verification failed: (0x1A) Security Violation \xb3\x1b[25;39H\xb3 OK \xb3\x1b[26;39H\xc0";
        let expected = [
            "ERROR",
            "Verification failed: (0x1A) Security Violation",
            "OK",
        ];
        assert_eq!(rows(dialogue), expected);
        assert_eq!(rows(b"login: "), ["login:"]);
        assert_eq!(rows(b"\x1b["), Vec::<String>::new());
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[tokio::test]
    async fn a_line_is_found_after_it_was_shown_and_every_byte_is_kept() {
        let (dir, console, mut machine, mut lines) = pair().await;
        machine
            .write_all(b"\x1b[0;1miPXE\x1b[0m 1.21\r\nlogin: ")
            .await
            .unwrap();
        let found = console
            .wait_for(0, soon(), |lines, open| {
                open.ends_with("login:").then(|| lines.to_vec())
            })
            .await
            .unwrap();
        assert_eq!(found, ["iPXE 1.21"]);
        assert_eq!(lines.recv().await.unwrap(), "iPXE 1.21");
        drop(machine);
        assert_eq!(
            console
                .wait_for(1, soon(), |lines, _| lines.first().cloned())
                .await,
            Err(Missed::Closed)
        );
        let kept = std::fs::read(dir.path().join("console.log")).unwrap();
        assert_eq!(kept, b"\x1b[0;1miPXE\x1b[0m 1.21\r\nlogin: ");
    }

    #[tokio::test]
    async fn what_never_comes_is_missed_at_the_deadline() {
        let (_dir, console, mut machine, _lines) = pair().await;
        machine.write_all(b"something else\n").await.unwrap();
        let missed = console
            .wait_for(0, Instant::now() + Duration::from_millis(50), |lines, _| {
                lines.iter().any(|line| line == "login:").then_some(())
            })
            .await;
        assert_eq!(missed, Err(Missed::Deadline));
    }

    #[test]
    fn text_that_a_carriage_return_overwrote_is_not_shown() {
        assert_eq!(
            clean(b"Press Ctrl-B...\r               \r"),
            "Press Ctrl-B..."
        );
        assert_eq!(clean(b"10%\r20%\r100%\r"), "100%");
        assert_eq!(clean(b"\x1b[2Jboot:\x07 "), "boot:");
        assert_eq!(clean(b""), "");
    }
}
