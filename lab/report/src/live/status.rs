//! Status line of a running node.

use console::measure_text_width;

use super::transfers::OnItsWay;
use crate::format;
use crate::table::Colour;

/// Columns for unit and node, if there is room.
const NAME_COLUMNS: usize = 30;
/// Columns for the stage.
const STAGE_COLUMNS: usize = 14;
/// Preferred and minimum columns of a transfer's bar.
const BAR_COLUMNS: usize = 16;
const BAR_LEAST_COLUMNS: usize = 6;
/// Minimum width, in columns, for showing the awaited event.
const NARROW_COLUMNS: usize = 72;

/// Status of a running node.
#[derive(Debug, Clone)]
pub(super) struct NodeStatus {
    pub(super) unit: String,
    pub(super) node: String,
    /// Last completed stage.
    pub(super) reached: Option<&'static str>,
    /// Event that the node waits for.
    pub(super) waits_for: Option<String>,
    /// Transfer in progress.
    pub(super) loads: Option<OnItsWay>,
    /// Seconds since power-on.
    pub(super) seconds: u64,
    /// Time limit, in seconds.
    pub(super) deadline: u64,
}

impl NodeStatus {
    /// Formats the status as a separate line.
    pub(super) fn sentence(&self) -> String {
        let (unit, node) = (&self.unit, &self.node);
        let reached = self.reached.unwrap_or("nothing");
        let waits = match &self.waits_for {
            Some(what) => format!(", waiting for {what}"),
            None => String::new(),
        };
        format!(
            "{unit} {node}: {reached} completed{waits}, {}/{} s",
            self.seconds, self.deadline
        )
    }

    /// Formats the status as a terminal row of this width, which never wraps.
    pub(super) fn row(&self, width: usize, colour: Colour) -> String {
        // The last column stays free, because some terminals wrap when it is written.
        let width = width.saturating_sub(1);
        let time = format!("{:>3}/{} s", self.seconds, self.deadline);
        let name_columns = NAME_COLUMNS.min((width / 2).saturating_sub(2));
        let name = pad(&format!("{} {}", self.unit, self.node), name_columns);
        let stage = pad(self.reached.unwrap_or("–"), STAGE_COLUMNS);
        let taken = name_columns + 2 + STAGE_COLUMNS + 1 + measure_text_width(&time) + 1;
        let left = width.saturating_sub(taken);
        let waits = match (&self.loads, &self.waits_for) {
            (Some(loads), _) => bar(loads, left),
            (None, Some(waits)) if width >= NARROW_COLUMNS => waits.clone(),
            _ => String::new(),
        };
        let waits = pad(&waits, left);
        let row = match colour {
            Colour::On => {
                format!("{name}  \x1b[36m{stage}\x1b[0m \x1b[2m{waits}\x1b[0m {time}")
            }
            Colour::Off => format!("{name}  {stage} {waits} {time}"),
        };
        // A very narrow terminal has no room even for the fixed columns.
        if taken > width {
            cut(&format!("{name}  {time}"), width)
        } else {
            row
        }
    }
}

/// Formats a transfer in at most this many columns: a bar if the size is known, the bytes and the file.
fn bar(loads: &OnItsWay, columns: usize) -> String {
    let Some(announced) = loads.announced.filter(|announced| *announced > 0) else {
        return format!("{} of {}", format::bytes(loads.bytes), loads.file);
    };
    let told = format!(
        "{}/{}",
        format::bytes(loads.bytes),
        format::bytes(announced)
    );
    let share = (loads.bytes as f64 / announced as f64).clamp(0.0, 1.0);
    if measure_text_width(&told) > columns {
        return format!("{:.0}%", share * 100.0);
    }
    let room = columns.saturating_sub(measure_text_width(&told) + 1);
    if room < BAR_LEAST_COLUMNS {
        return told;
    }
    let length = room.min(BAR_COLUMNS);
    let full = (share * length as f64) as usize;
    let bar = "█".repeat(full) + &"░".repeat(length - full);
    format!("{bar} {told} {}", loads.file)
}

/// Returns exactly this many columns, truncated or padded.
fn pad(text: &str, columns: usize) -> String {
    let text = cut(text, columns);
    let missing = columns.saturating_sub(measure_text_width(&text));
    text + &" ".repeat(missing)
}

/// Returns at most this many columns, with an ellipsis if truncated.
pub(super) fn cut(text: &str, columns: usize) -> String {
    let text: String = text.chars().filter(|letter| !letter.is_control()).collect();
    if measure_text_width(&text) <= columns {
        return text;
    }
    let mut kept = String::new();
    for letter in text.chars() {
        let mut longer = kept.clone();
        longer.push(letter);
        if measure_text_width(&longer) + 1 > columns {
            break;
        }
        kept = longer;
    }
    if columns > 0 {
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> NodeStatus {
        NodeStatus {
            unit: "ipxe-chainload@uefi-http".into(),
            node: "node1".into(),
            reached: Some("script"),
            waits_for: Some(
                "coreos_production_pxe.vmlinuz loaded completely by 52:54:00:5b:01:01".into(),
            ),
            loads: None,
            seconds: 42,
            deadline: 300,
        }
    }

    #[test]
    fn a_row_is_as_wide_as_the_terminal_but_for_one_column() {
        for width in [60, 80, 100, 200] {
            let row = status().row(width, Colour::Off);
            assert_eq!(measure_text_width(&row), width - 1, "{row}");
            assert!(row.ends_with("42/300 s"), "{row}");
        }
        for width in [0, 1, 10, 30] {
            let row = status().row(width, Colour::Off);
            assert!(measure_text_width(&row) < width.max(1), "{width}: {row}");
        }
    }

    #[test]
    fn what_is_waited_for_is_shown_where_there_is_room() {
        assert!(status().row(120, Colour::Off).contains("coreos_production"));
        assert!(!status().row(60, Colour::Off).contains("coreos_production"));
        assert!(status().row(60, Colour::Off).contains("script"));
    }

    #[test]
    fn a_transfer_is_a_bar_with_what_came_and_what_was_announced() {
        let loading = |announced| NodeStatus {
            loads: Some(OnItsWay {
                file: "initrd.cpio.gz".into(),
                bytes: 27_000_000,
                announced,
            }),
            ..status()
        };
        let known = loading(Some(54_000_000));
        let row = known.row(120, Colour::Off);
        assert!(
            row.contains(" ████████░░░░░░░░ 27.0 MB/54.0 MB initrd.cpio.gz "),
            "{row}"
        );
        for width in [40, 60, 80, 120] {
            let row = known.row(width, Colour::Off);
            assert!(measure_text_width(&row) < width, "{row}");
        }
        let narrow = known.row(60, Colour::Off);
        assert!(narrow.contains(" 50% "), "{narrow}");
        let row = loading(None).row(120, Colour::Off);
        assert!(row.contains(" 27.0 MB of initrd.cpio.gz "), "{row}");
    }

    #[test]
    fn without_colour_a_row_has_no_control_sequence() {
        assert!(!status().row(100, Colour::Off).contains('\x1b'));
        assert!(status().row(100, Colour::On).contains("\x1b[36m"));
    }

    #[test]
    fn a_line_names_stage_expectation_and_deadline() {
        let expected = "ipxe-chainload@uefi-http node1: script completed, waiting for \
                        coreos_production_pxe.vmlinuz loaded completely by 52:54:00:5b:01:01, 42/300 s";
        assert_eq!(status().sentence(), expected);
    }
}
