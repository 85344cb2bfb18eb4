//! Paths with slashes: Go's `path.Clean`, `path.Join` and `path.Ext`.

/// Returns the shortest equivalent path.
pub(crate) fn clean(path: &str) -> String {
    let is_rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if is_rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (is_rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// Joins two paths and cleans the result; an empty one is left out.
pub(crate) fn join(head: &str, tail: &str) -> String {
    match (head.is_empty(), tail.is_empty()) {
        (true, true) => String::new(),
        (true, false) => clean(tail),
        (false, true) => clean(head),
        (false, false) => clean(&format!("{head}/{tail}")),
    }
}

/// Returns the extension with its dot: from the last dot of the last part.
pub(crate) fn extension(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.rfind('.').map_or("", |dot| &name[dot..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_resolves_dots_and_slashes() {
        for (path, cleaned) in [
            ("/etc//a/", "/etc/a"),
            ("/etc/../a", "/a"),
            ("/../a", "/a"),
            ("../a/..", ".."),
            ("", "."),
            ("/", "/"),
            ("a/./b", "a/b"),
        ] {
            assert_eq!(clean(path), cleaned, "{path}");
        }
    }
}
