//! The one table of texts that consoles are searched for. Pure. Texts about a config's application, which depend on
//! what the machine was served, are in [`super::applied`], and restarts in [`super::restarts`].
//!
//! A text means something only where it may occur: whatever is printed after the kernel's first line was printed
//! by the system inside, which may print anything, `/etc/issue` included. Texts are anchored where the program
//! that prints them begins a line with them.

use Anchor::{Anywhere, Start};
use Meaning::{Banner, Hopeless, Trouble};

/// Part of a boot, by what a console has shown so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// Firmware and boot programs: before the kernel's first line.
    Firmware,
    /// The kernel's own lines.
    Kernel,
    /// Programs of the initramfs: after the kernel's first line, until a system greets.
    Initramfs,
    /// The system: from its greeting on.
    Userland,
}

/// Place of a text in its line, spaces and the kernel's time stamp left aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    /// The line begins with the text.
    Start,
    /// The text is anywhere in the line.
    Anywhere,
}

/// Program that a banner announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// SeaBIOS, at each power-on and reset.
    SeaBios,
    /// iPXE, as ROM or as boot program.
    Ipxe,
    /// PXELINUX.
    Pxelinux,
    /// EDK2's boot device selection.
    Edk2,
}

/// Meaning of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The machine will not boot any more; a sentence that says who gave up.
    Hopeless(&'static str),
    /// Something went wrong; worth quoting when the machine does not come through.
    Trouble,
    /// A program started.
    Banner(Program),
}

/// A text, its meaning and where it comes from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Signature {
    pub(crate) text: &'static str,
    pub(crate) anchor: Anchor,
    pub(crate) places: &'static [Place],
    pub(crate) meaning: Meaning,
    /// Product and version in which the text was seen.
    pub(crate) product: &'static str,
    /// Source file or document that has the text.
    pub(crate) reference: &'static str,
}

const FIRMWARE: &[Place] = &[Place::Firmware];
const KERNEL: &[Place] = &[Place::Kernel];
const SYSTEM: &[Place] = &[Place::Initramfs, Place::Userland];

const fn signature(
    text: &'static str,
    anchor: Anchor,
    places: &'static [Place],
    meaning: Meaning,
    (product, reference): (&'static str, &'static str),
) -> Signature {
    Signature {
        text,
        anchor,
        places,
        meaning,
        product,
        reference,
    }
}

/// Every text that is known. Of several that fit a line, each counts.
#[rustfmt::skip]
pub(crate) const SIGNATURES: &[Signature] = &[
    signature("SeaBIOS (version", Start, FIRMWARE, Banner(Program::SeaBios), ("SeaBIOS 1.16", "src/bootsplash.c")),
    signature("No bootable device", Start, FIRMWARE, Hopeless("SeaBIOS has nothing left to boot"), ("SeaBIOS 1.16", "src/boot.c, boot_fail")),
    signature("Open Source Network Boot Firmware", Anywhere, FIRMWARE, Banner(Program::Ipxe), ("iPXE 1.21", "src/usr/autoboot.c, ipxe")),
    signature("No more network devices", Start, FIRMWARE, Hopeless("iPXE gave up"), ("iPXE 1.21", "src/usr/autoboot.c, netboot")),
    signature("Could not boot", Start, FIRMWARE, Trouble, ("iPXE 1.21", "src/hci/commands/image_cmd.c, imgsingle_exec; a script may go on")),
    signature("Connection timed out", Anywhere, FIRMWARE, Trouble, ("iPXE 1.21", "ipxe.org/4c")),
    signature("No such file or directory (http", Anywhere, FIRMWARE, Trouble, ("iPXE 1.21", "ipxe.org/2d")),
    signature("Exec format error", Anywhere, FIRMWARE, Trouble, ("iPXE 1.21", "ipxe.org/2e")),
    signature("Not enough memory", Anywhere, FIRMWARE, Trouble, ("iPXE 1.21, syslinux 6.04", "ipxe.org/31")),
    signature("PXELINUX ", Start, FIRMWARE, Banner(Program::Pxelinux), ("syslinux 6.04", "core/pxelinux.asm, copyright")),
    signature("Boot failed:", Start, FIRMWARE, Hopeless("PXELINUX gave up"), ("syslinux 6.04", "core/pxelinux.asm, err_bootfailed")),
    signature("Unable to locate configuration file", Start, FIRMWARE, Hopeless("PXELINUX found no configuration"), ("syslinux 6.04", "core/fs/pxe/pxe.c")),
    signature(".vmlinuz... failed", Anywhere, FIRMWARE, Hopeless("PXELINUX could not load the kernel"), ("syslinux 6.04", "com32/elflink/ldlinux/kernel.c")),
    signature("PXE-E", Start, FIRMWARE, Hopeless("the UEFI PXE client gave up"), ("EDK2 2022.11", "NetworkPkg/UefiPxeBcDxe/PxeBcBoot.c")),
    signature("TFTP open timeout", Anywhere, FIRMWARE, Trouble, ("Intel Boot Agent", "PXE-E32")),
    signature("BdsDxe: ", Start, FIRMWARE, Banner(Program::Edk2), ("EDK2 2022.11", "MdeModulePkg/Universal/BdsDxe/BdsEntry.c")),
    signature("BdsDxe: No bootable option", Start, FIRMWARE, Hopeless("the UEFI firmware has nothing left to boot"), ("EDK2 2022.11", "MdeModulePkg/Universal/BdsDxe/BdsEntry.c")),

    signature("Kernel panic - not syncing", Start, KERNEL, Hopeless("the kernel panicked"), ("Linux 6.1", "kernel/panic.c")),
    signature("Oops:", Anywhere, KERNEL, Trouble, ("Linux 6.1", "arch/x86/kernel/dumpstack.c")),
    signature("Out of memory", Start, KERNEL, Trouble, ("Linux 6.1", "mm/oom_kill.c")),
    signature("Initramfs unpacking failed", Start, KERNEL, Trouble, ("Linux 6.1", "init/initramfs.c")),

    signature("You are in emergency mode", Start, SYSTEM, Hopeless("the system went into emergency mode"), ("systemd 252", "src/sulogin-shell/sulogin-shell.c")),
    signature("Entering emergency mode", Start, SYSTEM, Hopeless("the system went into emergency mode"), ("dracut 059", "modules.d/99base/dracut-lib.sh, emergency_shell")),
    signature("stand-in: Entering emergency mode", Start, SYSTEM, Hopeless("the system went into emergency mode"), ("the stand-in", "images/stand-in/initramfs/init")),
    signature("[FAILED] Failed to start", Start, SYSTEM, Trouble, ("systemd 252", "src/core/job.c, job_print_done_status_message")),
    signature("Failed to start", Start, SYSTEM, Trouble, ("systemd 252, systemd.log_target=console", "src/core/job.c")),
    signature("Ignition failed", Anywhere, SYSTEM, Trouble, ("Ignition 2.14", "dracut/30ignition/ignition-generator")),
];

