//! Findings about the requirements of cells: user namespaces, subordinate ids, network devices, file descriptors.

use super::host::{Device, Host, Trial, text};
use super::packages::remedy_of;
use super::{Finding, Group, Subject};

/// Number of ids in the range of an ordinary user's cell, the distributions' default.
const IDS: u64 = 65536;

/// Minimum limit of open files for a run: pipes, consoles and captures of a dozen machines, and files of libvirtd.
const OPEN_FILES: u64 = 256;

pub(super) fn examine(host: &Host) -> Vec<Finding> {
    let mut findings = vec![tun(host), open_files(host)];
    findings.extend(user_namespaces(host));
    findings
}

/// Checks `/dev/net/tun`, which machines' network cards need.
#[must_use]
pub fn tun(host: &Host) -> Finding {
    let subject = Subject(Group::Cells, "tun", "/dev/net/tun");
    match &host.tun {
        Device::Opens => subject.ok("opens"),
        Device::Absent => subject.missing(
            "not found: /dev/net/tun",
            "sudo modprobe tun; in a container: sudo mkdir -p /dev/net && sudo mknod -m 0666 /dev/net/tun c 10 200",
        ),
        Device::Refused(why) => subject.missing(
            format!("cannot open /dev/net/tun: {why}"),
            "sudo chmod 0666 /dev/net/tun",
        ),
    }
}

/// Checks the number of files that this process, and with it libvirtd and QEMU, may open at once.
#[must_use]
pub fn open_files(host: &Host) -> Finding {
    let subject = Subject(Group::Cells, "open-files", "file descriptors");
    match host.open_files {
        Some(limit) if limit < OPEN_FILES => subject.missing(
            format!("file descriptors: {limit} (a run needs {OPEN_FILES})"),
            "ulimit -n 1024, after raising the hard limit (limits.conf, LimitNOFILE=)",
        ),
        Some(limit) => subject.ok(format!("{limit} at once")),
        None => subject.ok("unlimited"),
    }
}

/// Checks the requirements of an ordinary user's cells; root needs none of them.
#[must_use]
pub fn user_namespaces(host: &Host) -> [Finding; 2] {
    let ids = Subject(Group::Cells, "subordinate-ids", "subordinate ids");
    let namespace = Subject(Group::Cells, "user-namespace", "user namespaces");
    if host.user.is_root {
        let why = "not needed by root";
        return [ids.ok(why), namespace.ok(why)];
    }
    let user = &host.user.name;
    let give_ids =
        format!("sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}");
    let without: Vec<&str> = [text::SUBUID, text::SUBGID]
        .into_iter()
        .filter(|path| !has_range(host.text(path), user))
        .collect();
    let has_ids = without.is_empty();
    let ids = if has_ids {
        ids.ok(format!("{user} has a range"))
    } else {
        let what = format!(
            "no range of {IDS} ids for {user} in {}",
            without.join(" and ")
        );
        match &host.user_namespace {
            // Ids may come from another source, as configured in nsswitch.conf.
            Some(Trial::Works) => ids.warning(
                format!("{what}; creating a namespace works nevertheless"),
                &give_ids,
            ),
            _ => ids.missing(what, &give_ids),
        }
    };
    let namespace = match &host.user_namespace {
        Some(Trial::Works) => namespace.ok("available"),
        None => namespace.missing("not tested: unshare not found", remedy_of("unshare", host)),
        Some(Trial::Fails(why)) => {
            let remedy = if host.text(text::APPARMOR) == "1" {
                "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0, or run as root".into()
            } else if host.text(text::USERNS_CLONE) == "0" {
                "sudo sysctl kernel.unprivileged_userns_clone=1, or run as root".into()
            } else if host.text(text::MAX_NAMESPACES) == "0" {
                "sudo sysctl user.max_user_namespaces=15000, or run as root".into()
            } else if host.first_of(&["/usr/bin/newuidmap"]).is_none() {
                remedy_of("newuidmap", host)
            } else if has_ids {
                "run as root; in a container, allow it unshare and mount".into()
            } else {
                give_ids
            };
            namespace.missing(format!("cannot create a user namespace: {why}"), remedy)
        }
    };
    [ids, namespace]
}

/// True if `user` has enough ids in the text of `/etc/subuid` or `/etc/subgid`.
fn has_range(text: &str, user: &str) -> bool {
    text.lines().any(|line| {
        let mut fields = line.split(':');
        let owner = fields.next();
        let count = fields.nth(1).and_then(|count| count.trim().parse().ok());
        owner == Some(user) && count.is_some_and(|count: u64| count >= IDS)
    })
}
