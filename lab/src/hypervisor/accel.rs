//! Choice of the accelerator: KVM if a probe boot of a stock kernel succeeds, otherwise TCG.
//!
//! The existence of `/dev/kvm` proves nothing: in some virtual machines it can be opened, but a guest kernel
//! never starts. A kernel is therefore booted on it, with a time limit.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{ChildStderr, Command};

/// Time limit of the probe boot, which takes about a second on working KVM.
pub const PROBE_DEADLINE: Duration = Duration::from_secs(8);

/// Validity of a remembered probe failure. `--accel kvm` and `lab doctor` always probe again.
const REMEMBERED: Duration = Duration::from_secs(30 * 60);

/// Name of the file with the last failure.
const MEMORY_FILE: &str = "kvm-probe.json";

/// Device file of KVM.
pub const KVM_DEVICE: &str = "/dev/kvm";

/// Last message of a kernel that starts without a root file system.
const KERNEL_STARTED: &str = "Kernel panic - not syncing: VFS: Unable to mount root fs";

/// Accelerator of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accelerator {
    /// Hardware virtualisation through `/dev/kvm`
    Kvm,
    /// QEMU's translation of instructions
    Tcg,
}

/// Value of `--accel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum AccelChoice {
    /// KVM if it works, otherwise TCG
    #[default]
    Auto,
    /// KVM, or refuse to run
    Kvm,
    /// TCG only
    Tcg,
}

/// Accelerator, and a sentence with the reason for its choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    pub accelerator: Accelerator,
    /// Reason, for the user.
    pub reason: String,
}

/// Reason why KVM is not used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KvmError {
    /// There is no device.
    #[error("{} does not exist", .0.display())]
    NoDevice(PathBuf),
    /// The device cannot be opened.
    #[error("cannot open {}: {message}", device.display())]
    Device { device: PathBuf, message: String },
    /// QEMU is missing.
    #[error("qemu-system-x86_64 is not installed")]
    NoQemu,
    /// QEMU cannot be started.
    #[error("cannot start QEMU: {0}")]
    Start(String),
    /// KVM fails on the first instructions of a kernel.
    #[error("QEMU reports a KVM internal error when a kernel starts on it")]
    Internal,
    /// QEMU ended; with the first line of its output.
    #[error("QEMU ended before a probe kernel had started on KVM ({0})")]
    Ended(String),
    /// The kernel did not start in time.
    #[error("a probe kernel did not start on KVM within {} s", .0.as_secs())]
    Hung(Duration),
}

/// KVM was requested, but does not work.
#[derive(Debug, Error)]
#[error("KVM was requested, but {0}")]
pub struct NoKvm(#[source] KvmError);

/// Chooses the accelerator by a probe boot of `kernel`; a recent failure is remembered in the folder `memory`.
///
/// # Errors
/// [`NoKvm`] if KVM was requested and does not work.
pub async fn choose(choice: AccelChoice, kernel: &Path, memory: &Path) -> Result<Chosen, NoKvm> {
    if choice == AccelChoice::Tcg {
        return Ok(Chosen {
            accelerator: Accelerator::Tcg,
            reason: "TCG, as requested".into(),
        });
    }
    let memory = memory.join(MEMORY_FILE);
    if choice == AccelChoice::Auto
        && let Some(failure) = Failure::remembered(&memory)
    {
        let why = format!(
            "{} (tried {} min ago)",
            failure.why,
            failure.age().as_secs() / 60
        );
        return Ok(tcg(&why));
    }
    let tried = try_kvm(kernel).await;
    match &tried {
        Ok(()) => Failure::forget(&memory),
        Err(why) => Failure::now(&why.to_string()).remember(&memory),
    }
    match tried {
        Ok(()) => Ok(Chosen {
            accelerator: Accelerator::Kvm,
            reason: "KVM: a probe kernel booted on it".into(),
        }),
        Err(why) if choice == AccelChoice::Auto => Ok(tcg(&why.to_string())),
        Err(why) => Err(NoKvm(why)),
    }
}

fn tcg(why: &str) -> Chosen {
    Chosen {
        accelerator: Accelerator::Tcg,
        reason: format!("TCG, because {why}; machines run about ten times slower than on KVM"),
    }
}

/// Failed probe boot, remembered because a failure takes seconds to detect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Failure {
    /// Host boot id, and modification time of the QEMU binary in seconds.
    host: (String, u64),
    /// Time of the failure, in seconds since 1970.
    at_seconds: u64,
    why: String,
}

impl Failure {
    fn now(why: &str) -> Failure {
        Failure {
            host: Failure::host(),
            at_seconds: seconds(SystemTime::now()),
            why: why.to_owned(),
        }
    }

    fn host() -> (String, u64) {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        let qemu = qemu_binary().and_then(|path| path.metadata().ok()?.modified().ok());
        (
            boot.unwrap_or_default().trim().to_owned(),
            qemu.map_or(0, seconds),
        )
    }

    fn age(&self) -> Duration {
        Duration::from_secs(seconds(SystemTime::now()).saturating_sub(self.at_seconds))
    }

    /// Returns a remembered failure that is still valid. A missing device is checked anew, because that is fast.
    fn remembered(file: &Path) -> Option<Failure> {
        let failure: Failure = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
        let counts = failure.host == Failure::host() && failure.age() < REMEMBERED;
        (counts && Path::new(KVM_DEVICE).exists()).then_some(failure)
    }

