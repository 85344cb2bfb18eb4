//! Known causes, with their names in reports and fault scenarios.

use serde::{Deserialize, Serialize};

/// Cause of a failed boot.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The machine sent DHCP requests, and no server answered.
    NoDhcpServer,
    /// A DHCP server sent a NAK, or has no free address.
    PoolExhausted,
    /// Another host uses the assigned address.
    AddressConflict,
    /// Two servers offer addresses on one network.
    TwoDhcpServers,
    /// The machine got an address, but no server sent boot options.
    OfferWithoutBootOptions,
    /// An expected proxy does not answer.
    ProxySilent,
    /// Firmware cannot use the proxy's answer.
    ProxyMalformed,
    /// The boot program is for another architecture.
    WrongArchitectureNbp,
    /// The boot program does not exist at the named place.
    NbpNotFound,
    /// The client refused the server's TFTP options, or the server the client's.
    TftpOptionsRefused,
    /// A TFTP transfer stopped midway because its server is gone.
    TftpServerDied,
    /// The relay passes no DHCP request on to the servers' network.
    RelayServerUnreachable,
    /// The relay passes DHCP requests on to a host that is not the DHCP server.
    RelayToWrongServer,
    /// The relay passes DHCP requests on without its own address.
    RelayWithoutGiaddr,
    /// The relay gets the server's answers and does not pass them on.
    RelayDropsReplies,
    /// Two relays pass one request on as requests of two networks.
    TwoRelays,
    /// The address is of another network's pool.
    WrongPool,
    /// The machine does not accept the certificate of a web server.
    TlsRefused,
    /// A port of the switch refuses a VLAN.
    VlanNotAllowed,
    /// The ends of a trunk have different native VLANs.
    NativeVlanMismatch,
    /// A program of the machine sends without the tag of its VLAN.
    VlanTagLost,
    /// A router does not forward packets to a port.
    BlockedByRouter,
    /// A link on the way loses long packets.
    MtuTooSmall,
    /// The machine asks for an address in no network of the lab.
    OutsideAddress,
    /// The machine boots from another card than it should.
    BootsFromOtherCard,
    /// Boot programs load each other in an endless loop.
    ChainloadLoop,
    /// The boot script does not exist: no group matches this machine.
    ScriptNotFound,
    /// The kernel does not exist.
    KernelNotFound,
    /// The initrd does not exist.
    InitrdNotFound,
    /// A file arrived incompletely.
    TruncatedTransfer,
    /// A transfer stalled.
    StalledTransfer,
    /// The memory is too small for the initrd and the unpacked system.
    TooLittleMemory,
    /// The kernel panicked for another reason than memory.
    KernelPanic,
    /// The system has no network.
    GuestWithoutNetwork,
    /// The config URL on the kernel's command line is wrong.
    ConfigUrlWrong,
    /// The config does not exist.
    ConfigNotFound,
    /// The config service answered with an error of its own (5xx).
    ConfigServerError,
    /// The guest rejected the config.
    ConfigRefused,
    /// cloud-init loaded its seed and did not use it.
    SeedIgnored,
    /// A step of the config failed in the guest, such as a command.
    ConfigStepFailed,
    /// Another machine's config was served.
    WrongConfigServed,
    /// The state inside the machine differs from the expectation, with the right config.
    GuestDiffers,
    /// Answers on the console were disturbed, so that checks were impossible.
    ConsoleDisturbed,
    /// Secure Boot rejected the boot program.
    SecureBootRefusal,
    /// The TFTP server is silent about files that it does not have.
    MissingFileUnanswered,
    /// shim was loaded, and DHCP names it in options only, which shim does not read.
    BootFileInOptionsOnly,
    /// shim was loaded, but its second stage does not exist.
    SecondStageNotFound,
    /// shim rejected its second stage.
    SecondStageRefused,
    /// Secure Boot rejected the kernel.
    KernelRefused,
    /// GRUB found no menu.
    GrubWithoutMenu,
    /// UEFI firmware has no network because there is no random number generator.
    NoRng,
    /// The firmware's variables contain outdated keys or boot entries.
    StaleNvram,
    /// HTTP from the machine to the server is blocked.
    HttpBlocked,
    /// Packets are lost on the link.
    PacketLoss,
    /// The link or the server is too slow for the time limit.
    TooSlow,
    /// A machine used another's identity: two with one UUID, or a copied config URL.
    BorrowedIdentity,
    /// The machine received other bytes than the service sent.
    ChangedOnTheWay,
    /// The service sent other bytes than the scenario states.
    ContentDiffers,
    /// Another host sent requests in the machine's name, or answers in a server's.
    Impersonated,
    /// Two hosts have one MAC.
    DuplicateMac,
    /// An address was offered and requested, but not acknowledged.
    NoAcknowledgement,
    /// The server of the boot files does not answer ARP.
    NextServerUnreachable,
    /// The boot program was loaded completely, and the machine did nothing more.
    BootProgramDead,
    /// The machine was reset or restarted during the boot.
    MachineReset,
    /// Kernel and initrd do not belong together.
    KernelInitrdMismatch,
    /// The config is malformed.
    ConfigInvalid,
    /// A unit of the config failed to start.
    UnitFailed,
    /// A service of the scenario ended unexpectedly.
    ServiceDied,
    /// The lab's own set-up failed.
    Infrastructure,
}

