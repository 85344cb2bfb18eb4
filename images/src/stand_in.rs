//! The stand-in: an image that boots like CoreOS, built from the host distribution's packages.
//!
//! Two levels, each kept by the hash of what goes into it: the base (packages, the only step that
//! needs the network) and the image (base + our own files + the guest agent). A changed agent or
//! boot script makes only the second anew.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::cache::{Cache, Lock};
use crate::recipe::{self, FILES, Level};
use crate::verify::digest::sha256_of_file;
use crate::{
    FileEntry, INITRD_FILE, Image, ImageError, ImageKind, KERNEL_FILE, MANIFEST_FILE, Manifest,
    Progress, run,
};

/// The stand-in's version, in os-release and in reports.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The processor the image is for.
const ARCHITECTURE: &str = "amd64";

/// The distribution release that packages are taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// `debian` or `ubuntu`.
    pub distribution: String,
    /// `bookworm`, `noble`, …
    pub codename: String,
}

impl Release {
    /// Reads the text of an os-release file.
    ///
    /// # Errors
    /// [`ImageError::Host`] when it is neither Debian nor Ubuntu, or names no release.
    pub fn parse(os_release: &str) -> Result<Self, ImageError> {
        let field = |key: &str| {
            os_release
                .lines()
                .filter_map(|line| line.split_once('='))
                .find(|(name, _)| *name == key)
                .map(|(_, value)| value.trim_matches(['"', '\'']).to_owned())
                .unwrap_or_default()
        };
        let release = Release {
            distribution: field("ID"),
            codename: field("VERSION_CODENAME"),
        };
        let known = matches!(release.distribution.as_str(), "debian" | "ubuntu");
        if known && !release.codename.is_empty() {
            return Ok(release);
        }
        Err(ImageError::Host(format!(
            "ID={} VERSION_CODENAME={}",
            field("ID"),
            field("VERSION_CODENAME")
        )))
    }

    /// This host's release.
    ///
    /// # Errors
    /// [`ImageError::File`], [`ImageError::Host`].
    pub fn of_this_host() -> Result<Self, ImageError> {
        let path = Path::new("/etc/os-release");
        Release::parse(&std::fs::read_to_string(path).map_err(ImageError::file(path))?)
    }
}

/// Finds and builds the stand-in.
#[derive(Debug, Clone)]
pub struct StandIn {
    bases: Cache,
    images: Cache,
    agent: PathBuf,
    release: Release,
}

impl StandIn {
    /// Returns the stand-in kept under `cache` (in `images/stand-in/<key>`), with `agent` as its guest
    /// agent: the `guest-agent` program built on this host.
    #[must_use]
    pub fn new(cache: &Path, agent: &Path, release: Release) -> Self {
        StandIn {
            bases: Cache::new(cache.join("images/stand-in-base")),
            images: Cache::new(cache.join("images/stand-in")),
            agent: agent.to_owned(),
            release,
        }
    }

    /// Returns the cache folders of this stand-in: they are in use, whatever their age.
    ///
    /// # Errors
    /// [`ImageError::File`] when the agent cannot be read.
    pub fn in_use(&self) -> Result<Vec<PathBuf>, ImageError> {
        Ok(vec![
            self.bases.place(&self.base_key()),
            self.images.place(&self.key()?),
        ])
    }

    /// Hash of everything the base is made from.
    #[must_use]
    pub fn base_key(&self) -> String {
        let mut hash = Inputs::new();
        hash.add("release", self.release.distribution.as_bytes());
        hash.add("codename", self.release.codename.as_bytes());
        hash.add("architecture", ARCHITECTURE.as_bytes());
        hash.add_recipe(Level::Base);
        hash.finish()
    }

    /// Hash of everything the image is made from.
    ///
    /// # Errors
    /// [`ImageError::File`] when the agent cannot be read.
    pub fn key(&self) -> Result<String, ImageError> {
        let agent = std::fs::read(&self.agent).map_err(ImageError::file(&self.agent))?;
        let mut hash = Inputs::new();
        hash.add("base", self.base_key().as_bytes());
        hash.add("version", VERSION.as_bytes());
        hash.add("agent", &agent);
        hash.add_recipe(Level::Assembly);
        Ok(hash.finish())
    }

    /// Returns the image, if it has been built.
    ///
    /// # Errors
    /// [`ImageError::File`] when the agent cannot be read.
    pub fn cached(&self) -> Result<Option<Image>, ImageError> {
        Ok(Image::open(&self.images.place(&self.key()?)))
    }

