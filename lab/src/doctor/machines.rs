//! Findings about the versions of libvirt and QEMU, compared with the oldest tested ones.

use super::host::{Host, command};
use super::packages::remedy_of;
use super::{Finding, Group, Subject};

/// Oldest tested version of libvirt: Debian 12's.
const LIBVIRT: (u32, u32) = (9, 0);
/// Oldest tested version of QEMU: Debian 12's.
const QEMU: (u32, u32) = (7, 2);

pub(super) fn examine(host: &Host) -> Vec<Finding> {
    let libvirt = Subject(Group::Machines, "libvirt-version", "libvirt's version");
    let qemu = Subject(Group::Machines, "qemu-version", "QEMU's version");
    vec![
        version(host, libvirt, command::LIBVIRTD, LIBVIRT, "libvirtd"),
        version(host, qemu, command::QEMU, QEMU, "qemu"),
    ]
}

fn version(
    host: &Host,
    subject: Subject,
    asked: &str,
    (major, minor): (u32, u32),
    piece: &str,
) -> Finding {
    let remedy = || remedy_of(piece, host);
    let told = host.output(asked).and_then(read_version);
    match told {
        None => subject.warning(format!("unknown: `{asked}` printed no version"), remedy()),
        Some((text, version)) if version >= (major, minor) => subject.ok(text),
        Some((text, _)) => subject.warning(
            format!("{text}, older than {major}.{minor}, the oldest tested version"),
            "upgrade to Debian 12, Ubuntu 24.04 or later",
        ),
    }
}

/// Returns the first word of the first line that is a version.
fn read_version(output: &str) -> Option<(String, (u32, u32))> {
    output.lines().next()?.split_whitespace().find_map(|word| {
        let mut numbers = word.split('.').map(|number| number.parse().ok());
        let version = (numbers.next()??, numbers.next()??);
        Some((word.to_owned(), version))
    })
}
