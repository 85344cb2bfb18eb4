//! Changes of a data directory that are not written yet: what is loaded with them is what will be served.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Files to write and to remove, by their paths in the data directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes(BTreeMap<Arc<str>, Option<Arc<[u8]>>>);

impl Changes {
    /// Adds a file that is to have this content; `None` removes it. A later change of a file replaces an earlier one.
    pub fn set(&mut self, file: Arc<str>, content: Option<Arc<[u8]>>) {
        self.0.insert(file, content);
    }

    /// Returns the changed files and their contents.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        self.0
            .iter()
            .map(|(file, content)| (&**file, content.as_deref()))
    }

    /// Returns the change of a file: its content, or `None` inside for a removed one.
    pub(crate) fn of(&self, file: &str) -> Option<Option<&[u8]>> {
        self.0.get(file).map(Option::as_deref)
    }

    /// True if a file is written below this folder, which then exists.
    pub(crate) fn make(&self, folder: &str) -> bool {
        let mut written = self.0.iter().filter(|(_, content)| content.is_some());
        written.any(|(file, _)| below(folder, file).is_some())
    }

    /// Applies the changes to the names in a folder.
    pub(crate) fn apply(&self, folder: &str, names: &mut Vec<String>) {
        for (file, content) in &self.0 {
            let Some(inside) = below(folder, file) else {
                continue;
            };
            let name = inside.split('/').next().unwrap_or(inside);
            let is_there = names.iter().any(|known| known == name);
            match content {
                Some(_) if !is_there => names.push(name.to_owned()),
                None if name == inside => names.retain(|known| known != name),
                _ => {}
            }
        }
    }
}

/// Returns the path of a file relative to a folder; `None` if the file lies elsewhere.
fn below<'a>(folder: &str, file: &'a str) -> Option<&'a str> {
    match folder {
        "." => Some(file),
        _ => file.strip_prefix(folder)?.strip_prefix('/'),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::files::{Root, Unreadable};
    use crate::snapshot::Snapshot;
    use crate::source::Source;

    fn changes(list: &[(&str, Option<&str>)]) -> Changes {
        let mut changes = Changes::default();
        for (file, content) in list {
            let content = content.map(|text| Arc::from(text.as_bytes()));
            changes.set((*file).into(), content);
        }
        changes
    }

    #[test]
    fn root_with_changes_shows_what_a_changed_directory_has() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("groups")).unwrap();
        for name in ["a.json", "b.json"] {
            fs::write(dir.path().join("groups").join(name), "old").unwrap();
        }
        let changes = changes(&[
            ("groups/a.json", Some("new")),
            ("groups/b.json", None),
            ("groups/c.json", Some("c")),
            ("ignition/sub/x.ign", Some("{}")),
        ]);
        let root = Root::open(dir.path()).unwrap().with_changes(&changes);
        assert_eq!(root.names("groups").unwrap(), ["a.json", "c.json"]);
        assert_eq!(root.names("ignition").unwrap(), ["sub"]);
        assert_eq!(root.names(".").unwrap(), ["groups", "ignition"]);
        assert_eq!(root.read_text("groups/a.json").unwrap(), "new");
        let removed = root.read_text("groups/b.json").unwrap_err();
        assert_eq!(removed, Unreadable::Missing("groups/b.json".into()));
        assert!(root.has("ignition") && root.is_folder("ignition/sub"));
        assert!(!root.has("groups/b.json") && !root.has("generic"));
        assert_eq!(fs::read(dir.path().join("groups/a.json")).unwrap(), b"old");
    }

    #[test]
    fn snapshot_of_changes_is_the_snapshot_of_the_changed_directory() {
        let dir = tempfile::tempdir().unwrap();
        let source = Source::of(dir.path());
        let list = [
            ("groups/a.json", r#"{"id":"a","profile":"p"}"#),
            ("profiles/p.json", r#"{"id":"p","generic_id":"g"}"#),
            ("generic/g", "{{.x}}"),
        ];
        let written = list.map(|(file, text)| (file, Some(text)));
        let (before, problems) = Snapshot::load_changed(&source, &changes(&written));
        assert_eq!(problems, []);
        for (file, text) in list {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let (after, _) = Snapshot::load(&source);
        let told = |snapshot: &Snapshot| format!("{:?} {:?}", snapshot.profiles, snapshot.configs);
        assert_eq!(told(&before), told(&after));
        assert_eq!((before.groups.len(), after.groups.len()), (1, 1));
        let broken = changes(&[("generic/g", Some("{{if}}"))]);
        let (_, problems) = Snapshot::load_changed(&source, &broken);
        assert_eq!(problems.len(), 1, "{problems:?}");
    }
}
