//! Made-up hosts on which one thing is missing: exactly that has to be told, with what brings it.

use super::fixture::{ALL, Distribution, descriptor};
use super::host::{Device, Host, Trial, command, text};
use super::*;

use Distribution::{Arch, Debian, Fedora, Ubuntu};
use State::{Missing, Warning};

/// One thing that is taken from a host.
struct Case {
    id: &'static str,
    state: State,
    change: Box<dyn Fn(&mut Host)>,
    /// The remedy on Debian and Ubuntu, Fedora, Arch.
    remedies: [String; 3],
}

fn case(
    id: &'static str,
    state: State,
    remedy: &str,
    change: impl Fn(&mut Host) + 'static,
) -> Case {
    Case {
        id,
        state,
        change: Box::new(change),
        remedies: [remedy; 3].map(str::to_owned),
    }
}

/// A program or driver that is not there, by the packages that bring it.
fn packaged(id: &'static str, state: State, names: [&str; 3], ending: &'static str) -> Case {
    let [debian, fedora, arch] = names;
    Case {
        remedies: [
            format!("sudo apt-get install {debian}"),
            format!("sudo dnf install {fedora}"),
            format!("sudo pacman -S {arch}"),
        ],
        ..case(id, state, "", move |host| {
            host.files.retain(|path| !path.ends_with(ending));
        })
    }
}

/// A boot program: on Fedora and Arch the package is there and the link is not.
fn linked(id: &'static str, debian: &str, path: &'static str, from: [&str; 2]) -> Case {
    let folder = path.rsplit_once('/').unwrap().0;
    let link = |from: &str| format!("sudo mkdir -p {folder} && sudo ln -s {from} {path}");
    Case {
        remedies: [
            format!("sudo apt-get install {debian}"),
            link(from[0]),
            link(from[1]),
        ],
        ..case(id, Missing, "", move |host| {
            host.files.remove(path);
        })
    }
}

fn set(path: &'static str, value: &'static str) -> impl Fn(&mut Host) {
    move |host| {
        host.texts.insert(path.into(), value.into());
    }
}

fn says(asked: &'static str, output: &'static str) -> impl Fn(&mut Host) {
    move |host| {
        host.outputs.insert(asked.into(), output.into());
    }
}

fn listens(line: &'static str) -> impl Fn(&mut Host) {
    says(command::SOCKETS, line)
}

fn pieces() -> Vec<Case> {
    vec![
        packaged("unshare", Missing, ["util-linux"; 3], "/unshare"),
        packaged("nsenter", Missing, ["util-linux"; 3], "/nsenter"),
        packaged("ip", Missing, ["iproute2", "iproute", "iproute2"], "bin/ip"),
        packaged(
            "newuidmap",
            Missing,
            ["uidmap", "shadow-utils", "shadow"],
            "/newuidmap",
        ),
        packaged(
            "dnsmasq",
            Missing,
            ["dnsmasq-base", "dnsmasq", "dnsmasq"],
            "/dnsmasq",
        ),
        packaged(
            "iptables",
            Missing,
            ["iptables", "iptables-nft", "iptables"],
            "/iptables",
        ),
        packaged(
            "libvirtd",
            Missing,
            ["libvirt-daemon", "libvirt-daemon", "libvirt"],
            "/libvirtd",
        ),
        packaged(
            "libvirt-qemu",
            Missing,
            [
                "libvirt-daemon-driver-qemu",
                "libvirt-daemon-driver-qemu",
                "libvirt",
            ],
            "driver_qemu.so",
        ),
        packaged(
            "libvirt-network",
            Missing,
            [
                "libvirt-daemon-driver-network",
                "libvirt-daemon-driver-network",
                "libvirt",
            ],
            "driver_network.so",
        ),
        packaged(
            "qemu",
            Missing,
            ["qemu-system-x86", "qemu-system-x86-core", "qemu-system-x86"],
            "/qemu-system-x86_64",
        ),
        packaged(
            "seabios",
            Missing,
            ["seabios", "seabios-bin", "seabios"],
            "/bios-256k.bin",
        ),
        packaged(
            "network-rom",
            Missing,
            ["ipxe-qemu", "ipxe-roms-qemu", "qemu-common"],
            "/pxe-virtio.rom",
        ),
        linked(
            "undionly.kpxe",
            "ipxe",
            "/usr/lib/ipxe/undionly.kpxe",
            ["/usr/share/ipxe/undionly.kpxe", "/usr/share/ipxe/ipxe.pxe"],
        ),
        linked(
            "ipxe.efi",
            "ipxe",
            "/usr/lib/ipxe/ipxe.efi",
            [
                "/usr/share/ipxe/ipxe-x86_64.efi",
                "/usr/share/ipxe/x86_64/ipxe.efi",
            ],
        ),
        linked(
            "pxelinux.0",
            "pxelinux",
            "/usr/lib/PXELINUX/pxelinux.0",
            [
                "/usr/share/syslinux/pxelinux.0",
                "/usr/lib/syslinux/bios/pxelinux.0",
            ],
        ),
        linked(
            "ldlinux.c32",
            "syslinux-common",
            "/usr/lib/syslinux/modules/bios/ldlinux.c32",
            [
                "/usr/share/syslinux/ldlinux.c32",
                "/usr/lib/syslinux/bios/ldlinux.c32",
            ],
        ),
        Case {
            remedies: [
                "sudo apt-get install mmdebstrap".into(),
                "sudo dnf install mmdebstrap".into(),
                "build the package mmdebstrap of the AUR".into(),
            ],
            ..packaged("mmdebstrap", Warning, [""; 3], "/mmdebstrap")
        },
        packaged("mksquashfs", Warning, ["squashfs-tools"; 3], "/mksquashfs"),
        packaged("cpio", Warning, ["cpio"; 3], "/cpio"),
        packaged("gpgv", Warning, ["gpgv", "gnupg2", "gnupg"], "/gpgv"),
    ]
}

