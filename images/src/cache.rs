//! Finished folders in the cache: each is made beside its place and moved there as a whole, under
//! a lock that two builds at once cannot both hold.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use crate::{ImageError, Progress};

/// Folders under construction begin with this; what is left of them is rubbish.
const UNDER_CONSTRUCTION: &str = ".building-";

/// Folder of finished entries, each in its own subfolder.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
}

/// The right to build in a cache; given back when dropped, or when the process dies.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Cache {
    /// Returns the cache in `folder`, which is created on first use.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Cache { folder }
    }

    /// Returns the path of the entry called `name`, even if unfinished or missing.
    #[must_use]
    pub fn place(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Waits until no other process builds here, and removes what a dead builder left.
    ///
    /// # Errors
    /// [`ImageError::File`] when the cache cannot be written.
    pub fn lock(&self, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Lock, ImageError> {
        std::fs::create_dir_all(&self.folder).map_err(ImageError::file(&self.folder))?;
        let path = self.folder.join("lock");
        let file = File::create(&path).map_err(ImageError::file(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                progress(Progress::Waiting);
                file.lock().map_err(ImageError::file(&path))?;
            }
            Err(TryLockError::Error(source)) => return Err(ImageError::File { path, source }),
        }
        self.clear();
        Ok(Lock { _file: file })
    }

    fn clear(&self) {
        let Ok(entries) = std::fs::read_dir(&self.folder) else {
            return;
        };
        for entry in entries.flatten() {
            if entry
                .file_name()
                .to_string_lossy()
                .starts_with(UNDER_CONSTRUCTION)
            {
                // Rubbish that stays does no harm but to the disk.
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }

    /// Returns a new folder in the cache, which is removed when dropped.
    ///
    /// # Errors
    /// [`ImageError::File`] when the cache cannot be written.
    pub(crate) fn scratch(&self, _lock: &Lock) -> Result<tempfile::TempDir, ImageError> {
        tempfile::Builder::new()
            .prefix(UNDER_CONSTRUCTION)
            .tempdir_in(&self.folder)
            .map_err(ImageError::file(&self.folder))
    }

    /// Makes the thing called `name`: `make` fills a new folder, which then takes its place.
    ///
    /// # Errors
    /// What `make` returns, or [`ImageError::File`]; then nothing is at the place that was not
    /// there before.
    pub fn make(
        &self,
        lock: &Lock,
        name: &str,
        make: impl FnOnce(&Path) -> Result<(), ImageError>,
    ) -> Result<PathBuf, ImageError> {
        let building = self.scratch(lock)?;
        make(building.path())?;
        // What is served from here is read by other users' servers too.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(building.path(), open)
            .map_err(ImageError::file(building.path()))?;
        let place = self.place(name);
        if place.exists() {
            std::fs::remove_dir_all(&place).map_err(ImageError::file(&place))?;
        }
        std::fs::rename(building.path(), &place).map_err(ImageError::file(&place))?;
        let _ = building.keep();
        Ok(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silent(_: Progress<'_>) {}

    #[test]
    fn a_thing_is_there_only_when_it_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().join("things"));
        let lock = cache.lock(&mut silent).unwrap();
        let place = cache.place("a");
        cache
            .make(&lock, "a", |building| {
                assert!(!place.exists());
                std::fs::write(building.join("file"), "x").unwrap();
                Ok(())
            })
            .unwrap();
        assert_eq!(std::fs::read(place.join("file")).unwrap(), b"x");
    }

    #[test]
    fn a_failed_build_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().to_owned());
        let lock = cache.lock(&mut silent).unwrap();
        let failed = cache.make(&lock, "a", |_| Err(ImageError::Host("x".into())));
        assert!(failed.is_err());
        let names: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(names, ["lock"]);
    }

    #[test]
    fn what_a_dead_builder_left_is_cleared_by_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let rubbish = folder.path().join(".building-dead");
        std::fs::create_dir(&rubbish).unwrap();
        let cache = Cache::new(folder.path().to_owned());
        let _lock = cache.lock(&mut silent).unwrap();
        assert!(!rubbish.exists());
    }

    #[test]
    fn a_second_builder_says_that_it_waits_and_goes_on_when_the_first_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().to_owned());
        let first = cache.lock(&mut silent).unwrap();
        let (said, heard) = std::sync::mpsc::channel();
        let second = {
            let cache = cache.clone();
            std::thread::spawn(move || {
                cache
                    .lock(&mut |progress| said.send(progress == Progress::Waiting).unwrap())
                    .is_ok()
            })
        };
        assert!(
            heard
                .recv_timeout(std::time::Duration::from_secs(20))
                .unwrap()
        );
        drop(first);
        assert!(second.join().unwrap());
    }
}
