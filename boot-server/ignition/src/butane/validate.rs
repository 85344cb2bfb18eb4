//! Checks of a Butane config as it is written: keys that nothing reads, and sugar.
//!
//! Source: `base/v0_*/validate.go` and `config/*/v*/validate.go` of Butane v0.29.0.

use super::trees::template_of;
use super::{mode, nested};
use crate::check::walk;
use crate::finding::{Reason, Report};
use crate::path::{Path, Step};
use crate::schema::release::{Release, Variant};
use crate::schema::{Minor, Shape};
use crate::value::Struct;
use crate::yaml::{Content, Node};

/// Disk whose partitions can be named by label.
const BOOT_DISK: &str = "/dev/disk/by-id/coreos-boot-disk";
const LAYOUTS_BEFORE_1_6: &str = "aarch64, ppc64le, x86_64";
const LAYOUTS: &str = "aarch64, ppc64le, s390x-eckd, s390x-virt, s390x-zfcp, x86_64";
/// Label of a MachineConfig's role.
const ROLE: &str = "machineconfiguration.openshift.io/role";

/// Reports keys that nothing reads.
pub(super) fn unused_keys(config: &Struct, release: &Release, root: &Node) -> Report {
    let mut report = Report::default();
    walk(
        config,
        release.shape,
        release.spec,
        &Path::default(),
        &mut |_, shape, path| {
            let Some(node) = node_at(root, path) else {
                return;
            };
            let Content::Map(entries) = &node.content else {
                // The value of an alias, or null.
                report.warn(path.clone(), Reason::ContextMismatch);
                return;
            };
            for (key, _) in entries {
                let name = key.key_text();
                if shape.field(name, release.spec).is_none() {
                    report.warn(
                        path.key(name.to_owned()),
                        Reason::UnusedKey(name.to_owned()),
                    );
                }
            }
        },
    );
    report
}

fn node_at<'a>(root: &'a Node, path: &Path) -> Option<&'a Node> {
    path.steps()
        .iter()
        .try_fold(root, |node, step| match (step, &node.content) {
            (Step::Key(key), _) => node.get(key),
            (Step::Index(index), Content::List(items)) => items.get(*index).map(AsRef::as_ref),
            _ => None,
        })
}

/// Checks the config.
pub(super) fn check(config: &Struct, release: &'static Release) -> Report {
    let mut report = Report::default();
    walk(
        config,
        release.shape,
        release.spec,
        &Path::default(),
        &mut |found, shape, path| {
            check_one(found, shape, release, path, &mut report);
        },
    );
    report
}

fn check_one(found: &Struct, shape: &Shape, release: &Release, path: &Path, report: &mut Report) {
    let minor = release.spec;
    match shape.name {
        "Config" => config(found, release, path, report),
        "Resource" => resource(found, minor, path, report),
        "Filesystem" => mount_unit(found, minor, path, report),
        "Directory" | "File" => {
            let is_directory = shape.name == "Directory";
            if found
                .opt_int("mode")
                .is_some_and(|mode| mode::seems_decimal(mode, is_directory))
            {
                report.warn(path.key("mode"), Reason::DecimalMode);
            }
        }
        "Tree" if found.text("local").is_empty() => report.error(path.clone(), Reason::TreeNoLocal),
        "Unit" | "Dropin" => unit_sources(found, path, report),
        "Quadlet" => quadlet(found, path, report),
        "BootDevice" => boot_device(found, minor, path, report),
        "BootDeviceMirror" => mirror(found, path, report),
        "GrubUser" => {
            for field in ["name", "password_hash"] {
                if found.text(field).is_empty() {
                    report.error(path.key(field), Reason::GrubFieldRequired(field));
                }
            }
        }
        "Metadata" => metadata(found, path, report),
        "OpenShift" if !matches!(found.text("kernel_type"), "" | "default" | "realtime") => {
            report.error(path.key("kernel_type"), Reason::KernelType);
        }
        _ => {}
    }
}

fn config(found: &Struct, release: &Release, path: &Path, report: &mut Report) {
    let storage = found.child("storage");
    if release.variant == Variant::Fcos && release.spec >= 5 {
        for (disk_index, disk) in storage.structs("disks").enumerate() {
            let mut mirrored = found.child("boot_device").child("mirror").texts("devices");
            let is_made = disk.text("device") == BOOT_DISK
                || disk.is_true("wipe_table")
                || mirrored.any(|device| device == disk.text("device"));
            if is_made {
                continue;
            }
            for (index, partition) in disk.structs("partitions").enumerate() {
                if partition.opt_int("number").unwrap_or(0) == 0 && partition.has("label") {
                    let path = path.key("storage").key("disks").index(disk_index);
                    let path = path.key("partitions").index(index).key("number");
                    report.warn(path, Reason::ReuseByLabel);
                }
            }
        }
        for (index, filesystem) in storage.structs("filesystems").enumerate() {
            let mount_path = filesystem.opt_text("path");
            if filesystem.is_true("with_mount_unit") && mount_path.is_some_and(is_mount_forbidden) {
                let path = path
                    .key("storage")
                    .key("filesystems")
                    .index(index)
                    .key("path");
                report.error(path, Reason::MountPointForbidden);
            }
        }
    }
    if release.variant == Variant::Openshift && release.spec >= 5 {
        let mut volumes = storage.structs("luks");
        let has_cex = found
            .child("boot_device")
            .child("luks")
            .child("cex")
            .is_true("enabled")
            || volumes
                .any(|luks| luks.text("name") == "root" && luks.child("cex").is_true("enabled"));
        let mut arguments = found.child("openshift").texts("kernel_arguments");
        if has_cex && !arguments.any(|argument| argument == "rd.luks.key=/etc/luks/cex.key") {
            report.error(
                path.key("openshift").key("kernel_arguments"),
                Reason::CexKernelArgument,
            );
        }
    }
}

