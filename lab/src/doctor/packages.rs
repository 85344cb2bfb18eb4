//! Table of the files that the lab needs and the packages that contain them, by family of distributions. Only
//! Debian's column was tested; the others follow the distributions' package lists.

use super::host::Host;
use super::{Finding, Group, State};

/// Family of distributions with the same package names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Debian, Ubuntu and derivatives.
    Debian,
    /// Fedora, CentOS and RHEL.
    Fedora,
    /// Arch and derivatives.
    Arch,
    /// Any other distribution.
    Other,
}

impl Family {
    /// Returns the family, from `ID` and `ID_LIKE` in the text of an os-release file.
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

    /// Returns the command that installs `packages`.
    pub(super) fn install(self, packages: &str) -> String {
        match self {
            Family::Debian => format!("sudo apt-get install {packages}"),
            Family::Fedora => format!("sudo dnf install {packages}"),
            Family::Arch => format!("sudo pacman -S {packages}"),
            Family::Other => {
                format!("install your distribution's equivalent of Debian's {packages}")
            }
        }
    }
}

/// Source of a file in a family.
#[derive(Debug, Clone, Copy)]
enum Source {
    /// Package that contains the file.
    Package(&'static str),
    /// Package that contains the file under another path, and needs a link.
    Linked {
        package: &'static str,
        from: &'static str,
    },
    /// Advice if no package contains the file.
    Otherwise(&'static str),
}

use Source::{Linked, Otherwise, Package};

/// Condition under which a file is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Always: without it, no scenario or not all bundled scenarios can run.
    Always,
    /// For ordinary users, not for root.
    OrdinaryUser,
    /// Until the stand-in image is built.
    StandIn,
    /// For optional commands.
    Sometimes,
}

/// File that the lab needs, and its packages.
#[derive(Debug)]
pub struct Piece {
    /// Id in findings.
    pub id: &'static str,
    /// Purpose in a few words.
    pub title: &'static str,
    pub need: Need,
    group: Group,
    /// Possible paths, Debian's first.
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

    /// Returns the piece with this id.
    #[must_use]
    pub fn of(id: &str) -> Option<&'static Piece> {
        PIECES.iter().find(|piece| piece.id == id)
    }

    /// Returns the command that installs the piece on this host.
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

    /// Returns the finding about the piece on this host.
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
            Need::OrdinaryUser => (State::Missing, "; needed by cells of ordinary users"),
            Need::StandIn if host.has_stand_in => {
                (State::Warning, "; needed to rebuild the stand-in")
            }
            Need::StandIn if can_build(host) => {
                (State::Missing, "; needed to build the stand-in image")
            }
            Need::StandIn => (
                State::Warning,
                "; builds the stand-in image, on Debian and Ubuntu",
            ),
            Need::Sometimes => (
                State::Warning,
                "; needed by `lab images fetch` to verify signatures",
            ),
        };
        let path = self.paths.first().copied().unwrap_or_default();
        finding(
            state,
            format!("not found: {path}{why}"),
            Some(self.remedy(host)),
        )
    }

    /// Returns every path to check, including the targets of links.
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

/// Returns the command that installs the piece with this id.
pub(super) fn remedy_of(id: &str, host: &Host) -> String {
    Piece::of(id).map_or_else(String::new, |piece| piece.remedy(host))
}

/// True if the stand-in can be built on this host.
pub(super) fn can_build(host: &Host) -> bool {
    images::built::Release::parse(&host.os_release).is_ok()
}

use Group::{BootPrograms, Cells, Images, Machines};
use Need::{Always, OrdinaryUser, Sometimes, StandIn};

/// Returns sources with the same package name in all families.
const fn everywhere(package: &'static str) -> [Source; 3] {
    [Package(package); 3]
}

/// All pieces, in the order of the report.
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
        // Older releases of Debian and Ubuntu, such as Debian 12, have this in libvirt-daemon.
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
            // Arch has no undionly.kpxe; this file has its own drivers instead of using the card's.
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
    // Detected by descriptors (`firmware.rs`), because file names differ between releases.
    Piece::new(
        ("ovmf", "UEFI firmware"),
        (Machines, Always),
        &[],
        [Package("ovmf"), Package("edk2-ovmf"), Package("edk2-ovmf")],
    ),
];