/// UEFI firmware, which is told by its descriptors.
fn firmware() -> Vec<Case> {
    let names = ["ovmf", "edk2-ovmf", "edk2-ovmf"];
    vec![
        packaged("ovmf-secure-boot", Warning, names, "").changed(|host| {
            let texts = &mut host.firmware;
            texts.retain(|_, text| Firmware::read(text).is_some_and(|one| !one.secure_boot));
        }),
    ]
}

fn acceleration() -> Vec<Case> {
    let absent = |host: &mut Host| host.kvm = Device::Absent;
    vec![
        case(
            "kvm",
            Warning,
            "sudo usermod --append --groups kvm ann, then log in again",
            |host| host.kvm = Device::Refused("Permission denied (os error 13)".into()),
        ),
        case(
            "kvm",
            Warning,
            "sudo dmesg | grep -i kvm shows the reason; continue with TCG",
            |host| host.probe = Some(Trial::Fails("a probe kernel did not start on KVM".into())),
        ),
        case(
            "kvm",
            Warning,
            "lab images build, then lab doctor",
            |host| host.probe = None,
        ),
        case(
            "kvm",
            Warning,
            "in a container, pass the device: docker run --device /dev/kvm",
            absent,
        ),
        case("kvm", Warning, "sudo modprobe kvm_intel", move |host| {
            absent(host);
            host.texts.remove(text::MODULES);
        }),
        case(
            "kvm",
            Warning,
            "enable VT-x or AMD-V (SVM) in the firmware setup",
            move |host| {
                absent(host);
                set(text::CPU, "flags : fpu sse\n")(host);
            },
        ),
        case(
            "nested",
            Warning,
            "echo 'options kvm_intel nested=1' | sudo tee /etc/modprobe.d/kvm_intel.conf && sudo modprobe -r \
             kvm_intel && sudo modprobe kvm_intel",
            set(text::NESTED_INTEL, "N\n"),
        ),
        packaged(
            "tcg",
            Warning,
            ["qemu-system-x86", "qemu-system-x86-core", "qemu-system-x86"],
            "",
        )
        .changed(says(command::ACCELERATORS, "Accelerators:\nkvm\n")),
    ]
}

impl Case {
    fn changed(mut self, change: impl Fn(&mut Host) + 'static) -> Case {
        self.change = Box::new(change);
        self
    }
}