fn is_mount_forbidden(path: &str) -> bool {
    !["/etc", "/var"].iter().any(|root| {
        path.strip_prefix(root)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

fn resource(found: &Struct, minor: Minor, path: &Path, report: &mut Report) {
    let sources = ["local", "inline", "source"];
    let set: Vec<&&str> = sources.iter().filter(|field| found.has(field)).collect();
    if let [_, .., last] = set.as_slice() {
        report.error(path.key(**last), Reason::TooManySources);
        return;
    }
    let is_config = path.starts_with(&Path::of(&["ignition", "config"]));
    if is_config
        && minor >= 1
        && let Some(inline) = found.opt_text("inline")
    {
        nested::check(inline, minor, path, report);
    }
}

fn mount_unit(found: &Struct, minor: Minor, path: &Path, report: &mut Report) {
    if !found.is_true("with_mount_unit") {
        return;
    }
    let (format, mount_path) = (found.text("format"), found.text("path"));
    if minor < 3 {
        // Swap units came with Ignition 3.3.
        if mount_path.is_empty() {
            report.error(path.key("path"), Reason::MountUnitNoPath);
        }
        if format.is_empty() {
            report.error(path.key("format"), Reason::MountUnitNoFormat);
        }
    } else if format.is_empty() {
        report.error(path.key("format"), Reason::MountUnitNoFormat);
    } else if format != "swap" && mount_path.is_empty() {
        report.error(path.key("path"), Reason::MountUnitNoPath);
    }
}

fn unit_sources(found: &Struct, path: &Path, report: &mut Report) {
    if found.has("contents") && found.has("contents_local") {
        report.error(path.key("contents_local"), Reason::TooManyUnitSources);
    }
}

fn quadlet(found: &Struct, path: &Path, report: &mut Report) {
    unit_sources(found, path, report);
    let name = found.text("name");
    if template_of(name).is_some() {
        for field in ["contents", "contents_local"] {
            if found.has(field) {
                report.error(path.key(field), Reason::TemplateInstanceContents);
            }
        }
    }
    const EXTENSIONS: [&str; 8] = [
        ".container",
        ".volume",
        ".network",
        ".kube",
        ".image",
        ".build",
        ".pod",
        ".artifact",
    ];
    if !EXTENSIONS.iter().any(|extension| name.ends_with(extension)) {
        report.error(path.key("name"), Reason::QuadletExtension);
    }
}

fn boot_device(found: &Struct, minor: Minor, path: &Path, report: &mut Report) {
    let luks = found.child("luks");
    let devices = found.child("mirror").list("devices");
    if let Some(layout) = found.opt_text("layout") {
        let path = path.key("layout");
        let prefix = match layout {
            "s390x-eckd" => "/dev/dasd",
            "s390x-zfcp" => "/dev/sd",
            _ => "",
        };
        match layout {
            "aarch64" | "ppc64le" | "x86_64" => {}
            "s390x-virt" if minor >= 5 => {}
            "s390x-eckd" | "s390x-zfcp" if minor >= 5 => {
                let device = luks.text("device");
                if device.is_empty() {
                    report.error(path.clone(), Reason::NoLuksBootDevice);
                } else if !ends_with_disk(device, prefix) {
                    report.error(path.clone(), Reason::LuksBootDeviceName);
                }
            }
            _ => {
                let layouts = if minor >= 5 {
                    LAYOUTS
                } else {
                    LAYOUTS_BEFORE_1_6
                };
                report.error(path.clone(), Reason::UnknownLayout(layouts));
            }
        }
        if minor >= 5 && layout.starts_with("s390x-") && !devices.is_empty() {
            report.error(path.clone(), Reason::MirrorNotSupported);
        }
    } else if !devices.is_empty() {
        report.warn(path.key("mirror"), Reason::MirrorWithoutLayout);
    }
    if luks.child("cex").is_true("enabled") {
        let place = match found.opt_text("layout") {
            None => Some(path.key("luks").key("cex")),
            Some(layout) if layout.starts_with("s390x") => None,
            Some(_) => Some(path.key("layout")),
        };
        if let Some(place) = place {
            report.error(place, Reason::CexArchitecture);
        }
        if !luks.list("tang").is_empty() || luks.is_true("tpm2") {
            report.error(path.key("luks"), Reason::CexWithClevis);
        }
    }
    mirror(found.child("mirror"), &path.key("mirror"), report);
}

/// True for a text that ends with a prefix and one letter.
fn ends_with_disk(device: &str, prefix: &str) -> bool {
    let head = device.strip_suffix(|c: char| c.is_ascii_lowercase());
    head.is_some_and(|head| head.ends_with(prefix))
}

fn mirror(found: &Struct, path: &Path, report: &mut Report) {
    if found.list("devices").len() == 1 {
        report.error(path.key("devices"), Reason::TooFewMirrorDevices);
    }
}

fn metadata(found: &Struct, path: &Path, report: &mut Report) {
    if found.text("name").is_empty() {
        report.error(path.key("name"), Reason::NameRequired);
    }
    let role = match found.get("labels") {
        Some(crate::value::Value::Labels(labels)) => labels.get(ROLE).map(String::as_str),
        _ => None,
    };
    if role.is_none_or(str::is_empty) {
        report.error(path.key("labels"), Reason::RoleRequired);
    }
}
