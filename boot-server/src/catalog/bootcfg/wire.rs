//! The shape of `config.yaml`. Keys that mean nothing are kept, so that they can be told.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_saphyr::Spanned;

use crate::catalog::problem::Problem;
use crate::catalog::yaml;

pub(super) const FILE_KEYS: &[&str] = &["api_version", "groups"];
pub(super) const GROUP_KEYS: &[&str] = &["name", "spec", "require", "metadata"];

/// A key that means nothing: a misspelt one, most likely.
#[derive(Debug)]
pub(super) struct UnknownKey {
    pub(super) key: Spanned<String>,
    /// Those that would mean something.
    pub(super) known: &'static [&'static str],
}

impl UnknownKey {
    /// Says so.
    pub(super) fn tell(&self, path: &Path, text: &Arc<str>) -> Problem {
        let (line, column) = yaml::place(&self.key.referenced);
        let problem = Problem::unknown_key(path, &self.key.value, self.known);
        problem.at(Arc::clone(text), line, column)
    }
}

/// The whole file.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) api_version: Option<Spanned<String>>,
    pub(super) groups: Option<Vec<Spanned<Group>>>,
    /// Of the file, and then of its groups.
    pub(super) unknown: Vec<UnknownKey>,
}

/// One group.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) name: Option<Spanned<String>>,
    pub(super) spec: Option<Spanned<String>>,
    pub(super) require: Option<BTreeMap<String, Option<Spanned<String>>>>,
    pub(super) metadata: Option<BTreeMap<String, serde_json::Value>>,
    unknown: Vec<UnknownKey>,
}

struct FileKeys;

impl<'de> Visitor<'de> for FileKeys {
    type Value = File;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping with `api_version` and `groups`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<File, A::Error> {
        let mut file = File::default();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            match key.value.as_str() {
                "api_version" => file.api_version = map.next_value()?,
                "groups" => file.groups = map.next_value()?,
                _ => file.unknown.push(skip(&mut map, key, FILE_KEYS)?),
            }
        }
        for group in file.groups.iter_mut().flatten() {
            file.unknown.append(&mut group.value.unknown);
        }
        Ok(file)
    }
}

struct GroupKeys;

impl<'de> Visitor<'de> for GroupKeys {
    type Value = Group;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping with `name`, `spec`, `require` and `metadata`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Group, A::Error> {
        let mut group = Group::default();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            match key.value.as_str() {
                "name" => group.name = map.next_value()?,
                "spec" => group.spec = map.next_value()?,
                "require" => group.require = map.next_value()?,
                "metadata" => group.metadata = map.next_value()?,
                _ => group.unknown.push(skip(&mut map, key, GROUP_KEYS)?),
            }
        }
        Ok(group)
    }
}

fn skip<'de, A: MapAccess<'de>>(
    map: &mut A,
    key: Spanned<String>,
    known: &'static [&'static str],
) -> Result<UnknownKey, A::Error> {
    map.next_value::<IgnoredAny>()?;
    Ok(UnknownKey { key, known })
}

impl<'de> Deserialize<'de> for File {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<File, D::Error> {
        deserializer.deserialize_map(FileKeys)
    }
}

impl<'de> Deserialize<'de> for Group {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Group, D::Error> {
        deserializer.deserialize_map(GroupKeys)
    }
}
