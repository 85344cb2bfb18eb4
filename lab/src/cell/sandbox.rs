//! File system of a cell: the host's, with private, empty folders for the state of libvirt, QEMU and dnsmasq;
//! and the loopback interface, which is brought up.
//!
//! Only `/run`, `/sys`, libvirt's own folders and, if necessary, the user database are covered, so that project,
//! cache and artifacts remain accessible in any location.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, mount, mount_bind, mount_bind_recursive};
use thiserror::Error;

/// Folder of a cell with its own namespaces: sockets, assets, copies of changed files.
pub const CELL_DIR: &str = "/run/lab";

/// Environment variable with the folder of a cell on the host's own libvirt, where several cells may exist at
/// once.
pub const CELL_DIR_VARIABLE: &str = "LAB_CELL_DIR";

/// Returns the folder of this process's cell.
#[must_use]
pub fn cell_dir() -> PathBuf {
    std::env::var_os(CELL_DIR_VARIABLE).map_or_else(|| CELL_DIR.into(), PathBuf::from)
}

/// Folders for the state of libvirt and its helpers; each is private to the cell.
const PRIVATE_DIRS: [&str; 4] = [
    "/etc/libvirt",
    "/var/lib/libvirt",
    "/var/cache/libvirt",
    "/var/log/libvirt",
];

/// User and group that Debian's libvirt looks up before it reads its configuration, even if that names others;
/// the package `libvirt-daemon` alone does not create them.
const LIBVIRT_USER: &str = "libvirt-qemu";

/// Error of setting up the sandbox.
#[derive(Debug, Error)]
#[error("the cell cannot {what}: {source}")]
pub struct SandboxError {
    what: String,
    source: io::Error,
}

/// Adds the current action to an error.
trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, SandboxError>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, SandboxError> {
        self.map_err(|error| SandboxError {
            what: what(),
            source: error.into(),
        })
    }
}

/// Sets up the sandbox; must be called once, in fresh namespaces, before any thread is started.
///
/// # Errors
/// [`SandboxError`] with the current action.
pub fn enter() -> Result<(), SandboxError> {
    tmpfs(Path::new("/run"))?;
    // The host's /sys shows the host's network interfaces; a fresh mount shows the cell's.
    mount("sysfs", "/sys", "sysfs", MountFlags::empty(), None).doing(|| "mount /sys".into())?;
    let cell_dir = Path::new(CELL_DIR);
    fs::create_dir(cell_dir).doing(|| format!("create {CELL_DIR}"))?;
    for dir in PRIVATE_DIRS {
        private_dir(Path::new(dir))?;
    }
    // libvirt writes leases and dnsmasq's configuration here, but does not create the folder without privileges.
    fs::create_dir_all("/var/lib/libvirt/dnsmasq").doing(|| "create a folder".into())?;
    add_libvirt_user(cell_dir)?;
    loopback_up()
}

/// Creates the folder of a cell on the host's own libvirt. QEMU runs as another user and creates sockets in it.
///
/// # Errors
/// [`SandboxError`] with the current action.
pub fn enter_on_host(folder: &Path) -> Result<(), SandboxError> {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir_all(folder).doing(|| format!("create {}", folder.display()))?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o1777))
        .doing(|| format!("open {}", folder.display()))
}

fn tmpfs(target: &Path) -> Result<(), SandboxError> {
    mount(
        "tmpfs",
        target,
        "tmpfs",
        MountFlags::NOSUID | MountFlags::NODEV,
        Some(c"mode=0755"),
    )
    .doing(|| format!("mount a tmpfs on {}", target.display()))
}

/// Covers `dir` with an empty folder; if the host has no such folder, its parent is rebuilt first.
fn private_dir(dir: &Path) -> Result<(), SandboxError> {
    if !dir.is_dir() {
        if let Some(parent) = dir.parent() {
            rebuild(parent)?;
        }
        fs::create_dir(dir).doing(|| format!("create {}", dir.display()))?;
    }
    tmpfs(dir)
}

/// Replaces `dir` by a private folder with the same entries, each bound to the original, so that entries can be
/// added without changing the host.
fn rebuild(dir: &Path) -> Result<(), SandboxError> {
    let staged = PathBuf::from(CELL_DIR).join("rebuild");
    fs::create_dir_all(&staged).doing(|| format!("create {}", staged.display()))?;
    tmpfs(&staged)?;
    for entry in fs::read_dir(dir).doing(|| format!("read {}", dir.display()))? {
        let entry = entry.doing(|| format!("read {}", dir.display()))?;
        let (from, to) = (entry.path(), staged.join(entry.file_name()));
        let kind = entry
            .file_type()
            .doing(|| format!("look at {}", from.display()))?;
        if kind.is_symlink() {
            let target = fs::read_link(&from).doing(|| format!("read {}", from.display()))?;
            std::os::unix::fs::symlink(target, &to).doing(|| format!("link {}", to.display()))?;
            continue;
        }
        if kind.is_dir() {
            fs::create_dir(&to).doing(|| format!("create {}", to.display()))?;
        } else {
            fs::write(&to, "").doing(|| format!("create {}", to.display()))?;
        }
        mount_bind_recursive(&from, &to).doing(|| format!("bind {}", from.display()))?;
    }
    mount_bind_recursive(&staged, dir).doing(|| format!("replace {}", dir.display()))
}

fn add_libvirt_user(cell_dir: &Path) -> Result<(), SandboxError> {
    for (file, line) in [
        (
            "/etc/passwd",
            format!("{LIBVIRT_USER}:x:64055:64055::/:/usr/sbin/nologin\n"),
        ),
        ("/etc/group", format!("{LIBVIRT_USER}:x:64055:\n")),
    ] {
        let mut text = fs::read_to_string(file).doing(|| format!("read {file}"))?;
        let known = text
            .lines()
            .any(|known| known.split(':').next() == Some(LIBVIRT_USER));
        if known {
            continue;
        }
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&line);
        let copy = cell_dir.join(file.trim_start_matches("/etc/"));
        fs::write(&copy, text).doing(|| format!("write {}", copy.display()))?;
        mount_bind(&copy, file).doing(|| format!("replace {file}"))?;
    }
    Ok(())
}

fn loopback_up() -> Result<(), SandboxError> {
    let status = std::process::Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .status()
        .doing(|| "run `ip`".into())?;
    if status.success() {
        return Ok(());
    }
    Err(io::Error::other(status.to_string())).doing(|| "bring the loopback interface up".into())
}
