//! Cells on the host's own libvirt (`--connect`): what they make there carries the run's id, and is removed by it.
//!
//! Machines go with the connection that made them. A network does not, so that one of a run that was killed stays;
//! the folder of such a run is not locked any more, and that is how it is known.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use crate::hypervisor::{Hypervisor, HypervisorError};

/// Where cells on the host's libvirt have their folders.
const FOLDERS: &str = "/run/bootlab";

/// Held as long as the run is there.
const LOCK: &str = "lock";

/// How long libvirt may take to answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// The folder of a run's cell.
#[must_use]
pub fn folder(run_id: &str) -> PathBuf {
    Path::new(FOLDERS).join(run_id)
}

/// Says that the run of this folder is there, as long as the result is held.
///
/// # Errors
/// When the folder is not there.
pub fn hold(folder: &Path) -> io::Result<File> {
    let file = File::create(folder.join(LOCK))?;
    flock(&file, FlockOperation::LockShared)?;
    Ok(file)
}

/// Whether somebody holds the run.
fn is_held(run_id: &str) -> bool {
    images::store::is_held(&folder(run_id).join(LOCK))
}

/// Removes a run's machines and its network. Returned is what there was.
///
/// # Errors
/// [`HypervisorError`] when libvirt refuses.
pub async fn remove(uri: &str, run_id: &str) -> Result<Vec<String>, HypervisorError> {
    let hypervisor = Hypervisor::open(uri, DEADLINE).await?;
    remove_of(&hypervisor, run_id).await
}

async fn remove_of(hypervisor: &Hypervisor, run_id: &str) -> Result<Vec<String>, HypervisorError> {
    let mut removed = Vec::new();
    for domain in hypervisor.domain_names().await? {
        if run_of(&domain) == Some(run_id) {
            hypervisor.destroy_domain(&domain).await?;
            removed.push(format!("machine {domain}"));
        }
    }
    for network in hypervisor.network_names().await? {
        if run_of(&network) == Some(run_id) {
            hypervisor.destroy_network(&network).await?;
            removed.push(format!("network {network}"));
        }
    }
    Ok(removed)
}

/// Removes a run's folder: sockets, and mount points of what was served. To be called outside of the cell: inside,
/// the image itself is mounted there, and nothing is removed.
///
/// # Errors
/// When it can't be removed, or something is mounted in it.
pub fn remove_folder(run_id: &str) -> io::Result<()> {
    let folder = folder(run_id);
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    if has_mounts(&mounts, &folder) {
        return Err(io::Error::other(format!(
            "{}: something is mounted there",
            folder.display()
        )));
    }
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether something is mounted below the folder, by `/proc/self/mountinfo` (proc_pid_mountinfo(5)).
fn has_mounts(mounts: &str, folder: &Path) -> bool {
    let points = mounts
        .lines()
        .filter_map(|line| line.split_whitespace().nth(4));
    points.map(Path::new).any(|point| point.starts_with(folder))
}

/// Removes what runs have left that are not there any more. Returned is what there was.
///
/// # Errors
/// [`HypervisorError`] when libvirt refuses.
pub async fn remove_dead(uri: &str) -> Result<Vec<String>, HypervisorError> {
    let hypervisor = Hypervisor::open(uri, DEADLINE).await?;
    let mut runs: BTreeSet<String> = BTreeSet::new();
    let domains = hypervisor.domain_names().await?;
    let networks = hypervisor.network_names().await?;
    let named = domains
        .iter()
        .chain(&networks)
        .filter_map(|name| run_of(name));
    runs.extend(named.map(str::to_owned));
    for entry in fs::read_dir(FOLDERS).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_run_id(&name) {
            runs.insert(name);
        }
    }
    let mut removed = Vec::new();
    for run in runs {
        if !is_held(&run) {
            removed.extend(remove_of(&hypervisor, &run).await?);
            match folder(&run).is_dir().then(|| remove_folder(&run)) {
                Some(Ok(())) => removed.push(format!("folder {}", folder(&run).display())),
                Some(Err(error)) => tracing::warn!(%error, "not removed"),
                None => {}
            }
        }
    }
    Ok(removed)
}

/// The run that made something of this name in libvirt: `lab-4f2a11-node1` is of run `4f2a11`.
fn run_of(name: &str) -> Option<&str> {
    let (run, rest) = name.strip_prefix("lab-")?.split_once('-')?;
    (is_run_id(run) && !rest.is_empty()).then_some(run)
}

fn is_run_id(text: &str) -> bool {
    let is_digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    text.len() == 6 && text.chars().all(is_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_carries_a_runs_id_is_a_runs() {
        assert_eq!(run_of("lab-4f2a11-node1"), Some("4f2a11"));
        assert_eq!(run_of("lab-4f2a11-net"), Some("4f2a11"));
        for other in [
            "default",
            "lab-",
            "lab-4f2a11",
            "lab-4f2a11-",
            "lab-4F2A11-x",
            "lab-web-1",
            "mylab-4f2a11-x",
        ] {
            assert_eq!(run_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_folder_with_a_mount_in_it_is_left_alone() {
        let mounts = "36 35 98:0 / /run/bootlab/4f2a11/assets/coreos rw - ext3 /dev/root rw\n\
                      37 35 98:0 / /run/bootlab/bbbbbbb rw - ext3 /dev/root rw\n";
        assert!(has_mounts(mounts, &folder("4f2a11")));
        assert!(!has_mounts(mounts, &folder("bbbbbb")));
    }

    #[tokio::test]
    async fn what_is_somebody_elses_stays() {
        // libvirt's test driver has a machine and a network of its own.
        let hypervisor = Hypervisor::open("test:///default", DEADLINE).await.unwrap();
        assert_eq!(
            remove_of(&hypervisor, "4f2a11").await.unwrap(),
            Vec::<String>::new()
        );
        assert_eq!(hypervisor.domain_names().await.unwrap(), ["test"]);
        assert_eq!(hypervisor.network_names().await.unwrap(), ["default"]);
        let xml = |name: &str| {
            format!(
                "<network><name>{name}</name><ip address='10.9.8.1' netmask='255.255.255.0'/></network>"
            )
        };
        for name in ["lab-4f2a11-net", "lab-bbbbbb-net"] {
            hypervisor.create_network(xml(name)).await.unwrap();
        }
        let removed = remove_of(&hypervisor, "4f2a11").await.unwrap();
        assert_eq!(removed, ["network lab-4f2a11-net"]);
        let left = hypervisor.network_names().await.unwrap();
        assert!(left.contains(&"default".into()) && left.contains(&"lab-bbbbbb-net".into()));
    }
}
