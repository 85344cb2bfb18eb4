//! Files, directories and links.

use std::collections::HashSet;

use crate::finding::{Reason, Report};
use crate::go::slash_path::{clean, join};
use crate::path::Path;
use crate::schema::Minor;
use crate::value::Struct;

/// Spec version whose Ignition sets the setuid, setgid and sticky bits.
const SPECIAL_MODES: Minor = 6;

/// Checks a path: absolute, and the shortest of its kind.
pub(super) fn absolute_path(path: &str) -> Result<(), Reason> {
    if path.is_empty() {
        return Err(Reason::NoPath);
    }
    if !path.starts_with('/') {
        return Err(Reason::RelativePath);
    }
    if clean(path) != path {
        return Err(Reason::DirtyPath);
    }
    Ok(())
}

/// Nodes where a unit or a drop-in is written.
pub(super) fn paths_of_units(config: &Struct, path: &Path, report: &mut Report) {
    let mut taken = HashSet::new();
    for unit in config.child("systemd").structs("units") {
        let name = unit.text("name");
        let is_set = |found: &Struct| {
            found
                .get("contents")
                .is_some_and(|text| !crate::schema::is_zero(text))
        };
        if is_set(unit) {
            taken.insert(format!("/etc/systemd/system/{name}"));
        }
        for dropin in unit.structs("dropins").filter(|dropin| is_set(dropin)) {
            taken.insert(format!(
                "/etc/systemd/system/{name}.d/{}",
                dropin.text("name")
            ));
        }
    }
    for list in ["files", "directories", "links"] {
        for (index, node) in config.child("storage").structs(list).enumerate() {
            if taken.contains(node.text("path")) {
                let path = path.key("storage").key(list).index(index).key("path");
                report.error(path, Reason::PathConflictsSystemd);
            }
        }
    }
}

/// Nodes below links, and where links lead.
pub(super) fn links(storage: &Struct, minor: Minor, path: &Path, report: &mut Report) {
    let is_below_link = |node: &Struct| {
        let mut links = storage.structs("links");
        links.any(|link| {
            let rest = node.text("path").strip_prefix(link.text("path"));
            rest.is_some_and(|rest| rest.starts_with('/'))
        })
    };
    for (list, reason) in [
        ("directories", Reason::DirectoryUsesLink),
        ("files", Reason::FileUsesLink),
    ] {
        for (index, node) in storage.structs(list).enumerate() {
            if is_below_link(node) {
                report.error(path.key(list).index(index), reason.clone());
            }
        }
    }
    for (index, link) in storage.structs("links").enumerate() {
        let path = path.key("links").index(index);
        if is_below_link(link) {
            report.error(path.clone(), Reason::LinkUsesLink);
        }
        let target = link.text("target");
        if target.is_empty() && minor >= 3 {
            report.error(path.key("target"), Reason::LinkTargetRequired);
            continue;
        }
        if !link.is_true("hard") {
            continue;
        }
        let target = match clean(target) {
            absolute if absolute.starts_with('/') => absolute,
            _ => join(link.text("path"), target),
        };
        for directory in storage.structs("directories") {
            if directory.text("path") == target {
                report.error(path.clone(), Reason::HardLinkToDirectory);
            }
        }
        for owner in ["user", "group"] {
            for field in ["id", "name"] {
                if link.child(owner).has(field) {
                    report.warn(path.key(owner).key(field), Reason::HardLinkOwner);
                }
            }
        }
    }
}

pub(super) fn node(found: &Struct, path: &Path, report: &mut Report) {
    report.check(path.key("path"), absolute_path(found.text("path")));
}

pub(super) fn owner(found: &Struct, path: &Path, report: &mut Report) {
    if found.has("id") && !found.text("name").is_empty() {
        report.error(path.clone(), Reason::BothIdAndName);
    }
}

pub(super) fn mode(found: &Struct, minor: Minor, path: &Path, report: &mut Report) {
    illegal_mode(found, path, report);
    special_mode(found, minor, path, report);
}

pub(super) fn file(found: &Struct, minor: Minor, path: &Path, report: &mut Report) {
    node(found, path, report);
    illegal_mode(found, path, report);
    if found.is_true("overwrite") && !found.child("contents").has("source") {
        report.error(path.key("overwrite"), Reason::OverwriteWithoutSource);
    }
    special_mode(found, minor, path, report);
}

fn illegal_mode(found: &Struct, path: &Path, report: &mut Report) {
    if found
        .opt_int("mode")
        .is_some_and(|mode| !(0..=0o7777).contains(&mode))
    {
        report.error(path.key("mode"), Reason::IllegalMode);
    }
}

fn special_mode(found: &Struct, minor: Minor, path: &Path, report: &mut Report) {
    if minor < SPECIAL_MODES && found.opt_int("mode").is_some_and(|mode| mode & 0o7000 != 0) {
        report.warn(path.key("mode"), Reason::SpecialMode);
    }
}
