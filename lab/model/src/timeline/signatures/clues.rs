//! The part of the table that explains failures: texts that diagnosis looks for once it is known that a machine did not
//! come through. They count wherever on its console they are.

/// Meaning of a text for the cause of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clue {
    /// Firmware refuses a program for its signature.
    SignatureRefused,
    /// shim cannot load its second stage.
    ShimFetchFailed,
    /// GRUB waits at its prompt.
    GrubPrompt,
    /// Firmware has nothing to boot.
    NothingToBoot,
    /// Firmware cannot run the boot program.
    WrongProgram,
    /// A loader says that a file is not there.
    FileMissing,
    /// A file ended too early.
    CutShort,
    /// Modules or a root of another kernel.
    AnotherKernel,
    /// Memory ran out.
    NoMemory,
    /// The kernel panicked.
    Panic,
    /// Worth quoting beside a panic.
    BeforePanic,
    /// The system has no network.
    NoNetwork,
    /// A guest program fetches its config.
    Fetching,
    /// A guest program was given no config URL.
    NoConfigUrl,
    /// A guest program refuses its config, or cannot get it.
    ConfigComplaint,
    /// A complaint about the way to the config, not about its content.
    ConfigWay,
    /// A program that reads configs, by its name or by its level of messages.
    Applier,
    /// A mistake in a config, in the words of the program that reads it.
    ConfigMistake,
    /// A step of a config failed, such as a command.
    StepFailed,
    /// cloud-init ends without a data source.
    NoDataSource,
}

/// A text, its meaning and where it comes from.
#[derive(Debug)]
pub(crate) struct ClueText {
    pub(crate) clue: Clue,
    pub(crate) text: &'static str,
    /// Product that prints the text, with the version in which it was seen where that is known.
    #[cfg_attr(
        not(test),
        expect(
            dead_code,
            reason = "tells readers of the table where a text comes from"
        )
    )]
    pub(crate) product: &'static str,
}

const fn of(clue: Clue, product: &'static str, text: &'static str) -> ClueText {
    ClueText {
        clue,
        text,
        product,
    }
}

