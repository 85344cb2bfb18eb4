//! Checks of Ignition 2.2 configs.
//!
//! Source: `config/types/*.go` and `config/validate/*.go` of Ignition v0.28. A struct with an error is not looked into.

use std::collections::HashSet;

use crate::check::{
    dropin_extension, hash, install_section, partitions_overlap, unit_extension, url_since,
};
use crate::check::{label_of_filesystem, walk};
use crate::finding::{Reason, Report};
use crate::go::slash_path::extension;
use crate::go::unit::option_sections;
use crate::path::Path;
use crate::schema::{Shape, spec2};
use crate::value::Struct;

/// Checks an Ignition config.
pub(super) fn check(ignition: &Struct) -> Report {
    let mut report = Report::default();
    walk(
        ignition,
        &spec2::CONFIG,
        0,
        &Path::default(),
        &mut |found, shape, path| {
            check_one(found, shape, path, &mut report);
        },
    );
    report
}

fn check_one(found: &Struct, shape: &Shape, path: &Path, report: &mut Report) {
    match shape.name {
        "Config" => filesystem_names(found, report),
        "Reference" => source(found, path, &path.key("source"), report),
        "FileContents" => {
            let remote = path.key("remote");
            if !matches!(found.text("compression"), "" | "gzip") {
                report.error(remote.key("compression"), Reason::Compression);
            }
            source(found, &remote, &remote.key("url"), report);
        }
        "File" => {
            if found.is_true("append") && found.is_true("overwrite") {
                report.error(path.clone(), Reason::AppendAndOverwrite);
                return;
            }
            node(found, path, report);
            mode(found, path, report);
        }
        "Directory" => {
            node(found, path, report);
            mode(found, path, report);
        }
        "Link" => node(found, path, report),
        "Owner" if found.has("id") && !found.text("name").is_empty() => {
            report.error(path.clone(), Reason::BothIdAndName);
        }
        "PasswdUser" => user(found, path, report),
        "Disk" => disk(found, path, report),
        "Partition" => partition(found, path, report),
        "Raid" => raid(found, path, report),
        "Filesystem" => filesystem(found, path, report),
        "Unit" => unit(found, path, report),
        "Dropin" => dropin(found, dropin_extension(found.text("name")), path, report),
        "NetworkdUnit" => {
            let result = match extension(found.text("name")) {
                ".link" | ".netdev" | ".network" => Ok(()),
                _ => Err(Reason::NetworkdExtension),
            };
            dropin(found, result, path, report);
        }
        "NetworkdDropin" => {
            let result = dropin_extension(found.text("name"));
            dropin(
                found,
                result.map_err(|_| Reason::NetworkdDropinExtension),
                path,
                report,
            );
        }
        _ => {}
    }
}

/// Filesystems that replace others, and files on filesystems that nothing defines.
fn filesystem_names(config: &Struct, report: &mut Report) {
    let storage = config.child("storage");
    let mut names = HashSet::from(["root"]);
    for filesystem in storage.structs("filesystems") {
        let name = filesystem.text("name");
        if !names.insert(name) {
            report.warn(Path::default(), Reason::FilesystemShadows(name.to_owned()));
        }
    }
    for file in storage.structs("files") {
        let name = file.text("filesystem");
        if !name.is_empty() && !names.contains(name) {
            let reason = Reason::FilesystemUndefined(file.text("path").to_owned(), name.to_owned());
            report.warn(Path::default(), reason);
        }
    }
}

fn source(found: &Struct, at: &Path, source_at: &Path, report: &mut Report) {
    let source = found.text("source");
    if !source.is_empty() {
        report.check(source_at.clone(), url_since(source, None));
    }
    if let Some(text) = found.child("verification").opt_text("hash") {
        report.check(at.key("verification"), hash(text, false));
    }
}

fn absolute(path: &str) -> Result<(), Reason> {
    if path.starts_with('/') {
        Ok(())
    } else {
        Err(Reason::RelativePath)
    }
}

fn node(found: &Struct, path: &Path, report: &mut Report) {
    if found.text("filesystem").is_empty() {
        report.error(path.key("filesystem"), Reason::NoFilesystem);
    }
    report.check(path.key("path"), absolute(found.text("path")));
}

fn mode(found: &Struct, path: &Path, report: &mut Report) {
    if found
        .opt_int("mode")
        .is_some_and(|mode| !(0..=0o7777).contains(&mode))
    {
        report.error(path.key("mode"), Reason::IllegalMode);
    }
}

