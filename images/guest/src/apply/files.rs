//! Writing files: parents, mode, owner, and never half a file under its name.

use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use super::{ApplyError, Machine};
use crate::config::File;

/// Mode of a file that asks for none.
const DEFAULT_MODE: u32 = 0o644;
/// Mode of folders made on the way.
const FOLDER_MODE: u32 = 0o755;

/// `path` as an absolute one, with `.` and `..` taken away; nothing leads above the root.
#[must_use]
pub fn clean(path: &str) -> PathBuf {
    let mut cleaned = PathBuf::from("/");
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => cleaned.push(name),
            Component::ParentDir => {
                cleaned.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    cleaned
}

/// Returns the location of the machine's `path` for this process.
#[must_use]
pub fn under(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> ApplyError + use<> {
    let path = path.to_owned();
    move |source| ApplyError::File {
        path: path.clone(),
        source,
    }
}

/// Makes a folder and those above it.
///
/// # Errors
/// [`ApplyError::File`].
pub fn make_folders(machine: &Machine<'_>, folder: &Path) -> Result<(), ApplyError> {
    let place = under(machine.root, folder);
    if place.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        make_folders(machine, parent)?;
    }
    std::fs::create_dir(&place)
        .and_then(|()| {
            std::fs::set_permissions(&place, std::fs::Permissions::from_mode(FOLDER_MODE))
        })
        .map_err(failed(folder))
}

/// Any octal number will do, and nine bits of it count: the reference makes a Go file mode of it,
/// whose set-id and sticky bits are elsewhere.
fn mode(file: &File, path: &Path) -> Result<u32, ApplyError> {
    if file.permissions.is_empty() {
        return Ok(DEFAULT_MODE);
    }
    u32::from_str_radix(&file.permissions, 8)
        .ok()
        .map(|mode| mode & 0o777)
        .ok_or_else(|| ApplyError::Permissions {
            path: path.to_owned(),
            permissions: file.permissions.clone(),
        })
}

/// Writes one file and says so; answers its cleaned path.
///
/// # Errors
/// [`ApplyError`]; then the file is unchanged.
pub fn write(file: &File, machine: &mut Machine<'_>) -> Result<PathBuf, ApplyError> {
    let path = clean(&file.path);
    make_folders(machine, path.parent().unwrap_or(Path::new("/")))?;
    let mode = mode(file, &path)?;
    let place = under(machine.root, &path);
    let temporary = Temporary(place.with_file_name(format!(
        ".cloud-config-{}-{}",
        std::process::id(),
        path.file_name().unwrap_or_default().to_string_lossy()
    )));
    let fail = failed(&path);
    let mut target = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary.0)
        .map_err(&fail)?;
    target.write_all(&file.content).map_err(&fail)?;
    if !file.owner.is_empty() {
        machine.system.change_owner(&temporary.0, &file.owner)?;
    }
    target
        .set_permissions(std::fs::Permissions::from_mode(mode))
        .map_err(&fail)?;
    std::fs::rename(&temporary.0, &place).map_err(&fail)?;
    std::mem::forget(temporary);
    let owner = if file.owner.is_empty() {
        "root"
    } else {
        &file.owner
    };
    machine.say(format!(
        "wrote {} ({} bytes, mode {mode:04o}, owner {owner})",
        path.display(),
        file.content.len()
    ));
    Ok(path)
}

/// A file that is taken away again unless it got its real name.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::clean;
    use std::path::Path;

    #[test]
    fn no_path_leads_above_the_root() {
        assert_eq!(clean("/opt/../../../etc/./a//b"), Path::new("/etc/a/b"));
        assert_eq!(clean("rel/a"), Path::new("/rel/a"));
        assert_eq!(clean(".."), Path::new("/"));
    }
}
