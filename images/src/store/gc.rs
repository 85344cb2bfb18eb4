//! Clears what has not been used for long, and what is too much.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::hold::is_held;
use super::{Store, StoreError, USED_FILE, folders_in};
use crate::Progress;

/// Limits that decide what is removed from the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Images not used for so long.
    pub older_than: Option<Duration>,
    /// Images beyond so many bytes, those not used for longest first.
    pub at_most_bytes: Option<u64>,
}

/// Summary of what was removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cleared {
    /// Folders of images.
    pub images: Vec<PathBuf>,
    /// Folders of images that would have gone, had no lab served them.
    pub held: Vec<PathBuf>,
    /// Bytes that are free now.
    pub freed_bytes: u64,
    /// Bytes that images still take.
    pub kept_bytes: u64,
}

/// An image's folder, whole or not.
#[derive(Debug)]
struct Candidate {
    path: PathBuf,
    used: SystemTime,
    is_held: bool,
    /// Inodes and bytes of its files: links to one object count once.
    files: Vec<(u64, u64)>,
}

impl Store {
    /// Clears by `limits`. Waits until nobody fetches. `built` are folders of images that are built on this
    /// host (a folder each in them), of which those in `keep` are in use. What a lab serves ([`super::Hold`])
    /// stays as well.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn clear(
        &self,
        limits: Limits,
        now: SystemTime,
        built: &[PathBuf],
        keep: &[PathBuf],
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Cleared, StoreError> {
        let (path, lock) = self.lock_file()?;
        if lock.try_lock().is_err() {
            progress(Progress::Waiting);
            lock.lock().map_err(StoreError::file(&path))?;
        }
        let mut candidates: Vec<Candidate> = self
            .image_folders()
            .into_iter()
            .chain(built.iter().flat_map(|folder| folders_in(folder)))
            .filter_map(|path| Candidate::look_at(&path))
            .collect();
        // Those used last come first, and what is in use before them all.
        candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.used));
        let stays = |candidate: &Candidate| candidate.is_held || keep.contains(&candidate.path);
        candidates.sort_by_key(|candidate| !stays(candidate));
        let mut cleared = Cleared::default();
        let mut kept = HashSet::new();
        for candidate in candidates {
            // What an image that stays has anyway costs nothing.
            let own = candidate
                .files
                .iter()
                .filter(|(inode, _)| !kept.contains(inode));
            let bytes: u64 = own.map(|(_, bytes)| bytes).sum();
            let age = now.duration_since(candidate.used).unwrap_or_default();
            let too_old = limits.older_than.is_some_and(|limit| age > limit);
            let too_much = limits
                .at_most_bytes
                .is_some_and(|limit| cleared.kept_bytes + bytes > limit);
            let goes = too_old || too_much;
            if goes && candidate.is_held {
                cleared.held.push(candidate.path.clone());
            }
            if goes && !stays(&candidate) {
                std::fs::remove_dir_all(&candidate.path)
                    .map_err(StoreError::file(&candidate.path))?;
                if !candidate.path.starts_with(&self.folder) {
                    cleared.freed_bytes += bytes;
                }
                cleared.images.push(candidate.path);
            } else {
                cleared.kept_bytes += bytes;
                kept.extend(candidate.files.iter().map(|(inode, _)| *inode));
            }
        }
        cleared.freed_bytes += self.clear_unlinked()?;
        cleared.freed_bytes += self.clear_partial(limits, now)?;
        Ok(cleared)
    }

    fn image_folders(&self) -> Vec<PathBuf> {
        let mut level = vec![self.folder.join("images")];
        for _ in 0..4 {
            level = level.iter().flat_map(|folder| folders_in(folder)).collect();
        }
        level
    }

    /// Objects that no image has any more.
    fn clear_unlinked(&self) -> Result<u64, StoreError> {
        remove_files(&self.folder.join("sha256"), |file| file.nlink() == 1)
    }

    /// Removes abandoned downloads: by age, or all of them when space is needed.
    fn clear_partial(&self, limits: Limits, now: SystemTime) -> Result<u64, StoreError> {
        remove_files(&self.partial(), |file| {
            let used = file.modified().unwrap_or(now);
            let age = now.duration_since(used).unwrap_or_default();
            limits.at_most_bytes.is_some() || limits.older_than.is_some_and(|limit| age > limit)
        })
    }
}

impl Candidate {
    fn look_at(path: &Path) -> Option<Candidate> {
        let used = std::fs::metadata(path.join(USED_FILE))
            .or_else(|_| std::fs::metadata(path))
            .and_then(|there| there.modified())
            .ok()?;
        let mut files: Vec<(u64, u64)> = std::fs::read_dir(path)
            .ok()?
            .flatten()
            .filter_map(|entry| entry.metadata().ok())
            .filter(std::fs::Metadata::is_file)
            .map(|file| (file.ino(), file.len()))
            .collect();
        files.sort_unstable();
        files.dedup();
        Some(Candidate {
            path: path.to_owned(),
            used,
            is_held: is_held(path),
            files,
        })
    }
}

fn remove_files(
    folder: &Path,
    mut goes: impl FnMut(&std::fs::Metadata) -> bool,
) -> Result<u64, StoreError> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(0);
    };
    let mut freed = 0;
    for entry in entries.flatten() {
        let path = entry.path();
        let Ok(file) = entry.metadata() else { continue };
        if file.is_file() && goes(&file) {
            std::fs::remove_file(&path).map_err(StoreError::file(&path))?;
            freed += file.len();
        }
    }
    Ok(freed)
}
