//! Shape of `config.yaml`, parsed in one pass. Unknown keys are only noticed here; `shape` reports their
//! positions and likely meaning.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_saphyr::Spanned;

pub(super) const FILE_KEYS: &[&str] = &["api_version", "groups"];
pub(super) const GROUP_KEYS: &[&str] = &["name", "spec", "require", "metadata"];

/// A key of a mapping. Of those known no copy is made: an inventory has hundreds of thousands.
enum Key {
    ApiVersion,
    Groups,
    Name,
    Spec,
    Require,
    Metadata,
    Other,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E>(self, text: &str) -> Result<Key, E> {
                Ok(match text {
                    "api_version" => Key::ApiVersion,
                    "groups" => Key::Groups,
                    "name" => Key::Name,
                    "spec" => Key::Spec,
                    "require" => Key::Require,
                    "metadata" => Key::Metadata,
                    _ => Key::Other,
                })
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// The whole file.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) api_version: Option<Spanned<String>>,
    pub(super) groups: Option<Vec<Spanned<Group>>>,
    /// True if the file or one of its groups has unknown keys.
    pub(super) has_unknown: bool,
}

/// Group of machines as written in the file.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) name: Option<Spanned<String>>,
    pub(super) spec: Option<Spanned<String>>,
    pub(super) require: Option<BTreeMap<String, Option<Spanned<String>>>>,
    pub(super) metadata: Option<BTreeMap<String, serde_json::Value>>,
    has_unknown: bool,
}

struct FileKeys;

impl<'de> Visitor<'de> for FileKeys {
    type Value = File;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping with `api_version` and `groups`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<File, A::Error> {
        let mut file = File::default();
        while let Some(key) = map.next_key()? {
            match key {
                Key::ApiVersion => file.api_version = map.next_value()?,
                Key::Groups => file.groups = map.next_value()?,
                _ => file.has_unknown |= skip(&mut map)?,
            }
        }
        let mut groups = file.groups.iter().flatten();
        file.has_unknown |= groups.any(|group| group.value.has_unknown);
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
        while let Some(key) = map.next_key()? {
            match key {
                Key::Name => group.name = map.next_value()?,
                Key::Spec => group.spec = map.next_value()?,
                Key::Require => group.require = map.next_value()?,
                Key::Metadata => group.metadata = map.next_value()?,
                _ => group.has_unknown |= skip(&mut map)?,
            }
        }
        Ok(group)
    }
}

fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<bool, A::Error> {
    map.next_value::<IgnoredAny>()?;
    Ok(true)
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