    /// Returns the image, built now if necessary. Needs the network only if the base is missing.
    ///
    /// # Errors
    /// [`ImageError`]; then the cache is as it was before.
    pub fn build(&self, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Image, ImageError> {
        if let Some(image) = self.cached()? {
            return Ok(image);
        }
        let lock = self.images.lock(progress)?;
        // Whoever held the lock before may have built the same.
        if let Some(image) = self.cached()? {
            return Ok(image);
        }
        let log = self.images.place("last-build.log");
        let _ = std::fs::remove_file(&log);
        let base = self.base(&log, progress)?;
        self.assemble(&lock, &base, &log, progress)
    }

    /// Returns the base's folder, built now if it has not been.
    fn base(
        &self,
        log: &Path,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<PathBuf, ImageError> {
        let key = self.base_key();
        let place = self.bases.place(&key);
        let lock = self.bases.lock(progress)?;
        if place.exists() {
            return Ok(place);
        }
        self.bases.make(&lock, &key, |folder| {
            let recipe = unpacked_recipe()?;
            run::script(
                "install the packages of the stand-in",
                &recipe.path().join("base.sh"),
                &[recipe.path().as_os_str(), folder.as_os_str()],
                log,
                progress,
            )
        })
    }

    fn assemble(
        &self,
        lock: &Lock,
        base: &Path,
        log: &Path,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Image, ImageError> {
        let key = self.key()?;
        let folder = self.images.make(lock, &key, |folder| {
            let recipe = unpacked_recipe()?;
            run::script(
                "assemble the stand-in",
                &recipe.path().join("assemble.sh"),
                &[
                    recipe.path().as_os_str(),
                    base.join("base.tar").as_os_str(),
                    self.agent.as_os_str(),
                    OsStr::new(VERSION),
                    folder.as_os_str(),
                ],
                log,
                progress,
            )?;
            let manifest = self.manifest(&key, base, folder)?;
            let path = folder.join(MANIFEST_FILE);
            std::fs::write(&path, serde_json::to_vec_pretty(&manifest)?)
                .map_err(ImageError::file(&path))
        })?;
        let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
        Image::open(&folder).ok_or_else(|| ImageError::file(&folder)(missing()))
    }

    fn manifest(&self, key: &str, base: &Path, folder: &Path) -> Result<Manifest, ImageError> {
        let path = base.join("packages.txt");
        let packages = std::fs::read_to_string(&path).map_err(ImageError::file(&path))?;
        let packages = packages
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(name, version)| (name.to_owned(), version.to_owned()))
            .collect();
        let mut files = BTreeMap::new();
        for name in [KERNEL_FILE, INITRD_FILE] {
            files.insert(name.to_owned(), describe(&folder.join(name))?);
        }
        Ok(Manifest {
            kind: ImageKind::StandIn,
            version: VERSION.to_owned(),
            key: key.to_owned(),
            release: format!("{} {}", self.release.distribution, self.release.codename),
            packages,
            files,
        })
    }
}

/// Unpacks the recipe into a temporary folder.
fn unpacked_recipe() -> Result<tempfile::TempDir, ImageError> {
    let folder = tempfile::Builder::new()
        .prefix("stand-in-recipe-")
        .tempdir()
        .map_err(ImageError::file(Path::new("the temporary folder")))?;
    recipe::unpack(folder.path())?;
    Ok(folder)
}

fn describe(path: &Path) -> Result<FileEntry, ImageError> {
    let (sha256, size_bytes) = sha256_of_file(path).map_err(ImageError::file(path))?;
    Ok(FileEntry { size_bytes, sha256 })
}

/// A hash over named inputs; each goes in with its lengths, so that none can pass for another.
struct Inputs(Sha256);

impl Inputs {
    fn new() -> Self {
        Inputs(Sha256::new())
    }

    fn add(&mut self, name: &str, content: &[u8]) {
        for part in [name.as_bytes(), content] {
            self.0.update((part.len() as u64).to_be_bytes());
            self.0.update(part);
        }
    }

    fn add_recipe(&mut self, level: Level) {
        for file in FILES.iter().filter(|file| file.level == level) {
            self.add(file.path, file.content.as_bytes());
        }
    }

    /// 16 hex digits of the hash: enough for a folder's name.
    fn finish(self) -> String {
        hex::encode(self.0.finalize()).chars().take(16).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(codename: &str) -> Release {
        Release {
            distribution: "debian".into(),
            codename: codename.into(),
        }
    }

    fn stand_in(cache: &Path, agent: &[u8], codename: &str) -> StandIn {
        let path = cache.join("agent");
        std::fs::write(&path, agent).unwrap();
        StandIn::new(cache, &path, release(codename))
    }

    #[test]
    fn the_key_changes_with_the_agent_and_the_base_key_does_not() {
        let cache = tempfile::tempdir().unwrap();
        let one = stand_in(cache.path(), b"one", "bookworm");
        let (key, base) = (one.key().unwrap(), one.base_key());
        let two = stand_in(cache.path(), b"two", "bookworm");
        assert_ne!(two.key().unwrap(), key);
        assert_eq!(two.base_key(), base);
    }

    #[test]
    fn both_keys_change_with_the_release() {
        let cache = tempfile::tempdir().unwrap();
        let bookworm = stand_in(cache.path(), b"agent", "bookworm");
        let trixie = stand_in(cache.path(), b"agent", "trixie");
        assert_ne!(bookworm.base_key(), trixie.base_key());
        assert_ne!(bookworm.key().unwrap(), trixie.key().unwrap());
    }

    #[test]
    fn inputs_that_read_the_same_in_a_row_have_different_hashes() {
        let mut one = Inputs::new();
        one.add("ab", b"c");
        let mut two = Inputs::new();
        two.add("a", b"bc");
        assert_ne!(one.finish(), two.finish());
    }

    /// Puts a finished image of `stand_in` into its cache, as a build would leave it.
    fn put_image(stand_in: &StandIn) -> PathBuf {
        let key = stand_in.key().unwrap();
        let lock = stand_in.images.lock(&mut |_| {}).unwrap();
        let base = tempfile::tempdir().unwrap();
        std::fs::write(base.path().join("packages.txt"), "systemd 252\n").unwrap();
        stand_in
            .images
            .make(&lock, &key, |folder| {
                std::fs::write(folder.join(KERNEL_FILE), "kernel").unwrap();
                std::fs::write(folder.join(INITRD_FILE), "initrd").unwrap();
                let manifest = stand_in.manifest(&key, base.path(), folder)?;
                std::fs::write(folder.join(MANIFEST_FILE), serde_json::to_vec(&manifest)?).unwrap();
                Ok(())
            })
            .unwrap()
    }

    #[test]
    fn an_image_that_is_there_is_used_without_a_build() {
        let cache = tempfile::tempdir().unwrap();
        let stand_in = stand_in(cache.path(), b"agent", "bookworm");
        assert_eq!(stand_in.cached().unwrap(), None);
        let folder = put_image(&stand_in);
        let image = stand_in
            .build(&mut |progress| panic!("nothing to do, yet {progress:?}"))
            .unwrap();
        assert_eq!(image.folder, folder);
        assert_eq!(
            image.manifest.packages.get("systemd").map(String::as_str),
            Some("252")
        );
        assert_eq!(std::fs::read(image.initrd()).unwrap(), b"initrd");
    }

    #[test]
    fn built_images_are_known_by_their_hashes_and_their_damage_is_seen() {
        let cache = tempfile::tempdir().unwrap();
        let stand_in = stand_in(cache.path(), b"agent", "bookworm");
        let folder = put_image(&stand_in);
        let built = crate::built_in(&cache.path().join("images/stand-in"));
        assert_eq!(built.len(), 1);
        let hash = describe(&folder.join(INITRD_FILE)).unwrap().sha256;
        assert_eq!(built[0].manifest.files[INITRD_FILE].sha256, hash);
        assert!(crate::damaged(&folder).unwrap().is_empty());
        std::fs::write(folder.join(INITRD_FILE), "INITRD").unwrap();
        assert_eq!(crate::damaged(&folder).unwrap(), [INITRD_FILE]);
    }

    #[test]
    fn an_image_with_a_file_cut_short_is_not_used() {
        let cache = tempfile::tempdir().unwrap();
        let stand_in = stand_in(cache.path(), b"agent", "bookworm");
        let folder = put_image(&stand_in);
        assert!(stand_in.cached().unwrap().is_some());
        std::fs::write(folder.join(INITRD_FILE), "init").unwrap();
        assert_eq!(stand_in.cached().unwrap(), None);
    }

    #[test]
    fn other_distributions_are_named_in_the_refusal() {
        let error = Release::parse("ID=fedora\nVERSION_ID=40\n")
            .unwrap_err()
            .to_string();
        assert!(error.contains("fedora"), "{error}");
        assert_eq!(
            Release::parse("ID=ubuntu\nVERSION_CODENAME=\"noble\"\n").unwrap(),
            Release {
                distribution: "ubuntu".into(),
                codename: "noble".into()
            }
        );
    }
}
