//! Served folder: names are looked up below it, and no link leads outside.
//!
//! A link may lead to another place in the same folder, or below one of the extra roots that the
//! configuration names. The opened file itself is checked: its location comes from `/proc/self/fd`, so that
//! no link can be swapped between the check and the opening.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags};

/// A folder, and where its links may lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    root: PathBuf,
    links: Links,
}

/// Permitted targets of links in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Links {
    /// Below the folder itself, or one of these.
    Below(Vec<PathBuf>),
    /// Anywhere: a folder that only the host's packages write.
    Anywhere,
}

/// Reasons that a name is not opened.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// No entry has this name.
    #[error("not found: `{0}`")]
    Missing(String),
    /// `..`, an absolute path, a NUL.
    #[error("refused: the path leads outside the folder")]
    PathOut,
    /// A symbolic link.
    #[error(
        "refused: `{0}` (symbolic link that leads outside the folder); list its target under `links_to`"
    )]
    LinkOut(String),
    /// Any other error of the kernel.
    #[error("`{name}`: {source}")]
    Failed {
        /// The name asked for.
        name: String,
        /// Error of the kernel.
        source: io::Error,
    },
}

impl Folder {
    /// Returns a folder whose links may lead to below itself or to below one of `links_to`.
    pub fn new(root: impl Into<PathBuf>, links_to: &[PathBuf]) -> Folder {
        Folder {
            root: root.into(),
            links: Links::Below(links_to.to_vec()),
        }
    }

    /// Returns a folder of the host's own packages, whose links may lead anywhere (Debian's `ipxe.efi` is a
    /// link to `/boot`).
    pub fn of_packages(root: impl Into<PathBuf>) -> Folder {
        Folder {
            root: root.into(),
            links: Links::Anywhere,
        }
    }

    /// Returns the folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Opens a file or a folder below it for reading; `name` is relative and may be empty.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn open(&self, name: &str) -> Result<File, FolderError> {
        let relative = Path::new(name);
        let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        if name.contains('\0') || !relative.components().all(plain) {
            return Err(FolderError::PathOut);
        }
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                FolderError::Missing(name.to_owned())
            }
            _ => FolderError::Failed {
                name: name.to_owned(),
                source,
            },
        };
        // Not blocking: a named pipe in the folder must not hold us up.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = rustix::fs::open(self.root.join(relative), flags, Mode::empty())
            .map_err(|error| failed(error.into()))?;
        let file = File::from(file);
        match self.holds(&file).map_err(failed)? {
            true => Ok(file),
            false => Err(FolderError::LinkOut(name.to_owned())),
        }
    }

    /// True if an open file lies at a permitted target of links.
    fn holds(&self, file: &File) -> io::Result<bool> {
        let Links::Below(others) = &self.links else {
            return Ok(true);
        };
        let place = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
        let is_below = |folder: &Path| {
            let real = folder.canonicalize();
            real.is_ok_and(|real| place.starts_with(real))
        };
        Ok(is_below(&self.root) || others.iter().any(|other| is_below(other)))
    }
}

impl From<PathBuf> for Folder {
    fn from(root: PathBuf) -> Folder {
        Folder::new(root, &[])
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use super::*;

    fn tree() -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        let at = |name: &str| tree.path().join(name);
        fs::create_dir_all(at("served/sub")).unwrap();
        fs::create_dir_all(at("images")).unwrap();
        fs::create_dir_all(at("served-too")).unwrap();
        fs::write(at("served/sub/kernel"), "kernel").unwrap();
        fs::write(at("images/initrd"), "initrd").unwrap();
        fs::write(at("served-too/x"), "beside").unwrap();
        fs::write(at("secret"), "secret").unwrap();
        symlink("sub/kernel", at("served/current")).unwrap();
        symlink(at("images"), at("served/images")).unwrap();
        symlink(at("secret"), at("served/out")).unwrap();
        symlink("../secret", at("served/relative-out")).unwrap();
        symlink("..", at("served/up")).unwrap();
        symlink(at("served-too/x"), at("served/beside")).unwrap();
        tree
    }

    fn read(folder: &Folder, name: &str) -> Result<String, FolderError> {
        let mut text = String::new();
        folder.open(name)?.read_to_string(&mut text).unwrap();
        Ok(text)
    }

    #[test]
    fn names_and_links_below_the_folder_are_opened() {
        let tree = tree();
        let folder = Folder::new(tree.path().join("served"), &[]);
        for name in ["sub/kernel", "current", "./sub/./kernel"] {
            assert_eq!(read(&folder, name).unwrap(), "kernel", "{name}");
        }
        assert!(folder.open("").unwrap().metadata().unwrap().is_dir());
        let missing = folder.open("nothing").unwrap_err();
        assert!(matches!(missing, FolderError::Missing(_)), "{missing}");
    }

    #[test]
    fn what_leads_out_is_refused_by_name_and_by_link() {
        let tree = tree();
        let folder = Folder::new(tree.path().join("served"), &[]);
        for name in ["../secret", "/etc/passwd", "sub/../../secret", "a\0b"] {
            let error = folder.open(name).unwrap_err();
            assert!(matches!(error, FolderError::PathOut), "{name}: {error}");
        }
        let links = [
            "out",
            "relative-out",
            "up/secret",
            "images/initrd",
            "up",
            "beside",
        ];
        for name in links {
            let error = folder.open(name).unwrap_err();
            assert!(matches!(error, FolderError::LinkOut(_)), "{name}: {error}");
        }
    }

    #[test]
    fn a_link_to_a_root_that_is_named_is_followed_and_no_other() {
        let tree = tree();
        let folder = Folder::new(tree.path().join("served"), &[tree.path().join("images")]);
        assert_eq!(read(&folder, "images/initrd").unwrap(), "initrd");
        assert!(matches!(folder.open("out"), Err(FolderError::LinkOut(_))));
        let packages = Folder::of_packages(tree.path().join("served"));
        assert_eq!(read(&packages, "out").unwrap(), "secret");
    }

    #[test]
    fn a_served_folder_may_itself_be_a_link() {
        let tree = tree();
        let link = tree.path().join("link");
        symlink(tree.path().join("served"), &link).unwrap();
        assert_eq!(read(&Folder::new(link, &[]), "current").unwrap(), "kernel");
    }

    #[test]
    fn a_named_pipe_does_not_hold_the_server_up() {
        let tree = tree();
        let pipe = tree.path().join("served/pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
        let file = Folder::new(tree.path().join("served"), &[]).open("pipe");
        assert!(!file.unwrap().metadata().unwrap().is_file());
    }
}
