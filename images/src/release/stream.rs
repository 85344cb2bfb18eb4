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
    let wrong = |what: String| ReleaseError::Metadata {
        url: url.to_owned(),
        what,
    };
    let metadata: Value =
        serde_json::from_str(text).map_err(|error| wrong(format!("not JSON: {error}")))?;
    let here = Node::root(&metadata);
    let stream = here.text("stream").map_err(&wrong)?;
    if stream != wanted.channel {
        let channel = &wanted.channel;
        return Err(wrong(format!(
            "wrong stream: `{stream}` instead of `{channel}`"
        )));
    }
    let arch = here
        .child("architectures")
        .and_then(|all| all.child(wanted.architecture.rpm_name()))
        .map_err(&wrong)?;
    let (version, files) = if arch.has("artifacts") {
        let metal = arch.path(&["artifacts", "metal"]).map_err(&wrong)?;
        let version = metal.text("release").map_err(&wrong)?;
        (version, metal.path(&["formats", "pxe"]).map_err(&wrong)?)
    } else {
        let files = arch
            .path(&["media", "metal", "artifacts", "pxe"])
            .map_err(&wrong)?;
        (here.text("release").map_err(&wrong)?, files)
    };
    if !is_word(version) {
        return Err(wrong(format!("invalid version `{version}`")));
    }
    if !is_current(&wanted.version) && wanted.version != version {
        let asked = &wanted.version;
        return Err(wrong(format!(
            "wrong version: {version} instead of {asked}"
        )));
    }
    let mut release = Release {
        version: version.to_owned(),
        files: Vec::new(),
    };
    for (name, role) in ARTIFACTS {
        let node = files.child(name).map_err(&wrong)?;
        release
            .files
            .push(file(source, &node, role).map_err(&wrong)?);
    }
    Ok(release)
}

fn file(source: &Stream, node: &Node<'_>, role: Role) -> Result<RemoteFile, String> {
    let location = node.url("location")?;
    let name = location.rsplit('/').next().unwrap_or_default().to_owned();
    if !is_word(&name) {
        return Err(format!(
            "{}: `{location}` does not end in a file name",
            node.at("location")
        ));
    }
    let sha256 = node.text("sha256")?;
    if sha256.len() != 64 || !sha256.chars().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(format!("{}: invalid SHA-256 `{sha256}`", node.at("sha256")));
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

    fn child(&self, key: &str) -> Result<Node<'v>, String> {
        let path = self.at(key);
        match self.value.get(key) {
            Some(value) => Ok(Node { value, path }),
            None => Err(format!("missing {path}")),
        }
    }

    fn path(&self, keys: &[&str]) -> Result<Node<'v>, String> {
        let here = Node {
            value: self.value,
            path: self.path.clone(),
        };
        keys.iter().try_fold(here, |node, key| node.child(key))
    }

    fn text(&self, key: &str) -> Result<&'v str, String> {
        let node = self.child(key)?;
        node.value
            .as_str()
            .ok_or_else(|| format!("{} is not a string", node.path))
    }

    fn url(&self, key: &str) -> Result<&'v str, String> {
        let text = self.text(key)?;
        if text.starts_with("https://") || text.starts_with("http://") {
            Ok(text)
        } else {
            Err(format!("{}: invalid URL `{text}`", self.at(key)))
        }
    }
}
