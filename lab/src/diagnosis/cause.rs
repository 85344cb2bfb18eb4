//! The causes that are known, by the names that reports and fault scenarios use.

use serde::{Deserialize, Serialize};

/// What kept a machine from booting as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The machine asked, no DHCP server answered.
    NoDhcpServer,
    /// A DHCP server answered with a refusal, or has no address left to give.
    PoolExhausted,
    /// The address that was given is in use by somebody else.
    AddressConflict,
    /// Two servers offer addresses on one network.
    TwoDhcpServers,
    /// An address came, but no boot options, from nobody.
    OfferWithoutBootOptions,
    /// A proxy is expected and says nothing.
    ProxySilent,
    /// A proxy's answer is one that firmware cannot use.
    ProxyMalformed,
    /// The boot program is for another architecture than the machine's.
    WrongArchitectureNbp,
    /// The boot program is not where it was said to be.
    NbpNotFound,
    /// The client refused the TFTP options that it was given, or the server those asked for.
    TftpOptionsRefused,
    /// A TFTP transfer stopped in the middle: its server is gone.
    TftpServerDied,
    /// Boot programs load each other for ever.
    ChainloadLoop,
    /// The boot script is not found: no group matches this machine.
    ScriptNotFound,
    /// The kernel is not found.
    KernelNotFound,
    /// The initrd is not found.
    InitrdNotFound,
    /// A file came shorter than it is.
    TruncatedTransfer,
    /// A transfer stood still.
    StalledTransfer,
    /// Too little memory for the initrd and the system in it.
    TooLittleMemory,
    /// The kernel panicked, for another reason than memory.
    KernelPanic,
    /// The system inside has no network.
    GuestWithoutNetwork,
    /// The config URL on the kernel's command line leads nowhere.
    ConfigUrlWrong,
    /// The config is not found.
    ConfigNotFound,
    /// The config service answers with an error of its own (5xx).
    ConfigServerError,
    /// The guest refused the config it got.
    ConfigRefused,
    /// Another machine's config was served.
    WrongConfigServed,
    /// Something inside the machine differs from what is expected, with the right config.
    GuestDiffers,
    /// Answers on the console were disturbed, so that checks could not be made.
    ConsoleDisturbed,
    /// Secure Boot refused the boot program.
    SecureBootRefusal,
    /// UEFI firmware without a random number generator has no network.
    NoRng,
    /// Keys or boot entries left in the firmware's variables.
    StaleNvram,
    /// HTTP from the machine to the server is blocked.
    HttpBlocked,
    /// Packets are lost on the link.
    PacketLoss,
    /// The link or the server is too slow for the deadline.
    TooSlow,
    /// A machine booted in the name of another: two with one UUID, or a copied config URL.
    BorrowedIdentity,
    /// Other bytes arrived at the machine than the service sent.
    ChangedOnTheWay,
    /// The service sent other bytes than the scenario states.
    ContentDiffers,
    /// Another host asked in the machine's name, or answered in a server's.
    Impersonated,
    /// Two hosts have one MAC.
    DuplicateMac,
    /// An address was offered and requested, and no server acknowledged it.
    NoAcknowledgement,
    /// The server that boot files come from does not answer ARP.
    NextServerUnreachable,
    /// The boot program was loaded whole, and the machine did nothing more.
    BootProgramDead,
    /// The machine was reset, or started once more, on the way.
    MachineReset,
    /// Kernel and initrd do not belong together.
    KernelInitrdMismatch,
    /// The config is not valid as a file.
    ConfigInvalid,
    /// A unit that the config brought in did not start.
    UnitFailed,
    /// A service of the scenario ended by itself.
    ServiceDied,
    /// The lab's own set-up failed.
    Infrastructure,
}