/// Follows one machine's console, line by line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader {
    place: Place,
}

impl Default for Reader {
    /// At power-on.
    fn default() -> Reader {
        Reader {
            place: Place::Firmware,
        }
    }
}

impl Reader {
    /// The machine was reset: firmware speaks next. A text on the console alone proves no reset.
    pub(crate) fn reset(&mut self) {
        *self = Reader::default();
    }

    /// Returns the place of the last line.
    pub(crate) fn place(self) -> Place {
        self.place
    }

    /// Takes the next line; returns what it means.
    pub(crate) fn read(&mut self, line: &str) -> impl Iterator<Item = &'static Signature> + use<> {
        self.step(line);
        self.meaning(line)
    }

    /// Returns what a line that is not complete means so far.
    pub(crate) fn peek(self, open_line: &str) -> impl Iterator<Item = &'static Signature> + use<> {
        let mut reader = self;
        reader.read(open_line)
    }

    fn step(&mut self, line: &str) {
        let is_kernel = is_kernel_line(line);
        self.place = match self.place {
            Place::Firmware if is_kernel => Place::Kernel,
            // A kernel that is told to be quiet.
            Place::Firmware if greets(line) => Place::Userland,
            Place::Firmware => Place::Firmware,
            Place::Userland => Place::Userland,
            Place::Kernel | Place::Initramfs if greets(line) => Place::Userland,
            Place::Kernel if !is_kernel && !line.trim().is_empty() => Place::Initramfs,
            place => place,
        };
    }

    fn meaning(self, line: &str) -> impl Iterator<Item = &'static Signature> + use<> {
        let line = line.trim().to_owned();
        let of_kernel = is_kernel_line(&line);
        let bare = without_prompt(without_stamp(&line).trim_start()).to_owned();
        let place = self.place;
        SIGNATURES.iter().filter(move |signature| {
            let may_occur = signature.places.iter().any(|known| match known {
                // The kernel speaks at any time; without time stamps by `printk.time=0`.
                Place::Kernel => place >= Place::Kernel && (of_kernel || !line.starts_with('[')),
                known => *known == place,
            }) || (signature.places == SYSTEM && place == Place::Kernel);
            may_occur
                && match signature.anchor {
                    Anchor::Start => bare.starts_with(signature.text),
                    Anchor::Anywhere => bare.contains(signature.text),
                }
        })
    }
}

/// True for the line in which a system greets: systemd's welcome (not the initramfs's), or a login prompt.
fn greets(line: &str) -> bool {
    let line = line.trim();
    let welcomes = line.starts_with("Welcome to ") && !line.contains("initramfs");
    welcomes || line.contains(" login: ") || line.ends_with(" login:")
}

/// True for the kernel's banner, or a line with its time stamp (`[    0.000000] `).
pub(crate) fn is_kernel_line(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("Linux version ") || stamped(line).is_some()
}

/// The line without a shell's prompt: programs write to the console while the shell waits for a command.
pub(super) fn without_prompt(line: &str) -> &str {
    let end = ["# ", "$ "].iter().filter_map(|end| line.split_once(end));
    let behind = end
        .map(|(_, behind)| behind)
        .min_by_key(|behind| behind.len());
    behind.filter(|_| line.contains('@')).unwrap_or(line)
}

/// The line without the kernel's time stamp.
fn without_stamp(line: &str) -> &str {
    stamped(line).unwrap_or(line)
}

fn stamped(line: &str) -> Option<&str> {
    let (stamp, rest) = line.strip_prefix('[')?.split_once(']')?;
    let (seconds, fraction) = stamp.trim_start().split_once('.')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (digits(seconds) && digits(fraction) && fraction.len() == 6).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KERNEL_LINE: &str = "[    0.000000] Linux version 6.1.0 (Debian)";

    fn meanings(lines: &[&str]) -> Vec<Meaning> {
        let mut reader = Reader::default();
        lines
            .iter()
            .flat_map(|line| reader.read(line))
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
        assert_eq!(reader.read(KERNEL_LINE).count(), 0);
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
}