fn cells() -> Vec<Case> {
    let ids = "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ann";
    let denied = |host: &mut Host| {
        host.user_namespace = Some(Trial::Fails(
            "unshare: write failed: Operation not permitted".into(),
        ));
    };
    vec![
        case("tun", Missing, "sudo chmod 0666 /dev/net/tun", |host| {
            host.tun = Device::Refused("Permission denied (os error 13)".into());
        }),
        case(
            "tun",
            Missing,
            "sudo modprobe tun; in a container: sudo mkdir -p /dev/net && sudo mknod -m 0666 /dev/net/tun c 10 200",
            |host| host.tun = Device::Absent,
        ),
        case(
            "open-files",
            Missing,
            "ulimit -n 1024, after raising the hard limit (limits.conf, LimitNOFILE=)",
            |host| host.open_files = Some(24),
        ),
        case(
            "subordinate-ids",
            Warning,
            ids,
            set(text::SUBUID, "bob:100000:65536\n"),
        ),
        case(
            "subordinate-ids",
            Warning,
            ids,
            set(text::SUBGID, "ann:100000:1000\n"),
        ),
        case(
            "user-namespace",
            Missing,
            "run as root; in a container, allow it unshare and mount",
            denied,
        ),
        case(
            "user-namespace",
            Missing,
            "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0, or run as root",
            move |host| {
                denied(host);
                set(text::APPARMOR, "1\n")(host);
            },
        ),
        case(
            "user-namespace",
            Missing,
            "sudo sysctl kernel.unprivileged_userns_clone=1, or run as root",
            move |host| {
                denied(host);
                set(text::USERNS_CLONE, "0\n")(host);
            },
        ),
        case(
            "user-namespace",
            Missing,
            "sudo sysctl user.max_user_namespaces=15000, or run as root",
            move |host| {
                denied(host);
                set(text::MAX_NAMESPACES, "0\n")(host);
            },
        ),
    ]
}

fn room() -> Vec<Case> {
    vec![
        case(
            "space-cache",
            Warning,
            "lab images gc, or choose another folder with --cache DIR",
            |host| host.cache.free_mib = Some(100),
        ),
        case(
            "space-artifacts",
            Missing,
            "remove old runs, or choose another folder: lab run --artifacts DIR",
            |host| host.artifacts.free_mib = Some(100),
        ),
        case(
            "memory",
            Missing,
            "stop other programs, or add memory to this host",
            set(text::MEMORY, "MemAvailable: 1048576 kB\n"),
        ),
        case(
            "memory",
            Warning,
            "stop other programs, or add memory to this host",
            set(text::MEMORY, "MemAvailable: 4194304 kB\n"),
        ),
    ]
}

fn versions() -> Vec<Case> {
    let newer = "upgrade to Debian 12, Ubuntu 24.04 or later";
    vec![
        case(
            "libvirt-version",
            Warning,
            newer,
            says(command::LIBVIRTD, "libvirtd (libvirt) 8.0.0\n"),
        ),
        case(
            "qemu-version",
            Warning,
            newer,
            says(command::QEMU, "QEMU emulator version 6.2.0 (Debian)\n"),
        ),
    ]
}

fn network() -> Vec<Case> {
    let accept = "sudo iptables -I FORWARD -i virbr0 -j ACCEPT && sudo iptables -I FORWARD -o virbr0 -j ACCEPT, \
                  with the bridge's name";
    vec![
        case(
            "forwarding",
            Warning,
            accept,
            says(
                command::IPTABLES,
                "-P FORWARD DROP\n-A FORWARD -j DOCKER-USER\n",
            ),
        ),
        case(
            "forwarding",
            Warning,
            "sudo nft list chains shows the chain; add there: iifname virbr0 accept; oifname virbr0 accept, with \
             the bridge's name",
            says(
                command::NFT,
                "type filter hook forward priority filter; policy drop;\n",
            ),
        ),
        case("forwarding", Warning, "sudo lab doctor", |host| {
            host.outputs.remove(command::IPTABLES);
        }),
        case(
            "firewalld",
            Warning,
            "sudo firewall-cmd --permanent --zone=libvirt --add-port=8080/tcp && sudo firewall-cmd --reload",
            |host| {
                says(command::FIREWALLD, "running\n")(host);
                says(
                    command::ZONE,
                    "libvirt\n  services: dhcp dns ssh tftp\n  ports: \n",
                )(host);
            },
        ),
        case(
            "port-67",
            Warning,
            "sudo systemctl stop dnsmasq, or sudo kill 812",
            listens("udp UNCONN 0 0 0.0.0.0:67 0.0.0.0:* users:((\"dnsmasq\",pid=812,fd=4))\n"),
        ),
        case(
            "port-69",
            Warning,
            "sudo ss -lnp 'sport = :69' names it",
            listens("udp UNCONN 0 0 *:69 *:*\n"),
        ),
        case(
            "port-80",
            Warning,
            "sudo systemctl stop nginx, or sudo kill 5",
            listens("tcp LISTEN 0 511 [::]:80 [::]:* users:((\"nginx\",pid=5,fd=6))\n"),
        ),
        case(
            "port-8080",
            Warning,
            "sudo systemctl stop matchbox, or sudo kill 7",
            listens("tcp LISTEN 0 511 *:8080 *:* users:((\"matchbox\",pid=7,fd=6))\n"),
        ),
        case(
            "port-4011",
            Warning,
            "sudo systemctl stop pixiecore, or sudo kill 8",
            listens("udp UNCONN 0 0 0.0.0.0:4011 0.0.0.0:* users:((\"pixiecore\",pid=8,fd=6))\n"),
        ),
    ]
}

