//! Collection of facts about the host: reads files, starts programs, opens devices. Judges nothing.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use lab_model::scenario::Scenario;
use tokio::process::Command;

use super::host::{Demand, Device, Host, Space, Trial, User, command, text};
use super::{Firmware, Piece, programs};
use crate::hypervisor::accel::{KVM_DEVICE, try_kvm};
use crate::runner::capacity::all_at_once_mib;

/// Folders of firmware descriptors: the administrator's, then the packages'.
const FIRMWARE: [&str; 2] = ["/etc/qemu/firmware", "/usr/share/qemu/firmware"];

/// Time limit of a program.
const ANSWER: Duration = Duration::from_secs(5);

/// Context of the collection.
#[derive(Debug)]
pub struct HostContext<'a> {
    /// Folder of images.
    pub cache: &'a Path,
    /// Folder of runs.
    pub artifacts: &'a Path,
    /// Folder of the stand-in, if it is built.
    pub stand_in: Option<&'a Path>,
    /// Kernels for the probe boot on KVM, best first.
    pub kernels: Vec<PathBuf>,
    /// Scenarios that are meant to run.
    pub scenarios: &'a [Scenario],
}

/// Collects all facts.
pub async fn gather(around: HostContext<'_>) -> Host {
    let mut host = what_runs_need();
    for asked in command::ALL {
        if let Some(output) = answer(asked).await {
            host.outputs.insert(asked.into(), output);
        }
    }
    host.kvm = open(Path::new(KVM_DEVICE));
    if host.kvm == Device::Opens {
        let readable = |path: &&PathBuf| File::open(path).is_ok();
        if let Some(kernel) = around.kernels.iter().find(readable) {
            host.probe = Some(match try_kvm(kernel).await {
                Ok(()) => Trial::Works,
                Err(why) => Trial::Fails(why.to_string()),
            });
        }
    }
    host.has_stand_in = around.stand_in.is_some();
    host.cache = space(around.cache);
    host.artifacts = space(around.artifacts);
    host.demand = demand(around.scenarios);
    host.absent_programs = programs::absent(around.scenarios.iter());
    host
}

/// Collects the facts that a run checks before it starts: files, user, devices. Starts no program except
/// `unshare`.
#[must_use]
pub fn what_runs_need() -> Host {
    let mut host = Host {
        os_release: fs::read_to_string("/etc/os-release").unwrap_or_default(),
        user: user(),
        tun: open(Path::new("/dev/net/tun")),
        open_files: rustix::process::getrlimit(rustix::process::Resource::Nofile).current,
        ..Host::default()
    };
    for path in Piece::all_paths() {
        if Path::new(path).exists() {
            host.files.insert(path.into());
        }
    }
    for path in text::ALL {
        if let Ok(text) = fs::read_to_string(path) {
            host.texts.insert(path.into(), text);
        }
    }
    host.firmware = firmware_descriptors();
    if !host.user.is_root {
        host.user_namespace = user_namespace();
    }
    host
}

/// Returns the descriptors of UEFI firmware that is on this host, by path.
#[must_use]
pub fn firmware_descriptors() -> BTreeMap<String, String> {
    let folders = FIRMWARE
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok());
    let paths = folders.flatten().flatten().map(|entry| entry.path());
    let texts = paths.filter_map(|path| {
        let text = fs::read_to_string(&path).ok()?;
        // A descriptor without its firmware file does not count.
        let is_there = Path::new(&Firmware::read(&text)?.code).exists();
        is_there.then(|| (path.display().to_string(), text))
    });
    texts.collect()
}

fn user() -> User {
    let id = rustix::process::geteuid();
    let account = nix::unistd::User::from_uid(id.as_raw().into());
    let name = account.ok().flatten().map(|account| account.name);
    User {
        name: name.unwrap_or_else(|| id.as_raw().to_string()),
        is_root: id.is_root(),
    }
}

fn open(path: &Path) -> Device {
    match File::options().read(true).write(true).open(path) {
        Ok(_) => Device::Opens,
        Err(error) if error.kind() == ErrorKind::NotFound => Device::Absent,
        Err(error) => Device::Refused(error.to_string()),
    }
}

/// Tries to create a user namespace like a cell's, with its own network and a mount.
fn user_namespace() -> Option<Trial> {
    let made = std::process::Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--map-auto",
            "--net",
            "--mount",
        ])
        .args(["--", "mount", "-t", "tmpfs", "tmpfs", "/run"])
        .stdin(Stdio::null())
        .output();
    match made {
        Ok(output) if output.status.success() => Some(Trial::Works),
        Ok(output) => Some(Trial::Fails(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        )),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => Some(Trial::Fails(error.to_string())),
    }
}

/// Returns the output of a program if it succeeds in time.
async fn answer(asked: &str) -> Option<String> {
    let mut words = asked.split(' ');
    let program = words.next()?;
    // An ordinary user's PATH often lacks these folders.
    let folders = ["/usr/sbin", "/sbin", "/usr/local/sbin"];
    let mut places = folders.iter().map(|folder| Path::new(folder).join(program));
    let program = places
        .find(|path| path.exists())
        .unwrap_or_else(|| program.into());
    let run = Command::new(program)
        .args(words)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(ANSWER, run).await.ok()?.ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}

fn space(folder: &Path) -> Space {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let existing = folder.ancestors().find(|path| path.exists());
    let stat = existing.and_then(|path| rustix::fs::statvfs(path).ok());
    Space {
        free_mib: stat.map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize) >> 20),
        folder,
    }
}

fn demand(scenarios: &[Scenario]) -> Option<Demand> {
    let sizes = |scenario: &Scenario| -> Vec<u32> {
        let nodes = scenario.nodes.iter();
        nodes.map(|node| node.memory_mib).collect()
    };
    let at_once = |scenario: &Scenario| all_at_once_mib(sizes(scenario).into_iter());
    let virtuals = || scenarios.iter().filter(|one| one.machines.is_virtual());
    let largest = virtuals().max_by_key(|scenario| at_once(scenario))?;
    let machine = virtuals().flat_map(sizes).max()?;
    Some(Demand {
        machine_mib: all_at_once_mib(std::iter::once(machine)),
        scenario_mib: at_once(largest),
        scenario: largest.name.clone(),
    })
}
