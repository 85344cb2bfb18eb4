//! Requirements of a group on a machine's labels, stored compactly because racks have many groups.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Labels that must be equal, sorted by key; an empty value matches an absent label.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Requirements(Box<[(Arc<str>, Arc<str>)]>);

impl Requirements {
    /// Returns the value that a label must have, when one is required.
    pub fn get(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().find(|(name, _)| &**name == key);
        found.map(|(_, value)| &**value)
    }

    /// Returns the keys and values, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }

    /// Returns the same, as shared strings.
    pub(super) fn shared(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// Returns the keys, sorted.
    pub fn keys(&self) -> Vec<String> {
        self.iter().map(|(key, _)| key.to_owned()).collect()
    }

    /// Returns the number of required labels.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if any machine will do.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Renders the requirements as `key=value,key=value`: the text that bootcfg and matchbox order groups by.
    pub fn text(&self) -> String {
        let pairs: Vec<String> = self.iter().map(|(k, v)| format!("{k}={v}")).collect();
        pairs.join(",")
    }
}

impl<K: AsRef<str>, V: AsRef<str>> FromIterator<(K, V)> for Requirements {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Requirements {
        Names::default().requirements(pairs)
    }
}

/// Strings that many groups share: keys of labels, ids.
#[derive(Debug, Default)]
pub(super) struct Names(HashSet<Arc<str>>);

impl Names {
    /// Returns the one copy of this string.
    pub(super) fn share(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        let name: Arc<str> = text.into();
        self.0.insert(Arc::clone(&name));
        name
    }

    /// Requirements whose keys are shared.
    pub(super) fn requirements<K: AsRef<str>, V: AsRef<str>>(
        &mut self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Requirements {
        let sorted: BTreeMap<Arc<str>, Arc<str>> = pairs
            .into_iter()
            .map(|(key, value)| (self.share(key.as_ref()), Arc::from(value.as_ref())))
            .collect();
        Requirements(sorted.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_sorted_and_the_last_of_a_key_counts() {
        let require = Requirements::from_iter([("uuid", "u"), ("mac", "a"), ("mac", "b")]);
        assert_eq!(require.text(), "mac=b,uuid=u");
        assert_eq!(require.get("uuid"), Some("u"));
        assert_eq!(require.get("serial"), None);
    }

    #[test]
    fn a_shared_name_is_there_once() {
        let mut names = Names::default();
        assert!(Arc::ptr_eq(&names.share("mac"), &names.share("mac")));
    }
}
