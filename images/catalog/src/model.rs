//! Model of a catalog image, after its entry has been read and validated.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::name::Architecture;
use super::package::Package;

/// Families of systems: they differ in how their boot options are spelled, and in what configures them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// CoreOS Container Linux.
    Coreos,
    /// Flatcar Container Linux.
    Flatcar,
    /// The Fedora CoreOS family.
    FedoraCoreos,
    /// The project's own stand-in; never to be called CoreOS.
    StandIn,
    /// Debian's installer, which is configured by a preseed.
    DebianInstaller,
    /// Systems that cloud-init configures, such as Debian's.
    CloudInit,
}

impl Family {
    /// All, by the names that a catalog has for them.
    pub const NAMES: [(&'static str, Family); 6] = [
        ("coreos", Family::Coreos),
        ("flatcar", Family::Flatcar),
        ("fedora-coreos", Family::FedoraCoreos),
        ("stand-in", Family::StandIn),
        ("debian-installer", Family::DebianInstaller),
        ("cloud-init", Family::CloudInit),
    ];

    /// Returns the name in a catalog.
    #[must_use]
    pub fn name(self) -> &'static str {
        Family::NAMES
            .iter()
            .find(|(_, family)| *family == self)
            .map_or("", |(name, _)| name)
    }
}

/// Purpose of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The Linux kernel.
    Kernel,
    /// The first initrd.
    Initrd,
    /// The root file system of a live system, which its initrd fetches.
    Rootfs,
}

impl Role {
    /// All, by the names that a catalog has for them.
    pub const NAMES: [(&'static str, Role); 3] = [
        ("kernel", Role::Kernel),
        ("initrd", Role::Initrd),
        ("rootfs", Role::Rootfs),
    ];

    /// Returns the name in a catalog.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Role::Kernel => "kernel",
            Role::Initrd => "initrd",
            Role::Rootfs => "rootfs",
        }
    }
}

/// An image of the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name, such as `flatcar` in `flatcar:stable`.
    pub name: String,
    /// A few words for lists.
    pub summary: String,
    /// Family, which decides the spelling of boot options.
    pub family: Family,
    /// Source of the files.
    pub source: Source,
    /// Version fetched by default; `current` is the newest.
    pub version: String,
    /// Channels, the first being the default; empty for an image without channels.
    pub channels: Vec<String>,
    /// The processors that it is published for, the first being meant when none is named.
    pub architectures: Vec<Architecture>,
    /// Required signing key; none where the catalog holds hashes.
    pub key: Option<SigningKey>,
    /// Serial console, e.g. `ttyS0`.
    pub console: String,
    /// The kernel option that logs in on the console; none where the system does so by itself.
    pub autologin: Option<String>,
    /// Kernel options that it needs besides those of a scenario.
    pub kernel_options: Vec<String>,
    /// Memory in MiB that a machine needs to boot it; 0 where nothing is known.
    pub memory_mib: u32,
}

/// Source of an image's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A folder for each version.
    Directory(Directory),
    /// JSON metadata names the files.
    Stream(Stream),
    /// The catalog names the files.
    Files(Vec<NamedFile>),
    /// The image is built on this host.
    Built,
    /// A package of a Debian release has the files.
    Package(Package),
}

/// A publisher's folder for each version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// URL of a file, with `{channel}`, `{arch}`, `{version}` and `{file}`.
    pub url: String,
    /// The folder that has a folder for each version, instead of the publisher's.
    pub mirror: Option<String>,
    /// The publisher's own hosts are gone.
    pub needs_mirror: bool,
    /// The key in `version.txt` whose value is the version.
    pub version_key: String,
    /// Files published in the folder.
    pub files: Vec<PublishedFile>,
}

/// A file in a publisher's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedFile {
    /// Purpose of the file.
    pub role: Role,
    /// File name in the folder.
    pub name: String,
    /// Name of its detached signature.
    pub signature: String,
    /// Name of a file with its digests, where the publisher has one.
    pub digests: Option<String>,
}

/// A stream that is described by JSON metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// URL of the stream's metadata, with `{channel}`.
    pub url: String,
    /// URL of the metadata of one version, with `{channel}` and `{version}`.
    pub release_url: Option<String>,
    /// Base URL that replaces `https://host` in all URLs.
    pub mirror: Option<String>,
}

/// A file that the catalog names itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFile {
    /// Purpose of the file.
    pub role: Role,
    /// File name in the image.
    pub name: String,
    /// URL or path of the file.
    pub location: Location,
    /// Location of the detached signature.
    pub signature: Option<Location>,
    /// The hashes it has to have.
    pub digests: Digests,
}

/// Location of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// On a server.
    Url(String),
    /// On this host.
    Path(PathBuf),
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Location::Url(url) => f.write_str(url),
            Location::Path(path) => path.display().fmt(f),
        }
    }
}

/// Hashes that a file has to have, in lower-case hex.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Digests {
    /// SHA-256 in lowercase hex, if known.
    pub sha256: Option<String>,
    /// SHA-512 in lowercase hex, if known.
    pub sha512: Option<String>,
}

impl Digests {
    /// True if no hash is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sha256.is_none() && self.sha512.is_none()
    }
}

/// Key that must have signed an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Source of the public key.
    pub text: KeyText,
    /// Fingerprints of the primary keys that count, in upper-case hex without spaces.
    pub fingerprints: Vec<String>,
    /// Handling of signatures whose key has expired since.
    pub expired: ExpiredKey,
}

/// Source of a public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyText {
    /// In this program: one of [`crate::keys::SHIPPED`].
    Shipped(&'static str),
    /// In a file of the user's.
    File(PathBuf),
}

/// Handling of signatures whose key has expired since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpiredKey {
    /// The signature is refused: the publisher has a newer key.
    Refuse,
    /// The signature counts if its date precedes the key's end: there will be no newer key.
    IfSignedBefore,
}
