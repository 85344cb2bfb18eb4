//! Copying of folders: a folder is surveyed within limits before anything is written.
//!
//! Links in a data directory are followed as the boot server follows them (`boot_server_catalog::beneath`);
//! links in a run folder are refused. A copy has no links, no special files and no set-uid bits.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use boot_server_catalog::beneath;
use rustix::fs::{Dir, OFlags, Stat, fstat};
use rustix::io::Errno;

use super::folder::{Folder, Kind, Refused};

/// Treatment of symbolic links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// A link is an error.
    Refused,
    /// Links inside the folder are followed; dangling, outward and recursive links are left out.
    Beneath,
}

/// Treatment of special files (FIFOs, sockets, devices), and of items beyond a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beyond {
    /// Refuse with an error.
    Refused,
    /// Leave them out.
    LeftOut,
}

/// Limits of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub links: Links,
    /// Treatment of special files and of what exceeds the other limits.
    pub beyond: Beyond,
    /// Maximum nesting of folders.
    pub depth: usize,
    /// Maximum number of files and folders.
    pub count: usize,
    /// Maximum size of one file, in bytes.
    pub file_bytes: u64,
    /// Maximum size of all files, in bytes.
    pub total_bytes: u64,
}

impl Limits {
    /// Limits for artifacts of a run, whose captures may be large.
    pub const ARTIFACTS: Limits = Limits {
        links: Links::Refused,
        beyond: Beyond::Refused,
        depth: 16,
        count: 100_000,
        file_bytes: 4 << 30,
        total_bytes: 16 << 30,
    };

    /// Limits for a data directory or a scenario.
    pub const DATA: Limits = Limits {
        links: Links::Beneath,
        beyond: Beyond::Refused,
        depth: 16,
        count: 100_000,
        file_bytes: 4 << 30,
        total_bytes: 16 << 30,
    };
}

/// Reason why a folder is not copied.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct TreeError {
    /// File or folder at fault.
    pub path: PathBuf,
    /// Error; contains a [`Refused`] if a limit is the reason.
    #[source]
    pub source: io::Error,
}

impl From<TreeError> for io::Error {
    fn from(error: TreeError) -> io::Error {
        io::Error::new(error.source.kind(), error)
    }
}

/// File or folder to copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Path below the surveyed folder; a folder comes before what is in it.
    pub relative: PathBuf,
    /// True for a folder.
    pub is_folder: bool,
    /// Size of a file in bytes.
    pub size_bytes: u64,
}

/// Surveyed folder.
#[derive(Debug)]
pub struct Tree {
    root: Folder,
    limits: Limits,
    /// Files and folders to copy.
    pub found: Vec<Found>,
    /// Paths left out.
    pub left_out: Vec<PathBuf>,
}

/// Enclosing folders by device and inode.
type Around = Vec<(u64, u64)>;

impl Tree {
    /// Surveys the folder `path`, which the user named, without entries for which `skip` is true.
    ///
    /// # Errors
    /// [`TreeError`].
    pub fn survey(
        path: &Path,
        limits: Limits,
        skip: impl Fn(&Path) -> bool,
    ) -> Result<Tree, TreeError> {
        let root = Folder::open(path).map_err(at(path))?;
        Tree::of(root, limits, skip)
    }

    /// Surveys an open folder.
    ///
    /// # Errors
    /// [`TreeError`].
    pub fn of(
        root: Folder,
        limits: Limits,
        skip: impl Fn(&Path) -> bool,
    ) -> Result<Tree, TreeError> {
        let mut tree = Tree {
            root,
            limits,
            found: Vec::new(),
            left_out: Vec::new(),
        };
        let top = fstat(tree.root.fd()).map_err(|error| tree.error(Path::new(""), error))?;
        let mut total_bytes = 0;
        let mut around = vec![identity(&top)];
        tree.look_into(Path::new(""), &mut around, &mut total_bytes, &skip)?;
        Ok(tree)
    }

    fn look_into(
        &mut self,
        folder: &Path,
        around: &mut Around,
        total_bytes: &mut u64,
        skip: &impl Fn(&Path) -> bool,
    ) -> Result<(), TreeError> {
        let opened = self.open(folder, OFlags::RDONLY | OFlags::DIRECTORY);
        let opened = opened.map_err(|error| self.error(folder, error))?;
        let names = names(opened).map_err(|error| self.error(folder, error))?;
        for name in names {
            let relative = folder.join(&name);
            if skip(&relative) {
                continue;
            }
            let stat = match self.open(&relative, OFlags::PATH) {
                Ok(file) => fstat(&file).map_err(|error| self.error(&relative, error))?,
                // The boot server ignores dangling, outward and recursive links as well.
                Err(error) if self.limits.links == Links::Beneath && is_dead_end(&error) => {
                    self.left_out.push(relative);
                    continue;
                }
                Err(error) => return Err(self.error(&relative, error)),
            };
            match Kind::of(&stat) {
                Kind::Folder if around.contains(&identity(&stat)) => self.left_out.push(relative),
                Kind::Folder if around.len() > self.limits.depth => {
                    let limit = self.limits.depth;
                    self.beyond(relative, Refused::TooDeep { limit })?;
                }
                Kind::Folder => {
                    if !self.add(relative.clone(), true, 0)? {
                        return Ok(());
                    }
                    around.push(identity(&stat));
                    self.look_into(&relative, around, total_bytes, skip)?;
                    around.pop();
                }
                Kind::File => {
                    let size_bytes = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
                    let all_bytes = total_bytes.saturating_add(size_bytes);
                    let Limits {
                        file_bytes,
                        total_bytes: most_bytes,
                        ..
                    } = self.limits;
                    if size_bytes > file_bytes {
                        self.beyond(
                            relative,
                            Refused::TooLarge {
                                limit_bytes: file_bytes,
                            },
                        )?;
                    } else if all_bytes > most_bytes {
                        self.beyond(
                            relative,
                            Refused::TooLarge {
                                limit_bytes: most_bytes,
                            },
                        )?;
                    } else if self.add(relative, false, size_bytes)? {
                        *total_bytes = all_bytes;
                    } else {
                        return Ok(());
                    }
                }
                Kind::Special(kind) => self.beyond(relative, Refused::Special(kind))?,
                Kind::Link => return Err(self.error(&relative, Refused::Link)),
            }
        }
        Ok(())
    }