impl Cause {
    /// All causes.
    pub const ALL: [Cause; 69] = [
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
        Cause::RelayServerUnreachable,
        Cause::RelayToWrongServer,
        Cause::RelayWithoutGiaddr,
        Cause::RelayDropsReplies,
        Cause::TwoRelays,
        Cause::WrongPool,
        Cause::TlsRefused,
        Cause::VlanNotAllowed,
        Cause::NativeVlanMismatch,
        Cause::VlanTagLost,
        Cause::BlockedByRouter,
        Cause::MtuTooSmall,
        Cause::OutsideAddress,
        Cause::BootsFromOtherCard,
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
        Cause::SeedIgnored,
        Cause::ConfigStepFailed,
        Cause::WrongConfigServed,
        Cause::GuestDiffers,
        Cause::ConsoleDisturbed,
        Cause::SecureBootRefusal,
        Cause::MissingFileUnanswered,
        Cause::BootFileInOptionsOnly,
        Cause::SecondStageNotFound,
        Cause::SecondStageRefused,
        Cause::KernelRefused,
        Cause::GrubWithoutMenu,
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

    /// Returns the name in reports and fault scenarios, and of the heading in `docs/troubleshooting.md`.
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
            Cause::RelayServerUnreachable => "relay-server-unreachable",
            Cause::RelayToWrongServer => "relay-to-wrong-server",
            Cause::RelayWithoutGiaddr => "relay-without-giaddr",
            Cause::RelayDropsReplies => "relay-drops-replies",
            Cause::TwoRelays => "two-relays",
            Cause::WrongPool => "wrong-pool",
            Cause::TlsRefused => "tls-refused",
            Cause::VlanNotAllowed => "vlan-not-allowed",
            Cause::NativeVlanMismatch => "native-vlan-mismatch",
            Cause::VlanTagLost => "vlan-tag-lost",
            Cause::BlockedByRouter => "blocked-by-router",
            Cause::MtuTooSmall => "mtu-too-small",
            Cause::OutsideAddress => "outside-address",
            Cause::BootsFromOtherCard => "boots-from-other-card",
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
            Cause::SeedIgnored => "seed-ignored",
            Cause::ConfigStepFailed => "config-step-failed",
            Cause::WrongConfigServed => "wrong-config-served",
            Cause::GuestDiffers => "guest-differs",
            Cause::ConsoleDisturbed => "console-disturbed",
            Cause::SecureBootRefusal => "secure-boot-refusal",
            Cause::MissingFileUnanswered => "missing-file-unanswered",
            Cause::BootFileInOptionsOnly => "boot-file-in-options-only",
            Cause::SecondStageNotFound => "second-stage-not-found",
            Cause::SecondStageRefused => "second-stage-refused",
            Cause::KernelRefused => "kernel-refused",
            Cause::GrubWithoutMenu => "grub-without-menu",
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
