//! Images that are built from the host distribution's packages: the stand-in, which boots like CoreOS, and Debian with
//! its own cloud-init.
//!
//! Two levels, each kept by the hash of what goes into it: the base (packages, the only step that
//! needs the network) and the image (base + our own files + the stand-in's agent). A changed agent or
//! boot script makes only the second anew.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::cache::{Cache, Lock};
use crate::recipe::{self, Level, Recipe};
use crate::verify::digest::sha256_of_file;
use crate::{
    FileEntry, INITRD_FILE, Image, ImageError, ImageKind, KERNEL_FILE, MANIFEST_FILE, Manifest,
    Progress, run,
};

/// Version of the recipes, in the stand-in's os-release and in reports.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Architecture of built images.
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

/// Finds and builds an image.
#[derive(Debug, Clone)]
pub struct BuiltImage {
    recipe: &'static Recipe,
    bases: Cache,
    images: Cache,
    /// The guest agent that goes into the image, for one that has it.
    agent: Option<PathBuf>,
    release: Release,
}

impl BuiltImage {
    /// Returns the stand-in kept under `cache` (in `images/stand-in/<key>`), with `agent` as its guest
    /// agent: the `guest-agent` program built on this host.
    #[must_use]
    pub fn stand_in(cache: &Path, agent: &Path, release: Release) -> Self {
        BuiltImage::of(&recipe::STAND_IN, cache, Some(agent.to_owned()), release)
    }

    /// Returns Debian with its own cloud-init, kept under `cache` (in `images/debian-cloud-init/<key>`).
    #[must_use]
    pub fn debian_cloud_init(cache: &Path, release: Release) -> Self {
        BuiltImage::of(&recipe::DEBIAN_CLOUD_INIT, cache, None, release)
    }

    fn of(
        recipe: &'static Recipe,
        cache: &Path,
        agent: Option<PathBuf>,
        release: Release,
    ) -> BuiltImage {
        let [images, bases] = folders_of(recipe, cache);
        BuiltImage {
            recipe,
            bases: Cache::new(bases),
            images: Cache::new(images),
            agent,
            release,
        }
    }

    /// Returns the image's name in the catalog.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.recipe.name
    }

    /// Returns the cache folders of this image: they are in use, whatever their age.
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
        hash.add_recipe(self.recipe, Level::Base);
        hash.finish()
    }

    /// Hash of everything the image is made from.
    ///
    /// # Errors
    /// [`ImageError::File`] when the agent cannot be read.
    pub fn key(&self) -> Result<String, ImageError> {
        let mut hash = Inputs::new();
        hash.add("base", self.base_key().as_bytes());
        hash.add("version", VERSION.as_bytes());
        if let Some(agent) = &self.agent {
            hash.add(
                "agent",
                &std::fs::read(agent).map_err(ImageError::file(agent))?,
            );
        }
        hash.add_recipe(self.recipe, Level::Assembly);
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
        self.check_release()?;
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

    /// Refuses to build Debian's image from the packages of another distribution.
    fn check_release(&self) -> Result<(), ImageError> {
        match (self.recipe.kind, self.release.distribution.as_str()) {
            (ImageKind::DebianCloudInit, other) if other != "debian" => {
                Err(ImageError::NotDebian {
                    image: self.recipe.name,
                    distribution: other.to_owned(),
                })
            }
            _ => Ok(()),
        }
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
            let recipe = self.unpacked_recipe()?;
            run::script(
                &format!("install the packages of {}", self.recipe.name),
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
            let recipe = self.unpacked_recipe()?;
            let tar = base.join("base.tar");
            let mut arguments = vec![
                recipe.path().as_os_str(),
                tar.as_os_str(),
                OsStr::new(VERSION),
                folder.as_os_str(),
            ];
            arguments.extend(self.agent.as_ref().map(|agent| agent.as_os_str()));
            run::script(
                &format!("assemble {}", self.recipe.name),
                &recipe.path().join("assemble.sh"),
                &arguments,
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
            kind: self.recipe.kind,
            version: VERSION.to_owned(),
            key: key.to_owned(),
            release: format!("{} {}", self.release.distribution, self.release.codename),
            packages,
            files,
        })
    }

    /// Unpacks the recipe into a temporary folder.
    fn unpacked_recipe(&self) -> Result<tempfile::TempDir, ImageError> {
        let folder = tempfile::Builder::new()
            .prefix("image-recipe-")
            .tempdir()
            .map_err(ImageError::file(Path::new("the temporary folder")))?;
        self.recipe.unpack(folder.path())?;
        Ok(folder)
    }
}

/// Returns the folders under `cache` that hold built images and their bases.
#[must_use]
pub fn folders(cache: &Path) -> Vec<PathBuf> {
    let recipes = [&recipe::STAND_IN, &recipe::DEBIAN_CLOUD_INIT];
    recipes
        .iter()
        .flat_map(|recipe| folders_of(recipe, cache))
        .collect()
}

/// Returns the folders of a recipe's images and of their bases.
fn folders_of(recipe: &Recipe, cache: &Path) -> [PathBuf; 2] {
    let images = cache.join("images");
    [
        images.join(recipe.name),
        images.join(format!("{}-base", recipe.name)),
    ]
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

    fn add_recipe(&mut self, recipe: &Recipe, level: Level) {
        for file in recipe.files.iter().filter(|file| file.level == level) {
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

    fn stand_in(cache: &Path, agent: &[u8], codename: &str) -> BuiltImage {
        let path = cache.join("agent");
        std::fs::write(&path, agent).unwrap();
        BuiltImage::stand_in(cache, &path, release(codename))
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
    fn images_of_different_recipes_share_no_key_and_no_folder() {
        let cache = tempfile::tempdir().unwrap();
        let stand_in = stand_in(cache.path(), b"agent", "bookworm");
        let cloud_init = BuiltImage::debian_cloud_init(cache.path(), release("bookworm"));
        assert_ne!(stand_in.base_key(), cloud_init.base_key());
        assert_ne!(stand_in.key().unwrap(), cloud_init.key().unwrap());
        let mut all = folders(cache.path());
        for image in [stand_in, cloud_init] {
            for place in image.in_use().unwrap() {
                let at = all.iter().position(|folder| place.starts_with(folder));
                all.remove(at.unwrap());
            }
        }
        assert!(all.is_empty(), "{all:?}");
    }

    #[test]
    fn build_of_debians_image_refuses_another_distribution() {
        let cache = tempfile::tempdir().unwrap();
        let ubuntu = Release {
            distribution: "ubuntu".into(),
            codename: "noble".into(),
        };
        let image = BuiltImage::debian_cloud_init(cache.path(), ubuntu);
        let error = image.build(&mut |_| {}).unwrap_err();
        assert_eq!(
            error.to_string(),
            "unsupported distribution \"ubuntu\" in /etc/os-release: `debian-cloud-init` is built from Debian packages"
        );
        assert!(!cache.path().join("images").exists());
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
    fn put_image(stand_in: &BuiltImage) -> PathBuf {
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