fn user(found: &Struct, path: &Path, report: &mut Report) {
    if !found.has("create") {
        return;
    }
    report.warn(path.clone(), Reason::UserCreateDeprecated);
    for field in [
        "gecos",
        "groups",
        "home_dir",
        "no_create_home",
        "no_log_init",
        "no_user_group",
        "primary_group",
        "shell",
        "system",
        "uid",
    ] {
        let is_set = found.get(field).is_some_and(|value| match field {
            "uid" => true,
            _ => !crate::schema::is_zero(value),
        });
        if is_set {
            report.error(path.clone(), Reason::CreateAndField(field));
        }
    }
}

fn disk(found: &Struct, path: &Path, report: &mut Report) {
    let device = found.text("device");
    let result = if device.is_empty() {
        Err(Reason::DeviceRequired)
    } else {
        absolute(device)
    };
    report.check(path.key("device"), result);
    let partitions: Vec<&Struct> = found.structs("partitions").collect();
    let path = path.key("partitions");
    let mut numbers = HashSet::new();
    let mut given = partitions
        .iter()
        .filter_map(|p| p.opt_int("number").filter(|&number| number != 0));
    if given.any(|number| !numbers.insert(number)) {
        report.error(path.clone(), Reason::PartitionNumbers);
    }
    if partitions_overlap(&partitions, "start", "size").is_some() {
        report.error(path.clone(), Reason::PartitionsOverlap);
    }
    // A mebibyte is 2048 sectors.
    if partitions
        .iter()
        .any(|p| p.opt_int("start").unwrap_or(0) % 2048 != 0)
    {
        report.error(path, Reason::PartitionsMisaligned);
    }
}

fn partition(found: &Struct, path: &Path, report: &mut Report) {
    let label = found.text("label");
    if label.len() > 36 {
        report.error(path.key("label"), Reason::LabelTooLong);
    }
    if label.contains(':') {
        report.warn(path.key("label"), Reason::LabelColon);
    }
    for field in ["type_guid", "guid"] {
        report.check(path.key(field), crate::check::guid(found.text(field)));
    }
}

fn raid(found: &Struct, path: &Path, report: &mut Report) {
    let result = match found.text("level") {
        "linear" | "raid0" | "0" | "stripe" if found.opt_int("spares").unwrap_or(0) != 0 => {
            Err(Reason::RaidSparesOfLevel)
        }
        "linear" | "raid0" | "0" | "stripe" | "raid1" | "1" | "mirror" | "raid4" | "4"
        | "raid5" | "5" | "raid6" | "6" | "raid10" | "10" => Ok(()),
        _ => Err(Reason::RaidLevel),
    };
    report.check(path.key("level"), result);
    for device in found.texts("devices") {
        report.check(path.key("devices"), absolute(device));
    }
}

fn filesystem(found: &Struct, path: &Path, report: &mut Report) {
    let (has_mount, has_path) = (found.has("mount"), found.has("path"));
    if !has_mount && !has_path {
        report.error(path.clone(), Reason::FilesystemNothing);
        return;
    }
    if has_mount && has_path {
        report.error(path.clone(), Reason::FilesystemBoth);
        return;
    }
    let mount = found.child("mount");
    if mount.has("create") {
        let has_wipe = mount.is_true("wipe_filesystem");
        if has_wipe {
            report.error(path.clone(), Reason::CreateAndWipe);
        }
        report.warn(path.clone(), Reason::MountCreateDeprecated);
        if has_wipe {
            return;
        }
    }
    if has_path {
        report.check(path.key("path"), absolute(found.text("path")));
        return;
    }
    let path = path.key("mount");
    let format = found.child("mount").text("format");
    if !matches!(format, "ext4" | "btrfs" | "xfs" | "swap" | "vfat") {
        report.error(path, Reason::Format);
        return;
    }
    report.check(path.key("device"), absolute(mount.text("device")));
    report.check(
        path.key("label"),
        label_of_filesystem(mount.text("label"), format),
    );
}

fn unit(found: &Struct, path: &Path, report: &mut Report) {
    report.check(path.key("name"), unit_extension(found.text("name")));
    let is_enabled = found.is_true("enable") || found.is_true("enabled");
    let contents = found.text("contents");
    let path = path.key("contents");
    match install_section(found.text("name"), is_enabled, contents) {
        Err(error) => report.error(path, error.into()),
        // Contents without options are none to this version.
        Ok(Some(warning))
            if option_sections(contents).is_ok_and(|sections| !sections.is_empty()) =>
        {
            report.warn(path, warning);
        }
        Ok(_) => {}
    }
}

fn dropin(found: &Struct, extension: Result<(), Reason>, path: &Path, report: &mut Report) {
    if let Err(error) = option_sections(found.text("contents")) {
        report.error(path.clone(), error.into());
    }
    report.check(path.clone(), extension);
}
