//! Root file system of a service's own: a folder or an archive of one, such as an exported container image.
//!
//! The worker copies the root into the cell, so that nothing is written to the user's files. The service's first process is
//! this program in a new mount namespace: it binds what a service needs, changes its root, its user and its folder,
//! and executes the service's program.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lab_report::exit_code::ExitCode;
use rustix::mount::{UnmountFlags, mount_bind_recursive, unmount};
use rustix::process::pivot_root;
use serde::{Deserialize, Serialize};

/// Name of the hidden subcommand that enters a root.
pub const ROOT_COMMAND: &str = "cell-root";

/// Folder in which the outside is mounted while the root is prepared.
const OUTSIDE: &str = "/.lab-outside";

/// Folders of the cell that every root shows.
const SYSTEM: [&str; 3] = ["/dev", "/proc", "/sys"];

/// Folders in which a program without `/` is searched, unless the service sets `PATH`.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Root to enter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootJob {
    /// Folder in the cell, which becomes `/`.
    pub root: PathBuf,
    /// Folders of the cell that the root shows at the same paths.
    pub shown: Vec<PathBuf>,
    /// Working directory inside the root.
    pub dir: PathBuf,
    /// Folder that belongs to the user.
    pub state: PathBuf,
    /// Name in the root's `/etc/passwd`, or number; `None` for the cell's root.
    pub user: Option<String>,
}

/// Copies the folder, or unpacks the archive, to `root`, unless this was done before.
///
/// # Errors
/// Fails if `cp` or `tar` fails; the error has its first line.
pub(super) fn lay_out(from: &Path, root: &Path) -> io::Result<()> {
    if root.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(root)?;
    let mut command = match from.is_dir() {
        true => {
            let mut copy = Command::new("cp");
            copy.args(["--archive", "--no-target-directory", "--"]);
            copy.args([from, root]);
            copy
        }
        false => {
            let mut unpack = Command::new("tar");
            // Device files cannot be made in a cell of an ordinary user; the root shows the cell's.
            unpack.args(["--extract", "--preserve-permissions", "--exclude=dev/*"]);
            unpack.arg("--exclude=./dev/*").arg("--file").arg(from);
            unpack.arg("--directory").arg(root);
            unpack
        }
    };
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    // tar ends with a line that says only that something failed before.
    let first = said.lines().next().unwrap_or("no output").to_owned();
    Err(io::Error::other(first))
}

/// Enters the root and executes the program; returns only if that fails.
#[must_use]
pub fn enter(job: &str, command: &[String]) -> ExitCode {
    let error = match serde_json::from_str::<RootJob>(job) {
        Ok(job) => match prepare(&job) {
            Ok(()) => execute(&job, command),
            Err(error) => error,
        },
        Err(error) => RootError::new("read the job")(error.into()),
    };
    eprintln!("lab: {error}");
    ExitCode::Internal
}

/// Step that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what}: {source}")]
struct RootError {
    what: String,
    source: io::Error,
}

impl RootError {
    fn new(what: impl Into<String>) -> impl FnOnce(io::Error) -> RootError {
        let what = what.into();
        move |source| RootError { what, source }
    }
}

