//! Trees of local files, and quadlets.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path as FilePath;

use super::files::unreadable;
use super::translate::Context;
use crate::finding::Reason;
use crate::go::slash_path::join;
use crate::path::Path;
use crate::value::{Struct, Value};

/// Most files, folders and links in the trees of one config.
const MAX_NODES: usize = 100_000;

/// Files, directories and links of an Ignition config by path.
struct Nodes<'a> {
    storage: &'a mut Struct,
    /// List and index of each path.
    by_path: HashMap<String, (&'static str, usize)>,
}

impl<'a> Nodes<'a> {
    fn new(ignition: &'a mut Struct) -> Nodes<'a> {
        let storage = ignition.child_mut("storage");
        let mut by_path = HashMap::new();
        // A path that stands in several lists is refused later.
        for list in ["links", "directories", "files"] {
            for (index, node) in storage.structs(list).enumerate() {
                by_path.insert(node.text("path").to_owned(), (list, index));
            }
        }
        Nodes { storage, by_path }
    }

    fn find(&self, path: &str) -> Option<(&'static str, usize)> {
        self.by_path.get(path).copied()
    }

    fn add(&mut self, list: &'static str, path: &str, node: Struct) -> usize {
        let nodes = self.storage.list_mut(list);
        nodes.push(node.with("path", path).into());
        let index = nodes.len() - 1;
        self.by_path.insert(path.to_owned(), (list, index));
        index
    }

    fn node(&mut self, list: &'static str, index: usize) -> &mut Struct {
        match &mut self.storage.list_mut(list)[index] {
            Value::Struct(node) => node,
            _ => unreachable!("lists of nodes hold structs"),
        }
    }
}

impl Context<'_> {
    /// Adds the files and links of `storage.trees`.
    pub(super) fn trees(&mut self, config: &Struct, ignition: &mut Struct) {
        let trees: Vec<&Struct> = config.child("storage").structs("trees").collect();
        if trees.is_empty() {
            return;
        }
        let mut nodes = Nodes::new(ignition);
        let mut left = MAX_NODES;
        for (index, tree) in trees.into_iter().enumerate() {
            let at = Path::of(&["storage", "trees"]).index(index);
            if !self.files.has_dir() {
                return self.report.error(at, Reason::NoFilesDir);
            }
            let root = match self.files.locate(tree.text("local")) {
                Ok(root) => root,
                Err(reason) => {
                    self.report.error(at, reason);
                    continue;
                }
            };
            match std::fs::metadata(&root) {
                Err(error) => self.report.error(at, unreadable(&root, &error)),
                Ok(metadata) if !metadata.is_dir() => {
                    self.report.error(at, Reason::TreeNotDirectory)
                }
                Ok(_) => {
                    let to = match tree.text("path") {
                        "" => "/",
                        path => path,
                    };
                    self.folder(&at, tree, &mut nodes, &root, &join(to, "."), &mut left);
                }
            }
        }
    }

    /// Adds a folder and what is in it, in the order of names.
    fn folder(
        &mut self,
        at: &Path,
        tree: &Struct,
        nodes: &mut Nodes,
        folder: &FilePath,
        to: &str,
        left: &mut usize,
    ) {
        let is_custom = tree.has("dir_mode")
            || !tree.child("user").is_empty()
            || !tree.child("group").is_empty();
        if is_custom {
            if nodes.find(to).is_some() {
                self.report.error(at.clone(), Reason::NodeExists);
            } else {
                let mode = tree.opt_int("dir_mode").unwrap_or(0o755);
                self.add_node(at, nodes, "directories", to, owned(tree).with("mode", mode));
            }
        }
        let mut names = match names_of(folder) {
            Ok(names) => names,
            Err(error) => return self.report.error(at.clone(), unreadable(folder, &error)),
        };
        names.sort();
        for name in names {
            *left = match left.checked_sub(1) {
                Some(left) => left,
                None => {
                    return self
                        .report
                        .error(at.clone(), Reason::TooManyNodes(MAX_NODES));
                }
            };
            let path = folder.join(&name);
            let to = join(to, &name.to_string_lossy());
            match std::fs::symlink_metadata(&path) {
                Err(error) => self.report.error(at.clone(), unreadable(&path, &error)),
                Ok(metadata) if metadata.is_dir() => self.folder(at, tree, nodes, &path, &to, left),
                Ok(metadata) if metadata.is_file() => {
                    let is_executable = metadata.permissions().mode() & 0o111 != 0;
                    self.file(at, tree, nodes, &path, &to, is_executable);
                }
                Ok(metadata) if metadata.is_symlink() => self.link(at, tree, nodes, &path, &to),
                Ok(_) => self.report.error(at.clone(), Reason::TreeFileType),
            }
        }
    }

    fn file(
        &mut self,
        at: &Path,
        tree: &Struct,
        nodes: &mut Nodes,
        path: &FilePath,
        to: &str,
        is_executable: bool,
    ) {
        let index = match nodes.find(to) {
            Some(("files", index)) => {
                let contents = nodes.node("files", index).child("contents");
                if !contents.text("source").is_empty() {
                    return self.report.error(at.clone(), Reason::NodeExists);
                }
                index
            }
            Some(_) => return self.report.error(at.clone(), Reason::NodeExists),
            None => self.add_node(at, nodes, "files", to, owned(tree)),
        };
        let contents = match self.files.read_path(path) {
            Ok(contents) => contents,
            Err(reason) => return self.report.error(at.clone(), reason),
        };
        let place = Path::of(&["storage", "files"]).index(index);
        let file = nodes.node("files", index);
        self.set_contents(
            &contents,
            at,
            &place.key("contents"),
            file.child_mut("contents"),
        );
        self.origins.add(at.clone(), place.key("contents"));
        if !file.has("mode") {
            let mode = if is_executable { 0o755 } else { 0o644 };
            file.set("mode", tree.opt_int("file_mode").unwrap_or(mode));
            self.origins.add(at.clone(), place.key("mode"));
        }
    }

