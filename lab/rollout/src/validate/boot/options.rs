//! Kernel options: as they are written in a spec or profile, and the ones that are known.

use boot_server_catalog::profile::Profile;
use boot_server_catalog::snapshot::Folder;

use crate::validate::tree::{At, Kind, Node};

/// Kernel option and its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::validate) struct KernelOption {
    /// Key as written.
    pub(in crate::validate) key: String,
    /// Value; none for a bare key.
    pub(in crate::validate) value: Option<String>,
    /// Position of the option.
    pub(in crate::validate) at: At,
    /// True for a key with a string value in `cmdline`.
    pub(in crate::validate) is_pair: bool,
    /// The known option that it nearly is.
    pub(in crate::validate) misspelt: Option<&'static str>,
}

impl KernelOption {
    fn of_word(word: &str, at: At) -> KernelOption {
        let (key, value) = match word.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (word, None),
        };
        KernelOption {
            key: key.to_owned(),
            value,
            at,
            is_pair: false,
            misspelt: misspelt(key),
        }
    }

    /// Returns the known option that this one is or most likely means, with hyphens for underscores.
    pub(in crate::validate) fn meant(&self) -> String {
        self.misspelt.map_or_else(|| normal(&self.key), normal)
    }

    /// Returns the whole option, as the kernel gets it.
    pub(in crate::validate) fn text(&self) -> String {
        match &self.value {
            Some(value) => format!("{}={value}", self.key),
            None => self.key.clone(),
        }
    }

    /// Returns the value of a switch as dracut reads it: a bare key is on, an empty value is off.
    pub(in crate::validate) fn is_on(&self) -> bool {
        !matches!(self.value.as_deref(), Some("" | "0" | "no" | "off"))
    }
}

/// Returns the options in the tree of a spec or profile, in the order in which the kernel gets them.
pub(in crate::validate) fn read(root: &Node) -> Vec<KernelOption> {
    let Some(boot) = root.child("boot") else {
        return Vec::new();
    };
    let mut options = Vec::new();
    for entry in boot.child("cmdline").map_or(&[][..], Node::entries) {
        let value = entry.value.scalar().unwrap_or_default();
        options.push(match entry.value.kind() {
            // Pixiecore is given whole options as keys: it puts values in quotes.
            Kind::Bool | Kind::Null => KernelOption::of_word(&entry.key, entry.at),
            _ => KernelOption {
                key: entry.key.clone(),
                value: (!value.is_empty()).then(|| value.to_owned()),
                at: entry.at,
                is_pair: !value.is_empty(),
                misspelt: misspelt(&entry.key),
            },
        });
    }
    for item in boot.child("args").map_or(&[][..], Node::items) {
        let words = item.scalar().unwrap_or_default().split_whitespace();
        options.extend(words.map(|word| KernelOption::of_word(word, item.at)));
    }
    options
}

/// Returns the options that hold the URL of a config in this folder.
pub(in crate::validate) fn url_keys(folder: Folder) -> &'static [&'static str] {
    match folder {
        Folder::Cloud => &["cloud-config-url"],
        Folder::Ignition => &[
            "coreos.config.url",
            "ignition.config.url",
            "flatcar.config.url",
        ],
        Folder::Generic => &[],
    }
}

/// Options that make Ignition run.
pub(in crate::validate) const FIRST_BOOT: [&str; 3] = [
    "coreos.first-boot",
    "flatcar.first-boot",
    "ignition.firstboot",
];

/// Returns the config URL of a profile's machines for a folder; the last one counts.
pub(in crate::validate) fn config_url(profile: &Profile, folder: Folder) -> Option<String> {
    let settings = profile.settings.as_ref()?;
    let words = settings
        .options
        .iter()
        .flat_map(|option| option.split_whitespace());
    let options = words.map(|word| KernelOption::of_word(word, At::default()));
    let urls = options.filter(|option| {
        let key = option.meant();
        url_keys(folder).iter().any(|known| normal(known) == key)
    });
    urls.filter_map(|option| option.value).next_back()
}

/// Returns a key with hyphens for underscores, which mean the same.
pub(in crate::validate) fn normal(key: &str) -> String {
    key.replace('_', "-")
}

/// Returns the known option that a misspelt key most likely means.
fn misspelt(key: &str) -> Option<&'static str> {
    /// Short names are near to anything.
    const SHORTEST: usize = 6;
    /// Longer ones may have two letters wrong.
    const LONG: usize = 11;
    let written = normal(key);
    if written.len() < SHORTEST - 1 || KNOWN.iter().any(|known| normal(known) == written) {
        return None;
    }
    let distance = |known: &&&str| strsim::damerau_levenshtein(&normal(known), &written);
    let near = |known: &&&str| {
        let allowed = if known.len() >= LONG { 2 } else { 1 };
        // A distance is at least the difference of the lengths, and takes longer to find.
        let may_be = known.len() >= SHORTEST && known.len().abs_diff(written.len()) <= allowed;
        may_be && distance(known) <= allowed
    };
    // `console2` and similar are options of other programs.
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).count();
    let nearest = KNOWN.iter().filter(near).min_by_key(distance)?;
    (digits(nearest) == digits(&written)).then_some(*nearest)
}

