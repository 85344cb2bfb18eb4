//! Sections that only some variants have; all are sugar.

use super::super::Kind::{Bool, Int, Labels, List, Struct, Text, Texts};
use super::super::{Field, Key, Shape};
use super::f;
use super::storage::{CEX, TANG};

/// `boot_device` of fcos and openshift.
pub(super) const BOOT_DEVICE: Field = f("boot_device", Struct(&BOOT_DEVICE_SHAPE)).sugar();

static BOOT_DEVICE_SHAPE: Shape = Shape {
    name: "BootDevice",
    key: Key::None,
    fields: &[
        f("layout", Text),
        f("luks", Struct(&BOOT_DEVICE_LUKS)),
        f("mirror", Struct(&BOOT_DEVICE_MIRROR)),
    ],
};

static BOOT_DEVICE_LUKS: Shape = Shape {
    name: "BootDeviceLuks",
    key: Key::None,
    fields: &[
        f("cex", Struct(&CEX)).since(5),
        f("device", Text).since(5),
        f("discard", Bool).since(4),
        f("tang", List(&TANG)),
        f("threshold", Int),
        f("tpm2", Bool),
    ],
};

static BOOT_DEVICE_MIRROR: Shape = Shape {
    name: "BootDeviceMirror",
    key: Key::None,
    fields: &[f("devices", Texts)],
};

/// `grub` of fcos and openshift.
pub(super) const GRUB: Field = f("grub", Struct(&GRUB_SHAPE)).sugar();

static GRUB_SHAPE: Shape = Shape {
    name: "Grub",
    key: Key::None,
    fields: &[f("users", List(&GRUB_USER))],
};

static GRUB_USER: Shape = Shape {
    name: "GrubUser",
    key: Key::None,
    fields: &[f("name", Text), f("password_hash", Text)],
};

/// `metadata` of openshift.
pub(super) const METADATA: Field = f("metadata", Struct(&METADATA_SHAPE)).sugar();

static METADATA_SHAPE: Shape = Shape {
    name: "Metadata",
    key: Key::None,
    fields: &[f("name", Text), f("labels", Labels)],
};

/// `openshift` of the variant of that name.
pub(super) const OPENSHIFT: Field = f("openshift", Struct(&OPENSHIFT_SHAPE)).sugar();

static OPENSHIFT_SHAPE: Shape = Shape {
    name: "OpenShift",
    key: Key::None,
    fields: &[
        f("extensions", Texts),
        f("fips", Bool),
        f("kernel_arguments", Texts),
        f("kernel_type", Text),
    ],
};
