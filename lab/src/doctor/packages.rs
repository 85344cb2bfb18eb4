//! Which files the lab needs, and which package brings each on which family of distributions: the one table of
//! it. Only Debian's column was tried; the others are from the distributions' package lists.

use super::host::Host;
use super::{Finding, Group, State};

/// Distributions with the same packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Debian, Ubuntu and what comes of them.
    Debian,
    /// Fedora, CentOS and RHEL.
    Fedora,
    /// Arch and what comes of it.
    Arch,
    /// Any other.
    Other,
}

impl Family {
    /// By `ID` and `ID_LIKE` in the text of an os-release file.
    #[must_use]
    pub fn of(os_release: &str) -> Family {
        let field = |key: &str| {
            let mut lines = os_release.lines().filter_map(|line| line.split_once('='));
            let value = lines.find(|(name, _)| *name == key).map(|(_, value)| value);
            value.unwrap_or_default().trim_matches(['"', '\''])
        };
        let ids = field("ID").split_whitespace();
        ids.chain(field("ID_LIKE").split_whitespace())
            .find_map(|id| match id {
                "debian" | "ubuntu" => Some(Family::Debian),
                "fedora" | "rhel" | "centos" => Some(Family::Fedora),
                "arch" => Some(Family::Arch),
                _ => None,
            })
            .unwrap_or(Family::Other)
    }

    /// The command that installs `packages`.
    fn install(self, packages: &str) -> String {
        match self {
            Family::Debian => format!("sudo apt-get install {packages}"),
            Family::Fedora => format!("sudo dnf install {packages}"),
            Family::Arch => format!("sudo pacman -S {packages}"),
            Family::Other => format!("install what your distribution has for Debian's {packages}"),
        }
    }
}

/// How a family has a file.
#[derive(Debug, Clone, Copy)]
enum Source {
    /// A package brings it.
    Package(&'static str),
    /// A package brings it under another name; a link puts it where it is looked for.
    Linked {
        package: &'static str,
        from: &'static str,
    },
    /// No package; what to do instead.
    Otherwise(&'static str),
}

use Source::{Linked, Otherwise, Package};

/// When something is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Without it nothing runs, or a bundled scenario does not.
    Always,
    /// As long as one is not root.
    OrdinaryUser,
    /// Until the stand-in image is built.
    StandIn,
    /// For something that not everybody does.
    Sometimes,
}

/// A file that the lab needs, and where it comes from.
#[derive(Debug)]
pub struct Piece {
    /// Its name in findings.
    pub id: &'static str,
    /// What it is for, in a few words.
    pub title: &'static str,
    /// When it is needed.
    pub need: Need,
    group: Group,
    /// Where it may be; the first is where Debian has it.
    pub paths: &'static [&'static str],
    debian: Source,
    fedora: Source,
    arch: Source,
}

impl Piece {
    const fn new(
        (id, title): (&'static str, &'static str),
        (group, need): (Group, Need),
        paths: &'static [&'static str],
        [debian, fedora, arch]: [Source; 3],
    ) -> Piece {
        Piece {
            id,
            title,
            need,
            group,
            paths,
            debian,
            fedora,
            arch,
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn of(id: &str) -> Option<&'static Piece> {
        PIECES.iter().find(|piece| piece.id == id)
    }

    /// The command that brings it to this host.
    #[must_use]
    pub fn remedy(&self, host: &Host) -> String {
        let family = Family::of(&host.os_release);
        let source = match family {
            Family::Debian | Family::Other => self.debian,
            Family::Fedora => self.fedora,
            Family::Arch => self.arch,
        };
        match source {
            Package(package) => family.install(package),
            Otherwise(what) => what.to_owned(),
            Linked { package, from } => {
                let path = self.paths.first().copied().unwrap_or_default();
                let folder = path.rsplit_once('/').map_or("/", |(folder, _)| folder);
                let link = format!("sudo mkdir -p {folder} && sudo ln -s {from} {path}");
                if host.files.contains(from) {
                    link
                } else {
                    format!("{} && {link}", family.install(package))
                }
            }
        }
    }

    /// What this host has of it.
    #[must_use]
    pub fn examine(&self, host: &Host) -> Finding {
        let finding = |state, what: String, remedy| Finding {
            id: self.id,
            group: self.group,
            title: self.title.into(),
            state,
            what,
            remedy,
        };
        if let Some(path) = host.first_of(self.paths) {
            return finding(State::Ok, path.to_owned(), None);
        }
        let (state, why) = match self.need {
            Need::Always => (State::Missing, ""),
            Need::OrdinaryUser if host.user.is_root => {
                let what = "not needed by root".to_owned();
                return finding(State::Ok, what, None);
            }
            Need::OrdinaryUser => (State::Missing, "; cells of ordinary users need it"),
            Need::StandIn if host.has_stand_in => {
                (State::Warning, "; the stand-in can't be built again")
            }
            Need::StandIn if can_build(host) => {
                (State::Missing, "; the stand-in image can't be built")
            }
            Need::StandIn => (
                State::Warning,
                "; the stand-in image is built with it, on Debian and Ubuntu",
            ),
            Need::Sometimes => (State::Warning, "; `lab images fetch` verifies with it"),
        };
        let path = self.paths.first().copied().unwrap_or_default();
        finding(
            state,
            format!("{path} is not there{why}"),
            Some(self.remedy(host)),
        )
    }

    /// Every path that is asked about, those of packages that need a link among them.
    pub fn all_paths() -> impl Iterator<Item = &'static str> {
        PIECES.iter().flat_map(|piece| {
            let sources = [piece.debian, piece.fedora, piece.arch];
            let linked = sources.into_iter().filter_map(|source| match source {
                Linked { from, .. } => Some(from),
                Package(_) | Otherwise(_) => None,
            });
            piece.paths.iter().copied().chain(linked)
        })
    }
}

