//! Disks, partitions, RAIDs, filesystems and LUKS volumes.

use std::collections::HashMap;

use super::nodes::absolute_path;
use crate::finding::{Reason, Report};
use crate::go::url;
use crate::path::Path;
use crate::schema::Minor;
use crate::value::Struct;

pub(super) fn disk(found: &Struct, path: &Path, report: &mut Report) {
    if found.text("device").is_empty() {
        report.error(path.key("device"), Reason::DeviceRequired);
        return;
    }
    report.check(path.key("device"), absolute_path(found.text("device")));
    let partitions: Vec<&Struct> = found.structs("partitions").collect();
    let numbers = partitions
        .iter()
        .map(|p| p.opt_int("number").filter(|&number| number != 0));
    if let Some(index) = first_repeated(numbers) {
        report.error(
            path.key("partitions").index(index),
            Reason::PartitionNumbers,
        );
    }
    if let Some(index) = partitions_overlap(&partitions, "start_mib", "size_mib") {
        report.error(
            path.key("partitions").index(index),
            Reason::PartitionsOverlap,
        );
    }
    let has_zero = partitions
        .iter()
        .any(|p| p.opt_int("number").unwrap_or(0) == 0);
    if has_zero
        && partitions
            .iter()
            .any(|p| p.opt_bool("should_exist") == Some(false))
    {
        report.error(path.key("partitions"), Reason::ZeroesWithShouldNotExist);
    }
    if let Some(index) = first_repeated(partitions.iter().map(|p| p.opt_text("label"))) {
        report.error(path.key("partitions").index(index), Reason::DuplicateLabels);
    }
}

/// Returns the index of the first value that stands before it already.
fn first_repeated<T: PartialEq>(values: impl Iterator<Item = Option<T>>) -> Option<usize> {
    let values: Vec<Option<T>> = values.collect();
    let is_repeated =
        |&index: &usize| values[index].is_some() && values[..index].contains(&values[index]);
    (0..values.len()).find(is_repeated)
}

/// Returns the index of a partition whose place on the disk another one has, among those with start and size.
pub(crate) fn partitions_overlap(partitions: &[&Struct], start: &str, size: &str) -> Option<usize> {
    let range = |partition: &Struct| {
        let start = partition.opt_int(start).filter(|&start| start != 0)?;
        let size = partition.opt_int(size)?;
        Some((
            start,
            if size == 0 {
                start
            } else {
                start.saturating_add(size) - 1
            },
        ))
    };
    let ranges: Vec<Option<(i64, i64)>> = partitions.iter().map(|p| range(p)).collect();
    ranges.iter().enumerate().find_map(|(index, first)| {
        let first = (*first)?;
        ranges.iter().enumerate().find_map(|(other, second)| {
            let second = (*second)?;
            (index != other && first.0 <= second.1 && second.0 <= first.1).then_some(other)
        })
    })
}

pub(super) fn partition(found: &Struct, path: &Path, report: &mut Report) {
    let is_set = |field| !found.text(field).is_empty();
    let has_others = found.has("label")
        || is_set("type_guid")
        || is_set("guid")
        || found.has("start_mib")
        || found.has("size_mib");
    if found.opt_bool("should_exist") == Some(false) && has_others {
        report.error(path.clone(), Reason::ShouldNotExistWithOthers);
    }
    if found.opt_int("number").unwrap_or(0) == 0 && !found.has("label") {
        report.error(path.clone(), Reason::NeedLabelOrNumber);
    }
    report.check(path.key("label"), partition_label(found.text("label")));
    for field in ["guid", "type_guid"] {
        report.check(path.key(field), guid(found.text(field)));
    }
}

fn partition_label(label: &str) -> Result<(), Reason> {
    if label.len() > 36 {
        return Err(Reason::LabelTooLong);
    }
    if label.contains(':') {
        Err(Reason::LabelColon)
    } else {
        Ok(())
    }
}

