//! Live output of a run: `events.jsonl`, a line at the start and end of each node, and the progress of running
//! nodes, redrawn in place on a terminal, or repeated as lines otherwise.

mod progress;
mod screen;
mod status;
mod transfers;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lab_model::evidence::{Observation, Record};
use lab_model::results::{Progress, Unit};
use serde::Serialize;

use super::format;
use super::table::Colour;
use progress::RunProgress;
use screen::Screen;

/// Redraw interval on a terminal.
const REDRAW: Duration = Duration::from_millis(500);
/// Interval of progress lines without a terminal.
const REPEAT: Duration = Duration::from_secs(10);

/// Style of the progress display.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// No progress.
    Nothing,
    /// Line by line.
    Lines,
    /// Redrawn in place, on a terminal.
    InPlace(Colour),
}

/// One line of `events.jsonl`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Line<'a> {
    pub unit: &'a str,
    #[serde(flatten)]
    pub record: &'a Record,
}

/// Selection of records for a file of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Events {
    /// Every record.
    All,
    /// Every record but lines of consoles, which are four fifths of all bytes and are in the attempts' folders.
    WithoutConsoles,
}

/// File of events; abandoned after the first write error.
#[derive(Debug)]
struct EventsFile {
    path: PathBuf,
    out: BufWriter<File>,
    events: Events,
    failure: Option<io::Error>,
}

impl EventsFile {
    fn add(&mut self, line: &Line) {
        let is_console = matches!(line.record.seen, Observation::Console { .. });
        if self.failure.is_some() || (is_console && self.events == Events::WithoutConsoles) {
            return;
        }
        let written = serde_json::to_writer(&mut self.out, line)
            .map_err(io::Error::from)
            .and_then(|()| self.out.write_all(b"\n"))
            // Flushed, so that readers see events as they happen.
            .and_then(|()| self.out.flush());
        self.failure = written.err();
    }
}

/// Records progress events and displays them.
#[derive(Debug)]
pub struct Live<W: Write> {
    files: Vec<EventsFile>,
    course: RunProgress,
    show: Show,
    screen: Screen<W>,
    /// Time of the last progress lines without a terminal.
    repeated: Instant,
}

impl<W: Write> Live<W> {
    /// Creates the display of these units; events go to these files, text for people to `out`. `folder` is the
    /// run's.
    #[must_use]
    pub fn new(
        units: &[Unit],
        folder: &Path,
        files: Vec<(PathBuf, File, Events)>,
        show: Show,
        out: W,
    ) -> Live<W> {
        let in_place = matches!(show, Show::InPlace(_));
        let file = |(path, file, events)| EventsFile {
            path,
            out: BufWriter::new(file),
            events,
            failure: None,
        };
        Live {
            files: files.into_iter().map(file).collect(),
            course: RunProgress::new(units, in_place.then(|| folder.to_owned())),
            show,
            screen: Screen::new(out),
            repeated: Instant::now(),
        }
    }

    /// Returns the interval for calling [`Live::tick`].
    #[must_use]
    pub fn period(&self) -> Duration {
        match self.show {
            Show::InPlace(_) => REDRAW,
            Show::Nothing | Show::Lines => Duration::from_secs(1),
        }
    }

    /// Processes one progress event.
    pub fn take(&mut self, progress: &Progress) {
        if let Progress::Observation { unit, record } = progress {
            for file in &mut self.files {
                file.add(&Line { unit, record });
            }
        }
        if let Some(line) = self.course.take(progress, Instant::now()) {
            self.say(&line);
        }
    }

    /// Returns the files that could not be written completely, each with the reason.
    #[must_use]
    pub fn lost(&self) -> Vec<String> {
        let failed = |file: &EventsFile| {
            let failure = file.failure.as_ref()?;
            Some(format!("{}: {failure}", file.path.display()))
        };
        self.files.iter().filter_map(failed).collect()
    }

    /// Shows the current progress of every node. `width` is the terminal's, in columns.
    pub fn tick(&mut self, now: Instant, width: usize) {
        match self.show {
            Show::Nothing => {}
            Show::Lines => {
                if now.duration_since(self.repeated) >= REPEAT {
                    self.repeated = now;
                    for node in self.course.running(now) {
                        self.screen.line(&node.sentence());
                    }
                }
            }
            Show::InPlace(colour) => {
                let mut block: Vec<String> = self
                    .course
                    .running(now)
                    .iter()
                    .map(|node| node.row(width, colour))
                    .collect();
                block.push(self.summary(now, width));
                self.screen.show(block, width);
            }
        }
    }

    /// Prints a permanent line.
    pub fn say(&mut self, line: &str) {
        if self.show != Show::Nothing {
            self.screen.line(line);
        }
    }

    /// Removes the redrawn block; permanent lines remain.
    pub fn end(&mut self) {
        self.screen.clear();
    }

    fn summary(&self, now: Instant, width: usize) -> String {
        let (ended, all) = self.course.nodes();
        let since = now.duration_since(self.course.started()).as_secs_f64();
        let text = format!(
            "{ended} of {} · {}",
            format::count(all, "machine", "machines"),
            format::clock(since)
        );
        status::cut(&text, width.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn take_event_that_a_full_disk_refuses_goes_on_and_is_told() {
        let full = PathBuf::from("/dev/full");
        let kept = tempfile::NamedTempFile::new().unwrap();
        let files = vec![
            (
                full.clone(),
                File::options().write(true).open(full).unwrap(),
                Events::All,
            ),
            (kept.path().to_owned(), kept.reopen().unwrap(), Events::All),
        ];
        let mut live = Live::new(&[], Path::new(""), files, Show::Nothing, Vec::new());
        for at_us in 1..=3 {
            live.take(&Progress::Observation {
                unit: "a@bios".into(),
                record: Record {
                    at_us,
                    node: None,
                    seen: Observation::PowerOn,
                },
            });
        }
        let lost = live.lost();
        assert_eq!(lost.len(), 1, "{lost:?}");
        assert!(lost[0].starts_with("/dev/full: "), "{lost:?}");
        let text = std::fs::read_to_string(kept.path()).unwrap();
        assert_eq!(text.lines().count(), 3);
    }

    #[test]
    fn take_console_line_is_only_in_the_file_of_all_events() {
        let [all, without] = [(), ()].map(|()| tempfile::NamedTempFile::new().unwrap());
        let file = |file: &tempfile::NamedTempFile, events| {
            (file.path().to_owned(), file.reopen().unwrap(), events)
        };
        let files = vec![
            file(&all, Events::All),
            file(&without, Events::WithoutConsoles),
        ];
        let mut live = Live::new(&[], Path::new(""), files, Show::Nothing, Vec::new());
        let line = Observation::Console {
            line: "login:".into(),
        };
        for seen in [line, Observation::PowerOn] {
            live.take(&Progress::Observation {
                unit: "a@bios".into(),
                record: Record {
                    at_us: 1,
                    node: Some("node1".into()),
                    seen,
                },
            });
        }
        let lines = |file: &tempfile::NamedTempFile| {
            std::fs::read_to_string(file.path())
                .unwrap()
                .lines()
                .count()
        };
        assert_eq!((lines(&all), lines(&without)), (2, 1));
    }
}
