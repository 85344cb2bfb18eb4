//! Sections whose keys depend on a version: etcd and flannel.

use std::cmp::Ordering;

use crate::schema::{Minor, Shape, etcd};
use crate::value::Struct;
use crate::yaml::Mismatch;
use crate::yaml::Node;
use crate::yaml::decode::{Library, decode};

/// A version of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) numbers: [i64; 3],
    /// Text behind the numbers: a pre-release and metadata.
    suffix: String,
}

/// A version that is not three numbers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not three numbers with dots")]
pub struct InvalidVersion(pub String);

impl Version {
    pub(super) fn parse(text: &str) -> Result<Version, InvalidVersion> {
        let invalid = || InvalidVersion(text.to_owned());
        let (numbers, suffix) = text.split_at(text.find(['-', '+']).unwrap_or(text.len()));
        let parsed: Option<Vec<i64>> = numbers.split('.').map(|part| part.parse().ok()).collect();
        let numbers: [i64; 3] = parsed
            .ok_or_else(invalid)?
            .try_into()
            .map_err(|_| invalid())?;
        let is_identifier = |c: char| c.is_ascii_alphanumeric() || "-.+".contains(c);
        if !suffix.chars().all(is_identifier) {
            return Err(invalid());
        }
        Ok(Version {
            numbers,
            suffix: suffix.to_owned(),
        })
    }

    /// True for a version before another one without a suffix.
    pub(super) fn is_before(&self, other: [i64; 3]) -> bool {
        match self.numbers.cmp(&other) {
            Ordering::Equal => self.suffix.starts_with('-') && self.suffix.len() > 1,
            order => order == Ordering::Less,
        }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(f, "{major}.{minor}.{patch}{}", self.suffix)
    }
}

/// A section with the options of its version.
pub(super) struct Section {
    pub(super) version: Option<Version>,
    pub(super) options: Struct,
    /// Shape of the options, and the minor version in it; none for a version without options.
    pub(super) shape: Option<(&'static Shape, Minor)>,
}

/// The sections that a config has.
pub(super) struct Sections {
    pub(super) etcd: Option<Section>,
    pub(super) flannel: Option<Section>,
}

/// Reason why a section cannot be read.
pub(super) enum Unreadable {
    Types(Vec<Mismatch>),
    Version(InvalidVersion),
}

impl Sections {
    pub(super) fn decode(root: &Node) -> Result<Sections, Unreadable> {
        let etcd = section(root, "etcd", etcd_shape)?;
        let flannel = section(root, "flannel", flannel_shape)?;
        Ok(Sections { etcd, flannel })
    }
}

type ShapeOf = fn(Option<&Version>) -> Option<(&'static Shape, Minor)>;

fn section(root: &Node, name: &str, shape_of: ShapeOf) -> Result<Option<Section>, Unreadable> {
    use crate::yaml::Content;
    let Some(node) = root.get(name).map(Node::target) else {
        return Ok(None);
    };
    if !matches!(node.content, Content::Map(_)) {
        return Ok(None);
    }
    let text = match node.get("version").map(|version| &version.target().content) {
        Some(Content::Scalar(scalar)) if !scalar.is_null() => Some(scalar.text.as_str()),
        _ => None,
    };
    let version = text
        .map(Version::parse)
        .transpose()
        .map_err(Unreadable::Version)?;
    let shape = shape_of(version.as_ref());
    let options = match shape {
        Some((shape, minor)) => {
            decode(node, shape, minor, Library::V2).map_err(Unreadable::Types)?
        }
        None => Struct::default(),
    };
    Ok(Some(Section {
        version,
        options,
        shape,
    }))
}

fn etcd_shape(version: Option<&Version>) -> Option<(&'static Shape, Minor)> {
    match version.map_or([3, 0, 0], |version| version.numbers) {
        [2, 3..=i64::MAX, _] => Some((&etcd::ETCD_2, 0)),
        [3, minor @ 0..=2, _] => Some((&etcd::ETCD_3, Minor::try_from(minor).unwrap_or(0))),
        [3, 3..=i64::MAX, _] => Some((&etcd::ETCD_3, 3)),
        _ => None,
    }
}

fn flannel_shape(version: Option<&Version>) -> Option<(&'static Shape, Minor)> {
    match version.map_or([0, 6, 0], |version| version.numbers) {
        [0, minor @ 5..=6, _] => Some((&etcd::FLANNEL, Minor::try_from(minor).unwrap_or(5))),
        [0, 7..=i64::MAX, _] => Some((&etcd::FLANNEL, 7)),
        _ => None,
    }
}
