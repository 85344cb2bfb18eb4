//! Names of images on the command line: `NAME[:CHANNEL][/ARCHITECTURE][@VERSION]`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A processor, by Debian's and CoreOS's name for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// 64-bit x86 (`amd64`, `x86_64`).
    Amd64,
    /// 64-bit Arm (`arm64`, `aarch64`).
    Arm64,
}

impl Architecture {
    /// Returns the name in `amd64-usr`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Architecture::Amd64 => "amd64",
            Architecture::Arm64 => "arm64",
        }
    }

    /// Returns the name in Fedora CoreOS's metadata.
    #[must_use]
    pub fn rpm_name(self) -> &'static str {
        match self {
            Architecture::Amd64 => "x86_64",
            Architecture::Arm64 => "aarch64",
        }
    }

    /// Parses either name of an architecture.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Architecture::Amd64, Architecture::Arm64]
            .into_iter()
            .find(|arch| [arch.name(), arch.rpm_name()].contains(&text))
    }
}

/// An image as it is asked for; what is not said is the catalog's to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageName {
    /// Name in the catalog.
    pub name: String,
    /// Channel or stream.
    pub channel: Option<String>,
    /// Processor architecture, if named.
    pub architecture: Option<Architecture>,
    /// Version, or `current`.
    pub version: Option<String>,
}

/// A name that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "invalid image name `{text}`: {why}; write NAME[:CHANNEL][/ARCHITECTURE][@VERSION], e.g. `flatcar:stable` or `coreos@835.9.0`"
)]
pub struct BadName {
    text: String,
    why: &'static str,
}

/// True if `text` is valid as a part of a name, and so as the name of a folder: it must not lead outside its
/// parent.
#[must_use]
pub fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._+-".contains(c))
}

impl FromStr for ImageName {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let bad = |why| BadName {
            text: text.to_owned(),
            why,
        };
        let (rest, version) = cut(text, '@');
        let (rest, architecture) = cut(rest, '/');
        let (name, channel) = cut(rest, ':');
        let words = [Some(name), channel, version];
        if !words.into_iter().flatten().all(is_word) {
            return Err(bad(
                "a name, channel or version begins with a letter or digit and has only those and `.`, `_`, `+`, `-`",
            ));
        }
        let architecture = match architecture {
            None => None,
            Some(text) => Some(
                Architecture::parse(text)
                    .ok_or_else(|| bad("the architecture is `amd64` or `arm64`"))?,
            ),
        };
        Ok(ImageName {
            name: name.to_owned(),
            channel: channel.map(str::to_owned),
            architecture,
            version: version.map(str::to_owned),
        })
    }
}

fn cut(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at)
        .map_or((text, None), |(before, after)| (before, Some(after)))
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(channel) = &self.channel {
            write!(f, ":{channel}")?;
        }
        if let Some(architecture) = self.architecture {
            write!(f, "/{}", architecture.name())?;
        }
        if let Some(version) = &self.version {
            write!(f, "@{version}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_name_is_read_and_written_back() {
        for text in [
            "flatcar",
            "flatcar:stable",
            "flatcar:lts/arm64@current-2024",
            "coreos@835.9.0",
            "fedora-coreos:next/arm64",
        ] {
            assert_eq!(text.parse::<ImageName>().unwrap().to_string(), text);
        }
        let name: ImageName = "fedora-coreos/x86_64".parse().unwrap();
        assert_eq!(name.architecture, Some(Architecture::Amd64));
    }

    #[test]
    fn a_name_cannot_lead_out_of_its_folder() {
        for text in [
            "", "..", "a:..", "a@../b", "a@", "a:b/c", "/etc", "a b", "a:.x",
        ] {
            assert!(text.parse::<ImageName>().is_err(), "{text}");
        }
    }
}