impl Cause {
    /// Every cause there is.
    pub const ALL: [Cause; 47] = [
        Cause::NoDhcpServer,
        Cause::PoolExhausted,
        Cause::AddressConflict,
        Cause::TwoDhcpServers,
        Cause::OfferWithoutBootOptions,
        Cause::ProxySilent,
        Cause::ProxyMalformed,
        Cause::WrongArchitectureNbp,
        Cause::NbpNotFound,
        Cause::TftpOptionsRefused,
        Cause::TftpServerDied,
        Cause::ChainloadLoop,
        Cause::ScriptNotFound,
        Cause::KernelNotFound,
        Cause::InitrdNotFound,
        Cause::TruncatedTransfer,
        Cause::StalledTransfer,
        Cause::TooLittleMemory,
        Cause::KernelPanic,
        Cause::GuestWithoutNetwork,
        Cause::ConfigUrlWrong,
        Cause::ConfigNotFound,
        Cause::ConfigServerError,
        Cause::ConfigRefused,
        Cause::WrongConfigServed,
        Cause::GuestDiffers,
        Cause::ConsoleDisturbed,
        Cause::SecureBootRefusal,
        Cause::NoRng,
        Cause::StaleNvram,
        Cause::HttpBlocked,
        Cause::PacketLoss,
        Cause::TooSlow,
        Cause::BorrowedIdentity,
        Cause::ChangedOnTheWay,
        Cause::ContentDiffers,
        Cause::Impersonated,
        Cause::DuplicateMac,
        Cause::NoAcknowledgement,
        Cause::NextServerUnreachable,
        Cause::BootProgramDead,
        Cause::MachineReset,
        Cause::KernelInitrdMismatch,
        Cause::ConfigInvalid,
        Cause::UnitFailed,
        Cause::ServiceDied,
        Cause::Infrastructure,
    ];

    /// Its name in reports, in fault scenarios and as heading in `docs/troubleshooting.md`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Cause::NoDhcpServer => "no-dhcp-server",
            Cause::PoolExhausted => "pool-exhausted",
            Cause::AddressConflict => "address-conflict",
            Cause::TwoDhcpServers => "two-dhcp-servers",
            Cause::OfferWithoutBootOptions => "offer-without-boot-options",
            Cause::ProxySilent => "proxy-silent",
            Cause::ProxyMalformed => "proxy-malformed",
            Cause::WrongArchitectureNbp => "wrong-architecture-nbp",
            Cause::NbpNotFound => "nbp-not-found",
            Cause::TftpOptionsRefused => "tftp-options-refused",
            Cause::TftpServerDied => "tftp-server-died",
            Cause::ChainloadLoop => "chainload-loop",
            Cause::ScriptNotFound => "script-not-found",
            Cause::KernelNotFound => "kernel-not-found",
            Cause::InitrdNotFound => "initrd-not-found",
            Cause::TruncatedTransfer => "truncated-transfer",
            Cause::StalledTransfer => "stalled-transfer",
            Cause::TooLittleMemory => "too-little-memory",
            Cause::KernelPanic => "kernel-panic",
            Cause::GuestWithoutNetwork => "guest-without-network",
            Cause::ConfigUrlWrong => "config-url-wrong",
            Cause::ConfigNotFound => "config-not-found",
            Cause::ConfigServerError => "config-server-error",
            Cause::ConfigRefused => "config-refused",
            Cause::WrongConfigServed => "wrong-config-served",
            Cause::GuestDiffers => "guest-differs",
            Cause::ConsoleDisturbed => "console-disturbed",
            Cause::SecureBootRefusal => "secure-boot-refusal",
            Cause::NoRng => "no-rng",
            Cause::StaleNvram => "stale-nvram",
            Cause::HttpBlocked => "http-blocked",
            Cause::PacketLoss => "packet-loss",
            Cause::TooSlow => "too-slow",
            Cause::BorrowedIdentity => "borrowed-identity",
            Cause::ChangedOnTheWay => "changed-on-the-way",
            Cause::ContentDiffers => "content-differs",
            Cause::Impersonated => "impersonated",
            Cause::DuplicateMac => "duplicate-mac",
            Cause::NoAcknowledgement => "no-acknowledgement",
            Cause::NextServerUnreachable => "next-server-unreachable",
            Cause::BootProgramDead => "boot-program-dead",
            Cause::MachineReset => "machine-reset",
            Cause::KernelInitrdMismatch => "kernel-initrd-mismatch",
            Cause::ConfigInvalid => "config-invalid",
            Cause::UnitFailed => "unit-failed",
            Cause::ServiceDied => "service-died",
            Cause::Infrastructure => "infrastructure",
        }
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Cause;

    #[test]
    fn a_cause_is_saved_by_its_name_and_stands_once_in_the_list() {
        let mut names: Vec<&str> = Cause::ALL.iter().map(|cause| cause.name()).collect();
        for cause in Cause::ALL {
            let saved = serde_json::to_string(&cause).unwrap();
            assert_eq!(saved, format!("\"{cause}\""));
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Cause::ALL.len());
    }
}
