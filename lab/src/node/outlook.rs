//! Judgement from the console whether a machine can still boot.

use std::time::Duration;

use lab_model::timeline::signatures::{Meaning, Place, Reader};
use tokio::time::Instant;

use super::console::{Console, Missed};
use super::progress::Progress;
use super::shell::{LOGGED_IN, ShellError};

/// Time in which a login may still follow a text that rules one out. The text may be part of `/etc/issue`,
/// printed right before the login; a panicked kernel and a system in emergency mode allow no login.
const GRACE: Duration = Duration::from_secs(15);

/// Relevant event on a console.
#[derive(Debug, PartialEq, Eq)]
enum Outlook {
    /// A user is logged in.
    LoggedIn,
    /// The machine cannot boot any more.
    Hopeless {
        /// Program that gave up, with its console line.
        why: String,
        /// True for firmware, after which nothing follows. After the kernel's start any program may print the
        /// text.
        is_final: bool,
    },
}

/// Reader of one console's lines.
#[derive(Debug, Default)]
struct Lookout {
    reader: Reader,
    read: usize,
    resets: u32,
    is_doubtful: bool,
}

impl Lookout {
    /// Examines the new lines, and the incomplete one.
    fn look(&mut self, lines: &[String], open: &str, resets: u32) -> Option<Outlook> {
        if resets != self.resets {
            self.resets = resets;
            self.reader.reset();
        }
        let fresh = lines.get(self.read..).unwrap_or_default();
        self.read = lines.len();
        let mut found = None;
        for line in fresh {
            let meanings: Vec<Meaning> = self.reader.read(line).map(|one| one.meaning).collect();
            found = found.or_else(|| self.outlook(line, &meanings));
        }
        let meanings: Vec<Meaning> = self.reader.peek(open).map(|one| one.meaning).collect();
        found.or_else(|| self.outlook(open, &meanings))
    }

    fn outlook(&mut self, line: &str, meanings: &[Meaning]) -> Option<Outlook> {
        if line.contains(LOGGED_IN) {
            return Some(Outlook::LoggedIn);
        }
        let who = meanings.iter().find_map(|meaning| match meaning {
            Meaning::Hopeless(who) => Some(*who),
            _ => None,
        })?;
        let is_final = self.reader.place() == Place::Firmware;
        if !is_final && std::mem::replace(&mut self.is_doubtful, true) {
            return None;
        }
        let why = format!("{who}: `{}`", line.trim());
        Some(Outlook::Hopeless { why, is_final })
    }
}

/// Waits for a login or for a text that rules one out; returns the latter with its meaning.
pub(super) async fn hopeless_or_login(
    console: &Console,
    deadline: Instant,
    progress: &Progress,
) -> Result<Option<String>, ShellError> {
    let mut lookout = Lookout::default();
    let mut doubt: Option<String> = None;
    let mut until = deadline;
    loop {
        let found = console
            .wait_for(0, until, |lines, open| {
                lookout.look(lines, open, progress.resets())
            })
            .await;
        match (found, doubt.take()) {
            (Ok(Outlook::LoggedIn), _) => return Ok(None),
            (
                Ok(Outlook::Hopeless {
                    why,
                    is_final: true,
                }),
                _,
            ) => return Ok(Some(why)),
            (Ok(Outlook::Hopeless { why, .. }), _) => {
                doubt = Some(why);
                until = deadline.min(Instant::now() + GRACE);
            }
            (Err(Missed::Closed | Missed::Deadline), Some(why)) => return Ok(Some(why)),
            (Err(missed), None) => return Err(missed.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KERNEL_LINE: &str = "[    0.000000] Linux version 6.1.0";

    fn look(lines: &[&str], open: &str) -> Option<Outlook> {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        Lookout::default().look(&lines, open, 0)
    }

    fn is_final(outlook: Option<Outlook>) -> Option<bool> {
        match outlook? {
            Outlook::Hopeless { is_final, .. } => Some(is_final),
            Outlook::LoggedIn => None,
        }
    }

    #[test]
    fn look_firmware_that_gave_up_is_final() {
        assert_eq!(is_final(look(&["No bootable device."], "")), Some(true));
        assert_eq!(is_final(look(&[], "  PXE-E18: Server")), Some(true));
    }

    /// `chain http://one/ || chain http://other/`.
    #[test]
    fn look_ipxe_that_could_not_boot_one_thing_goes_on_until_it_gives_up() {
        let mut lines = vec!["Could not boot: Connection timed out (https://ipxe.org/4c0a6035)"];
        assert_eq!(look(&lines, ""), None);
        lines.push("http://192.168.92.9/boot.ipxe... ok");
        assert_eq!(look(&lines, ""), None);
        lines.push("No more network devices");
        assert_eq!(is_final(look(&lines, "")), Some(true));
    }

    /// V11.
    #[test]
    fn look_issue_with_texts_of_firmware_changes_nothing() {
        let issue = ["No bootable device", "emergency mode", "Could not boot"];
        let lines = [&[KERNEL_LINE], issue.as_slice()].concat();
        assert_eq!(look(&lines, ""), None);
        let login = "node1 login: core (automatic login)";
        assert_eq!(look(&lines, login), Some(Outlook::LoggedIn));
    }

    #[test]
    fn look_panic_is_in_doubt_once() {
        let panic = "[    2.000000] Kernel panic - not syncing: VFS".to_owned();
        let mut lookout = Lookout::default();
        let mut lines = vec![KERNEL_LINE.to_owned(), panic.clone()];
        assert_eq!(is_final(lookout.look(&lines, "", 0)), Some(false));
        lines.push(panic);
        assert_eq!(lookout.look(&lines, "", 0), None);
    }

    #[test]
    fn look_firmware_after_a_reset_counts_again() {
        let mut lookout = Lookout::default();
        let mut lines = vec![KERNEL_LINE.to_owned(), "No bootable device.".to_owned()];
        assert_eq!(lookout.look(&lines, "", 0), None);
        lines.push("No bootable device.".to_owned());
        assert_eq!(is_final(lookout.look(&lines, "", 1)), Some(true));
    }
}