/// Options of CoreOS, Ignition, systemd, dracut and Linux that people write.
const KNOWN: &[&str] = &[
    "cloud-config-url",
    "coreos.autologin",
    "coreos.config.url",
    "coreos.first_boot",
    "coreos.inst",
    "coreos.inst.ignition_url",
    "coreos.inst.image_url",
    "coreos.inst.insecure",
    "coreos.inst.install_dev",
    "coreos.live.rootfs_url",
    "coreos.oem.id",
    "coreos.randomize_disk_guid",
    "coreos.no_persist_ip",
    "flatcar.autologin",
    "flatcar.config.url",
    "flatcar.first_boot",
    "flatcar.oem.id",
    "flatcar.randomize_disk_guid",
    "ignition.config.url",
    "ignition.config.data",
    "ignition.firstboot",
    "ignition.platform.id",
    "sshkey",
    "acpi",
    "acpi_osi",
    "apparmor",
    "audit",
    "bios.devnames",
    "biosdevname",
    "blacklist",
    "bonding.max_bonds",
    "cgroup_enable",
    "cgroup_disable",
    "console",
    "consoleblank",
    "crashkernel",
    "debug",
    "default_hugepagesz",
    "earlycon",
    "earlyprintk",
    "edd",
    "efi",
    "elevator",
    "enforcing",
    "fips",
    "hugepages",
    "hugepagesz",
    "idle",
    "ifname",
    "init",
    "initrd",
    "intel_iommu",
    "intel_idle.max_cstate",
    "intel_pstate",
    "iommu",
    "iomem",
    "ip",
    "ipv6.disable",
    "isolcpus",
    "libata.force",
    "locale.lang",
    "log_buf_len",
    "loglevel",
    "maxcpus",
    "mem",
    "memmap",
    "mitigations",
    "modprobe.blacklist",
    "mount.usr",
    "mount.usrflags",
    "nameserver",
    "net.ifnames",
    "nmi_watchdog",
    "noapic",
    "nofb",
    "nohz",
    "nohz_full",
    "nolapic",
    "nomodeset",
    "noquiet",
    "nosmt",
    "nosplash",
    "numa",
    "numa_balancing",
    "nvme_core.default_ps_max_latency_us",
    "panic",
    "pci",
    "pcie_aspm",
    "plymouth.enable",
    "processor.max_cstate",
    "pti",
    "quiet",
    "random.trust_cpu",
    "rcu_nocbs",
    "rd.break",
    "rd.debug",
    "rd.driver.blacklist",
    "rd.driver.pre",
    "rd.iscsi.firmware",
    "rd.live.image",
    "rd.luks",
    "rd.luks.options",
    "rd.luks.uuid",
    "rd.lvm",
    "rd.lvm.lv",
    "rd.md",
    "rd.neednet",
    "rd.net.timeout.carrier",
    "rd.net.timeout.dhcp",
    "rd.retry",
    "rd.shell",
    "rd.systemd.debug_shell",
    "rd.systemd.show_status",
    "rd.timeout",
    "reboot",
    "resume",
    "rhgb",
    "ro",
    "root",
    "rootdelay",
    "rootflags",
    "rootfstype",
    "rootwait",
    "rw",
    "security",
    "selinux",
    "serial",
    "single",
    "skew_tick",
    "softlockup_panic",
    "splash",
    "swapaccount",
    "systemd.debug_shell",
    "systemd.journald.forward_to_console",
    "systemd.journald.max_level_console",
    "systemd.log_level",
    "systemd.log_target",
    "systemd.mask",
    "systemd.setenv",
    "systemd.show_status",
    "systemd.unified_cgroup_hierarchy",
    "systemd.legacy_systemd_cgroup_controller",
    "systemd.unit",
    "systemd.wants",
    "text",
    "transparent_hugepage",
    "tsc",
    "udev.log_priority",
    "usbcore.autosuspend",
    "usrfstype",
    "verity.usr",
    "verity.usrhash",
    "vga",
    "video",
    "watchdog",
    "xdriver",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::tree::json;

    #[test]
    fn options_of_both_kinds_are_read_as_the_kernel_gets_them() {
        let root = json::parse(
            "{\"boot\": {\"cmdline\": {\"console\": \"ttyS0\", \"quiet\": \"\", \"a=b\": true},\n\"args\": \
             [\"console=tty0 coreos.first_boot=\"]}}",
        )
        .unwrap();
        let options = read(&root);
        let texts: Vec<String> = options.iter().map(KernelOption::text).collect();
        assert_eq!(
            texts,
            [
                "console=ttyS0",
                "quiet",
                "a=b",
                "console=tty0",
                "coreos.first_boot="
            ]
        );
        assert!(options[1].is_on() && !options[4].is_on());
        assert_eq!(
            options[4].at,
            At {
                line: 2,
                column: 10
            }
        );
    }

    #[test]
    fn a_key_that_is_nearly_known_is_found_and_others_are_left_alone() {
        for (written, meant) in [
            ("cloud_config_ur", "cloud-config-url"),
            ("coreos.frist_boot", "coreos.first_boot"),
            ("coreos.config.ulr", "coreos.config.url"),
            ("ignition.fristboot", "ignition.firstboot"),
            ("consol", "console"),
            ("coreos.autologon", "coreos.autologin"),
        ] {
            assert_eq!(misspelt(written), Some(meant), "{written}");
        }
        for own in [
            "lab.spec",
            "coreos.first-boot",
            "cloud_config_url",
            "panics",
            "site.rack",
            "my.console",
            "root2",
            "net.ifname0",
            "coreos.mine",
            "rack",
            "BOOTIF",
            "inst.ks",
            "ds",
            "nfsroot",
            "rd.znet",
        ] {
            assert_eq!(misspelt(own), None, "{own}");
        }
    }

    #[test]
    fn no_known_option_is_taken_for_another() {
        for known in KNOWN {
            assert_eq!(misspelt(known), None, "{known}");
        }
    }
}