/// Every clue that is known.
#[rustfmt::skip]
pub(crate) const CLUES: &[ClueText] = &[
    of(Clue::SignatureRefused, "EDK2 2022.11", "Access Denied"),
    of(Clue::SignatureRefused, "EDK2 2022.11", "Security Violation"),
    of(Clue::SignatureRefused, "iPXE 1.21", "Permission denied (https://ipxe.org"),
    of(Clue::SignatureRefused, "shim 16.1", "Verification failed"),
    of(Clue::ShimFetchFailed, "shim 16.1", "Unable to fetch TFTP image"),
    of(Clue::SignatureRefused, "GRUB 2.06", "bad shim signature"),

    of(Clue::GrubPrompt, "GRUB 2.06", "Minimal BASH-like line editing is supported"),

    of(Clue::NothingToBoot, "EDK2 2022.11", "No bootable option"),
    of(Clue::NothingToBoot, "EDK2 2022.11, UEFI Shell", "No mapping found"),
    of(Clue::NothingToBoot, "EDK2 2022.11, UEFI Shell", "Shell>"),
    of(Clue::NothingToBoot, "EDK2 2022.11", "failed to load Boot"),

    of(Clue::WrongProgram, "iPXE 1.21", "Exec format error"),
    of(Clue::WrongProgram, "EDK2 2022.11", "failed to load Boot"),
    of(Clue::WrongProgram, "EDK2 2022.11", "Unsupported"),
    of(Clue::WrongProgram, "SeaBIOS 1.16", "can't be loaded"),
    of(Clue::WrongProgram, "syslinux 6.04, GRUB", "not a valid"),

    of(Clue::FileMissing, "iPXE 1.21", "No such file or directory"),
    of(Clue::FileMissing, "iPXE 1.21, GRUB", "not found"),
    of(Clue::FileMissing, "syslinux 6.04", "... failed"),

    of(Clue::CutShort, "Linux 6.1, gzip", "unexpected EOF"),
    of(Clue::CutShort, "gzip, xz", "unexpected end of"),
    of(Clue::CutShort, "Linux 6.1, zstd", "is truncated"),
    of(Clue::CutShort, "Linux 6.1, xz", "data is corrupt"),
    of(Clue::CutShort, "GRUB", "premature end"),
    of(Clue::CutShort, "Linux 6.1", "uncompression error"),
    of(Clue::CutShort, "Linux 6.1, lz4", "decoding failed"),
    of(Clue::CutShort, "Linux 6.1", "broken padding"),
    // Linux, when its decompressor runs out of input; out of memory it is a write error.
    of(Clue::CutShort, "Linux 6.1", "unpacking failed: read error"),

    of(Clue::AnotherKernel, "kmod", "Key was rejected by service"),
    of(Clue::AnotherKernel, "Linux 6.1", "Loading of unsigned module is rejected"),
    of(Clue::AnotherKernel, "kmod", "Invalid module format"),
    of(Clue::AnotherKernel, "busybox", "invalid module format"),
    of(Clue::AnotherKernel, "Linux 6.1", "version magic '"),
    of(Clue::AnotherKernel, "Linux 6.1", "disagrees about version of symbol"),
    of(Clue::AnotherKernel, "the stand-in", "squashfs of /usr does not mount"),

    of(Clue::NoMemory, "Linux 6.1", "Initramfs unpacking failed: write error"),
    of(Clue::NoMemory, "iPXE 1.21, syslinux 6.04", "Not enough memory"),
    of(Clue::NoMemory, "Linux 6.1", "Out of memory"),
    of(Clue::NoMemory, "Linux 6.1, GRUB", "out of memory"),
    of(Clue::NoMemory, "EDK2 2022.11", "Out of Resources"),
    of(Clue::NoMemory, "glibc", "Cannot allocate memory"),
    of(Clue::NoMemory, "Linux 6.1", "System is deadlocked on memory"),
    of(Clue::NoMemory, "Linux 6.1", "not enough space"),
    of(Clue::NoMemory, "iPXE 1.21", "Initrd does not fit"),
    of(Clue::NoMemory, "glibc", "No space left on device"),
    of(Clue::NoMemory, "iPXE 1.21", "Not enough space"),

    of(Clue::Panic, "Linux 6.1", "Kernel panic"),
    of(Clue::Panic, "Linux 6.1", "end Kernel panic"),
    of(Clue::Panic, "Linux 6.1", "Oops:"),
    of(Clue::Panic, "Linux 6.1", "BUG: unable to handle"),

    of(Clue::BeforePanic, "Linux 6.1", "Initramfs"),
    of(Clue::BeforePanic, "Linux 6.1", "VFS:"),
    of(Clue::BeforePanic, "Linux 6.1", "RIP:"),
    of(Clue::BeforePanic, "Linux 6.1", "BUG"),
    of(Clue::BeforePanic, "Linux 6.1", "Oops"),
    of(Clue::BeforePanic, "Linux 6.1", "error"),
    of(Clue::BeforePanic, "Linux 6.1", "failed"),
    of(Clue::BeforePanic, "Linux 6.1", "cannot"),
    of(Clue::BeforePanic, "Linux 6.1", "Failed"),

    of(Clue::NoNetwork, "glibc", "Network is unreachable"),
    of(Clue::NoNetwork, "Go", "network is unreachable"),
    of(Clue::NoNetwork, "the stand-in", "no interface got an address by DHCP"),
    of(Clue::NoNetwork, "systemd 252", "Failed to start Network"),
    of(Clue::NoNetwork, "the stand-in", "no network configuration found"),
    of(Clue::NoNetwork, "systemd 252", "Failed to start Wait for Network"),
    of(Clue::NoNetwork, "glibc", "Temporary failure in name resolution"),
    of(Clue::NoNetwork, "busybox, udhcpc", "no lease, failing"),
    of(Clue::NoNetwork, "glibc", "No route to host"),

    of(Clue::Fetching, "the stand-in", "guest-agent: fetch"),
    of(Clue::Fetching, "the stand-in", "guest-agent: FAILED"),
    of(Clue::Fetching, "Ignition 2.14", "GET http"),
    of(Clue::Fetching, "Ignition 2.14", "couldn't fetch"),

    of(Clue::NoConfigUrl, "the stand-in", "no cloud-config-url on the kernel command line"),
    of(Clue::NoConfigUrl, "the stand-in", "first boot without a config URL"),

    of(Clue::ConfigComplaint, "the stand-in", "guest-agent: FAILED"),
    of(Clue::ConfigComplaint, "the stand-in", "guest-agent: nothing applied"),
    of(Clue::ConfigComplaint, "the stand-in", "stand-in: FAILED: Ignition"),
    of(Clue::ConfigComplaint, "Ignition 2.14", "Ignition failed"),
    of(Clue::ConfigComplaint, "Ignition 2.14", "failed to parse config"),
    of(Clue::ConfigComplaint, "coreos-cloudinit 1.14", "Failed to apply cloud-config"),
    of(Clue::ConfigComplaint, "Ignition 2.14", "couldn't parse"),
    of(Clue::ConfigComplaint, "Ignition 2.14", "error at $"),
    of(Clue::ConfigComplaint, "Ignition 2.14", "config is not valid"),
    of(Clue::ConfigComplaint, "Ignition 2.14", "couldn't fetch config"),
    of(Clue::ConfigComplaint, "Ignition 2.14", "couldn't find a config"),
    of(Clue::ConfigComplaint, "cloud-init 22.4.2", "[WARNING]: Unhandled non-multipart"),
    of(Clue::ConfigComplaint, "cloud-init 22.4.2", "[WARNING]: Failed loading yaml blob"),
    of(Clue::ConfigComplaint, "cloud-init 22.4.2", "[WARNING]: Failed at merging in cloud config part"),

    of(Clue::ConfigWay, "the stand-in", "HTTP status"),
    of(Clue::ConfigWay, "the stand-in", "gave up after"),
    of(Clue::ConfigWay, "the stand-in", "stage ended with exit code"),
    of(Clue::ConfigWay, "the stand-in", "neither an http"),

    of(Clue::Applier, "the stand-in", "guest-agent:"),
    of(Clue::Applier, "the stand-in", "stand-in:"),
    of(Clue::Applier, "cloud-init 22.4.2", "cloud-init["),
    of(Clue::Applier, "Ignition 2.14", "ignition"),
    of(Clue::Applier, "Ignition 2.14", "Ignition"),
    of(Clue::Applier, "coreos-cloudinit 1.14", "coreos-cloudinit"),
    of(Clue::Applier, "Ignition 2.14", "CRITICAL :"),
    of(Clue::Applier, "Ignition 2.14", "WARNING  :"),

    of(Clue::ConfigMistake, "Ignition 2.14", "error at"),
    of(Clue::ConfigMistake, "Ignition 2.14", "CRITICAL"),
    of(Clue::ConfigMistake, "Ignition 2.14", "CRIT"),
    of(Clue::ConfigMistake, "Ignition 2.14", "failed:"),
    of(Clue::ConfigMistake, "Ignition 2.14", "invalid"),
    of(Clue::ConfigMistake, "Ignition 2.14", "not valid"),
    of(Clue::ConfigMistake, "Ignition 2.14", "unable to"),
    of(Clue::ConfigMistake, "cloud-init 22.4.2", "[WARNING]: Unhandled non-multipart"),
    of(Clue::ConfigMistake, "cloud-init 22.4.2", "[WARNING]: Failed loading yaml blob"),

    of(Clue::StepFailed, "cloud-init 22.4.2", "[WARNING]: Failed to run module"),
    of(Clue::StepFailed, "cloud-init 22.4.2", "[WARNING]: Running module"),
    of(Clue::StepFailed, "cloud-init 22.4.2", "[WARNING]: Failed to shellify"),

    of(Clue::NoDataSource, "cloud-init 22.4.2", "Datasource DataSourceNone"),
    of(Clue::NoDataSource, "cloud-init 22.4.2", "[WARNING]: Used fallback datasource"),
];

/// True if the line has a text with this meaning.
pub(crate) fn has_clue(line: &str, clue: Clue) -> bool {
    let mut of_clue = CLUES.iter().filter(|known| known.clue == clue);
    of_clue.any(|known| line.contains(known.text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clues_have_each_text_once_and_its_product() {
        for (index, one) in CLUES.iter().enumerate() {
            assert!(!one.text.is_empty() && !one.product.is_empty(), "{one:?}");
            let mut again = CLUES.iter().skip(index + 1);
            let is_same = |other: &ClueText| (other.clue, other.text) == (one.clue, one.text);
            assert!(!again.any(is_same), "{one:?}");
        }
    }

    #[test]
    fn has_clue_of_a_line_is_that_of_its_text() {
        let line = "[    1.2] Initramfs unpacking failed: write error";
        assert!(has_clue(line, Clue::NoMemory));
        assert!(!has_clue(line, Clue::CutShort) && !has_clue("", Clue::NoMemory));
    }
}
