//! A pseudo-terminal with a program on it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Termios, tcgetattr};
use test_support::eventually;

/// Pause of a person who types something again that had no effect.
const TYPES_AGAIN: Duration = Duration::from_secs(10);

/// A program on a terminal of its own.
pub(crate) struct OnTerminal {
    child: Child,
    keyboard: File,
    /// The program's end, kept open: its settings can be looked at.
    line: OwnedFd,
    shown: Receiver<Vec<u8>>,
    /// Everything shown so far.
    pub(crate) text: String,
    /// End of what was waited for last.
    seen: usize,
}

impl OnTerminal {
    /// Starts it, with the terminal as the one that controls it.
    pub(crate) fn start(program: &Command) -> OnTerminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let line = open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let end = || Stdio::from(line.try_clone().unwrap());
        // `setsid` of util-linux makes the terminal the controlling one.
        let mut command = Command::new("setsid");
        command
            .args(["--ctty", "--wait"])
            .arg(program.get_program())
            .args(program.get_args())
            .env("TERM", "xterm")
            .stdin(end())
            .stdout(end())
            .stderr(end());
        let child = command.spawn().unwrap();
        let (keyboard, mut screen) = (File::from(master.try_clone().unwrap()), File::from(master));
        let (show, shown) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = screen.read(&mut buffer) {
                if show.send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        OnTerminal {
            child,
            keyboard,
            line,
            shown,
            text: String::new(),
            seen: 0,
        }
    }

    /// Types.
    pub(crate) fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Types again and again until something is shown behind what was waited for last. A shell throws away what is typed
    /// while it sets its terminal or starts a program; a person would type that again, too.
    pub(crate) fn types_until(&mut self, keys: &str, wanted: &str, within: Duration) {
        let deadline = Instant::now() + within;
        loop {
            self.types(keys);
            match self.shows(wanted, TYPES_AGAIN) {
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
                shown => return self.has_come(wanted, shown),
            }
        }
    }

    /// Waits until something is shown behind what was waited for last, however much came with that.
    pub(crate) fn wait_for(&mut self, wanted: &str, within: Duration) {
        let shown = self.shows(wanted, within);
        self.has_come(wanted, shown);
    }

    fn has_come(&self, wanted: &str, shown: Result<(), RecvTimeoutError>) {
        if let Err(error) = shown {
            let since = &self.text[self.seen..];
            panic!("`{wanted}` never came ({error}): {since}");
        }
    }

    fn shows(&mut self, wanted: &str, within: Duration) -> Result<(), RecvTimeoutError> {
        let from = self.seen;
        let deadline = Instant::now() + within;
        loop {
            if let Some(at) = self.text[from..].find(wanted) {
                self.seen = from + at + wanted.len();
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let more = self.shown.recv_timeout(left)?;
            self.text.push_str(&String::from_utf8_lossy(&more));
        }
    }

    /// The terminal's settings.
    pub(crate) fn settings(&self) -> Termios {
        tcgetattr(&self.line).unwrap()
    }

    /// True if each key goes to the program at once, Ctrl-C too.
    pub(crate) fn is_raw(&self) -> bool {
        let modes = self.settings().local_modes;
        !modes.intersects(LocalModes::ICANON | LocalModes::ISIG | LocalModes::ECHO)
    }

    /// Waits for its end.
    pub(crate) fn ends(&mut self, within: Duration) -> ExitStatus {
        let status = eventually(within, || {
            let ended = self.child.try_wait().unwrap();
            ended.ok_or_else(|| format!("the program runs on: {}", self.text))
        });
        while let Ok(more) = self.shown.recv_timeout(Duration::from_millis(100)) {
            self.text.push_str(&String::from_utf8_lossy(&more));
        }
        status
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
