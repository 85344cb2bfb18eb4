//! Conversion of catalog entries from their TOML form: every value is parsed once, and the first mistake is
//! reported with its position.

use std::path::{Path, PathBuf};

use toml::Spanned;

use super::model::{
    Digests, Directory, Entry, ExpiredKey, Family, KeyText, Location, NamedFile, PublishedFile,
    Role, SigningKey, Source, Stream,
};
use super::name::{Architecture, is_word};
use super::problem::{Problem, Text, one_of};
use super::wire::{WireImage, WireImageFile};
use crate::keys;

const LAYOUTS: [&str; 5] = ["release-directory", "stream", "files", "built", "package"];

/// Valid memory of a machine, in MiB.
const MEMORY_MIB: std::ops::RangeInclusive<u32> = 64..=65_536;

/// Reader of an entry.
pub(super) struct Reader<'t> {
    pub(super) text: &'t Text,
    /// Relative paths are meant from here: the catalog file's folder.
    pub(super) folder: PathBuf,
}

pub(super) type Checked<T> = Result<T, Box<Problem>>;

impl Reader<'_> {
    /// Returns the image `name`.
    pub(super) fn entry(&self, name: &Spanned<String>, image: &WireImage) -> Checked<Entry> {
        self.word(name, "an image's name")?;
        let (name_at, name) = (name.span(), name.get_ref().clone());
        let family = self.choice(&image.family, &Family::NAMES)?;
        let key = self.key(&name_at, image)?;
        let files = LAYOUTS[2];
        let layout = image
            .layout
            .as_ref()
            .map_or(files, |layout| layout.get_ref());
        let source = match layout {
            "release-directory" => Source::Directory(self.directory(&name_at, image)?),
            "stream" => Source::Stream(self.stream(&name_at, image)?),
            "built" => Source::Built,
            "package" => Source::Package(self.package(&name_at, image)?),
            "files" => Source::Files(self.files(&name_at, image, key.is_some())?),
            other => {
                let at = image.layout.as_ref().map_or(name_at, Spanned::span);
                return Err(self.text.wrong(
                    at,
                    format!("unknown layout `{other}`"),
                    one_of(other, LAYOUTS),
                ));
            }
        };
        let needs_key = matches!(source, Source::Directory(_) | Source::Stream(_));
        if needs_key && key.is_none() {
            return Err(self.text.wrong(
                name_at,
                format!("missing signing key of `{name}`"),
                "add `key = \"FILE\"` and `fingerprints = [\"…\"]` of the publisher's signing key",
            ));
        }
        for channel in &image.channels {
            self.word(channel, "a channel")?;
        }
        if let Some(version) = &image.version {
            self.word(version, "a version")?;
        }
        let version = image
            .version
            .as_ref()
            .map(|version| version.get_ref().clone());
        Ok(Entry {
            summary: image.summary.clone().unwrap_or_else(|| name.clone()),
            family,
            version: version.unwrap_or_else(|| match source {
                Source::Files(_) | Source::Built => "local".into(),
                Source::Directory(_) | Source::Stream(_) | Source::Package(_) => "current".into(),
            }),
            source,
            channels: texts(&image.channels),
            architectures: self.architectures(image)?,
            key,
            console: image.console.clone().unwrap_or_else(|| "ttyS0".into()),
            autologin: image.autologin.clone(),
            kernel_options: image.kernel_options.clone(),
            memory_mib: self.memory(image)?,
            name,
        })
    }

    fn memory(&self, image: &WireImage) -> Checked<u32> {
        let Some(memory) = &image.memory_mib else {
            return Ok(0);
        };
        let mib = *memory.get_ref();
        if MEMORY_MIB.contains(&mib) {
            return Ok(mib);
        }
        let (least, most) = (MEMORY_MIB.start(), MEMORY_MIB.end());
        Err(self.text.wrong(
            memory.span(),
            format!("invalid `memory_mib`: {mib} (out of range)"),
            format!("{least} to {most} MiB, e.g. `memory_mib = 2048`"),
        ))
    }

    fn architectures(&self, image: &WireImage) -> Checked<Vec<Architecture>> {
        let known = [Architecture::Amd64, Architecture::Arm64].map(|arch| (arch.name(), arch));
        if image.architectures.is_empty() {
            return Ok(vec![Architecture::Amd64]);
        }
        let architectures = image.architectures.iter();
        architectures
            .map(|name| self.choice(name, &known))
            .collect()
    }

    fn directory(&self, at: &std::ops::Range<usize>, image: &WireImage) -> Checked<Directory> {
        let url = self.needed(
            image.url.as_ref(),
            at,
            "url",
            "URL of a file of a version, with {version} and {file}",
        )?;
        self.template(url, &["{version}", "{file}"])?;
        let key = image.version_key.clone().ok_or_else(|| {
            let what = "missing `version_key`, the key of the version in version.txt";
            let help = "add `version_key`, e.g. `version_key = \"FLATCAR_VERSION\"`";
            self.text.wrong(at.clone(), what, help)
        })?;
        let mut files = Vec::new();
        for file in &image.file {
            files.push(self.published(file)?);
        }
        let roles: Vec<Role> = files.iter().map(|file| file.role).collect();
        self.kernel_and_initrd(at, &roles)?;
        Ok(Directory {
            url: url.get_ref().clone(),
            mirror: self.mirror(image.mirror.as_ref())?,
            needs_mirror: image.needs_mirror,
            version_key: key,
            files,
        })
    }

    fn published(&self, file: &Spanned<WireImageFile>) -> Checked<PublishedFile> {
        let (at, file) = (file.span(), file.get_ref());
        let name = self.needed(
            file.name.as_ref(),
            &at,
            "name",
            "the file's name in the publisher's folder",
        )?;
        self.word(name, "a file's name")?;
        let help = "the name of the file's detached signature, e.g. that of the file with .sig";
        let signature = self.needed(file.signature.as_ref(), &at, "signature", help)?;
        let digests = file
            .digests
            .as_ref()
            .map(|digests| digests.get_ref().clone());
        Ok(PublishedFile {
            role: self.choice(&file.role, &Role::NAMES)?,
            name: name.get_ref().clone(),
            signature: signature.get_ref().clone(),
            digests,
        })
    }

    fn stream(&self, at: &std::ops::Range<usize>, image: &WireImage) -> Checked<Stream> {
        let url = self.needed(
            image.url.as_ref(),
            at,
            "url",
            "URL of the stream's metadata, with {channel}",
        )?;
        self.template(url, &[])?;
        if let Some(release) = &image.release_url {
            self.template(release, &["{version}"])?;
        }
        let release_url = image.release_url.as_ref().map(|url| url.get_ref().clone());
        Ok(Stream {
            url: url.get_ref().clone(),
            release_url,
            mirror: self.mirror(image.mirror.as_ref())?,
        })
    }

    fn files(
        &self,
        at: &std::ops::Range<usize>,
        image: &WireImage,
        has_key: bool,
    ) -> Checked<Vec<NamedFile>> {
        let mut files: Vec<NamedFile> = Vec::new();
        for file in &image.file {
            let named = self.named(file, has_key)?;
            self.distinct(
                file.span(),
                (named.role, &named.name),
                files.iter().map(|other| (other.role, other.name.as_str())),
            )?;
            files.push(named);
        }
        let roles: Vec<Role> = files.iter().map(|file| file.role).collect();
        self.kernel_and_initrd(at, &roles)?;
        Ok(files)
    }

    /// Refuses a file whose name or role another file has.
    pub(super) fn distinct<'o>(
        &self,
        at: std::ops::Range<usize>,
        (role, name): (Role, &str),
        mut others: impl Iterator<Item = (Role, &'o str)>,
    ) -> Checked<()> {
        if others.any(|(other, called)| called == name || other == role) {
            return Err(self.text.wrong(
                at,
                format!("duplicate file `{name}` or duplicate role {}", role.name()),
                "give each file of an image its own name and its own role",
            ));
        }
        Ok(())
    }

    pub(super) fn kernel_and_initrd(
        &self,
        at: &std::ops::Range<usize>,
        roles: &[Role],
    ) -> Checked<()> {
        for role in [Role::Kernel, Role::Initrd] {
            if !roles.contains(&role) {
                let role = role.name();
                return Err(self.text.wrong(
                    at.clone(),
                    format!("missing {role} in the image"),
                    format!("add `[[image.NAME.file]]` with `role = \"{role}\"`"),
                ));
            }
        }
        Ok(())
    }

    fn named(&self, file: &Spanned<WireImageFile>, has_key: bool) -> Checked<NamedFile> {
        let (at, file) = (file.span(), file.get_ref());
        let location = match (&file.url, &file.path) {
            (Some(url), None) => {
                self.template(url, &[])?;
                Location::Url(url.get_ref().clone())
            }
            (None, Some(path)) => Location::Path(self.folder.join(path)),
            _ => {
                let what = "conflict: a file needs exactly one of `url` and `path`";
                return Err(self.text.wrong(
                    at,
                    what,
                    "write either `url = \"https://…\"` or `path = \"…\"`",
                ));
            }
        };
        let name = match &file.name {
            Some(name) => {
                self.word(name, "a file's name")?;
                name.get_ref().clone()
            }
            None => {
                let last = location.to_string();
                let last = last.rsplit('/').next().unwrap_or_default().to_owned();
                if !is_word(&last) {
                    let what = "missing file name";
                    return Err(self.text.wrong(at, what, "add `name = \"…\"`"));
                }
                last
            }
        };
        let digests = Digests {
            sha256: self.hex(file.sha256.as_ref(), 64)?,
            sha512: self.hex(file.sha512.as_ref(), 128)?,
        };
        if let (Some(signature), false) = (&file.signature, has_key) {
            let what = "missing signing key for the signature";
            let help = "add `key = \"FILE\"` and `fingerprints = [\"…\"]` to the image";
            return Err(self.text.wrong(signature.span(), what, help));
        }
        if file.signature.is_none() && digests.is_empty() {
            let help = format!(
                "add `sha256 = \"…\"`{}, or `signature` with the image's `key` and `fingerprints`; unverified files are refused",
                match &location {
                    Location::Path(path) => sha256_hint(path),
                    Location::Url(_) => String::new(),
                }
            );
            return Err(self.text.wrong(
                at,
                format!("missing hash or signature of `{name}`"),
                help,
            ));
        }
        let signature = file.signature.as_ref().map(|signature| {
            let text = signature.get_ref();
            if text.contains("://") {
                Location::Url(text.clone())
            } else {
                Location::Path(self.folder.join(text))
            }
        });
        Ok(NamedFile {
            role: self.choice(&file.role, &Role::NAMES)?,
            name,
            location,
            signature,
            digests,
        })
    }

    fn key(&self, at: &std::ops::Range<usize>, image: &WireImage) -> Checked<Option<SigningKey>> {
        let text = match (&image.key, &image.shipped_key) {
            (Some(path), _) => KeyText::File(self.folder.join(path)),
            (None, Some(name)) => KeyText::Shipped(self.choice(name, &keys::NAMES)?),
            (None, None) if image.fingerprints.is_empty() => return Ok(None),
            (None, None) => {
                let what = "missing `key` for the fingerprints";
                let help =
                    "add `key = \"FILE\"`: the publisher's public key, as published on its website";
                return Err(self.text.wrong(at.clone(), what, help));
            }
        };
        let fingerprints = self.fingerprints(&image.fingerprints)?;
        if fingerprints.is_empty() {
            let what = "missing `fingerprints` of the signing key";
            let help = "add `fingerprints = [\"…\"]`: 40 hex digits of the primary key, from another source than the key";
            return Err(self.text.wrong(at.clone(), what, help));
        }
        let expired = match &image.expired_key {
            None => ExpiredKey::Refuse,
            Some(word) => {
                let known = [
                    ("refuse", ExpiredKey::Refuse),
                    ("if-signed-before", ExpiredKey::IfSignedBefore),
                ];
                self.choice(word, &known)?
            }
        };
        Ok(Some(SigningKey {
            text,
            fingerprints,
            expired,
        }))
    }
}

/// For a file that is here, what to write: who names it should not have to look for a tool.
fn sha256_hint(path: &Path) -> String {
    crate::digest::of_file(path).map_or_else(
        |_| String::new(),
        |hashes| format!(" (that of {} now is \"{}\")", path.display(), hashes.sha256),
    )
}

fn texts(spanned: &[Spanned<String>]) -> Vec<String> {
    spanned.iter().map(|text| text.get_ref().clone()).collect()
}
