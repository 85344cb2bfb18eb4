//! Cells on the host's own libvirt (`--connect`): their objects have the run's mark (`hypervisor::mark`) and are
//! removed by it.
//!
//! Machines end with the connection that created them. A network does not, so that it remains after a kill; the
//! folder of a killed run is no longer locked, which identifies it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use crate::hypervisor::mark::{LOCKS, host_id};
use crate::hypervisor::{Hypervisor, HypervisorError, Kind, Marked};

/// Name of the lock file, locked as long as the run exists.
const LOCK: &str = "lock";

/// Time limit for libvirt to answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// Returns the folder of a run's cell.
#[must_use]
pub fn folder(run_id: &str) -> PathBuf {
    Path::new(LOCKS).join(run_id)
}

/// Locks the folder of a run; the lock lasts as long as the result is held.
///
/// # Errors
/// Fails if the folder does not exist.
pub fn hold(folder: &Path) -> io::Result<File> {
    let file = File::create(folder.join(LOCK))?;
    flock(&file, FlockOperation::LockShared)?;
    Ok(file)
}

/// True if a process holds the run's lock.
fn is_held(run_id: &str) -> bool {
    images::store::is_held(&folder(run_id).join(LOCK))
}

/// Removes a run's machines and network. Returns the removed objects.
///
/// # Errors
/// [`HypervisorError`] if libvirt refuses.
pub async fn remove(uri: &str, run_id: &str) -> Result<Vec<String>, HypervisorError> {
    let hypervisor = Hypervisor::open(uri, DEADLINE).await?;
    remove_of(&hypervisor, run_id, host_id().as_deref()).await
}

async fn remove_of(
    hypervisor: &Hypervisor,
    run_id: &str,
    host_id: Option<&str>,
) -> Result<Vec<String>, HypervisorError> {
    let mut removed = Vec::new();
    for marked in hypervisor.marked().await? {
        if marked.mark.run_id == run_id && is_ours(&marked, host_id) {
            removed.push(remove_one(hypervisor, &marked).await?);
        }
    }
    Ok(removed)
}

/// True for objects of a run on this host: they have the host's mark and are transient.
fn is_ours(marked: &Marked, host_id: Option<&str>) -> bool {
    host_id.is_some() && marked.mark.host_id.as_deref() == host_id && !marked.is_persistent
}

async fn remove_one(hypervisor: &Hypervisor, marked: &Marked) -> Result<String, HypervisorError> {
    let name = &marked.name;
    match marked.kind {
        Kind::Machine => {
            hypervisor.destroy_domain(name).await?;
            Ok(format!("machine {name}"))
        }
        Kind::Network => {
            hypervisor.destroy_network(name).await?;
            Ok(format!("network {name}"))
        }
    }
}

/// Removes a run's folder with its sockets and mount points. Must be called outside the cell, because the image
/// is mounted there inside.
///
/// # Errors
/// Fails if the folder cannot be removed, or if anything is mounted in it.
pub fn remove_folder(run_id: &str) -> io::Result<()> {
    let folder = folder(run_id);
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    if has_mounts(&mounts, &folder) {
        return Err(io::Error::other(format!(
            "cannot remove {}: a file system is mounted in it",
            folder.display()
        )));
    }
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// True if a file system is mounted below the folder, by `/proc/self/mountinfo` (proc_pid_mountinfo(5)).
fn has_mounts(mounts: &str, folder: &Path) -> bool {
    let points = mounts
        .lines()
        .filter_map(|line| line.split_whitespace().nth(4));
    points.map(Path::new).any(|point| point.starts_with(folder))
}

/// Result of `lab gc` on a libvirt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// Removed machines, networks and folders.
    pub removed: Vec<String>,
    /// Machines and networks with the mark of a run whose state is unknown here.
    pub left: Vec<String>,
}

