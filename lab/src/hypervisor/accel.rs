//! What executes the machines' instructions: KVM where a probe boot of a stock kernel succeeds, TCG elsewhere.
//!
//! `/dev/kvm` being there proves nothing: inside some virtual machines it opens and a guest never gets
//! through its kernel's start. So a kernel is booted on it, with a deadline.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{ChildStderr, Command};

/// How long the probe boot may take; where KVM works it takes about a second.
pub const PROBE_DEADLINE: Duration = Duration::from_secs(8);

/// The device that KVM is used through.
pub const KVM_DEVICE: &str = "/dev/kvm";

/// What a kernel without a root file system says at the very end of its start.
const KERNEL_STARTED: &str = "Kernel panic - not syncing: VFS: Unable to mount root fs";

/// What executes a machine's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accelerator {
    /// The processor itself, through `/dev/kvm`.
    Kvm,
    /// QEMU's translator.
    Tcg,
}

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum AccelChoice {
    /// KVM where it works, otherwise TCG.
    #[default]
    Auto,
    /// KVM, or refuse to run.
    Kvm,
    /// TCG.
    Tcg,
}

/// An accelerator and a sentence that says why this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// The accelerator.
    pub accelerator: Accelerator,
    /// Why, for the user.
    pub reason: String,
}

/// Decides by a probe boot of `kernel`.
///
/// # Errors
/// A sentence that says why KVM does not work, when KVM was demanded.
pub async fn choose(choice: AccelChoice, kernel: &Path) -> Result<Chosen, String> {
    if choice == AccelChoice::Tcg {
        return Ok(Chosen {
            accelerator: Accelerator::Tcg,
            reason: "TCG, as asked for".into(),
        });
    }
    match try_kvm(kernel).await {
        Ok(()) => Ok(Chosen {
            accelerator: Accelerator::Kvm,
            reason: "KVM: a probe kernel booted on it".into(),
        }),
        Err(why) if choice == AccelChoice::Auto => Ok(Chosen {
            accelerator: Accelerator::Tcg,
            reason: format!("TCG, because {why}; machines run about ten times slower than on KVM"),
        }),
        Err(why) => Err(format!("KVM was demanded, but {why}")),
    }
}

/// Tries KVM by a probe boot of `kernel`.
///
/// # Errors
/// A sentence that says why it does not work.
pub async fn try_kvm(kernel: &Path) -> Result<(), String> {
    probe(Path::new(KVM_DEVICE), kernel, PROBE_DEADLINE).await
}

/// Boots `kernel` on KVM and waits until it has no root file system to go on with.
async fn probe(device: &Path, kernel: &Path, deadline: Duration) -> Result<(), String> {
    if let Err(error) = std::fs::File::options().read(true).write(true).open(device) {
        return Err(match error.kind() {
            io::ErrorKind::NotFound => format!("there is no {}", device.display()),
            _ => format!("{} cannot be opened: {error}", device.display()),
        });
    }
    let qemu = qemu_binary().ok_or("qemu-system-x86_64 is not installed")?;
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
        .map_err(|error| format!("QEMU could not be started: {error}"))?;
    let console = child.stdout.take();
    let complaints = tokio::spawn(complaints(child.stderr.take()));
    let started = tokio::time::timeout(deadline, find(console, KERNEL_STARTED)).await;
    // Best effort: `kill_on_drop` has the last word.
    let _ = child.kill().await;
    let complaints = complaints.await.unwrap_or_default();
    match started {
        Ok(Some(())) => Ok(()),
        _ if complaints.contains("KVM internal error") => {
            Err("QEMU reports a KVM internal error when a kernel starts on it".into())
        }
        Ok(None) => Err(format!(
            "QEMU ended before a probe kernel had started on KVM ({})",
            complaints.lines().next().unwrap_or("without a word")
        )),
        Err(_) => Err(format!(
            "a probe kernel did not start on KVM within {} s",
            deadline.as_secs()
        )),
    }
}

/// What QEMU says on its standard error; it says little.
async fn complaints(stream: Option<ChildStderr>) -> String {
    let mut text = Vec::new();
    if let Some(stream) = stream {
        // What was read before an error is all there is.
        let _ = stream.take(64 * 1024).read_to_end(&mut text).await;
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Reads lines until one contains `text`; `None` at the end of the stream.
async fn find(stream: Option<impl AsyncRead + Unpin>, text: &str) -> Option<()> {
    let mut lines = BufReader::new(stream?).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        if String::from_utf8_lossy(&line).contains(text) {
            return Some(());
        }
    }
    None
}

/// Where QEMU is.
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
        assert_eq!(why, "there is no /nonexistent/kvm");
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
            why.contains("QEMU ended before") || why.contains("not installed"),
            "{why}"
        );
    }

    #[tokio::test]
    async fn tcg_needs_no_probe() {
        let chosen = choose(AccelChoice::Tcg, Path::new("/nonexistent"))
            .await
            .unwrap();
        assert_eq!(chosen.accelerator, Accelerator::Tcg);
    }
}
