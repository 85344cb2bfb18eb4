//! Reports of the agent: single lines that begin with `guest-agent: `, on the console (where the lab reads
//! them) and on standard output (where the journal keeps them).

use std::fs::{File, OpenOptions};
use std::io::Write;

/// Sink of lines about the agent's steps.
#[derive(Debug)]
pub struct Console {
    device: Option<File>,
}

impl Console {
    /// Opens `/dev/console`; without it, lines go to standard output alone.
    #[must_use]
    pub fn open() -> Self {
        Console {
            device: OpenOptions::new().write(true).open("/dev/console").ok(),
        }
    }

    /// Writes one line. A failure to write to the console is ignored.
    pub fn say(&mut self, text: &str) {
        let line = line(text);
        print!("{line}");
        if let Some(device) = &mut self.device {
            // One write, so that lines of other writers do not land inside. The carriage return
            // is for terminals in raw mode, which a login shell's line editor leaves behind.
            let _ = device.write_all(line.replace('\n', "\r\n").as_bytes());
        }
    }
}

/// Renders `text` as one line, whatever line breaks and control characters it has.
fn line(text: &str) -> String {
    let flat: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    format!("guest-agent: {}\n", flat.trim_end())
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn text_of_several_lines_becomes_one() {
        assert_eq!(line("a\nb\u{1b}[1m"), "guest-agent: a b [1m\n");
    }
}