    /// Refuses or leaves out an item beyond a limit.
    fn beyond(&mut self, relative: PathBuf, why: Refused) -> Result<(), TreeError> {
        match self.limits.beyond {
            Beyond::Refused => Err(self.error(&relative, why)),
            Beyond::LeftOut => {
                self.left_out.push(relative);
                Ok(())
            }
        }
    }

    /// Adds an item; returns false if the limit is reached, which ends the survey.
    fn add(&mut self, relative: PathBuf, is_folder: bool, size: u64) -> Result<bool, TreeError> {
        let limit = self.limits.count;
        if self.found.len() >= limit {
            self.beyond(relative, Refused::TooMany { limit })?;
            return Ok(false);
        }
        self.found.push(Found {
            relative,
            is_folder,
            size_bytes: size,
        });
        Ok(true)
    }

    /// Copies everything into the folder `to`, which is created; existing files of the same name are replaced.
    ///
    /// # Errors
    /// [`TreeError`].
    pub fn copy_to(&self, to: &Path) -> Result<(), TreeError> {
        fs::create_dir_all(to).map_err(at(to))?;
        for found in &self.found {
            self.copy(found, to)?;
        }
        Ok(())
    }

    /// Copies one file, or creates one folder, below the folder `to`.
    ///
    /// # Errors
    /// [`TreeError`].
    pub fn copy(&self, found: &Found, to: &Path) -> Result<(), TreeError> {
        let target = to.join(&found.relative);
        if found.is_folder {
            return match fs::create_dir(&target) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                made => made.map_err(at(&target)),
            };
        }
        let file = self.file(found)?;
        let mode = file.metadata().map_err(at(&target))?;
        let mode = std::os::unix::fs::PermissionsExt::mode(&mode.permissions());
        let mut fresh = create(&target, 0o644 | (mode & 0o111)).map_err(at(&target))?;
        // Limited to the surveyed size, in case the file grows.
        io::copy(&mut file.take(self.limits.file_bytes), &mut fresh)
            .map(drop)
            .map_err(at(&target))
    }

    /// Reads one of the files.
    ///
    /// # Errors
    /// [`TreeError`].
    pub fn read(&self, found: &Found) -> Result<Vec<u8>, TreeError> {
        let mut bytes = Vec::new();
        let file = self.file(found)?;
        file.take(self.limits.file_bytes)
            .read_to_end(&mut bytes)
            .map_err(|error| self.error(&found.relative, error))?;
        Ok(bytes)
    }

    fn file(&self, found: &Found) -> Result<File, TreeError> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let opened = self.open(&found.relative, flags).and_then(|file| {
            Kind::of(&fstat(&file)?).regular()?;
            Ok(file)
        });
        opened.map_err(|error| self.error(&found.relative, error))
    }

    fn open(&self, relative: &Path, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::CLOEXEC;
        match self.limits.links {
            Links::Beneath => {
                let name = match relative.as_os_str().is_empty() {
                    true => OsStr::new("."),
                    false => relative.as_os_str(),
                };
                Ok(beneath::open(self.root.fd(), name, flags)?)
            }
            Links::Refused => {
                let parent = relative.parent().unwrap_or(Path::new(""));
                let folder = self.root.below(parent)?;
                let name = relative.file_name().unwrap_or(OsStr::new("."));
                let flags = flags | OFlags::NOFOLLOW;
                Ok(rustix::fs::openat(folder.fd(), name, flags, rustix::fs::Mode::empty())?.into())
            }
        }
    }

    fn error(&self, relative: &Path, source: impl Into<io::Error>) -> TreeError {
        TreeError {
            path: self.root.path().join(relative),
            source: source.into(),
        }
    }
}

/// Creates a new file; an existing file or link of that name is removed first.
fn create(path: &Path, mode: u32) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            options.open(path)
        }
        opened => opened,
    }
}

/// True for dangling, outward and recursive links.
fn is_dead_end(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(
        errno,
        Some(Errno::NOENT | Errno::XDEV | Errno::LOOP | Errno::NOTDIR)
    )
}

fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> TreeError {
    let path = path.to_owned();
    move |source| TreeError { path, source }
}

/// Returns the sorted names in an open folder.
fn names(folder: impl AsFd) -> io::Result<Vec<std::ffi::OsString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            if names.len() >= super::folder::ENTRY_LIMIT {
                let limit = super::folder::ENTRY_LIMIT;
                return Err(Refused::TooMany { limit }.into());
            }
            names.push(OsStr::from_bytes(name).to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