    fn remember(&self, file: &Path) {
        let kept = serde_json::to_vec(self)
            .map_err(io::Error::from)
            .and_then(|text| {
                let fresh = file.with_extension(format!("fresh-{}", std::process::id()));
                std::fs::create_dir_all(file.parent().unwrap_or(file))?;
                std::fs::write(&fresh, text)?;
                std::fs::rename(fresh, file)
            });
        if let Err(error) = kept {
            // Without the file, the next run probes again.
            tracing::debug!(%error, file = %file.display(), "not remembered");
        }
    }

    fn forget(file: &Path) {
        // The file usually does not exist.
        let _ = std::fs::remove_file(file);
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Tests KVM by a probe boot of `kernel`.
///
/// # Errors
/// [`KvmError`] with the reason why KVM does not work.
pub async fn try_kvm(kernel: &Path) -> Result<(), KvmError> {
    probe(Path::new(KVM_DEVICE), kernel, PROBE_DEADLINE).await
}

/// Boots `kernel` on KVM and waits until it reports a missing root file system.
async fn probe(device: &Path, kernel: &Path, deadline: Duration) -> Result<(), KvmError> {
    if let Err(error) = std::fs::File::options().read(true).write(true).open(device) {
        let device = device.to_owned();
        return Err(match error.kind() {
            io::ErrorKind::NotFound => KvmError::NoDevice(device),
            _ => KvmError::Device {
                device,
                message: error.to_string(),
            },
        });
    }
    let qemu = qemu_binary().ok_or(KvmError::NoQemu)?;
    let mut child = Command::new(qemu)
        .args(["-accel", "kvm", "-cpu", "host", "-m", "256", "-nodefaults"])
        .args(["-display", "none", "-no-reboot", "-serial", "stdio"])
        .arg("-kernel")
        .arg(kernel)
        .args(["-append", "console=ttyS0 panic=-1"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| KvmError::Start(error.to_string()))?;
    let console = child.stdout.take();
    let complaints = tokio::spawn(complaints(child.stderr.take()));
    let started = tokio::time::timeout(deadline, find(console, KERNEL_STARTED)).await;
    // Best effort: `kill_on_drop` kills the process in any case.
    let _ = child.kill().await;
    let complaints = complaints.await.unwrap_or_default();
    match started {
        Ok(Some(())) => Ok(()),
        _ if complaints.contains("KVM internal error") => Err(KvmError::Internal),
        Ok(None) => {
            let first = complaints.lines().next().unwrap_or("no message");
            Err(KvmError::Ended(first.to_owned()))
        }
        Err(_) => Err(KvmError::Hung(deadline)),
    }
}

/// Returns the standard error of QEMU, which is short.
async fn complaints(stream: Option<ChildStderr>) -> String {
    let mut text = Vec::new();
    if let Some(stream) = stream {
        // Text read before an error is kept.
        let _ = stream.take(64 * 1024).read_to_end(&mut text).await;
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Reads lines until one contains `text`; returns `None` at the end of the stream.
async fn find(stream: Option<impl AsyncRead + Unpin>, text: &str) -> Option<()> {
    let mut lines = BufReader::new(stream?).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        if String::from_utf8_lossy(&line).contains(text) {
            return Some(());
        }
    }
    None
}

/// Returns the path of QEMU.
#[must_use]
pub fn qemu_binary() -> Option<PathBuf> {
    [
        "/usr/bin/qemu-system-x86_64",
        "/usr/local/bin/qemu-system-x86_64",
    ]
    .iter()
    .map(PathBuf::from)
    .find(|path| path.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_host_without_kvm_gets_a_sentence_that_says_so() {
        let why = probe(
            Path::new("/nonexistent/kvm"),
            Path::new("/nonexistent/vmlinuz"),
            Duration::ZERO,
        )
        .await
        .unwrap_err();
        assert_eq!(why, KvmError::NoDevice("/nonexistent/kvm".into()));
        assert_eq!(why.to_string(), "/nonexistent/kvm does not exist");
    }

    #[tokio::test]
    async fn a_kernel_that_never_starts_is_not_kvm_that_works() {
        // An openable file in the place of the device, and no kernel: QEMU ends at once.
        let why = probe(
            Path::new("/dev/null"),
            Path::new("/nonexistent/vmlinuz"),
            PROBE_DEADLINE,
        )
        .await
        .unwrap_err();
        assert!(
            matches!(why, KvmError::Ended(_) | KvmError::NoQemu),
            "{why}"
        );
    }

    #[tokio::test]
    async fn tcg_needs_no_probe() {
        let nowhere = Path::new("/nonexistent");
        let chosen = choose(AccelChoice::Tcg, nowhere, nowhere).await.unwrap();
        assert_eq!(chosen.accelerator, Accelerator::Tcg);
    }

    #[test]
    fn a_failure_counts_on_the_same_boot_for_half_an_hour() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cache").join(MEMORY_FILE);
        let now = Failure::now("it hung");
        let has_device = Path::new(KVM_DEVICE).exists();
        let is_remembered = |failure: &Failure| {
            failure.remember(&file);
            Failure::remembered(&file).is_some()
        };
        assert_eq!(is_remembered(&now), has_device);
        let earlier = Failure {
            at_seconds: now.at_seconds - REMEMBERED.as_secs(),
            ..now.clone()
        };
        assert!(!is_remembered(&earlier));
        let of_another_boot = Failure {
            host: ("other".into(), now.host.1),
            ..now.clone()
        };
        assert!(!is_remembered(&of_another_boot));
        assert_eq!(is_remembered(&now), has_device);
        Failure::forget(&file);
        assert_eq!(Failure::remembered(&file), None);
    }
}