/// The command that brings the piece of this name.
pub(super) fn remedy_of(id: &str, host: &Host) -> String {
    Piece::of(id).map_or_else(String::new, |piece| piece.remedy(host))
}

/// Whether the stand-in can be built here.
pub(super) fn can_build(host: &Host) -> bool {
    images::stand_in::Release::parse(&host.os_release).is_ok()
}

use Group::{BootPrograms, Cells, Images, Machines};
use Need::{Always, OrdinaryUser, Sometimes, StandIn};

/// The same name everywhere.
const fn everywhere(package: &'static str) -> [Source; 3] {
    [Package(package); 3]
}

/// All of them, in the order in which they are told.
pub const PIECES: [Piece; 21] = [
    Piece::new(
        ("unshare", "unshare"),
        (Cells, Always),
        &["/usr/bin/unshare"],
        everywhere("util-linux"),
    ),
    Piece::new(
        ("nsenter", "nsenter"),
        (Cells, Always),
        &["/usr/bin/nsenter"],
        everywhere("util-linux"),
    ),
    Piece::new(
        ("ip", "ip"),
        (Cells, Always),
        &["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip", "/bin/ip"],
        [Package("iproute2"), Package("iproute"), Package("iproute2")],
    ),
    Piece::new(
        ("newuidmap", "newuidmap"),
        (Cells, OrdinaryUser),
        &["/usr/bin/newuidmap"],
        [
            Package("uidmap"),
            Package("shadow-utils"),
            Package("shadow"),
        ],
    ),
    Piece::new(
        ("dnsmasq", "dnsmasq"),
        (Cells, Always),
        &["/usr/sbin/dnsmasq"],
        [
            Package("dnsmasq-base"),
            Package("dnsmasq"),
            Package("dnsmasq"),
        ],
    ),
    Piece::new(
        ("iptables", "iptables"),
        (Cells, Always),
        &["/usr/sbin/iptables"],
        [
            Package("iptables"),
            Package("iptables-nft"),
            Package("iptables"),
        ],
    ),
    Piece::new(
        ("libvirtd", "libvirt"),
        (Machines, Always),
        &["/usr/sbin/libvirtd", "/usr/local/sbin/libvirtd"],
        [
            Package("libvirt-daemon"),
            Package("libvirt-daemon"),
            Package("libvirt"),
        ],
    ),
    Piece::new(
        ("libvirt-qemu", "libvirt's QEMU driver"),
        (Machines, Always),
        &[
            "/usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so",
            "/usr/lib64/libvirt/connection-driver/libvirt_driver_qemu.so",
            "/usr/lib/libvirt/connection-driver/libvirt_driver_qemu.so",
        ],
        [
            Package("libvirt-daemon-driver-qemu"),
            Package("libvirt-daemon-driver-qemu"),
            Package("libvirt"),
        ],
    ),
    Piece::new(
        ("libvirt-network", "libvirt's network driver"),
        (Machines, Always),
        &[
            "/usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_network.so",
            "/usr/lib64/libvirt/connection-driver/libvirt_driver_network.so",
            "/usr/lib/libvirt/connection-driver/libvirt_driver_network.so",
        ],
        // Part of libvirt-daemon in older releases of Debian and Ubuntu, as Debian 12.
        [
            Package("libvirt-daemon-driver-network"),
            Package("libvirt-daemon-driver-network"),
            Package("libvirt"),
        ],
    ),
    Piece::new(
        ("qemu", "QEMU"),
        (Machines, Always),
        &[
            "/usr/bin/qemu-system-x86_64",
            "/usr/local/bin/qemu-system-x86_64",
        ],
        [
            Package("qemu-system-x86"),
            Package("qemu-system-x86-core"),
            Package("qemu-system-x86"),
        ],
    ),
    Piece::new(
        ("seabios", "BIOS firmware"),
        (Machines, Always),
        &[
            "/usr/share/seabios/bios-256k.bin",
            "/usr/share/qemu/bios-256k.bin",
        ],
        [
            Package("seabios"),
            Package("seabios-bin"),
            Package("seabios"),
        ],
    ),
    Piece::new(
        ("network-rom", "the network card's boot ROM"),
        (Machines, Always),
        &[
            "/usr/lib/ipxe/qemu/pxe-virtio.rom",
            "/usr/share/ipxe/qemu/pxe-virtio.rom",
            "/usr/share/qemu/pxe-virtio.rom",
        ],
        [
            Package("ipxe-qemu"),
            Package("ipxe-roms-qemu"),
            Package("qemu-common"),
        ],
    ),
    Piece::new(
        ("undionly.kpxe", "iPXE for BIOS"),
        (BootPrograms, Always),
        &["/usr/lib/ipxe/undionly.kpxe"],
        [
            Package("ipxe"),
            Linked {
                package: "ipxe-bootimgs-x86",
                from: "/usr/share/ipxe/undionly.kpxe",
            },
            // Arch has no undionly.kpxe; this one brings drivers of its own instead of using the card's.
            Linked {
                package: "ipxe",
                from: "/usr/share/ipxe/ipxe.pxe",
            },
        ],
    ),
    Piece::new(
        ("ipxe.efi", "iPXE for UEFI"),
        (BootPrograms, Always),
        &["/usr/lib/ipxe/ipxe.efi"],
        [
            Package("ipxe"),
            Linked {
                package: "ipxe-bootimgs-x86",
                from: "/usr/share/ipxe/ipxe-x86_64.efi",
            },
            Linked {
                package: "ipxe",
                from: "/usr/share/ipxe/x86_64/ipxe.efi",
            },
        ],
    ),
    Piece::new(
        ("pxelinux.0", "PXELINUX"),
        (BootPrograms, Always),
        &["/usr/lib/PXELINUX/pxelinux.0"],
        [
            Package("pxelinux"),
            Linked {
                package: "syslinux-nonlinux",
                from: "/usr/share/syslinux/pxelinux.0",
            },
            Linked {
                package: "syslinux",
                from: "/usr/lib/syslinux/bios/pxelinux.0",
            },
        ],
    ),
    Piece::new(
        ("ldlinux.c32", "PXELINUX's core module"),
        (BootPrograms, Always),
        &["/usr/lib/syslinux/modules/bios/ldlinux.c32"],
        [
            Package("syslinux-common"),
            Linked {
                package: "syslinux-nonlinux",
                from: "/usr/share/syslinux/ldlinux.c32",
            },
            Linked {
                package: "syslinux",
                from: "/usr/lib/syslinux/bios/ldlinux.c32",
            },
        ],
    ),
    Piece::new(
        ("mmdebstrap", "mmdebstrap"),
        (Images, StandIn),
        &["/usr/bin/mmdebstrap"],
        [
            Package("mmdebstrap"),
            Package("mmdebstrap"),
            Otherwise("build the package mmdebstrap of the AUR"),
        ],
    ),
    Piece::new(
        ("mksquashfs", "mksquashfs"),
        (Images, StandIn),
        &["/usr/bin/mksquashfs"],
        everywhere("squashfs-tools"),
    ),
    Piece::new(
        ("cpio", "cpio"),
        (Images, StandIn),
        &["/usr/bin/cpio", "/bin/cpio"],
        everywhere("cpio"),
    ),
    Piece::new(
        ("gpgv", "gpgv"),
        (Images, Sometimes),
        &["/usr/bin/gpgv"],
        [Package("gpgv"), Package("gnupg2"), Package("gnupg")],
    ),
    // Found by its descriptors (`firmware.rs`): their names differ from release to release.
    Piece::new(
        ("ovmf", "UEFI firmware"),
        (Machines, Always),
        &[],
        [Package("ovmf"), Package("edk2-ovmf"), Package("edk2-ovmf")],
    ),
];
