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
    /// A service of the scenario ended by itself.
    ServiceDied,
    /// The lab's own set-up failed.
    Infrastructure,
}
