//! Terminal output: permanent lines, and a block below them that is redrawn in place.
//!
//! Terminals rewrap lines when they become narrower. The height of the block is therefore computed from the
//! width at the time of removal, not at the time of drawing.

use std::io::Write;

use console::measure_text_width;

/// Output with a block at its end.
#[derive(Debug)]
pub(super) struct Screen<W: Write> {
    out: W,
    /// Lines of the block without control sequences, and the last known width of the terminal.
    drawn: Vec<String>,
    width: usize,
}

impl<W: Write> Screen<W> {
    pub(super) fn new(out: W) -> Screen<W> {
        Screen {
            out,
            drawn: Vec::new(),
            width: 80,
        }
    }

    /// Writes a permanent line above the block.
    pub(super) fn line(&mut self, line: &str) {
        let block = std::mem::take(&mut self.drawn);
        let text = format!("{}{line}\n{}", self.erasing(&block), joined(&block));
        self.drawn = block;
        self.write(&text);
    }

    /// Replaces the block.
    pub(super) fn show(&mut self, block: Vec<String>, width: usize) {
        self.width = width.max(1);
        let before = std::mem::replace(&mut self.drawn, block);
        let text = format!("{}{}", self.erasing(&before), joined(&self.drawn));
        self.write(&text);
    }

    /// Removes the block.
    pub(super) fn clear(&mut self) {
        let before = std::mem::take(&mut self.drawn);
        let text = self.erasing(&before);
        self.write(&text);
    }

    /// Returns the control sequence that removes a block: back to its first row, and erase to the end (ECMA-48
    /// CUU, ED).
    fn erasing(&self, block: &[String]) -> String {
        let rows: usize = block
            .iter()
            .map(|line| measure_text_width(&plain(line)).div_ceil(self.width).max(1))
            .sum();
        match rows {
            0 => String::new(),
            rows => format!("\x1b[{rows}A\r\x1b[J"),
        }
    }

    fn write(&mut self, text: &str) {
        // Written at once, to avoid flicker. A closed terminal does not stop the run.
        let _ = self.out.write_all(text.as_bytes());
        let _ = self.out.flush();
    }
}

fn plain(line: &str) -> String {
    strip_ansi_escapes::strip_str(line)
}

fn joined(block: &[String]) -> String {
    block.iter().map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(screen: &mut Screen<Vec<u8>>) -> String {
        String::from_utf8(std::mem::take(&mut screen.out)).unwrap()
    }

    #[test]
    fn a_line_that_stays_goes_above_the_block() {
        let mut screen = Screen::new(Vec::new());
        screen.show(vec!["one".into(), "two".into()], 80);
        assert_eq!(written(&mut screen), "one\ntwo\n");
        screen.line("node1: power on");
        let expected = "\x1b[2A\r\x1b[Jnode1: power on\none\ntwo\n";
        assert_eq!(written(&mut screen), expected);
        screen.clear();
        assert_eq!(written(&mut screen), "\x1b[2A\r\x1b[J");
        screen.line("end");
        assert_eq!(written(&mut screen), "end\n");
    }

    #[test]
    fn a_terminal_made_narrower_has_more_rows_to_take_away() {
        let mut screen = Screen::new(Vec::new());
        screen.show(
            vec!["x".repeat(99), format!("\x1b[2m{}\x1b[0m", "y".repeat(40))],
            100,
        );
        written(&mut screen);
        screen.show(vec!["z".into()], 60);
        assert_eq!(written(&mut screen), "\x1b[3A\r\x1b[Jz\n");
    }
}
