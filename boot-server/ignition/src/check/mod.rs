//! Checks of Ignition configs, made on the config that a Butane config was translated to.
//!
//! Source: `config/v3_*/types/*.go` and `config/validate/validate.go` of Ignition v2.26.0. The walk is depth first: a
//! struct is checked before its fields.

mod contents;
mod disks;
mod duplicates;
mod nodes;
mod systemd;

use crate::finding::Report;
use crate::path::Path;
use crate::schema::{Kind, Minor, Shape};
use crate::value::{Struct, Value};

pub(crate) use contents::{hash, url_since};
pub(crate) use disks::{guid, label_of_filesystem, partitions_overlap};
pub(crate) use duplicates::{duplicates, key_of};
pub(crate) use systemd::{dropin_extension, install_section, unit_extension};

/// Checks an Ignition 3 config.
pub(crate) fn check(config: &Struct, shape: &'static Shape, minor: Minor) -> Report {
    let mut report = Report::default();
    walk(
        config,
        shape,
        minor,
        &Path::default(),
        &mut |found, shape, path| {
            check_one(found, shape, minor, path, &mut report);
        },
    );
    report
}

/// Calls a function for each struct of a config, also for those that are not set, each before its fields.
pub(crate) fn walk(
    fields: &Struct,
    shape: &'static Shape,
    minor: Minor,
    path: &Path,
    visit: &mut dyn FnMut(&Struct, &'static Shape, &Path),
) {
    visit(fields, shape, path);
    for field in shape.fields_in(minor) {
        match field.kind {
            Kind::Struct(inner) => {
                walk(
                    fields.child(field.name),
                    inner,
                    minor,
                    &path.key(field.name),
                    visit,
                );
            }
            Kind::List(inner) => {
                for (index, item) in fields.list(field.name).iter().enumerate() {
                    if let Value::Struct(item) = item {
                        let path = path.key(field.name).index(index);
                        walk(item, inner, minor, &path, visit);
                    }
                }
            }
            _ => {}
        }
    }
}

fn check_one(found: &Struct, shape: &Shape, minor: Minor, path: &Path, report: &mut Report) {
    match shape.name {
        "Config" => nodes::paths_of_units(found, path, report),
        "IgnitionConfig" => contents::required_sources(found, "merge", minor, path, report),
        "TLS" => contents::required_sources(found, "certificate_authorities", minor, path, report),
        "Proxy" => contents::proxy(found, path, report),
        "Resource" => contents::resource(found, minor, path, report),
        "HTTPHeader" => contents::http_header(found, path, report),
        "Verification" => report.check(path.key("hash"), contents::verification(found, minor)),
        "Storage" => {
            nodes::links(found, minor, path, report);
            disks::filesystems_of_disks(found, path, report);
        }
        "Owner" => nodes::owner(found, path, report),
        "Directory" => {
            nodes::node(found, path, report);
            nodes::mode(found, minor, path, report);
        }
        "File" => nodes::file(found, minor, path, report),
        "Link" => nodes::node(found, path, report),
        "Disk" => disks::disk(found, path, report),
        "Partition" => disks::partition(found, path, report),
        "Raid" => disks::raid(found, minor, path, report),
        "Filesystem" => disks::filesystem(found, minor, path, report),
        "Luks" => disks::luks(found, minor, path, report),
        "ClevisCustom" => disks::clevis_custom(found, minor, path, report),
        "Tang" => disks::tang(found, path, report),
        "Systemd" => systemd::instances(found, path, report),
        "Unit" => systemd::unit(found, path, report),
        "Dropin" => systemd::dropin(found, path, report),
        _ => {}
    }
}
