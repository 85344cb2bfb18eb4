//! The state of a data directory's files at one moment, to be compared with a later one.
//!
//! A load that lies between two equal stamps has read one state: nobody wrote, renamed or swapped anything
//! meanwhile. On a file system of another host the kernel tells of no change, and what it knows of a file may
//! be seconds old: there the contents count, and a stamp is also how a change is noticed.

use std::collections::hash_map::DefaultHasher;
use std::fs::{self, Metadata};
use std::hash::{Hash, Hasher};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::source::Source;

/// Entries of a data directory that hold what is served.
const SERVED: [&str; 7] = [
    "config.yaml",
    "specs",
    "groups",
    "profiles",
    "cloud",
    "ignition",
    "generic",
];
/// Maximum depth of folders that are compared.
const MAX_DEPTH: usize = 6;
/// Maximum number of files and folders that are compared.
const MAX_ENTRIES: usize = 500_000;
/// Size of the largest file whose content is compared: no loader reads larger ones.
const MAX_BYTES: u64 = 64 << 20;

/// Magic numbers of file systems whose files other hosts change (`statfs(2)`, Linux' `magic.h`).
const REMOTE: [u32; 11] = [
    0x0000_6969, // NFS
    0xff53_4d42, // CIFS
    0xfe53_4d42, // SMB2
    0x0000_517b, // SMB
    0x6573_5546, // FUSE: sshfs, GlusterFS, s3fs
    0x0102_1997, // 9P
    0x00c3_6400, // Ceph
    0x7375_7245, // Coda
    0x5346_414f, // AFS
    0x0161_1970, // GFS2
    0x7461_636f, // OCFS2
];

/// Attributes of the files that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// Inode, size and times: exact on a file system of this host.
    Metadata,
    /// Names and contents.
    Content,
}

/// The state of all files that may be served. Equal stamps mean equal states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(u64);

impl Stamp {
    /// Looks at the files of a data directory. Reads files: not for an async task.
    pub fn take(source: &Source, compare: Compare) -> Stamp {
        let mut walk = Walk {
            compare,
            hasher: DefaultHasher::new(),
            entries: 0,
        };
        for name in SERVED {
            name.hash(&mut walk.hasher);
            walk.entry(&source.root.join(name), 0);
        }
        if let Some(file) = &source.groups_file {
            walk.entry(file, 0);
        }
        Stamp(walk.hasher.finish())
    }
}

/// True if the file system is one whose files other hosts change without a sign.
pub fn is_remote(path: &Path) -> bool {
    // `f_type` is signed and of the word's size on most architectures; the number is one of 32 bits.
    rustix::fs::statfs(path).is_ok_and(|found| REMOTE.contains(&(found.f_type as u32)))
}

struct Walk {
    compare: Compare,
    hasher: DefaultHasher,
    entries: usize,
}

impl Walk {
    fn entry(&mut self, path: &Path, depth: usize) {
        self.entries += 1;
        if self.entries > MAX_ENTRIES || depth > MAX_DEPTH {
            return;
        }
        let Ok(found) = fs::metadata(path) else {
            "missing".hash(&mut self.hasher);
            return;
        };
        if found.is_dir() {
            self.folder(path, depth);
        } else if self.compare == Compare::Content && found.is_file() && found.len() <= MAX_BYTES {
            self.content(path);
        } else {
            self.metadata(&found);
        }
    }

    fn folder(&mut self, path: &Path, depth: usize) {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
        names.sort_unstable();
        names.len().hash(&mut self.hasher);
        for name in names {
            name.hash(&mut self.hasher);
            self.entry(&path.join(&name), depth + 1);
        }
    }

    fn metadata(&mut self, found: &Metadata) {
        (found.dev(), found.ino(), found.size()).hash(&mut self.hasher);
        (found.mtime(), found.mtime_nsec()).hash(&mut self.hasher);
        (found.ctime(), found.ctime_nsec()).hash(&mut self.hasher);
    }

    fn content(&mut self, path: &Path) {
        let mut content = Vec::new();
        let read = fs::OpenOptions::new()
            .read(true)
            // It may have become a FIFO.
            .custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32)
            .open(path)
            .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut content));
        read.is_ok().hash(&mut self.hasher);
        content.hash(&mut self.hasher);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn stamps(root: &Path) -> [Stamp; 2] {
        [Compare::Metadata, Compare::Content].map(|way| Stamp::take(&Source::of(root), way))
    }

    #[test]
    fn stamp_of_changed_files_differs_and_of_untouched_ones_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join(".v1/cloud")).unwrap();
        fs::create_dir_all(root.join(".v2/cloud")).unwrap();
        fs::write(root.join(".v1/cloud/a"), "one").unwrap();
        fs::write(root.join(".v2/cloud/a"), "two").unwrap();
        symlink(".v1", root.join("..data")).unwrap();
        symlink("..data/cloud", root.join("cloud")).unwrap();
        let mut last = stamps(root);
        assert_eq!(stamps(root), last);
        let changes: [&dyn Fn(); 4] = [
            &|| fs::write(root.join(".v1/cloud/a"), "ONE").unwrap(),
            &|| {
                symlink(".v2", root.join("..tmp")).unwrap();
                fs::rename(root.join("..tmp"), root.join("..data")).unwrap();
            },
            &|| fs::create_dir(root.join("groups")).unwrap(),
            &|| fs::rename(root.join(".v2/cloud/a"), root.join(".v2/cloud/b")).unwrap(),
        ];
        for (number, change) in changes.iter().enumerate() {
            change();
            let now = stamps(root);
            assert_ne!(now[0], last[0], "metadata after change {number}");
            assert_ne!(now[1], last[1], "content after change {number}");
            last = now;
        }
    }

    #[test]
    fn stamp_of_a_directory_with_link_loops_and_a_fifo_ends() {
        let dir = tempfile::tempdir().unwrap();
        let cloud = dir.path().join("cloud");
        fs::create_dir(&cloud).unwrap();
        symlink(".", cloud.join("a")).unwrap();
        symlink(".", cloud.join("b")).unwrap();
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
        rustix::fs::mknodat(rustix::fs::CWD, cloud.join("fifo"), kind, mode, 0).unwrap();
        assert_eq!(stamps(dir.path()), stamps(dir.path()));
    }
}
