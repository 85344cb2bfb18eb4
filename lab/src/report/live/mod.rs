//! What is shown and saved while a run goes on: `events.jsonl`, a line for each node's beginning and end,
//! and in between how far each node is: redrawn in place on a terminal, a line now and then elsewhere.

mod course;
mod screen;
mod status;
mod transfers;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::amounts;
use super::table::Colour;
use crate::evidence::Record;
use crate::runner::{Progress, Unit};
use course::Course;
use screen::Screen;

/// How often a terminal is redrawn.
const REDRAW: Duration = Duration::from_millis(500);
/// How often each running node has a line where there is no terminal.
const REPEAT: Duration = Duration::from_secs(10);

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// Nothing of it.
    Nothing,
    /// Line after line.
    Lines,
    /// Redrawn in place, on a terminal.
    InPlace(Colour),
}

/// One line of `events.jsonl`.
#[derive(Debug, Serialize)]
struct Line<'a> {
    unit: &'a str,
    #[serde(flatten)]
    record: &'a Record,
}

/// Writes progress down as it happens, and shows it.
#[derive(Debug)]
pub struct Live<W: Write> {
    files: Vec<BufWriter<File>>,
    course: Course,
    show: Show,
    screen: Screen<W>,
    /// Where there is no terminal: when the nodes' lines were last written.
    repeated: Instant,
}

impl<W: Write> Live<W> {
    /// Follows these units; events go to these files, and what people see to `out`. `folder` is the run's.
    #[must_use]
    pub fn new(units: &[Unit], folder: &Path, files: Vec<File>, show: Show, out: W) -> Live<W> {
        let in_place = matches!(show, Show::InPlace(_));
        Live {
            files: files.into_iter().map(BufWriter::new).collect(),
            course: Course::new(units, in_place.then(|| folder.to_owned())),
            show,
            screen: Screen::new(out),
            repeated: Instant::now(),
        }
    }

    /// How often [`Live::tick`] is to be called.
    #[must_use]
    pub fn period(&self) -> Duration {
        match self.show {
            Show::InPlace(_) => REDRAW,
            Show::Nothing | Show::Lines => Duration::from_secs(1),
        }
    }

    /// Takes one piece of progress.
    ///
    /// # Errors
    /// When an events file can't be written.
    pub fn take(&mut self, progress: &Progress) -> io::Result<()> {
        if let Progress::Seen { unit, record } = progress {
            for file in &mut self.files {
                serde_json::to_writer(&mut *file, &Line { unit, record })?;
                file.write_all(b"\n")?;
                // Whoever follows the file sees events while they happen.
                file.flush()?;
            }
        }
        if let Some(line) = self.course.take(progress, Instant::now()) {
            self.say(&line);
        }
        Ok(())
    }

    /// Shows how far every node is now. `width` is that of the terminal, in columns.
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

    /// Shows a line that stays.
    pub fn say(&mut self, line: &str) {
        if self.show != Show::Nothing {
            self.screen.line(line);
        }
    }

    /// Takes away what is redrawn; what stays, stays.
    pub fn end(&mut self) {
        self.screen.clear();
    }

    fn summary(&self, now: Instant, width: usize) -> String {
        let (ended, all) = self.course.nodes();
        let since = now.duration_since(self.course.started()).as_secs_f64();
        let text = format!(
            "{ended} of {} · {}",
            amounts::count(all, "machine", "machines"),
            amounts::clock(since)
        );
        status::cut(&text, width.saturating_sub(1))
    }
}
