//! Fixtures: a fully equipped host of each distribution, used by an ordinary user. Debian's was compared with a
//! real host; the others follow the distributions' package lists.

use super::host::{Demand, Device, Host, Space, Trial, User, command, text};

/// A distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Distribution {
    Debian,
    Ubuntu,
    Fedora,
    Arch,
}

pub(super) const ALL: [Distribution; 4] = [
    Distribution::Debian,
    Distribution::Ubuntu,
    Distribution::Fedora,
    Distribution::Arch,
];

const EVERYWHERE: [&str; 16] = [
    "/usr/bin/unshare",
    "/usr/bin/nsenter",
    "/usr/bin/newuidmap",
    "/usr/sbin/ip",
    "/usr/sbin/dnsmasq",
    "/usr/sbin/iptables",
    "/usr/sbin/libvirtd",
    "/usr/bin/qemu-system-x86_64",
    "/usr/bin/mmdebstrap",
    "/usr/bin/mksquashfs",
    "/usr/bin/cpio",
    "/usr/bin/gpgv",
    "/usr/lib/ipxe/undionly.kpxe",
    "/usr/lib/ipxe/ipxe.efi",
    "/usr/lib/PXELINUX/pxelinux.0",
    "/usr/lib/syslinux/modules/bios/ldlinux.c32",
];
const DEBIAN: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so",
    "/usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_network.so",
    "/usr/share/seabios/bios-256k.bin",
    "/usr/lib/ipxe/qemu/pxe-virtio.rom",
];
const FEDORA: [&str; 8] = [
    "/usr/lib64/libvirt/connection-driver/libvirt_driver_qemu.so",
    "/usr/lib64/libvirt/connection-driver/libvirt_driver_network.so",
    "/usr/share/seabios/bios-256k.bin",
    "/usr/share/ipxe/qemu/pxe-virtio.rom",
    "/usr/share/ipxe/undionly.kpxe",
    "/usr/share/ipxe/ipxe-x86_64.efi",
    "/usr/share/syslinux/pxelinux.0",
    "/usr/share/syslinux/ldlinux.c32",
];
const ARCH: [&str; 8] = [
    "/usr/lib/libvirt/connection-driver/libvirt_driver_qemu.so",
    "/usr/lib/libvirt/connection-driver/libvirt_driver_network.so",
    "/usr/share/qemu/bios-256k.bin",
    "/usr/share/qemu/pxe-virtio.rom",
    "/usr/share/ipxe/ipxe.pxe",
    "/usr/share/ipxe/x86_64/ipxe.efi",
    "/usr/lib/syslinux/bios/pxelinux.0",
    "/usr/lib/syslinux/bios/ldlinux.c32",
];

impl Distribution {
    fn os_release(self) -> &'static str {
        match self {
            Distribution::Debian => {
                "PRETTY_NAME=\"Debian GNU/Linux 12\"\nVERSION_CODENAME=bookworm\nID=debian\n"
            }
            Distribution::Ubuntu => {
                "NAME=\"Ubuntu\"\nVERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian\n"
            }
            Distribution::Fedora => "NAME=\"Fedora Linux\"\nID=fedora\nVERSION_ID=42\n",
            Distribution::Arch => "NAME=\"Arch Linux\"\nID=arch\nBUILD_ID=rolling\n",
        }
    }

    /// File name, code and whether it can do Secure Boot.
    fn firmware(self) -> [(&'static str, &'static str, bool); 2] {
        match self {
            Distribution::Debian | Distribution::Ubuntu => [
                (
                    "50-edk2-x86_64-secure.json",
                    "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd",
                    true,
                ),
                (
                    "60-edk2-x86_64.json",
                    "/usr/share/OVMF/OVMF_CODE_4M.fd",
                    false,
                ),
            ],
            Distribution::Fedora => [
                (
                    "31-edk2-ovmf-2m-raw-x64-sb-enrolled.json",
                    "/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd",
                    true,
                ),
                (
                    "50-edk2-ovmf-4m-qcow2-x64-nosb.json",
                    "/usr/share/edk2/ovmf/OVMF_CODE_4M.qcow2",
                    false,
                ),
            ],
            Distribution::Arch => [
                (
                    "50-edk2-ovmf-x86_64-secure-4m.json",
                    "/usr/share/edk2/x64/OVMF_CODE.secboot.4m.fd",
                    true,
                ),
                (
                    "60-edk2-ovmf-x86_64-4m.json",
                    "/usr/share/edk2/x64/OVMF_CODE.4m.fd",
                    false,
                ),
            ],
        }
    }

    /// One with everything.
    pub(super) fn host(self) -> Host {
        let more: &[&str] = match self {
            Distribution::Debian | Distribution::Ubuntu => &DEBIAN,
            Distribution::Fedora => &FEDORA,
            Distribution::Arch => &ARCH,
        };
        let owned = |(name, text): (&str, &str)| (name.to_owned(), text.to_owned());
        Host {
            open_files: Some(1024),
            os_release: self.os_release().into(),
            user: User {
                name: "ann".into(),
                is_root: false,
            },
            files: EVERYWHERE
                .iter()
                .chain(more)
                .map(|&path| path.into())
                .collect(),
            texts: [
                (text::CPU, "processor\t: 0\nflags\t\t: fpu vme vmx sse\n"),
                (
                    text::MEMORY,
                    "MemTotal: 1 kB\nMemAvailable:   16777216 kB\n",
                ),
                (
                    text::MODULES,
                    "kvm_intel 1 0 - Live 0x0\nkvm 1 1 kvm_intel,\n",
                ),
                (text::NESTED_INTEL, "Y\n"),
                (text::SUBUID, "ann:100000:65536\n"),
                (text::SUBGID, "ann:100000:65536\n"),
            ]
            .map(owned)
            .into(),
            outputs: [
                (command::LIBVIRTD, "/usr/sbin/libvirtd (libvirt) 10.0.0\n"),
                (command::QEMU, "QEMU emulator version 8.2.2 (package)\n"),
                (
                    command::ACCELERATORS,
                    "Accelerators supported in QEMU binary:\ntcg\nkvm\n",
                ),
                (
                    command::SOCKETS,
                    "tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:((\"sshd\",pid=1,fd=3))\n",
                ),
                (command::IPTABLES, "-P FORWARD ACCEPT\n"),
            ]
            .map(owned)
            .into(),
            firmware: self
                .firmware()
                .map(|(name, code, secure)| (name.to_owned(), descriptor(code, secure)))
                .into(),
            kvm: Device::Opens,
            probe: Some(Trial::Works),
            tun: Device::Opens,
            user_namespace: Some(Trial::Works),
            has_stand_in: true,
            cache: space("/home/ann/.cache/bootlab"),
            artifacts: space("/home/ann/lab/runs"),
            absent_programs: Vec::new(),
            demand: Some(Demand {
                machine_mib: 1374,
                scenario_mib: 4122,
                scenario: "ipxe-chainload".into(),
            }),
        }
    }
}

fn space(folder: &str) -> Space {
    Space {
        folder: folder.into(),
        free_mib: Some(50_000),
    }
}

pub(super) fn descriptor(code: &str, secure: bool) -> String {
    let feature = if secure { "secure-boot" } else { "acpi-s3" };
    format!(
        r#"{{"interface-types": ["uefi"], "features": ["{feature}"],
            "mapping": {{"device": "flash", "executable": {{"filename": "{code}", "format": "raw"}},
                         "nvram-template": {{"filename": "/vars", "format": "raw"}}}},
            "targets": [{{"architecture": "x86_64", "machines": ["pc-i440fx-*", "pc-q35-*"]}}]}}"#
    )
}
