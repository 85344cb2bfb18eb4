use super::table::{FIRMWARE, KERNEL};
use super::*;

const KERNEL_LINE: &str = "[    0.000000] Linux version 6.1.0 (Debian)";

fn meanings(lines: &[&str]) -> Vec<Meaning> {
    let mut reader = Reader::default();
    lines
        .iter()
        .map(|line| (line, reader.read(line)))
        .filter(|(line, _)| **line != KERNEL_LINE)
        .flat_map(|(_, found)| found)
        .map(|signature| signature.meaning)
        .collect()
}

#[test]
fn table_has_each_text_with_meaning_once_and_its_origin() {
    for (index, one) in SIGNATURES.iter().enumerate() {
        assert!(!one.text.is_empty() && !one.places.is_empty(), "{one:?}");
        assert!(!one.product.is_empty() && !one.reference.is_empty());
        let again = SIGNATURES.iter().skip(index + 1);
        let twice = |other: &&Signature| (other.text, other.meaning) == (one.text, one.meaning);
        assert_eq!(again.clone().find(twice), None, "{one:?}");
    }
}

#[test]
fn read_each_text_where_it_occurs_is_found() {
    for one in SIGNATURES {
        let line = format!("{} and more", one.text);
        let before: &[&str] = match one.places {
            FIRMWARE => &[],
            _ => &[KERNEL_LINE],
        };
        let line = match one.places {
            KERNEL => format!("[   12.345678] {line}"),
            _ => line,
        };
        let found = meanings(&[before, &[line.as_str()]].concat());
        assert!(found.contains(&one.meaning), "{line}: {found:?}");
    }
}

#[test]
fn read_text_of_firmware_after_the_kernel_means_nothing() {
    for one in SIGNATURES.iter().filter(|one| one.places == FIRMWARE) {
        let found = meanings(&[KERNEL_LINE, "", one.text]);
        assert_eq!(found, [], "{}", one.text);
        let quiet = meanings(&["Welcome to Flatcar Container Linux!", one.text]);
        assert_eq!(quiet, [], "{}", one.text);
    }
}

/// V11: an issue that mentions the texts.
#[test]
fn read_issue_that_mentions_texts_means_nothing() {
    let issue = [
        "Help: \"No bootable device\" means that the network is down; in emergency mode call 1234.",
        "If you see guest-agent: FAILED, Ignition finished or Kernel panic - not syncing, do so too.",
        "Could not boot? PXE-E18, BdsDxe: No bootable option.",
    ];
    let lines = [&[KERNEL_LINE, "Welcome to Debian!"], issue.as_slice()].concat();
    assert_eq!(meanings(&lines), []);
    let lines = [&[KERNEL_LINE], issue.as_slice()].concat();
    assert_eq!(meanings(&lines), []);
}

#[test]
fn read_program_that_prints_a_panic_is_no_kernel() {
    let printed = "[  OK  ] Kernel panic - not syncing";
    assert_eq!(meanings(&[KERNEL_LINE, printed]), []);
}

#[test]
fn without_prompt_of_a_line_behind_a_shell_is_the_line() {
    for prompt in ["core@node1 ~ $ ", "root@node1:~# ", ""] {
        let line = format!("{prompt}guest-agent: FAILED: x");
        assert_eq!(without_prompt(&line), "guest-agent: FAILED: x");
    }
    assert_eq!(without_prompt("costs 5 $ a day"), "costs 5 $ a day");
}

#[test]
fn reset_machine_has_firmware_texts_again() {
    let mut reader = Reader::default();
    reader.read(KERNEL_LINE).for_each(drop);
    assert_eq!(reader.read("No bootable device.").count(), 0);
    reader.reset();
    let found: Vec<Meaning> = reader
        .read("No bootable device.  Retrying in 60 seconds.")
        .map(|one| one.meaning)
        .collect();
    assert!(matches!(found.as_slice(), [Meaning::Hopeless(_)]));
}

#[test]
fn is_kernel_line_of_banner_stamp_and_others() {
    assert!(is_kernel_line("Linux version 6.1.0"));
    assert!(is_kernel_line("[    1.234567] x"));
    assert!(!is_kernel_line("[  OK  ] Started x"));
    assert!(!is_kernel_line("[1.2] x"));
}
