//! Meaning of console texts: the types of the one table ([`table`]) and the reader that knows where on a console it is.
//! Pure. Whether a text about a config counts depends on what the machine was served ([`super::applied`]); which
//! banners show a restart depends on what came before ([`super::restarts`]).
//!
//! A text means something only where it may occur: whatever is printed after the kernel's first line was printed
//! by the system inside, which may print anything, `/etc/issue` included. Texts are anchored where the program
//! that prints them begins a line with them.

mod clues;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use clues::{Clue, has_clue};
pub(crate) use table::SIGNATURES;
use table::SYSTEM;

/// Part of a boot, by what a console has shown so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
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
pub enum Anchor {
    /// The line begins with the text.
    Start,
    /// The text is anywhere in the line.
    Anywhere,
}

/// Program that a banner announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// SeaBIOS, at each power-on and reset.
    SeaBios,
    /// iPXE, as ROM or as boot program.
    Ipxe,
    /// PXELINUX.
    Pxelinux,
    /// EDK2's boot device selection.
    Edk2,
    /// EDK2 of `ArmVirtPkg`, at each power-on and reset. OVMF prints no such banner.
    ArmVirt,
    /// The Linux kernel.
    Linux,
}

/// News of a config's application, by the program that applies it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigNews {
    /// The config is applied, or a part of it.
    Applied,
    /// The config could not be applied.
    Failed,
    /// The agent got user-data of which it applies nothing: empty, or an Ignition config. A failure only of a machine
    /// of which a cloud-config is expected.
    Nothing,
    /// systemd could not start the unit whose name or description follows the text.
    UnitFailed,
}

/// Meaning of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The machine will not boot any more; a sentence that says who gave up.
    Hopeless(&'static str),
    /// Something went wrong; worth quoting when the machine does not come through.
    Trouble,
    /// A program started.
    Banner(Program),
    /// News of a config's application.
    Config(ConfigNews),
}

/// A text, its meaning and where it comes from.
#[derive(Debug, PartialEq, Eq)]
pub struct Signature {
    pub text: &'static str,
    pub anchor: Anchor,
    pub places: &'static [Place],
    pub meaning: Meaning,
    /// Product and version in which the text was seen.
    pub product: &'static str,
    /// Source file or document that has the text.
    pub reference: &'static str,
}

impl Signature {
    /// True if the line has the text at its place in a line.
    fn fits(&self, bare_line: &str) -> bool {
        match self.anchor {
            Anchor::Start => bare_line.starts_with(self.text),
            Anchor::Anywhere => bare_line.contains(self.text),
        }
    }
}

/// Follows one machine's console, line by line.
#[derive(Debug, Clone, Copy)]
pub struct Reader {
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
    pub fn reset(&mut self) {
        *self = Reader::default();
    }

    /// Returns the place of the last line.
    pub fn place(self) -> Place {
        self.place
    }

    /// Takes the next line; returns what it means.
    pub fn read(&mut self, line: &str) -> impl Iterator<Item = &'static Signature> + use<> {
        self.step(line);
        self.meaning(line)
    }

    /// Returns what a line that is not complete means so far.
    pub fn peek(self, open_line: &str) -> impl Iterator<Item = &'static Signature> + use<> {
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
            may_occur && signature.fits(&bare)
        })
    }
}

/// Finds the first signature of the table about a config's application that fits the line, wherever on the console it is.
pub(super) fn config_news(bare_line: &str) -> Option<(ConfigNews, &'static Signature)> {
    SIGNATURES
        .iter()
        .find_map(|signature| match signature.meaning {
            Meaning::Config(news) if signature.fits(bare_line) => Some((news, signature)),
            _ => None,
        })
}

/// The program that announces itself in the line, wherever on the console it is: a restart comes unannounced.
pub(super) fn banner(bare_line: &str) -> Option<Program> {
    SIGNATURES
        .iter()
        .find_map(|signature| match signature.meaning {
            Meaning::Banner(program) if signature.fits(bare_line) => Some(program),
            _ => None,
        })
}

/// True for the line in which a system greets: systemd's welcome (not the initramfs's), or a login prompt.
fn greets(line: &str) -> bool {
    let line = line.trim();
    let welcomes = line.starts_with("Welcome to ") && !line.contains("initramfs");
    welcomes || is_login_prompt(line)
}

/// True for a line with `agetty`'s prompt (util-linux 2.38, `login-utils`).
pub(super) fn is_login_prompt(line: &str) -> bool {
    line.contains(" login: ") || line.trim_end().ends_with(" login:")
}

/// True for the kernel's banner, or a line with its time stamp (`[    0.000000] `).
pub(crate) fn is_kernel_line(line: &str) -> bool {
    let line = line.trim_start();
    banner(line) == Some(Program::Linux) || stamped(line).is_some()
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
pub(super) fn without_stamp(line: &str) -> &str {
    stamped(line).unwrap_or(line)
}

fn stamped(line: &str) -> Option<&str> {
    let (stamp, rest) = line.strip_prefix('[')?.split_once(']')?;
    let (seconds, fraction) = stamp.trim_start().split_once('.')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (digits(seconds) && digits(fraction) && fraction.len() == 6).then_some(rest)
}
