//! Findings about acceleration: KVM by a probe boot, nesting, TCG.

use super::host::{Device, Host, Trial, command, text};
use super::packages::remedy_of;
use super::{Finding, Group, Subject};

pub(super) const KVM: &str = "kvm";

pub(super) fn examine(host: &Host) -> Vec<Finding> {
    let kvm = kvm(host);
    let tcg = tcg(host, kvm.state == super::State::Ok);
    vec![kvm, nested(host), tcg]
}

/// Returns the KVM module for the processor's virtualisation extensions, if it has any.
fn extension(host: &Host) -> Option<&'static str> {
    let mut flags = flags(host);
    flags.find_map(|flag| match flag {
        "vmx" => Some("kvm_intel"),
        "svm" => Some("kvm_amd"),
        _ => None,
    })
}

fn flags(host: &Host) -> impl Iterator<Item = &str> {
    let lines = host.text(text::CPU).lines();
    let mut lines = lines.filter_map(|line| line.split_once(':'));
    let flags = lines.find(|(name, _)| name.trim() == "flags");
    flags.map_or("", |(_, flags)| flags).split_whitespace()
}

/// True if this host is itself a virtual machine.
fn is_machine(host: &Host) -> bool {
    flags(host).any(|flag| flag == "hypervisor")
}

fn kvm(host: &Host) -> Finding {
    let subject = Subject(Group::Acceleration, KVM, "KVM");
    match &host.kvm {
        Device::Absent => absent(host, subject),
        Device::Refused(why) => subject.warning(
            format!("/dev/kvm cannot be opened: {why}"),
            if host.user.is_root {
                "give this container the device (docker run --device /dev/kvm), or continue with TCG".into()
            } else {
                format!(
                    "sudo usermod --append --groups kvm {}, then log in again",
                    host.user.name
                )
            },
        ),
        Device::Opens => match &host.probe {
            Some(Trial::Works) => subject.ok("a probe kernel booted on it"),
            Some(Trial::Fails(why)) if is_machine(host) => subject.warning(
                format!("/dev/kvm opens, but {why}; this host is itself a virtual machine"),
                "no remedy on this host: nested virtualisation of its own host is broken; continue with TCG",
            ),
            Some(Trial::Fails(why)) => subject.warning(
                format!("/dev/kvm opens, but {why}"),
                "sudo dmesg | grep -i kvm shows the reason; continue with TCG",
            ),
            None => subject.warning(
                "/dev/kvm opens; not tested, because no kernel is available",
                "lab images build, then lab doctor",
            ),
        },
    }
}

fn absent(host: &Host, subject: Subject) -> Finding {
    let Some(module) = extension(host) else {
        return if is_machine(host) {
            subject.warning(
                "/dev/kvm not found: this host is a virtual machine without vmx or svm",
                "on its own host: load kvm_intel or kvm_amd with nested=1, and give this machine \
                 <cpu mode='host-passthrough'/>",
            )
        } else {
            subject.warning(
                "/dev/kvm not found: the processor reports neither vmx nor svm",
                "enable VT-x or AMD-V (SVM) in the firmware setup",
            )
        };
    };
    let mut modules = host.text(text::MODULES).lines();
    if modules.any(|line| line.split_whitespace().next() == Some(module)) {
        subject.warning(
            format!("/dev/kvm not found, although {module} is loaded"),
            "in a container, pass the device: docker run --device /dev/kvm",
        )
    } else {
        subject.warning(
            format!("/dev/kvm not found: module {module} is not loaded"),
            format!("sudo modprobe {module}"),
        )
    }
}

/// Returns the finding about nested virtualisation, which matters if the lab runs inside a virtual machine of
/// this host.
fn nested(host: &Host) -> Finding {
    let subject = Subject(Group::Acceleration, "nested", "nested virtualisation");
    let whose = if is_machine(host) {
        "this host is itself a virtual machine"
    } else {
        "this host is not a virtual machine"
    };
    for (module, path) in [
        ("kvm_intel", text::NESTED_INTEL),
        ("kvm_amd", text::NESTED_AMD),
    ] {
        match host.text(path) {
            "N" | "0" => {
                return subject.warning(
                    format!("{whose}; its virtual machines have no KVM, should the lab run in one"),
                    format!(
                        "echo 'options {module} nested=1' | sudo tee /etc/modprobe.d/{module}.conf && sudo modprobe \
                         -r {module} && sudo modprobe {module}"
                    ),
                );
            }
            "" => {}
            _ => {
                return subject.ok(format!("{whose}; its virtual machines can use KVM"));
            }
        }
    }
    subject.ok(format!("{whose}; the KVM module is not loaded"))
}

fn tcg(host: &Host, has_kvm: bool) -> Finding {
    let subject = Subject(Group::Acceleration, "tcg", "TCG");
    let has_tcg = host
        .output(command::ACCELERATORS)
        .map(|output| output.lines().any(|line| line.trim() == "tcg"));
    let what = match has_tcg {
        Some(true) => return subject.ok("supported by QEMU"),
        Some(false) => "not supported by this QEMU",
        None => "unknown: QEMU does not list its accelerators",
    };
    let remedy = remedy_of("qemu", host);
    if has_kvm {
        subject.warning(what, remedy)
    } else {
        subject.missing(format!("{what}, and KVM is unusable"), remedy)
    }
}
