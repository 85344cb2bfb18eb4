//! The publishers, with their exact layouts, behind one server; files are small, signed with test keys, and
//! look like kernels and initrds.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use images::acquire::{AcquireError, Event, acquire};
use images::catalog::{Catalog, ImageName, Wanted};
use images::fetch::Patience;
use images::store::{Store, Stored};

use crate::server::Server;
use crate::signer::{Key, Signer};

pub(crate) const KERNEL: &str = "flatcar_production_pxe.vmlinuz";
pub(crate) const INITRD: &str = "flatcar_production_pxe_image.cpio.gz";
/// Long enough to be cut in the middle, in bytes.
pub(crate) const LENGTH: usize = 300_000;

/// A publisher's server, its keys, and a cache to fetch into.
#[derive(Debug)]
pub(crate) struct Publisher {
    pub(crate) server: Server,
    pub(crate) signer: Signer,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) patience: Patience,
}

impl Publisher {
    pub(crate) fn new() -> Publisher {
        Publisher {
            server: Server::start(),
            signer: Signer::new(),
            folder: tempfile::tempdir().unwrap(),
            patience: Patience {
                attempts: 4,
                first_pause: Duration::from_millis(1),
                connect: Duration::from_secs(10),
                silence: Duration::from_secs(10),
            },
        }
    }

    /// The folder of a version of Flatcar.
    pub(crate) fn flatcar(channel: &str, arch: &str, version: &str, file: &str) -> String {
        format!("/{channel}/{arch}-usr/{version}/{file}")
    }

    /// Publishes a version of Flatcar as the newest of its channel.
    pub(crate) fn publish(&self, channel: &str, arch: &str, version: &str) {
        for (name, bytes) in [(KERNEL, kernel(version)), (INITRD, initrd(version))] {
            let path = Self::flatcar(channel, arch, version, name);
            self.put_signed(&path, bytes, Key::Publisher);
        }
        let text =
            format!("FLATCAR_BUILD=1\nFLATCAR_VERSION={version}\nFLATCAR_VERSION_ID={version}\n");
        self.server.put(
            &Self::flatcar(channel, arch, "current", "version.txt"),
            text,
        );
    }

    pub(crate) fn put_signed(&self, path: &str, bytes: Vec<u8>, key: Key) {
        self.server
            .put(&format!("{path}.sig"), self.signer.sign(key, &bytes));
        self.server.put(path, bytes);
    }

    /// A catalog file: the project's images from this server, by the test's key.
    pub(crate) fn catalog_file(&self) -> PathBuf {
        let (url, signer) = (self.server.url(), &self.signer);
        let publisher = (
            signer.public(Key::Publisher),
            signer.fingerprint(Key::Publisher),
        );
        let mut text = String::new();
        for (name, mirror) in [
            ("flatcar", "/{channel}/{arch}-usr"),
            ("coreos", "/{channel}/{arch}-usr"),
            ("fedora-coreos", "/fcos"),
        ] {
            let (key, fingerprint) = match name {
                "coreos" => (
                    signer.public(Key::Expired),
                    signer.fingerprint(Key::Expired),
                ),
                _ => publisher.clone(),
            };
            let key = key.display();
            text += &format!(
                "[override.{name}]\nmirror = \"{url}{mirror}\"\nkey = \"{key}\"\nfingerprints = [\"{fingerprint}\"]\n"
            );
        }
        let path = self.folder.path().join("images.toml");
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn wanted(&self, name: &str) -> Wanted {
        let catalog = Catalog::with_file(&self.catalog_file()).unwrap();
        catalog.find(&name.parse::<ImageName>().unwrap()).unwrap()
    }

    pub(crate) fn store(&self) -> Store {
        Store::new(&self.folder.path().join("cache"))
    }

    pub(crate) fn fetch(&self, name: &str) -> Result<Stored, AcquireError> {
        self.fetch_telling(name, &|_| {})
    }

    pub(crate) fn fetch_telling(
        &self,
        name: &str,
        tell: &(dyn Fn(Event<'_>) + Sync),
    ) -> Result<Stored, AcquireError> {
        acquire(
            &self.wanted(name),
            &self.store(),
            &self.patience,
            SystemTime::now(),
            tell,
        )
    }

    /// Asserts that the fetch fails with this message, in which `SERVER` stands for the server's URL, and that the
    /// cache is intact: its images are `versions`, undamaged, and none of its objects has a byte of `bad`.
    pub(crate) fn refuses(&self, name: &str, message: &str, versions: &[&str], bad: &[Vec<u8>]) {
        let error = self.refused(name, versions, bad);
        assert_eq!(self.message(&error), message);
    }

    /// Returns the error of a fetch that must fail and leave the cache intact.
    pub(crate) fn refused(&self, name: &str, versions: &[&str], bad: &[Vec<u8>]) -> AcquireError {
        let error = match self.fetch(name) {
            Ok(stored) => panic!("{name} was fetched: {stored:?}"),
            Err(error) => error,
        };
        self.is_whole(versions, bad);
        error
    }

    /// Returns the message of an error, with `SERVER` for the server's URL.
    pub(crate) fn message(&self, error: &AcquireError) -> String {
        error.to_string().replace(&self.server.url(), "SERVER")
    }

    pub(crate) fn is_whole(&self, versions: &[&str], bad: &[Vec<u8>]) {
        let stored = self.store().list();
        let found: Vec<&str> = stored.iter().map(|s| s.record.version.as_str()).collect();
        assert_eq!(found, versions);
        for image in &stored {
            assert!(image.damaged().unwrap().is_empty());
        }
        for (name, bytes) in self.objects() {
            let hash = images::verify::digest::of_file(&self.store().object(&name))
                .unwrap()
                .sha256;
            assert_eq!(hash, name, "an object is not what its name says");
            assert!(!bad.contains(&bytes), "a bad file is in the cache");
        }
    }

    pub(crate) fn objects(&self) -> Vec<(String, Vec<u8>)> {
        let folder = self.store().object("");
        let Ok(entries) = std::fs::read_dir(folder) else {
            return Vec::new();
        };
        entries
            .map(|entry| {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                (name, std::fs::read(path).unwrap())
            })
            .collect()
    }
}

/// Returns bytes that pass as a kernel.
pub(crate) fn kernel(text: &str) -> Vec<u8> {
    let mut bytes = filled(0, text);
    bytes[0x202..0x206].copy_from_slice(b"HdrS");
    bytes
}

/// Returns bytes that pass as an initrd.
pub(crate) fn initrd(text: &str) -> Vec<u8> {
    let mut bytes = filled(1, text);
    bytes[..2].copy_from_slice(b"\x1f\x8b");
    bytes
}

/// Bytes that differ from place to place, so that none is taken for another.
fn filled(seed: u8, text: &str) -> Vec<u8> {
    let seed = text.bytes().fold(u64::from(seed) + 1, |sum, byte| {
        sum.wrapping_mul(1_099_511_628_211)
            .wrapping_add(u64::from(byte))
    });
    let mut state = seed | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    })
    .take(LENGTH)
    .collect()
}