    fn link(&mut self, at: &Path, tree: &Struct, nodes: &mut Nodes, path: &FilePath, to: &str) {
        let index = match nodes.find(to) {
            Some(("links", index)) if nodes.node("links", index).text("target").is_empty() => index,
            Some(_) => return self.report.error(at.clone(), Reason::NodeExists),
            None => self.add_node(at, nodes, "links", to, owned(tree)),
        };
        let target = match std::fs::read_link(path) {
            Ok(target) => target.into_os_string().into_encoded_bytes(),
            Err(error) => return self.report.error(at.clone(), unreadable(path, &error)),
        };
        nodes
            .node("links", index)
            .set("target", Value::from_bytes(target));
        let place = Path::of(&["storage", "links"]).index(index);
        self.origins.add(at.clone(), place.key("target"));
    }

    fn add_node(
        &mut self,
        at: &Path,
        nodes: &mut Nodes,
        list: &'static str,
        to: &str,
        node: Struct,
    ) -> usize {
        let index = nodes.add(list, to, node);
        let place = Path::of(&["storage", list]);
        if index == 0 {
            self.origins.add(at.clone(), place.clone());
        }
        let node = Value::Struct(nodes.node(list, index).clone());
        self.origins.add_all(at, &place.index(index), &node);
        for field in ["path", "contents", "mode", "target"] {
            self.origins.add(at.clone(), place.index(index).key(field));
        }
        index
    }

    /// Adds the files and links of `systemd.quadlets`.
    pub(super) fn quadlets(&mut self, config: &Struct, ignition: &mut Struct) {
        let quadlets: Vec<&Struct> = config.child("systemd").structs("quadlets").collect();
        if quadlets.is_empty() {
            return;
        }
        let mut nodes = Nodes::new(ignition);
        for (index, quadlet) in quadlets.into_iter().enumerate() {
            let at = Path::of(&["systemd", "quadlets"]).index(index);
            let name = quadlet.text("name");
            let folder = if quadlet.is_true("rootful") {
                "/etc/containers/systemd"
            } else {
                "/etc/containers/systemd/users"
            };
            let to = format!("{folder}/{name}");
            if nodes.find(&to).is_some() {
                self.report.error(at, Reason::NodeExists);
                continue;
            }
            if let Some(template) = template_of(name) {
                let link = Struct::default().with("target", template);
                let index = self.add_node(&at, &mut nodes, "links", &to, link);
                let path = Path::of(&["storage", "links"]).index(index).key("path");
                self.origins.add(at.key("name"), path);
            } else {
                self.quadlet_file(quadlet, &at, &mut nodes, &to);
            }
            for (index, dropin) in quadlet.structs("dropins").enumerate() {
                let at = at.key("dropins").index(index);
                let to = format!("{to}.d/{}", dropin.text("name"));
                if nodes.find(&to).is_some() {
                    self.report.error(at, Reason::NodeExists);
                } else {
                    self.quadlet_file(dropin, &at, &mut nodes, &to);
                }
            }
        }
    }

    /// Adds the file of a quadlet or of a drop-in.
    fn quadlet_file(&mut self, from: &Struct, at: &Path, nodes: &mut Nodes, to: &str) {
        let file = Struct::default().with("mode", 0o644);
        let index = self.add_node(at, nodes, "files", to, file);
        let place = Path::of(&["storage", "files"]).index(index);
        self.origins.add(at.key("name"), place.key("path"));
        match self.quadlet_contents(from, at) {
            Ok((from, contents)) => {
                let file = nodes.node("files", index).child_mut("contents");
                self.set_contents(&contents, &from, &place.key("contents"), file);
                self.origins.add(from, place.key("contents"));
            }
            Err((from, reason)) => self.report.error(from, reason),
        }
    }

    fn quadlet_contents(
        &mut self,
        from: &Struct,
        at: &Path,
    ) -> Result<(Path, Vec<u8>), (Path, Reason)> {
        if let Some(contents) = from.get("contents").and_then(Value::as_bytes)
            && !contents.is_empty()
        {
            return Ok((at.key("contents"), contents.to_vec()));
        }
        let local = from.text("contents_local");
        if local.is_empty() {
            return Ok((at.clone(), Vec::new()));
        }
        let at = at.key("contents_local");
        match self.files.read(local) {
            Ok(contents) => Ok((at, contents)),
            Err(reason) => Err((at, reason)),
        }
    }
}

/// Returns the template of a name such as `tide@7.container`.
pub(super) fn template_of(name: &str) -> Option<String> {
    let at = name.find('@')?;
    let dot = name.find('.');
    if dot == Some(at + 1) {
        return None;
    }
    let extension = dot.map_or(name, |dot| &name[dot + 1..]);
    Some(format!("{}@.{extension}", &name[..at]))
}

/// Returns a node with the owner that a tree's nodes have.
fn owned(tree: &Struct) -> Struct {
    let mut node = Struct::default();
    for owner in ["user", "group"] {
        if !tree.child(owner).is_empty() {
            node.set(owner, tree.child(owner).clone());
        }
    }
    node
}

fn names_of(folder: &FilePath) -> std::io::Result<Vec<std::ffi::OsString>> {
    std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect()
}
