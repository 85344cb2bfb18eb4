//! KVM by a probe, and why not; nesting; TCG.

use super::host::{Device, Host, command, text};
use super::packages::remedy_of;
use super::{Finding, Group, Subject};

pub(super) const KVM: &str = "kvm";

pub(super) fn examine(host: &Host) -> Vec<Finding> {
    let kvm = kvm(host);
    let tcg = tcg(host, kvm.state == super::State::Ok);
    vec![kvm, nested(host), tcg]
}

/// Whether the processor has extensions for machines; the module that uses them.
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

/// Whether this host is a machine of another one.
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
                "allow the device to this container (docker run --device /dev/kvm), or go on with TCG".into()
            } else {
                format!(
                    "sudo usermod --append --groups kvm {}, then log in again",
                    host.user.name
                )
            },
        ),
        Device::Opens => match &host.probe {
            Some(Ok(())) => subject.ok("a probe kernel booted on it"),
            Some(Err(why)) if is_machine(host) => subject.warning(
                format!("/dev/kvm opens, but {why}; this host is itself a virtual machine"),
                "none on this host: its own host does not nest machines well; go on with TCG",
            ),
            Some(Err(why)) => subject.warning(
                format!("/dev/kvm opens, but {why}"),
                "sudo dmesg | grep -i kvm says why; go on with TCG",
            ),
            None => subject.warning(
                "/dev/kvm opens; whether a kernel starts on it could not be tried without a kernel",
                "lab images build, then lab doctor",
            ),
        },
    }
}

fn absent(host: &Host, subject: Subject) -> Finding {
    let Some(module) = extension(host) else {
        return if is_machine(host) {
            subject.warning(
                "there is no /dev/kvm: this host is a virtual machine that was given no vmx or svm",
                "on the machine that runs this one: load kvm_intel or kvm_amd with nested=1, and give this one \
                 <cpu mode='host-passthrough'/>",
            )
        } else {
            subject.warning(
                "there is no /dev/kvm: the processor shows neither vmx nor svm",
                "switch on VT-x or AMD-V (SVM) in the firmware's set-up",
            )
        };
    };
    let mut modules = host.text(text::MODULES).lines();
    if modules.any(|line| line.split_whitespace().next() == Some(module)) {
        subject.warning(
            format!("there is no /dev/kvm, though {module} is loaded"),
            "in a container, give it the device: docker run --device /dev/kvm",
        )
    } else {
        subject.warning(
            format!("there is no /dev/kvm: the module {module} is not loaded"),
            format!("sudo modprobe {module}"),
        )
    }
}

/// Whether machines on this host can have machines: where the lab itself is to run in one of them.
fn nested(host: &Host) -> Finding {
    let subject = Subject(Group::Acceleration, "nested", "nested virtualisation");
    let whose = if is_machine(host) {
        "this host is itself a virtual machine"
    } else {
        "this host is no virtual machine"
    };
    for (module, path) in [
        ("kvm_intel", text::NESTED_INTEL),
        ("kvm_amd", text::NESTED_AMD),
    ] {
        match host.text(path) {
            "N" | "0" => {
                return subject.warning(
                    format!("{whose}; machines on it have no KVM of their own, for a lab that runs in one"),
                    format!(
                        "echo 'options {module} nested=1' | sudo tee /etc/modprobe.d/{module}.conf && sudo modprobe \
                         -r {module} && sudo modprobe {module}"
                    ),
                );
            }
            "" => {}
            _ => {
                return subject.ok(format!("{whose}; machines on it may have KVM of their own"));
            }
        }
    }
    subject.ok(format!("{whose}; KVM's module is not loaded"))
}

fn tcg(host: &Host, has_kvm: bool) -> Finding {
    let subject = Subject(Group::Acceleration, "tcg", "TCG");
    let has_tcg = host
        .output(command::ACCELERATORS)
        .map(|output| output.lines().any(|line| line.trim() == "tcg"));
    let what = match has_tcg {
        Some(true) => return subject.ok("QEMU has it"),
        Some(false) => "QEMU was built without it",
        None => "QEMU does not say what it has",
    };
    let remedy = remedy_of("qemu", host);
    if has_kvm {
        subject.warning(what, remedy)
    } else {
        subject.missing(format!("{what}, and KVM can't be used"), remedy)
    }
}