/// Checks a GUID.
pub(crate) fn guid(text: &str) -> Result<(), Reason> {
    let lengths = text.split('-').map(str::len);
    let is_hex = text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit());
    if text.is_empty() || is_hex && lengths.eq([8, 4, 4, 4, 12]) {
        Ok(())
    } else {
        Err(Reason::Guid)
    }
}

pub(super) fn raid(found: &Struct, minor: Minor, path: &Path, report: &mut Report) {
    let has_spares = found.opt_int("spares").unwrap_or(0) != 0;
    let result = match found.text("level") {
        "" if minor >= 3 => Err(Reason::RaidLevelRequired),
        "linear" | "raid0" | "0" | "stripe" if has_spares => Err(Reason::RaidSpares),
        "linear" | "raid0" | "0" | "stripe" | "raid1" | "1" | "mirror" | "raid4" | "4"
        | "raid5" | "5" | "raid6" | "6" | "raid10" | "10" => Ok(()),
        _ => Err(Reason::RaidLevel),
    };
    report.check(path.key("level"), result);
    if found.list("devices").is_empty() {
        report.error(path.key("devices"), Reason::RaidDevicesRequired);
    }
    for (index, device) in found.texts("devices").enumerate() {
        report.check(path.key("devices").index(index), absolute_path(device));
    }
}

/// Filesystems on a disk that is partitioned or wiped.
pub(super) fn filesystems_of_disks(storage: &Struct, path: &Path, report: &mut Report) {
    let disks: HashMap<&str, &Struct> = storage
        .structs("disks")
        .map(|disk| (disk.text("device"), disk))
        .collect();
    for (index, filesystem) in storage.structs("filesystems").enumerate() {
        let Some(disk) = disks.get(filesystem.text("device")) else {
            continue;
        };
        let path = path.key("filesystems").index(index).key("device");
        if !disk.list("partitions").is_empty() {
            report.warn(path, Reason::PartitionsOverwritten);
        } else if !filesystem.is_true("wipe_filesystem") && disk.is_true("wipe_table") {
            report.warn(path, Reason::FilesystemImplicitWipe);
        }
    }
}

pub(super) fn filesystem(found: &Struct, minor: Minor, path: &Path, report: &mut Report) {
    let mount_path = found.text("path");
    let is_virtiofs = minor >= 7 && found.text("format") == "virtiofs";
    let result = if mount_path.is_empty() {
        Ok(())
    } else {
        absolute_path(mount_path)
    };
    report.check(path.key("path"), result);
    report.check(
        path.key("device"),
        filesystem_device(found.text("device"), is_virtiofs),
    );
    report.check(path.key("format"), format(found, minor));
    report.check(
        path.key("label"),
        label_of_filesystem(found.text("label"), found.text("format")),
    );
    if is_virtiofs {
        let is_set = |field: &str| match field {
            "uuid" => !found.text(field).is_empty(),
            "options" => !found.list(field).is_empty(),
            _ => found.is_true(field),
        };
        for field in ["uuid", "wipe_filesystem", "options"] {
            if is_set(field) {
                report.error(path.key(field), Reason::FieldForFormat(field));
            }
        }
    }
}

fn filesystem_device(device: &str, is_virtiofs: bool) -> Result<(), Reason> {
    match device.len() {
        _ if !is_virtiofs => absolute_path(device),
        0 => Err(Reason::NoDevice),
        1..=36 => Ok(()),
        _ => Err(Reason::VirtiofsTag),
    }
}

fn format(found: &Struct, minor: Minor) -> Result<(), Reason> {
    match found.text("format") {
        "" => {
            let is_set = |field| !found.text(field).is_empty();
            let has_others = is_set("path")
                || is_set("label")
                || is_set("uuid")
                || found.is_true("wipe_filesystem")
                || !found.list("mount_options").is_empty()
                || !found.list("options").is_empty();
            if has_others {
                Err(Reason::FormatRequired)
            } else {
                Ok(())
            }
        }
        "ext4" | "btrfs" | "xfs" | "swap" | "vfat" => Ok(()),
        "none" if minor >= 3 => Ok(()),
        "virtiofs" if minor >= 7 => Ok(()),
        _ => Err(Reason::Format),
    }
}