/// Removes leftovers of dead runs. Names prove nothing: only transient objects with the mark of a run on this
/// host are removed.
///
/// # Errors
/// [`HypervisorError`] if libvirt refuses.
pub async fn remove_dead(uri: &str) -> Result<Swept, HypervisorError> {
    let hypervisor = Hypervisor::open(uri, DEADLINE).await?;
    let host_id = host_id();
    let mut swept = Swept::default();
    for marked in hypervisor.marked().await? {
        let run = &marked.mark.run_id;
        if !is_ours(&marked, host_id.as_deref()) {
            let why = match marked.is_persistent {
                true => "persistent: not made by `lab`",
                false => "of a run on another host or in another container",
            };
            swept.left.push(format!("{} ({why})", marked.name));
        } else if is_run_id(run) && !is_held(run) {
            let removed = remove_one(&hypervisor, &marked).await?;
            swept.removed.push(removed);
        }
    }
    for entry in fs::read_dir(LOCKS).into_iter().flatten().flatten() {
        let run = entry.file_name().to_string_lossy().into_owned();
        if !is_run_id(&run) || is_held(&run) {
            continue;
        }
        match folder(&run).is_dir().then(|| remove_folder(&run)) {
            Some(Ok(())) => {
                let removed = format!("folder {}", folder(&run).display());
                swept.removed.push(removed);
            }
            Some(Err(error)) => tracing::warn!(%error, "cannot remove the folder of a run"),
            None => {}
        }
    }
    Ok(swept)
}

fn is_run_id(text: &str) -> bool {
    let is_digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    text.len() == 6 && text.chars().all(is_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_a_mount_in_it_is_left_alone() {
        let mounts = "36 35 98:0 / /run/bootlab/4f2a11/assets/coreos rw - ext3 /dev/root rw\n\
                      37 35 98:0 / /run/bootlab/bbbbbbb rw - ext3 /dev/root rw\n";
        assert!(has_mounts(mounts, &folder("4f2a11")));
        assert!(!has_mounts(mounts, &folder("bbbbbb")));
    }

    /// A network on libvirt's test driver.
    async fn network(hypervisor: &Hypervisor, name: &str, octet: u8, mark: &str) {
        let xml = format!(
            "<network><name>{name}</name><metadata>{mark}</metadata>\
             <ip address='10.9.{octet}.1' netmask='255.255.255.0'/></network>"
        );
        hypervisor.create_network(xml).await.unwrap();
    }

    #[tokio::test]
    async fn what_has_a_runs_name_and_not_its_mark_stays() {
        let hypervisor = Hypervisor::open("test:///default", DEADLINE).await.unwrap();
        let mark = |run: &str, host: &str| {
            format!("<lab:run xmlns:lab='urn:bootlab:run' id='{run}' host='{host}'/>")
        };
        network(&hypervisor, "any-name", 1, &mark("4f2a11", "own")).await;
        for (name, octet, mark) in [
            ("lab-4f2a11-net", 2, String::new()),
            ("lab-facade-web", 3, mark("4f2a11", "another")),
            ("lab-bbbbbb-net", 4, mark("bbbbbb", "own")),
        ] {
            network(&hypervisor, name, octet, &mark).await;
        }
        let removed = remove_of(&hypervisor, "4f2a11", Some("own"));
        let removed = removed.await.unwrap();
        assert_eq!(removed, ["network any-name"]);
        let mut left = hypervisor.network_names().await.unwrap();
        left.sort();
        let expected = [
            "default",
            "lab-4f2a11-net",
            "lab-bbbbbb-net",
            "lab-facade-web",
        ];
        assert_eq!(left, expected);
        assert_eq!(hypervisor.domain_names().await.unwrap(), ["test"]);
    }

    #[test]
    fn what_is_persistent_or_of_no_host_is_nobodys_to_remove() {
        let marked = |host_id: Option<&str>, is_persistent| Marked {
            kind: Kind::Machine,
            name: "lab-4f2a11-node1".into(),
            mark: crate::hypervisor::mark::RunMark {
                run_id: "4f2a11".into(),
                host_id: host_id.map(str::to_owned),
            },
            is_persistent,
        };
        assert!(is_ours(&marked(Some("h"), false), Some("h")));
        assert!(!is_ours(&marked(Some("h"), true), Some("h")));
        assert!(!is_ours(&marked(Some("other"), false), Some("h")));
        assert!(!is_ours(&marked(None, false), Some("h")));
        assert!(!is_ours(&marked(None, false), None));
    }
}
