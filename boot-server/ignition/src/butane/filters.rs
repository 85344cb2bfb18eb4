//! Fields of Ignition that a variant does not support.
//!
//! Source: the filters in `config/*/v*/translate.go` of Butane v0.29.0.

use crate::finding::{Reason, Report};
use crate::path::Path;
use crate::schema::release::{Release, Variant};
use crate::value::{Struct, Value, is_empty};

/// A field by its keys, in every entry of the lists on the way.
type Filter = (&'static [&'static str], Reason);

const NO_DISKS: [Filter; 5] = [
    (
        &["kernel_arguments"],
        Reason::NotSupported("kernel argument customization"),
    ),
    (
        &["storage", "disks"],
        Reason::NotSupported("disk customization"),
    ),
    (
        &["storage", "filesystems"],
        Reason::NotSupported("filesystem customization"),
    ),
    (&["storage", "luks"], Reason::NotSupported("luks")),
    (&["storage", "raid"], Reason::NotSupported("raid")),
];
const NO_CLEVIS: [Filter; 1] = [(
    &["storage", "luks", "clevis"],
    Reason::NotSupported("clevis"),
)];
const NO_CEX: [Filter; 1] = [(&["storage", "luks", "cex"], Reason::CexNotSupported)];
const MACHINE_CONFIG: [Filter; 17] = [
    (
        &["kernel_arguments"],
        Reason::MachineConfig("kernel_arguments"),
    ),
    (
        &["passwd", "groups"],
        Reason::MachineConfig("passwd.groups"),
    ),
    (
        &["passwd", "users", "gecos"],
        Reason::MachineConfig("this field of a user"),
    ),
    (
        &["passwd", "users", "groups"],
        Reason::MachineConfig("this field of a user"),
    ),
    (
        &["passwd", "users", "home_dir"],
        Reason::MachineConfig("this field of a user"),
    ),
    (
        &["passwd", "users", "no_create_home"],
        Reason::MachineConfig("this field of a user"),
    ),
    (
        &["passwd", "users", "no_log_init"],
        Reason::MachineConfig("this field of a user"),
    ),
    (
        &["passwd", "users", "no_user_group"],
        Reason::MachineConfig("this field of a user"),
    ),
    (
        &["passwd", "users", "primary_group"],
        Reason::MachineConfig("this field of a user"),
    ),
    (
        &["passwd", "users", "shell"],
        Reason::MachineConfig("this field of a user"),
    ),
    (
        &["passwd", "users", "should_exist"],
        Reason::MachineConfig("this field of a user"),
    ),
    (
        &["passwd", "users", "system"],
        Reason::MachineConfig("this field of a user"),
    ),
    (
        &["passwd", "users", "uid"],
        Reason::MachineConfig("this field of a user"),
    ),
    (
        &["storage", "directories"],
        Reason::MachineConfig("storage.directories"),
    ),
    (
        &["storage", "files", "append"],
        Reason::MachineConfig("appending to a file"),
    ),
    (
        &["storage", "files", "contents", "http_headers"],
        Reason::MachineConfig("headers of a file"),
    ),
    (
        &["storage", "links"],
        Reason::MachineConfig("storage.links"),
    ),
];

/// Reports every field that is set and not supported.
pub(super) fn check(ignition: &Struct, release: &Release) -> Report {
    let filters: &[Filter] = match (release.variant, release.version) {
        (Variant::R4e | Variant::Fiot, _) => &NO_DISKS,
        (Variant::Flatcar, "1.0.0" | "1.1.0") => &NO_CLEVIS,
        (Variant::Flatcar, _) => &NO_CEX,
        (Variant::Openshift, _) => &MACHINE_CONFIG,
        (Variant::Fcos, _) => &[],
    };
    let mut report = Report::default();
    for (keys, reason) in filters {
        search(ignition, keys, &Path::default(), reason, &mut report);
    }
    report
}

fn search(found: &Struct, keys: &[&'static str], at: &Path, reason: &Reason, report: &mut Report) {
    let Some((key, rest)) = keys.split_first() else {
        return;
    };
    let at = at.key(*key);
    match found.get(key) {
        Some(value) if rest.is_empty() && !is_empty(value) => report.error(at, reason.clone()),
        Some(Value::Struct(inner)) => search(inner, rest, &at, reason, report),
        Some(Value::List(items)) => {
            for (index, item) in items.iter().enumerate() {
                if let Value::Struct(inner) = item {
                    search(inner, rest, &at.index(index), reason, report);
                }
            }
        }
        _ => {}
    }
}
