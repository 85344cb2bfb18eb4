//! Captures of strangers: whatever the bytes are, they are refused with a reason or read to the same packets each
//! time, and each machine in them is explained in text without control characters.

use lab_model::diagnosis::capture::{explain_machines, machines};
use lab_model::evidence::wire;
use lab_model::untrusted::plain;

/// Machines of one capture that are explained: more take long and show nothing new.
const MOST_MACHINES: usize = 4;

/// Takes the input for a capture, as `lab explain FILE` does.
pub(crate) fn check(data: &[u8]) {
    let read = match wire::read(data) {
        Ok(read) => read,
        Err(error) => return assert_plain(&error.to_string()),
    };
    let again = wire::read(data).expect("it was read before");
    assert_eq!(read, again, "the same bytes are the same packets");
    let mut macs = machines(&read);
    macs.truncate(MOST_MACHINES);
    for console in [None, Some("Kernel panic - not syncing: VFS\u{1b}[2J\r\n")] {
        for explained in explain_machines("capture.pcapng", &read, &macs, console) {
            assert!(!explained.text.is_empty());
            assert_plain(&explained.text);
        }
    }
}

/// Fails when a text that was made safe to print is not.
fn assert_plain(text: &str) {
    let clean = plain(text);
    let unsafe_letter = clean.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(unsafe_letter, None, "{clean:?}");
}