fn cases() -> Vec<Case> {
    [
        pieces(),
        firmware(),
        acceleration(),
        cells(),
        room(),
        versions(),
        network(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Findings of a host that a change makes different.
fn changed(distribution: Distribution, change: impl Fn(&mut Host)) -> Vec<Finding> {
    let mut host = distribution.host();
    let before = examine(&host);
    change(&mut host);
    let after = examine(&host);
    assert_eq!(before.len(), after.len());
    let pairs = before.into_iter().zip(after);
    pairs
        .filter(|(before, after)| before != after)
        .map(|(_, after)| after)
        .collect()
}

#[test]
fn on_a_good_host_all_is_well() {
    for distribution in ALL {
        let findings = examine(&distribution.host());
        let bad: Vec<_> = findings
            .iter()
            .filter(|finding| finding.state != State::Ok)
            .collect();
        assert!(bad.is_empty(), "{distribution:?}: {bad:#?}");
        assert_eq!(
            Verdict::of(&findings),
            Verdict::Ready(Accelerator::Kvm),
            "{distribution:?}"
        );
    }
}

#[test]
fn each_thing_that_is_missing_is_the_one_that_is_told() {
    for distribution in ALL {
        for case in cases() {
            let told = changed(distribution, &case.change);
            let [finding] = told.as_slice() else {
                panic!("{distribution:?}, {}: {told:#?}", case.id);
            };
            let [debian, fedora, arch] = &case.remedies;
            let remedy = match distribution {
                Debian | Ubuntu => debian,
                Fedora => fedora,
                Arch => arch,
            };
            assert_eq!(
                (finding.id, finding.state, finding.remedy.as_ref()),
                (case.id, case.state, Some(remedy)),
                "{distribution:?}: {}",
                finding.what
            );
        }
    }
}

#[test]
fn everything_that_is_told_was_missing_once() {
    let tried: Vec<&str> = cases().iter().map(|case| case.id).collect();
    // Firmware and image have tests of their own.
    let others = ["ovmf", "ovmf-4m", "stand-in"];
    for finding in examine(&Debian.host()) {
        let id = finding.id;
        assert!(
            tried.contains(&id) || others.contains(&id),
            "nothing takes away `{id}`"
        );
    }
}

#[test]
fn without_any_uefi_firmware_all_three_are_told() {
    let told = changed(Debian, |host| host.firmware.clear());
    let states: Vec<_> = told.iter().map(|one| (one.id, one.state)).collect();
    assert_eq!(
        states,
        [
            ("ovmf", Missing),
            ("ovmf-secure-boot", Warning),
            ("ovmf-4m", Warning)
        ]
    );
    assert_eq!(told[0].remedy.as_deref(), Some("sudo apt-get install ovmf"));
}

#[test]
fn firmware_of_two_mib_does_but_is_told() {
    let told = changed(Ubuntu, |host| {
        for text in host.firmware.values_mut() {
            *text = text.replace("_4M", "");
        }
    });
    let states: Vec<_> = told.iter().map(|one| (one.id, one.state)).collect();
    assert_eq!(
        states,
        [
            ("ovmf", State::Ok),
            ("ovmf-secure-boot", State::Ok),
            ("ovmf-4m", Warning)
        ]
    );
}

#[test]
fn firmware_for_other_machines_is_none() {
    for (from, to) in [
        ("x86_64", "aarch64"),
        ("pc-q35", "microvm"),
        ("flash", "memory"),
        ("\"uefi\"", "\"bios\""),
    ] {
        let text = descriptor("/code.fd", false);
        assert!(Firmware::read(&text).is_some());
        assert_eq!(Firmware::read(&text.replace(from, to)), None, "{to}");
    }
}

#[test]
fn before_the_stand_in_is_built_what_builds_it_is_needed() {
    let told = |distribution| {
        changed(distribution, |host| {
            host.has_stand_in = false;
            host.files.remove("/usr/bin/mmdebstrap");
        })
    };
    let states = |findings: Vec<Finding>| -> Vec<_> {
        findings.iter().map(|one| (one.id, one.state)).collect()
    };
    assert_eq!(
        states(told(Ubuntu)),
        [("stand-in", State::Ok), ("mmdebstrap", Missing)]
    );
    assert_eq!(
        states(told(Fedora)),
        [("stand-in", Warning), ("mmdebstrap", Warning)],
        "only Debian and Ubuntu build it"
    );
    let full = changed(Debian, |host| {
        host.has_stand_in = false;
        host.cache.free_mib = Some(100);
    });
    assert_eq!(
        states(full),
        [("stand-in", State::Ok), ("space-cache", Missing)]
    );
}

#[test]
fn a_package_that_is_not_there_either_comes_before_the_link() {
    let told = changed(Fedora, |host| {
        host.files.retain(|path| !path.ends_with("pxelinux.0"));
    });
    assert_eq!(
        told[0].remedy.as_deref(),
        Some(
            "sudo dnf install syslinux-nonlinux && sudo mkdir -p /usr/lib/PXELINUX && sudo ln -s \
             /usr/share/syslinux/pxelinux.0 /usr/lib/PXELINUX/pxelinux.0"
        )
    );
}

#[test]
fn without_ids_there_is_no_namespace() {
    let told = changed(Arch, |host| {
        host.texts.remove(text::SUBUID);
        host.user_namespace = Some(Trial::Fails("no ids".into()));
    });
    let ids = "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ann";
    let seen: Vec<_> = told
        .iter()
        .map(|one| (one.id, one.state, one.remedy.as_deref()))
        .collect();
    assert_eq!(
        seen,
        [
            ("subordinate-ids", Missing, Some(ids)),
            ("user-namespace", Missing, Some(ids))
        ]
    );
}

#[test]
fn root_needs_no_ids() {
    let told = changed(Debian, |host| {
        host.user.is_root = true;
        host.user_namespace = None;
        host.texts.remove(text::SUBUID);
        host.files.remove("/usr/bin/newuidmap");
    });
    assert!(told.iter().all(|one| one.state == State::Ok), "{told:#?}");
}

#[test]
fn a_virtual_machine_is_told_what_its_own_host_has_to_do() {
    let told = changed(Debian, |host| {
        host.kvm = Device::Absent;
        set(text::CPU, "flags : fpu hypervisor\n")(host);
        host.texts.remove(text::NESTED_INTEL);
    });
    let kvm = told.iter().find(|one| one.id == "kvm").unwrap();
    assert_eq!(
        kvm.what,
        "/dev/kvm not found: this host is a virtual machine without vmx or svm"
    );
    let remedy = "on its own host: load kvm_intel or kvm_amd with nested=1, and give this machine <cpu \
                  mode='host-passthrough'/>";
    assert_eq!(kvm.remedy.as_deref(), Some(remedy));
}

#[test]
fn without_kvm_tcg_is_needed() {
    let told = changed(Debian, |host| {
        host.kvm = Device::Absent;
        says(command::ACCELERATORS, "kvm\n")(host);
    });
    let states: Vec<_> = told.iter().map(|one| (one.id, one.state)).collect();
    assert_eq!(states, [("kvm", Warning), ("tcg", Missing)]);
    let mut host = Debian.host();
    host.kvm = Device::Absent;
    assert_eq!(
        Verdict::of(&examine(&host)),
        Verdict::Ready(Accelerator::Tcg)
    );
}

#[test]
fn a_distribution_is_known_by_what_it_is_like() {
    use packages::Family;
    for (text, family) in [
        ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", Family::Debian),
        (
            "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n",
            Family::Fedora,
        ),
        ("ID=manjaro\nID_LIKE=arch\n", Family::Arch),
        ("ID=nixos\n", Family::Other),
        ("", Family::Other),
    ] {
        assert_eq!(Family::of(text), family, "{text}");
    }
    let told = changed(Debian, |host| {
        host.os_release = "ID=nixos\n".into();
        host.files.remove("/usr/sbin/dnsmasq");
    });
    assert_eq!(
        told[0].remedy.as_deref(),
        Some("install your distribution's equivalent of Debian's dnsmasq-base")
    );
}

#[test]
fn the_table_and_the_json_of_a_host() {
    let mut host = Fedora.host();
    host.kvm = Device::Absent;
    host.files.remove("/usr/sbin/dnsmasq");
    let findings = examine(&host);
    insta::assert_snapshot!(render::table(&findings, lab_report::table::Colour::Off));
    let json: serde_json::Value = serde_json::from_str(&render::json(&findings)).unwrap();
    assert_eq!(json["ready"], false);
    assert_eq!(json["accelerator"], serde_json::Value::Null);
    insta::assert_json_snapshot!(json["findings"][0]);
}
