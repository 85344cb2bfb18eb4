//! The catalog: which images there are, where they are published and who signs them. Reading and
//! choosing only; nothing here knows the network or the cache.

mod check;
pub mod digest;
pub mod family;
mod firmware;
pub mod keys;
pub mod model;
pub mod name;
pub mod package;
mod problem;
mod program;
mod values;
mod wire;

#[cfg(test)]
mod tests;

use std::path::Path;

use thiserror::Error;

use check::Reader;
pub use firmware::{FirmwareBuild, FirmwarePackage, UnknownFirmware};
pub use model::{Entry, Family, Role};
pub use name::{Architecture, ImageName};
pub use problem::Problem;
use problem::{Text, nearest, one_of, unreadable_file};
pub use program::{DebianRelease, IpxePackage, ProgramName, UnknownIpxe, UnknownProgram};
use wire::WireFile;

/// Name of the kernel's file, as CoreOS publishes it.
pub const KERNEL_FILE: &str = "coreos_production_pxe.vmlinuz";
/// Name of the initrd's file, as CoreOS publishes it.
pub const INITRD_FILE: &str = "coreos_production_pxe_image.cpio.gz";
/// The project's own catalog, compiled in.
const OWN: &str = include_str!("../../catalog.toml");
/// Name of the built-in catalog in messages.
const OWN_NAME: &str = "images/catalog.toml";

/// All images that are known.
#[derive(Debug, Clone)]
pub struct Catalog {
    entries: Vec<Entry>,
}

/// An image that was asked for, found: everything is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Catalog entry of the image.
    pub entry: Entry,
    /// The channel; `-` for an image that has none.
    pub channel: String,
    /// Processor architecture of the image.
    pub architecture: Architecture,
    /// The version, or `current`.
    pub version: String,
}

impl Wanted {
    /// Returns the label for reports, e.g. `flatcar:stable`, `coreos:stable/…`; defaults are omitted.
    #[must_use]
    pub fn label(&self) -> String {
        let mut label = self.entry.name.clone();
        if !self.entry.channels.is_empty() {
            label.push(':');
            label.push_str(&self.channel);
        }
        if self.entry.architectures.first() != Some(&self.architecture) {
            label.push('/');
            label.push_str(self.architecture.name());
        }
        label
    }
}

/// Placeholder for the channel of an image without channels.
const NO_CHANNEL: &str = "-";

/// An image that is not in the catalog.
#[derive(Debug, Error)]
pub enum UnknownImage {
    /// No such name.
    #[error("unknown image `{name}`; the catalog has {known}")]
    Name {
        /// Name as requested.
        name: String,
        /// Names in the catalog.
        known: String,
    },
    /// No such channel.
    #[error("unknown channel `{channel}` of `{name}`; its channels are {known}")]
    Channel {
        /// Name that was requested.
        name: String,
        /// Channel as requested.
        channel: String,
        /// Channels of the image.
        known: String,
    },
    /// The image is not published for this architecture.
    #[error("unsupported architecture {architecture}: `{name}` is published for {known}")]
    Architecture {
        /// Name that was requested.
        name: String,
        /// Architecture as requested.
        architecture: &'static str,
        /// Architectures of the image.
        known: String,
    },
}

impl Catalog {
    /// Returns the project's own catalog alone.
    ///
    /// # Errors
    /// A [`Problem`] with it, which the tests rule out.
    pub fn own() -> Result<Catalog, Box<Problem>> {
        let mut catalog = Catalog {
            entries: Vec::new(),
        };
        catalog.add(OWN_NAME, Path::new(""), OWN)?;
        Ok(catalog)
    }

    /// Returns the project's own catalog, and the user's in `path`.
    ///
    /// # Errors
    /// The first [`Problem`] with the file.
    pub fn with_file(path: &Path) -> Result<Catalog, Box<Problem>> {
        let text = std::fs::read_to_string(path).map_err(|error| unreadable_file(path, &error))?;
        let mut catalog = Catalog::own()?;
        let folder = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let folder = folder.parent().unwrap_or(Path::new("/"));
        catalog.add(&path.display().to_string(), folder, &text)?;
        Ok(catalog)
    }

