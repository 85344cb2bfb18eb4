//! Mistakes that Ignition meets only when it writes files: undefined file systems, files in the way of others,
//! read-only folders, contents that do not decompress as declared.

use std::collections::HashSet;

use guest_agent::config::read::decode_content;
use percent_encoding::percent_decode_str;

use super::super::tree::Node;
use super::shape::Checker;

/// The lists of what is made in file systems.
const LISTS: [&str; 3] = ["files", "directories", "links"];

/// Looks at the storage of a config of version 2 or 3.
pub(super) fn check(checker: &mut Checker<'_>, root: &Node) {
    let Some(storage) = root.child("storage").filter(|_| checker.version.major > 1) else {
        return;
    };
    let items = |list: &str| storage.child(list).map_or(&[][..], Node::items);
    let all = || LISTS.iter().flat_map(|list| items(list));
    if checker.version.major == 2 {
        file_systems(checker, items("filesystems"), all());
    }
    parents(checker, items("files"), all());
    for item in all() {
        read_only(checker, item);
    }
    for file in items("files") {
        contents(checker, file);
    }
}

fn text<'a>(node: &'a Node, key: &str) -> &'a str {
    node.child(key).and_then(Node::scalar).unwrap_or_default()
}

/// In version 2 everything names its file system: `root`, or one that is defined by name.
fn file_systems<'a>(
    checker: &mut Checker<'_>,
    defined: &[Node],
    all: impl Iterator<Item = &'a Node>,
) {
    let names: HashSet<&str> = defined.iter().map(|node| text(node, "name")).collect();
    for item in all {
        let Some(node) = item.child("filesystem") else {
            continue;
        };
        let name = node.scalar().unwrap_or_default();
        if !name.is_empty() && name != "root" && !names.contains(name) {
            let message = format!("file system `{name}` is not defined");
            let help = format!("write root, or add {{\"name\": \"{name}\", …}} to `filesystems`");
            checker.tell("ignition-value", node.at, message, help);
        }
    }
}

/// A file can have nothing below it.
fn parents<'a>(checker: &mut Checker<'_>, files: &[Node], all: impl Iterator<Item = &'a Node>) {
    let files: HashSet<(&str, &str)> = files
        .iter()
        .map(|file| {
            (
                text(file, "filesystem"),
                text(file, "path").trim_end_matches('/'),
            )
        })
        .collect();
    for item in all {
        let Some(node) = item.child("path") else {
            continue;
        };
        let path = node.scalar().unwrap_or_default();
        let above = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
        let mut above = above.filter(|above| !above.is_empty());
        let in_the_way = above.find(|above| files.contains(&(text(item, "filesystem"), *above)));
        if let Some(file) = in_the_way.filter(|file| file.len() + 1 < path.len()) {
            let message = format!("cannot create `{path}`: `{file}` is a file");
            let help = "make it a directory, or write to another path";
            checker.tell("ignition-value", node.at, message, help);
        }
    }
}

/// `/usr` is read-only on all systems that Ignition is for. `/usr/local` is a link out of it on some.
fn read_only(checker: &mut Checker<'_>, item: &Node) {
    let is_root = matches!(text(item, "filesystem"), "" | "root");
    let Some(node) = item.child("path").filter(|_| is_root) else {
        return;
    };
    let path = node.scalar().unwrap_or_default();
    if path.starts_with("/usr/") && !format!("{path}/").starts_with("/usr/local/") {
        let message = format!("`{path}` is below /usr, which is read-only");
        let help = "write to /etc, /opt or /var";
        checker.tell("ignition-value", node.at, message, help);
    }
}

fn contents(checker: &mut Checker<'_>, file: &Node) {
    let contents = file.child("contents").into_iter();
    let appended = file.child("append").map_or(&[][..], Node::items);
    for resource in contents.chain(appended) {
        let Some(source) = resource
            .child("source")
            .filter(|_| text(resource, "compression") == "gzip")
        else {
            continue;
        };
        let Some(bytes) = data(source.scalar().unwrap_or_default()) else {
            continue;
        };
        let is_gzip = bytes.starts_with(&[0x1f, 0x8b]) && unpacks(&bytes);
        if !is_gzip {
            let message = "wrong `compression`: the data is not gzip".to_owned();
            let help = "compress the data with gzip, or remove `compression`";
            checker.tell("ignition-value", source.at, message, help);
        }
    }
}

/// Returns the bytes of a `data:` URL; none of other URLs and of broken ones, which another rule reports.
fn data(url: &str) -> Option<Vec<u8>> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    let bytes: Vec<u8> = percent_decode_str(data).collect();
    match head.ends_with(";base64") {
        true => decode_content("base64", std::str::from_utf8(&bytes).ok()?).ok(),
        false => Some(bytes),
    }
}

fn unpacks(bytes: &[u8]) -> bool {
    let text = guest_agent::config::raw::of_bytes(bytes.to_vec());
    decode_content("gzip", &text).is_ok()
}
