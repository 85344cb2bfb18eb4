//! Transfers in progress, read from a capture while it is written.
//!
//! Only a terminal shows transfers, so captures are followed only there: one thread for each running network.

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lab_model::evidence::packet::{Transfer, TransferEnd, Wire};
use lab_model::evidence::saved::CAPTURES_FOLDER;
use lab_model::evidence::wire;

/// Polling interval for new packets.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// Time without data after which a transfer no longer counts as in progress, in microseconds.
const STALE_US: u64 = 5_000_000;

/// Transfer in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OnItsWay {
    /// Name of the file, without its folder.
    pub(super) file: String,
    /// Number of bytes that arrived so far.
    pub(super) bytes: u64,
    /// Announced size, in bytes.
    pub(super) announced: Option<u64>,
}

/// Follows the captures of one attempt until it is dropped.
#[derive(Debug)]
pub(super) struct Follower {
    stop: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<Transfer>>>,
}

impl Follower {
    /// Follows the captures in an attempt's folder; they may not exist yet.
    pub(super) fn start(attempt: &Path) -> Follower {
        let follower = Follower {
            stop: Arc::default(),
            open: Arc::default(),
        };
        let folder = attempt.join(CAPTURES_FOLDER);
        let (stop, open) = (Arc::clone(&follower.stop), Arc::clone(&follower.open));
        // Without a thread, only the progress bar is missing.
        let _ = std::thread::Builder::new()
            .name("transfers".into())
            .spawn(move || watch(&folder, &stop, &open));
        follower
    }

    /// Returns the current transfer of the machine with this MAC.
    pub(super) fn under_way(&self, mac: &str, now_us: u64) -> Option<OnItsWay> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let is_now = |one: &&Transfer| one.to.mac == mac && one.end_us + STALE_US > now_us;
        let transfer = open.iter().rev().find(is_now)?;
        let path = transfer.name.split('?').next().unwrap_or_default();
        let file = path.rsplit('/').next().unwrap_or(path);
        Some(OnItsWay {
            file: file.to_owned(),
            bytes: transfer.bytes,
            announced: transfer.announced,
        })
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn watch(folder: &Path, stop: &Arc<AtomicBool>, open: &Mutex<Vec<Transfer>>) {
    let Some(path) = first_capture(folder, stop) else {
        return;
    };
    let Ok(file) = File::open(path) else {
        return;
    };
    let is_all = Arc::new(AtomicBool::new(false));
    let growing = Growing {
        file,
        stop: Arc::clone(stop),
        is_all: Arc::clone(&is_all),
        reads: 0,
    };
    let mut told = Instant::now();
    // Read errors are reported when the attempt is judged.
    let _ = wire::follow(growing, |wire| {
        // The last frames may remain the last for a long time.
        if told.elapsed() >= LOOK_AGAIN || is_all.load(Ordering::Relaxed) {
            told = Instant::now();
            let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
            *open = still_open(wire);
        }
    });
}

fn still_open(wire: &Wire) -> Vec<Transfer> {
    let open = |one: &&Transfer| one.end == TransferEnd::Open;
    wire.transfers.iter().filter(open).cloned().collect()
}

/// Waits for the capture; returns `None` when told to stop.
fn first_capture(folder: &Path, stop: &AtomicBool) -> Option<PathBuf> {
    while !stop.load(Ordering::Relaxed) {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut paths = entries.map(|entry| entry.path());
        let is_capture = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "pcapng");
        // The header comes with the file's first write.
        let has_begun = |path: &PathBuf| path.metadata().is_ok_and(|file| file.len() > 0);
        if let Some(path) = paths.find(|path| is_capture(path) && has_begun(path)) {
            return Some(path);
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    None
}

/// Growing file, read until told to stop.
struct Growing {
    file: File,
    stop: Arc<AtomicBool>,
    /// True if all data available so far has been read.
    is_all: Arc<AtomicBool>,
    reads: u32,
}

/// Number of reads that the parser makes before the first frame; they must not block for data that may come
/// late.
const FIRST_READS: u32 = 2;

impl Growing {
    fn is_at_end(&mut self) -> io::Result<bool> {
        Ok(self.file.stream_position()? >= self.file.metadata()?.len())
    }
}

impl Read for Growing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reads = self.reads.saturating_add(1);
        loop {
            match self.file.read(buffer)? {
                0 if self.reads <= FIRST_READS => return Ok(0),
                0 if buffer.is_empty() || self.stop.load(Ordering::Relaxed) => return Ok(0),
                0 => std::thread::sleep(LOOK_AGAIN),
                read => {
                    let is_all = self.is_at_end()?;
                    self.is_all.store(is_all, Ordering::Relaxed);
                    return Ok(read);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use lab_model::evidence::wire::script::Script;

    use super::*;

    const MAC: &str = "52:54:00:a1:9c:ae";
    /// Time of an invented frame; frames are one millisecond apart.
    const NOW_US: u64 = 1_700_000_000_500_000;

    /// Waits for the expected transfer and returns it.
    fn wait_for(follower: &Follower, what: impl Fn(&Option<OnItsWay>) -> bool) -> Option<OnItsWay> {
        let began = Instant::now();
        loop {
            let now = follower.under_way(MAC, NOW_US);
            if what(&now) {
                return now;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "still {now:?}");
            std::thread::sleep(LOOK_AGAIN / 10);
        }
    }

    fn data(script: &mut Script, block: u16, payload: &[u8]) {
        let data = [&[0, 3][..], &block.to_be_bytes(), payload].concat();
        script.udp(false, 2000, 3000, &data);
        script.udp(
            true,
            2000,
            3000,
            &[&[0, 4][..], &block.to_be_bytes()].concat(),
        );
    }

    #[test]
    fn a_file_is_shown_while_it_comes_and_no_longer() {
        let attempt = tempfile::tempdir().unwrap();
        let follower = Follower::start(attempt.path());
        assert_eq!(follower.under_way(MAC, NOW_US), None);

        let mut script = Script::new();
        script.udp(
            true,
            2000,
            69,
            b"\x00\x01boot/undionly.kpxe\0octet\0tsize\x000\0",
        );
        script.udp(false, 2000, 3000, b"\x00\x06tsize\x001500\0");
        script.udp(true, 2000, 3000, b"\x00\x04\0\0");
        data(&mut script, 1, &[7; 512]);
        let nets = attempt.path().join(CAPTURES_FOLDER);
        fs::create_dir(&nets).unwrap();
        let mut file = File::create(nets.join("net.pcapng")).unwrap();
        file.write_all(script.bytes()).unwrap();
        let written = script.bytes().len();

        let shown = wait_for(&follower, |now| {
            now.as_ref().is_some_and(|file| file.bytes > 0)
        });
        let expected = OnItsWay {
            file: "undionly.kpxe".into(),
            bytes: 512,
            announced: Some(1500),
        };
        assert_eq!(shown, Some(expected));
        assert_eq!(follower.under_way("52:54:00:00:00:01", NOW_US), None);
        assert_eq!(follower.under_way(MAC, NOW_US + STALE_US), None, "stalled");

        data(&mut script, 2, &[7; 512]);
        data(&mut script, 3, &[7; 476]);
        file.write_all(&script.bytes()[written..]).unwrap();
        wait_for(&follower, Option::is_none);
    }
}