/// Checks the length of a filesystem's label.
pub(crate) fn label_of_filesystem(label: &str, format: &str) -> Result<(), Reason> {
    if label.is_empty() {
        return Ok(());
    }
    let (name, most) = match format {
        "" => return Err(Reason::LabelNeedsFormat),
        "ext4" => ("ext4", 16),
        "btrfs" => ("btrfs", 256),
        "xfs" => ("xfs", 12),
        "swap" => ("swap", 15),
        "vfat" => ("vfat", 11),
        "virtiofs" => return Err(Reason::FieldForFormat("label")),
        _ => return Ok(()),
    };
    if label.len() > most {
        Err(Reason::FilesystemLabel(name, most))
    } else {
        Ok(())
    }
}

pub(super) fn luks(found: &Struct, minor: Minor, path: &Path, report: &mut Report) {
    if found.text("name").contains('/') {
        report.error(path.key("name"), Reason::LuksName);
    }
    if found.text("label").len() > 47 {
        report.error(path.key("label"), Reason::LuksLabel);
    }
    let result = match found.text("device") {
        "" => Err(Reason::DeviceRequired),
        device => absolute_path(device),
    };
    report.check(path.key("device"), result);
    let clevis = found.child("clevis");
    let has_pin = !clevis.child("custom").text("pin").is_empty();
    let has_clevis = !clevis.list("tang").is_empty()
        || clevis.is_true("tpm2")
        || clevis.opt_int("threshold").unwrap_or(0) != 0;
    if has_pin && has_clevis {
        report.error(path.key("clevis"), Reason::ClevisCustomWithOthers);
    }
    let has_cex = found.child("cex").is_true("enabled");
    if has_cex && (has_pin || has_clevis) {
        report.error(path.key("cex"), Reason::CexWithClevis);
    }
    let key_file = found.child("key_file").text("source");
    if !key_file.is_empty() {
        if super::url_since(key_file, Some(minor)).is_err() {
            report.error(path.key("keys"), Reason::LuksKeyFile);
        }
        if has_cex {
            report.error(path.key("cex"), Reason::CexWithKeyFile);
        }
    }
}

pub(super) fn clevis_custom(found: &Struct, minor: Minor, path: &Path, report: &mut Report) {
    let (pin, config) = (found.text("pin"), found.text("config"));
    if pin.is_empty() && config.is_empty() && !found.is_true("needs_network") {
        return;
    }
    match pin {
        "tpm2" | "tang" | "sss" => {}
        "" if minor >= 3 => report.error(path.key("pin"), Reason::ClevisPinRequired),
        _ => report.error(path.key("pin"), Reason::ClevisPin),
    }
    if config.is_empty() {
        report.error(path.key("config"), Reason::ClevisConfigRequired);
    }
}

pub(super) fn tang(found: &Struct, path: &Path, report: &mut Report) {
    let result = match url::parse(found.text("url")) {
        Err(url::Invalid) => Err(Reason::Url),
        Ok(url) if matches!(url.scheme.as_str(), "http" | "https") => Ok(()),
        Ok(_) => Err(Reason::UrlScheme),
    };
    report.check(path.key("url"), result);
    if found.text("thumbprint").is_empty() {
        report.error(path.key("thumbprint"), Reason::TangThumbprint);
    }
    let advertisement = found.text("advertisement");
    let is_json = || serde_json::from_str::<serde_json::Value>(advertisement).is_ok();
    if !advertisement.is_empty() && !is_json() {
        report.error(path.key("advertisement"), Reason::TangAdvertisement);
    }
}
