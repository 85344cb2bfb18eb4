//! The layout of CoreOS and Flatcar: a folder for each version, `current` among them, with `version.txt`.

use super::{Plan, Release, ReleaseError, RemoteFile, fill, is_current};
use crate::catalog::Wanted;
use crate::catalog::model::{Digests, Directory, Location};
use crate::catalog::name::is_word;

const VERSION_FILE: &str = "version.txt";

pub(super) fn plan(wanted: &Wanted, source: &Directory) -> Result<Plan, ReleaseError> {
    if source.needs_mirror && source.mirror.is_none() {
        return Err(ReleaseError::NeedsMirror(wanted.entry.name.clone()));
    }
    Ok(if is_current(&wanted.version) {
        Plan::Ask(url(wanted, source, &wanted.version, VERSION_FILE))
    } else {
        Plan::Known(release(wanted, source, &wanted.version))
    })
}

pub(super) fn read(
    wanted: &Wanted,
    source: &Directory,
    url: &str,
    text: &str,
) -> Result<Release, ReleaseError> {
    let version = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .find(|(key, _)| *key == source.version_key)
        .map(|(_, value)| value.trim().trim_matches(['"', '\'']))
        // It becomes the name of a folder, and part of URLs.
        .filter(|version| is_word(version) && !is_current(version));
    match version {
        Some(version) => Ok(release(wanted, source, version)),
        None => Err(ReleaseError::VersionFile {
            url: url.to_owned(),
            key: source.version_key.clone(),
            begins: text.chars().take(60).collect(),
        }),
    }
}

/// The files are taken from the version's own folder: what `current` means may change between two of them.
fn release(wanted: &Wanted, source: &Directory, version: &str) -> Release {
    let url = |file: &str| url(wanted, source, version, file);
    Release {
        version: version.to_owned(),
        files: source
            .files
            .iter()
            .map(|file| RemoteFile {
                role: file.role,
                name: file.name.clone(),
                location: Location::Url(url(&file.name)),
                signature: Some(Location::Url(url(&file.signature))),
                digests: Digests::default(),
                digests_url: file.digests.as_deref().map(url),
            })
            .collect(),
    }
}

fn url(wanted: &Wanted, source: &Directory, version: &str, file: &str) -> String {
    match &source.mirror {
        None => fill(&source.url, wanted, version, file),
        Some(mirror) => fill(
            &format!("{mirror}/{{version}}/{{file}}"),
            wanted,
            version,
            file,
        ),
    }
}
