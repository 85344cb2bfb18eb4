//! Fields that Ignition writes otherwise: contents, hashes, modes, sizes and partition types.

use crate::finding::{Reason, Report};
use crate::go::dataurl::escape;
use crate::go::url;
use crate::path::Path;
use crate::value::{Struct, Value};

/// Partition types that have names.
const TYPES: [(&str, &str); 4] = [
    (
        "raid_containing_root",
        "be9067b9-ea49-4f15-b4f6-f36f8c9e1818",
    ),
    (
        "linux_filesystem_data",
        "0fc63daf-8483-4772-8e79-3d69d8477de4",
    ),
    ("swap_partition", "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f"),
    ("raid_partition", "a19d880f-05fc-4d3b-a006-743f0f84911e"),
];

/// Converts what has the same name in both.
pub(super) fn convert(config: &Struct) -> (Struct, Report) {
    let mut report = Report::default();
    let mut ignition = Struct::default();
    for section in ["ignition", "networkd", "passwd", "storage", "systemd"] {
        ignition.set(section, config.child(section).clone());
    }
    references(ignition.child_mut("ignition"), &mut report);
    let storage = ignition.child_mut("storage");
    let at = Path::of(&["storage"]);
    for_each(storage, "files", |index, file| {
        file_contents(file, &at.key("files").index(index), &mut report);
        if !file.has("mode") {
            file.set("mode", 0o644);
        }
    });
    for_each(storage, "directories", |_, directory| {
        if !directory.has("mode") {
            directory.set("mode", 0o755);
        }
    });
    for_each(storage, "disks", |disk, fields| {
        let at = at.key("disks").index(disk).key("partitions");
        for_each(fields, "partitions", |index, partition| {
            partition_fields(partition, &at.index(index), &mut report);
        });
    });
    for_each(storage, "filesystems", |_, filesystem| {
        if filesystem.text("path").is_empty() {
            filesystem.remove("path");
        }
    });
    (ignition, report)
}

fn for_each(fields: &mut Struct, list: &'static str, mut change: impl FnMut(usize, &mut Struct)) {
    if fields.list(list).is_empty() {
        return;
    }
    for (index, item) in fields.list_mut(list).iter_mut().enumerate() {
        if let Value::Struct(item) = item {
            change(index, item);
        }
    }
}

fn references(ignition: &mut Struct, report: &mut Report) {
    ignition.set("version", super::SPEC_VERSION);
    let at = Path::of(&["ignition", "config"]);
    let config = ignition.child_mut("config");
    let mut check = |reference: &mut Struct, at: Path| {
        if url::parse(reference.text("source")).is_err() {
            report.error(at.key("source"), Reason::Url);
        }
        join_hash(reference.child_mut("verification"));
    };
    for_each(config, "append", |index, reference| {
        check(reference, at.key("append").index(index))
    });
    if config.has("replace") {
        check(config.child_mut("replace"), at.key("replace"));
    }
    let tls = ignition.child_mut("security").child_mut("tls");
    for_each(tls, "certificate_authorities", |_, reference| {
        join_hash(reference.child_mut("verification"));
    });
}

/// Joins function and sum; without one of them there is no hash.
fn join_hash(verification: &mut Struct) {
    let hash = verification.child("hash");
    let (function, sum) = (
        hash.text("function").to_owned(),
        hash.text("sum").to_owned(),
    );
    verification.remove("hash");
    if !function.is_empty() && !sum.is_empty() {
        verification.set("hash", format!("{function}-{sum}"));
    }
}

fn file_contents(file: &mut Struct, at: &Path, report: &mut Report) {
    let contents = file.child("contents").clone();
    let at = at.key("contents");
    let remote = contents.child("remote");
    let mut written = Struct::default();
    if !contents.text("local").is_empty() {
        report.error(at.key("local"), Reason::NoLocalFiles);
    }
    let url = remote.text("url");
    let inline = contents
        .get("inline")
        .and_then(Value::as_bytes)
        .unwrap_or_default();
    let source = match url::parse(url) {
        Err(url::Invalid) => {
            report.error(at.key("remote").key("url"), Reason::Url);
            String::new()
        }
        Ok(_) if url.is_empty() => format!("data:,{}", escape(inline)),
        Ok(parsed) => parsed.to_string(),
    };
    written.set("source", source);
    written.set("compression", remote.text("compression"));
    let mut verification = remote.child("verification").clone();
    join_hash(&mut verification);
    written.set("verification", verification);
    file.set("contents", written);
}

fn partition_fields(partition: &mut Struct, at: &Path, report: &mut Report) {
    for field in ["size", "start"] {
        let result = super::size::sectors(partition.text(field));
        match result {
            Ok(sectors) => partition.set(field, sectors),
            Err(reason) => {
                // The first wrong dimension of a partition is the only one that is reported.
                report.error(at.key(field), reason);
                return;
            }
        }
    }
    let named = TYPES
        .iter()
        .find(|(name, _)| *name == partition.text("type_guid"));
    if let Some((_, guid)) = named {
        partition.set("type_guid", *guid);
    }
}
