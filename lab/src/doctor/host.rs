//! Facts collected about a host: raw texts and results, without judgement.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Texts of the kernel and the user database.
pub mod text {
    /// Processor flags.
    pub const CPU: &str = "/proc/cpuinfo";
    /// Memory.
    pub const MEMORY: &str = "/proc/meminfo";
    /// Loaded modules.
    pub const MODULES: &str = "/proc/modules";
    /// Support of nested virtualisation on an Intel host.
    pub const NESTED_INTEL: &str = "/sys/module/kvm_intel/parameters/nested";
    /// Support of nested virtualisation on an AMD host.
    pub const NESTED_AMD: &str = "/sys/module/kvm_amd/parameters/nested";
    /// AppArmor's restriction of user namespaces (Ubuntu 24.04).
    pub const APPARMOR: &str = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
    /// Debian's older restriction of user namespaces.
    pub const USERNS_CLONE: &str = "/proc/sys/kernel/unprivileged_userns_clone";
    /// Maximum number of user namespaces.
    pub const MAX_NAMESPACES: &str = "/proc/sys/user/max_user_namespaces";
    /// Subordinate user ids.
    pub const SUBUID: &str = "/etc/subuid";
    /// Subordinate group ids.
    pub const SUBGID: &str = "/etc/subgid";

    /// All texts to read.
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

/// Command lines to run; output is kept only if the program succeeds.
pub mod command {
    /// Version of libvirt.
    pub const LIBVIRTD: &str = "libvirtd --version";
    /// Version of QEMU.
    pub const QEMU: &str = "qemu-system-x86_64 --version";
    /// Accelerators of QEMU.
    pub const ACCELERATORS: &str = "qemu-system-x86_64 -accel help";
    /// Listening sockets.
    pub const SOCKETS: &str = "ss -H -l -n -t -u -p";
    /// Forwarding rules of iptables.
    pub const IPTABLES: &str = "iptables -S FORWARD";
    /// Forwarding rules of nftables.
    pub const NFT: &str = "nft list ruleset";
    /// State of firewalld.
    pub const FIREWALLD: &str = "firewall-cmd --state";
    /// Rules of firewalld's zone for libvirt networks.
    pub const ZONE: &str = "firewall-cmd --zone=libvirt --list-all";

    /// All commands to run.
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

/// Result of opening a device for reading and writing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Device {
    /// The device does not exist.
    #[default]
    Absent,
    /// The device exists but cannot be opened, for this reason.
    Refused(String),
    /// The device can be opened.
    Opens,
}

/// User that runs the program.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct User {
    /// Name, or number if there is no name.
    pub name: String,
    pub is_root: bool,
}

/// Outcome of a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trial {
    /// The trial succeeded.
    Works,
    /// The trial failed, with the message of the program or of the operating system.
    Fails(String),
}

/// Free disk space.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Space {
    /// Folder, which need not exist yet.
    pub folder: PathBuf,
    /// Space that an ordinary user can use, in MiB; `None` if unknown.
    pub free_mib: Option<u64>,
}

/// Resources that the scenarios need.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Demand {
    /// Memory of the largest machine, including QEMU's overhead, in MiB.
    pub machine_mib: usize,
    /// Memory of all machines of the largest scenario at once, in MiB.
    pub scenario_mib: usize,
    /// Name of the largest scenario.
    pub scenario: String,
}

/// Facts about a host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Host {
    /// Text of `/etc/os-release`.
    pub os_release: String,
    pub user: User,
    /// Existing files among those looked for.
    pub files: BTreeSet<String>,
    /// Readable texts, by path.
    pub texts: BTreeMap<String, String>,
    /// Output of successful programs, by command line.
    pub outputs: BTreeMap<String, String>,
    /// QEMU's firmware descriptors, by path.
    pub firmware: BTreeMap<String, String>,
    /// State of `/dev/kvm`.
    pub kvm: Device,
    /// Result of the probe boot on KVM; `None` if it was not tried.
    pub probe: Option<Trial>,
    /// State of `/dev/net/tun`.
    pub tun: Device,
    /// Limit of open files of this process; `None` for no limit.
    pub open_files: Option<u64>,
    /// Result of creating a user namespace; `None` if it was not tried.
    pub user_namespace: Option<Trial>,
    /// True if the stand-in image is in the cache.
    pub has_stand_in: bool,
    /// Programs of scenarios' services that are not installed.
    pub absent_programs: Vec<AbsentProgram>,
    /// Space for images.
    pub cache: Space,
    /// Space for runs.
    pub artifacts: Space,
    /// Needs of the scenarios; `None` without scenarios.
    pub demand: Option<Demand>,
}

impl Host {
    /// Returns a text without surrounding white space; empty if it is missing.
    #[must_use]
    pub fn text(&self, path: &str) -> &str {
        self.texts.get(path).map_or("", |text| text.trim())
    }

    /// Returns the output of a command.
    #[must_use]
    pub fn output(&self, command: &str) -> Option<&str> {
        self.outputs.get(command).map(String::as_str)
    }

    /// Returns the first of these files that exists.
    #[must_use]
    pub fn first_of(&self, paths: &[&'static str]) -> Option<&'static str> {
        paths
            .iter()
            .find(|path| self.files.contains(**path))
            .copied()
    }
}

/// Program or file of a service that this host lacks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AbsentProgram {
    /// Program as written in the command, or path of a file in an argument.
    pub program: String,
    /// Scenario and service that need it.
    pub needed_by: String,
}
