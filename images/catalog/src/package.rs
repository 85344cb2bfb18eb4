//! `layout = "package"`: an image whose files are in a package of a Debian release. Channels are the releases.

use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use toml::Spanned;

use super::check::{Checked, Reader};
use super::model::Role;
use super::name::is_word;
use super::problem::one_of;
use super::program::DebianRelease;
use super::wire::{WireImage, WireImageFile};

/// Placeholder of the release's number.
const CHANNEL: &str = "{channel}";

/// Package of a Debian release that has an image's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Name of the package, with `{channel}`.
    name: String,
    /// Archive that replaces Debian's: the URL above `dists/`.
    pub mirror: Option<String>,
    /// Files of the image.
    pub files: Vec<PackagedFile>,
}

/// File in a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackagedFile {
    /// Purpose of the file.
    pub role: Role,
    /// File name in the image.
    pub name: String,
    /// Path in the package, with `{channel}`.
    path: String,
}

impl Package {
    /// Returns the name of the package of a release.
    #[must_use]
    pub fn name(&self, release: DebianRelease) -> String {
        filled(&self.name, release)
    }
}

impl PackagedFile {
    /// Returns the path in the package of a release.
    #[must_use]
    pub fn path(&self, release: DebianRelease) -> PathBuf {
        filled(&self.path, release).into()
    }
}

fn filled(text: &str, release: DebianRelease) -> String {
    text.replace(CHANNEL, &release.number().to_string())
}

impl Reader<'_> {
    pub(super) fn package(&self, at: &Range<usize>, image: &WireImage) -> Checked<Package> {
        let help =
            "name of the package, e.g. `package = \"debian-installer-{channel}-netboot-amd64\"`";
        let name = self.needed(image.package.as_ref(), at, "package", help)?;
        if !is_word(&name.get_ref().replace(CHANNEL, "12")) {
            let what = format!("invalid package name `{}`", name.get_ref());
            return Err(self.text.wrong(name.span(), what, help));
        }
        if image.channels.is_empty() {
            let what = "missing `channels`, the Debian releases of the package";
            let help = "add `channels`, e.g. `channels = [\"12\", \"13\"]`";
            return Err(self.text.wrong(at.clone(), what, help));
        }
        for channel in &image.channels {
            if DebianRelease::from_number(channel.get_ref()).is_none() {
                let numbers: Vec<String> = DebianRelease::ALL
                    .map(|release| release.number().to_string())
                    .into();
                let what = format!("unknown Debian release `{}`", channel.get_ref());
                let known = one_of(channel.get_ref(), numbers.iter().map(String::as_str));
                return Err(self.text.wrong(channel.span(), what, known));
            }
        }
        let mut files: Vec<PackagedFile> = Vec::new();
        for file in &image.file {
            let packaged = self.packaged(file)?;
            self.distinct(
                file.span(),
                (packaged.role, &packaged.name),
                files.iter().map(|other| (other.role, other.name.as_str())),
            )?;
            files.push(packaged);
        }
        let roles: Vec<Role> = files.iter().map(|file| file.role).collect();
        self.kernel_and_initrd(at, &roles)?;
        Ok(Package {
            name: name.get_ref().clone(),
            mirror: self.mirror(image.mirror.as_ref())?,
            files,
        })
    }

    fn packaged(&self, file: &Spanned<WireImageFile>) -> Checked<PackagedFile> {
        let (at, file) = (file.span(), file.get_ref());
        let help = "path of the file in the package, e.g. `path = \"usr/lib/…/linux\"`";
        let inside = |path: &&PathBuf| {
            let is_name = |part: Component<'_>| matches!(part, Component::Normal(_));
            path.components().all(is_name) && path.file_name().is_some()
        };
        let path = file.path.as_ref().filter(inside);
        let Some(path) = path.and_then(|path| path.to_str()) else {
            let what = "missing or invalid `path` of a file in the package";
            return Err(self.text.wrong(at, what, help));
        };
        let name = match &file.name {
            Some(name) => {
                self.word(name, "a file's name")?;
                name.get_ref().clone()
            }
            None => {
                let last = Path::new(path).file_name().unwrap_or_default();
                last.to_string_lossy().into_owned()
            }
        };
        Ok(PackagedFile {
            role: self.choice(&file.role, &Role::NAMES)?,
            name,
            path: path.to_owned(),
        })
    }
}