/// Replaces this process's root.
fn prepare(job: &RootJob) -> Result<(), RootError> {
    let outside = job.root.join(OUTSIDE.trim_start_matches('/'));
    let entering = || RootError::new(format!("enter {}", job.root.display()));
    fs::create_dir_all(&outside).map_err(entering())?;
    // A new root must be a mount (pivot_root(2)).
    mount_bind_recursive(&job.root, &job.root).map_err(|error| entering()(error.into()))?;
    std::env::set_current_dir(&job.root).map_err(entering())?;
    pivot_root(".", OUTSIDE.trim_start_matches('/')).map_err(|error| entering()(error.into()))?;
    std::env::set_current_dir("/").map_err(entering())?;
    // Links in the root lead into the root from here on.
    let system = SYSTEM.map(PathBuf::from);
    for folder in system.iter().chain(&job.shown) {
        show(folder).map_err(RootError::new(format!("show {}", folder.display())))?;
    }
    let names = Path::new("/etc/resolv.conf");
    if seen_from_outside(names).is_file() && Path::new("/etc").is_dir() {
        // A link may lead to a folder that the root does not have.
        let shown = show_file(names);
        shown.unwrap_or_else(|error| eprintln!("lab: no {}: {error}", names.display()));
    }
    unmount(OUTSIDE, UnmountFlags::DETACH)
        .map_err(|error| RootError::new("leave the cell's root")(error.into()))?;
    // Best effort: an empty folder that nobody reads.
    let _ = fs::remove_dir(OUTSIDE);
    Ok(())
}

fn seen_from_outside(path: &Path) -> PathBuf {
    Path::new(OUTSIDE).join(path.strip_prefix("/").unwrap_or(path))
}

fn show(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    Ok(mount_bind_recursive(seen_from_outside(folder), folder)?)
}

fn show_file(file: &Path) -> io::Result<()> {
    File::options().create(true).append(true).open(file)?;
    Ok(mount_bind_recursive(seen_from_outside(file), file)?)
}

/// Executes the program as the job's user; returns the reason if that is impossible.
fn execute(job: &RootJob, words: &[String]) -> RootError {
    let Some((name, arguments)) = words.split_first() else {
        return RootError::new("execute a program")(io::Error::other("empty command"));
    };
    let path = std::env::var("PATH").unwrap_or_else(|_| PATH.into());
    let Some(program) = find(name, &path) else {
        let absent = io::Error::new(io::ErrorKind::NotFound, "not found in the root file system");
        return RootError::new(format!("execute {name}"))(absent);
    };
    let mut command = Command::new(&program);
    command.args(arguments).current_dir(&job.dir);
    if let Some(user) = &job.user {
        let table = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let Some((id, group)) = ids(&table, user) else {
            let absent = io::Error::new(io::ErrorKind::NotFound, "not in the root's /etc/passwd");
            return RootError::new(format!("become {user}"))(absent);
        };
        if let Err(error) = chown(&job.state, Some(id), Some(group)) {
            return RootError::new(format!("give {} to {user}", job.state.display()))(error);
        }
        command.uid(id).gid(group);
    }
    RootError::new(format!("execute {}", program.display()))(command.exec())
}

fn find(name: &str, path: &str) -> Option<PathBuf> {
    let is_program = |file: &PathBuf| {
        let data = file.metadata();
        data.is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
    };
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(is_program);
    }
    let folders = std::env::split_paths(OsStr::new(path));
    folders.map(|folder| folder.join(name)).find(is_program)
}

/// Returns the ids of a user and its group by the text of `/etc/passwd`; a number is its own id.
fn ids(table: &str, user: &str) -> Option<(u32, u32)> {
    if let Ok(id) = user.parse() {
        return Some((id, id));
    }
    table.lines().find_map(|line| {
        let mut fields = line.split(':');
        let is_it = fields.next()? == user;
        let (id, group) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        is_it.then_some((id, group))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_a_name_are_those_of_the_roots_own_table() {
        let table = "root:x:0:0::/:/bin/sh\nkea:x:101:102::/:/bin/false\n";
        assert_eq!(ids(table, "kea"), Some((101, 102)));
        assert_eq!(ids(table, "1000"), Some((1000, 1000)));
        assert_eq!(ids(table, "nginx"), None);
    }

    #[test]
    fn lay_out_archive_that_is_none_is_refused_with_tars_words() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("root.tar");
        fs::write(&file, "no archive").unwrap();
        let error = lay_out(&file, &folder.path().join("root")).unwrap_err();
        assert!(error.to_string().contains("tar archive"), "{error}");
    }
}
