//! What a host answered when it was asked: raw texts and plain facts, nothing judged yet.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Texts of the kernel and of the user database that are read.
pub mod text {
    /// Flags of the processor.
    pub const CPU: &str = "/proc/cpuinfo";
    /// Memory.
    pub const MEMORY: &str = "/proc/meminfo";
    /// Loaded modules.
    pub const MODULES: &str = "/proc/modules";
    /// Whether machines of an Intel host can have machines of their own.
    pub const NESTED_INTEL: &str = "/sys/module/kvm_intel/parameters/nested";
    /// Whether machines of an AMD host can have machines of their own.
    pub const NESTED_AMD: &str = "/sys/module/kvm_amd/parameters/nested";
    /// AppArmor's switch against user namespaces (Ubuntu 24.04).
    pub const APPARMOR: &str = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
    /// Debian's older switch against them.
    pub const USERNS_CLONE: &str = "/proc/sys/kernel/unprivileged_userns_clone";
    /// How many there may be.
    pub const MAX_NAMESPACES: &str = "/proc/sys/user/max_user_namespaces";
    /// Subordinate user ids.
    pub const SUBUID: &str = "/etc/subuid";
    /// Subordinate group ids.
    pub const SUBGID: &str = "/etc/subgid";

    /// All of them.
    pub const ALL: [&str; 10] = [
        CPU,
        MEMORY,
        MODULES,
        NESTED_INTEL,
        NESTED_AMD,
        APPARMOR,
        USERNS_CLONE,
        MAX_NAMESPACES,
        SUBUID,
        SUBGID,
    ];
}

/// Command lines whose output is read; only what a program that succeeded wrote is kept.
pub mod command {
    /// Version of libvirt.
    pub const LIBVIRTD: &str = "libvirtd --version";
    /// Version of QEMU.
    pub const QEMU: &str = "qemu-system-x86_64 --version";
    /// Its accelerators.
    pub const ACCELERATORS: &str = "qemu-system-x86_64 -accel help";
    /// Who listens.
    pub const SOCKETS: &str = "ss -H -l -n -t -u -p";
    /// What becomes of packets that are passed on, by iptables.
    pub const IPTABLES: &str = "iptables -S FORWARD";
    /// The same by nftables.
    pub const NFT: &str = "nft list ruleset";
    /// Whether firewalld runs.
    pub const FIREWALLD: &str = "firewall-cmd --state";
    /// What firewalld lets in from libvirt's networks.
    pub const ZONE: &str = "firewall-cmd --zone=libvirt --list-all";

    /// All of them.
    pub const ALL: [&str; 8] = [
        LIBVIRTD,
        QEMU,
        ACCELERATORS,
        SOCKETS,
        IPTABLES,
        NFT,
        FIREWALLD,
        ZONE,
    ];
}

/// What came of opening a device for reading and writing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Device {
    /// It is not there.
    #[default]
    Absent,
    /// It is there and does not open, for this reason.
    Refused(String),
    /// It opens.
    Opens,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct User {
    /// Name, else number.
    pub name: String,
    /// Whether it is root.
    pub is_root: bool,
}

/// Room on the disk below a folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Space {
    /// The folder, which need not exist yet.
    pub folder: PathBuf,
    /// What an ordinary user can still write, in MiB; `None` where nobody could tell.
    pub free_mib: Option<u64>,
}

/// What the scenarios ask for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Demand {
    /// Memory of the largest machine, with QEMU's own, in MiB.
    pub machine_mib: usize,
    /// Memory of all machines of the largest scenario at once, in MiB.
    pub scenario_mib: usize,
    /// Its name.
    pub scenario: String,
}

/// A host's answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Host {
    /// The text of `/etc/os-release`.
    pub os_release: String,
    /// Who asks.
    pub user: User,
    /// Those of the files asked for that are there.
    pub files: BTreeSet<String>,
    /// The texts that could be read, by path.
    pub texts: BTreeMap<String, String>,
    /// The output of programs that succeeded, by command line.
    pub outputs: BTreeMap<String, String>,
    /// QEMU's descriptions of firmware, by path.
    pub firmware: BTreeMap<String, String>,
    /// `/dev/kvm`.
    pub kvm: Device,
    /// What came of a kernel's start on KVM; `None` when it could not be tried.
    pub probe: Option<Result<(), String>>,
    /// `/dev/net/tun`.
    pub tun: Device,
    /// Files that this process may open at once; `None` for no limit.
    pub open_files: Option<u64>,
    /// What came of a user namespace such as a cell's; `None` when it was not tried.
    pub user_namespace: Option<Result<(), String>>,
    /// Whether the stand-in image is in the cache.
    pub has_stand_in: bool,
    /// Where images are kept.
    pub cache: Space,
    /// Where runs are kept.
    pub artifacts: Space,
    /// What the scenarios ask for; `None` where there are none.
    pub demand: Option<Demand>,
}

impl Host {
    /// A text, without the white space around it; empty when it is not there.
    #[must_use]
    pub fn text(&self, path: &str) -> &str {
        self.texts.get(path).map_or("", |text| text.trim())
    }

    /// What a program wrote.
    #[must_use]
    pub fn output(&self, command: &str) -> Option<&str> {
        self.outputs.get(command).map(String::as_str)
    }

    /// Whether one of these files is there: the first that is.
    #[must_use]
    pub fn first_of(&self, paths: &[&'static str]) -> Option<&'static str> {
        paths
            .iter()
            .find(|path| self.files.contains(**path))
            .copied()
    }
}
