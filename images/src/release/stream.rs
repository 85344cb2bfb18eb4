//! Fedora CoreOS: JSON metadata of a stream, or of one of its releases
//! (<https://docs.rs/coreos-stream-metadata>; coreos/fedora-coreos-tracker#98 for `release.json`).

use serde_json::Value;

use super::{Release, ReleaseError, RemoteFile, fill, is_current};
use crate::catalog::Wanted;
use crate::catalog::model::{Digests, Location, Role, Stream};
use crate::catalog::name::is_word;

/// Roles by the metadata's names for them.
const ARTIFACTS: [(&str, Role); 3] = [
    ("kernel", Role::Kernel),
    ("initramfs", Role::Initrd),
    ("rootfs", Role::Rootfs),
];

/// Mistakes in stream metadata.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMetadata {
    /// The text is not JSON.
    #[error("not JSON: {0}")]
    Json(String),
    /// A key is missing.
    #[error("missing {0}")]
    Missing(String),
    /// The value of a key is not a string.
    #[error("{0} is not a string")]
    NotText(String),
    /// The value of a key is not a URL.
    #[error("{at}: invalid URL `{url}`")]
    Url {
        /// Path of the key.
        at: String,
        /// Value of the key.
        url: String,
    },
    /// A URL has no file name.
    #[error("{at}: `{location}` does not end in a file name")]
    Location {
        /// Path of the key.
        at: String,
        /// Value of the key.
        location: String,
    },
    /// A hash has another length or other characters.
    #[error("{at}: invalid SHA-256 `{sha256}`")]
    Sha256 {
        /// Path of the key.
        at: String,
        /// Value of the key.
        sha256: String,
    },
    /// A version that cannot be part of a path.
    #[error("invalid version `{0}`")]
    Version(String),
    /// The metadata describe another version than the wanted one.
    #[error("wrong version: {version} instead of {asked}")]
    OtherVersion {
        /// Version of the metadata.
        version: String,
        /// Version as requested.
        asked: String,
    },
    /// The metadata describe another stream than the wanted one.
    #[error("wrong stream: `{stream}` instead of `{channel}`")]
    Stream {
        /// Stream of the metadata.
        stream: String,
        /// Stream as requested.
        channel: String,
    },
}

/// Returns the URL of the stream metadata.
pub(super) fn url(wanted: &Wanted, source: &Stream) -> String {
    let template = match &source.release_url {
        Some(release) if !is_current(&wanted.version) => release,
        _ => &source.url,
    };
    mirrored(source, &fill(template, wanted, &wanted.version, ""))
}

pub(super) fn read(
    wanted: &Wanted,
    source: &Stream,
    url: &str,
    text: &str,
) -> Result<Release, ReleaseError> {
    parse(wanted, source, text).map_err(|what| ReleaseError::Metadata {
        url: url.to_owned(),
        what,
    })
}

fn parse(wanted: &Wanted, source: &Stream, text: &str) -> Result<Release, InvalidMetadata> {
    let metadata: Value =
        serde_json::from_str(text).map_err(|error| InvalidMetadata::Json(error.to_string()))?;
    let here = Node::root(&metadata);
    let stream = here.text("stream")?;
    if stream != wanted.channel {
        return Err(InvalidMetadata::Stream {
            stream: stream.to_owned(),
            channel: wanted.channel.clone(),
        });
    }
    let arch = here
        .child("architectures")
        .and_then(|all| all.child(wanted.architecture.rpm_name()))?;
    let (version, files) = if arch.has("artifacts") {
        let metal = arch.path(&["artifacts", "metal"])?;
        let version = metal.text("release")?;
        (version, metal.path(&["formats", "pxe"])?)
    } else {
        let files = arch.path(&["media", "metal", "artifacts", "pxe"])?;
        (here.text("release")?, files)
    };
    if !is_word(version) {
        return Err(InvalidMetadata::Version(version.to_owned()));
    }
    if !is_current(&wanted.version) && wanted.version != version {
        return Err(InvalidMetadata::OtherVersion {
            version: version.to_owned(),
            asked: wanted.version.clone(),
        });
    }
    let mut release = Release {
        version: version.to_owned(),
        files: Vec::new(),
    };
    for (name, role) in ARTIFACTS {
        let node = files.child(name)?;
        release.files.push(file(source, &node, role)?);
    }
    Ok(release)
}

fn file(source: &Stream, node: &Node<'_>, role: Role) -> Result<RemoteFile, InvalidMetadata> {
    let location = node.url("location")?;
    let name = location.rsplit('/').next().unwrap_or_default().to_owned();
    if !is_word(&name) {
        return Err(InvalidMetadata::Location {
            at: node.at("location"),
            location: location.to_owned(),
        });
    }
    let sha256 = node.text("sha256")?;
    if sha256.len() != 64 || !sha256.chars().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(InvalidMetadata::Sha256 {
            at: node.at("sha256"),
            sha256: sha256.to_owned(),
        });
    }
    Ok(RemoteFile {
        role,
        name,
        location: Location::Url(mirrored(source, location)),
        signature: Some(Location::Url(mirrored(source, node.url("signature")?))),
        digests: Digests {
            sha256: Some(sha256.to_ascii_lowercase()),
            sha512: None,
        },
        digests_url: None,
    })
}

/// Replaces the publisher's `https://host` by the mirror; other hosts are unchanged.
fn mirrored(source: &Stream, url: &str) -> String {
    let (Some(mirror), Some(origin)) = (&source.mirror, origin(&source.url)) else {
        return url.to_owned();
    };
    match url.strip_prefix(origin) {
        Some(rest) if rest.starts_with('/') => format!("{mirror}{rest}"),
        _ => url.to_owned(),
    }
}

fn origin(url: &str) -> Option<&str> {
    let host = url.find("://")? + 3;
    let end = url.get(host..)?.find('/').map_or(url.len(), |at| host + at);
    url.get(..end)
}

/// A place in the metadata that knows how it is called.
struct Node<'v> {
    value: &'v Value,
    path: String,
}

impl<'v> Node<'v> {
    fn root(value: &'v Value) -> Self {
        Node {
            value,
            path: String::new(),
        }
    }

    fn at(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    fn has(&self, key: &str) -> bool {
        self.value.get(key).is_some()
    }

    fn child(&self, key: &str) -> Result<Node<'v>, InvalidMetadata> {
        let path = self.at(key);
        match self.value.get(key) {
            Some(value) => Ok(Node { value, path }),
            None => Err(InvalidMetadata::Missing(path)),
        }
    }

    fn path(&self, keys: &[&str]) -> Result<Node<'v>, InvalidMetadata> {
        let here = Node {
            value: self.value,
            path: self.path.clone(),
        };
        keys.iter().try_fold(here, |node, key| node.child(key))
    }

    fn text(&self, key: &str) -> Result<&'v str, InvalidMetadata> {
        let node = self.child(key)?;
        node.value
            .as_str()
            .ok_or(InvalidMetadata::NotText(node.path))
    }

    fn url(&self, key: &str) -> Result<&'v str, InvalidMetadata> {
        let text = self.text(key)?;
        if text.starts_with("https://") || text.starts_with("http://") {
            Ok(text)
        } else {
            Err(InvalidMetadata::Url {
                at: self.at(key),
                url: text.to_owned(),
            })
        }
    }
}