    /// Adds what `text` has; `folder` is where its relative paths are meant from.
    fn add(&mut self, name: &str, folder: &Path, text: &str) -> Result<(), Box<Problem>> {
        let source = Text::new(name, text);
        let file: WireFile = toml::from_str(text).map_err(|error| source.unreadable(&error))?;
        let reader = Reader {
            text: &source,
            folder: folder.to_owned(),
        };
        for (name, image) in &file.image {
            if self.entry(name.get_ref()).is_some() {
                return Err(source.wrong(
                    name.span(),
                    format!("duplicate image `{}`", name.get_ref()),
                    format!(
                        "choose another name, or use `[override.{}]` to set another mirror or key",
                        name.get_ref()
                    ),
                ));
            }
            self.entries.push(reader.entry(name, image)?);
        }
        for (name, change) in &file.overrides {
            let mirror = reader.mirror(change.mirror.as_ref())?;
            let fingerprints = match &change.fingerprints {
                None => None,
                Some(written) => Some(reader.fingerprints(written)?),
            };
            let known: Vec<String> = self.entries.iter().map(|e| e.name.clone()).collect();
            let Some(entry) = self.entries.iter_mut().find(|e| e.name == *name.get_ref()) else {
                let what = format!("unknown image `{}`", name.get_ref());
                let help = one_of(name.get_ref(), known.iter().map(String::as_str));
                return Err(source.wrong(name.span(), what, help));
            };
            if let Some(key) = &mut entry.key {
                if let Some(path) = &change.key {
                    key.text = model::KeyText::File(folder.join(path));
                }
                if let Some(fingerprints) = fingerprints {
                    key.fingerprints = fingerprints;
                }
            }
            if mirror.is_some() {
                entry.set_mirror(mirror);
            }
        }
        Ok(())
    }

    /// Returns all images, in the order of the files.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns the image called `name`.
    #[must_use]
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// Fetches everything from `mirror` for the image called `name`.
    pub fn set_mirror(&mut self, name: &str, mirror: &str) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.name == name) {
            entry.set_mirror(Some(mirror.trim_end_matches('/').to_owned()));
        }
    }

    /// Resolves `name` to an entry of the catalog.
    ///
    /// # Errors
    /// [`UnknownImage`], with those there are.
    pub fn find(&self, name: &ImageName) -> Result<Wanted, UnknownImage> {
        let entry = self.entry(&name.name).ok_or_else(|| UnknownImage::Name {
            name: name.name.clone(),
            known: one_of(&name.name, self.entries.iter().map(|e| e.name.as_str())),
        })?;
        let channel = match &name.channel {
            None => entry.channels.first().cloned(),
            Some(channel) => {
                Some(channel.clone()).filter(|channel| entry.channels.contains(channel))
            }
        };
        let channel = match (channel, &name.channel) {
            (Some(channel), _) => channel,
            (None, None) => NO_CHANNEL.into(),
            (None, Some(channel)) => {
                return Err(UnknownImage::Channel {
                    name: entry.name.clone(),
                    channel: channel.clone(),
                    known: one_of(channel, entry.channels.iter().map(String::as_str)),
                });
            }
        };
        let first = entry.architectures.first().copied();
        let architecture = name.architecture.or(first).unwrap_or(Architecture::Amd64);
        if !entry.architectures.contains(&architecture) {
            let known: Vec<&str> = entry.architectures.iter().map(|arch| arch.name()).collect();
            return Err(UnknownImage::Architecture {
                name: entry.name.clone(),
                architecture: architecture.name(),
                known: known.join(", "),
            });
        }
        Ok(Wanted {
            entry: entry.clone(),
            channel,
            architecture,
            version: name
                .version
                .clone()
                .unwrap_or_else(|| entry.version.clone()),
        })
    }

    /// Returns the name most like `name`, when one is like it.
    #[must_use]
    pub fn nearest(&self, name: &str) -> Option<&str> {
        nearest(name, self.entries.iter().map(|entry| entry.name.as_str()))
    }
}

impl Entry {
    fn set_mirror(&mut self, mirror: Option<String>) {
        match &mut self.source {
            model::Source::Directory(directory) => directory.mirror = mirror,
            model::Source::Stream(stream) => stream.mirror = mirror,
            model::Source::Package(package) => package.mirror = mirror,
            model::Source::Files(_) | model::Source::Built => {}
        }
    }
}
