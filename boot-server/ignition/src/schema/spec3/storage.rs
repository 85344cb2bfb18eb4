//! `storage`: disks, file systems and what is on them.

use super::super::Kind::{Bool, Int, List, Struct, Text, Texts};
use super::super::{Key, Shape};
use super::{RESOURCE, f};

pub(super) static STORAGE: Shape = Shape {
    name: "Storage",
    key: Key::None,
    fields: &[
        f("directories", List(&DIRECTORY)).group("node"),
        f("disks", List(&DISK)),
        f("files", List(&FILE)).group("node"),
        f("filesystems", List(&FILESYSTEM)),
        f("links", List(&LINK)).group("node"),
        f("luks", List(&LUKS)).since(2),
        f("raid", List(&RAID)),
        f("trees", List(&TREE)).sugar().since(1),
    ],
};

static OWNER: Shape = Shape {
    name: "Owner",
    key: Key::None,
    fields: &[f("id", Int), f("name", Text)],
};

static DIRECTORY: Shape = Shape {
    name: "Directory",
    key: Key::Field("path"),
    fields: &[
        f("group", Struct(&OWNER)),
        f("overwrite", Bool),
        f("path", Text).always(),
        f("user", Struct(&OWNER)),
        f("mode", Int),
    ],
};

static FILE: Shape = Shape {
    name: "File",
    key: Key::Field("path"),
    fields: &[
        f("group", Struct(&OWNER)),
        f("overwrite", Bool),
        f("path", Text).always(),
        f("user", Struct(&OWNER)),
        f("append", List(&RESOURCE)).repeatable(),
        f("contents", Struct(&RESOURCE)),
        f("mode", Int),
    ],
};

static LINK: Shape = Shape {
    name: "Link",
    key: Key::Field("path"),
    fields: &[
        f("group", Struct(&OWNER)),
        f("overwrite", Bool),
        f("path", Text).always(),
        f("user", Struct(&OWNER)),
        f("hard", Bool),
        f("target", Text).always_before(3),
    ],
};

static TREE: Shape = Shape {
    name: "Tree",
    key: Key::None,
    fields: &[
        f("group", Struct(&OWNER)).since(7),
        f("local", Text),
        f("path", Text),
        f("user", Struct(&OWNER)).since(7),
        f("file_mode", Int).since(7),
        f("dir_mode", Int).since(7),
    ],
};

static DISK: Shape = Shape {
    name: "Disk",
    key: Key::Field("device"),
    fields: &[
        f("device", Text).always(),
        f("partitions", List(&PARTITION)),
        f("wipe_table", Bool),
    ],
};

static PARTITION: Shape = Shape {
    name: "Partition",
    key: Key::Partition,
    fields: &[
        f("guid", Text),
        f("label", Text),
        f("number", Int).if_not_zero(),
        f("resize", Bool).since(2),
        f("should_exist", Bool),
        f("size_mib", Int),
        f("start_mib", Int),
        f("type_guid", Text),
        f("wipe_partition_entry", Bool),
    ],
};

static RAID: Shape = Shape {
    name: "Raid",
    key: Key::Field("name"),
    fields: &[
        f("devices", Texts),
        f("level", Text).always_before(3),
        f("name", Text).always(),
        f("options", Texts).repeatable(),
        f("spares", Int),
    ],
};

static FILESYSTEM: Shape = Shape {
    name: "Filesystem",
    key: Key::Field("device"),
    fields: &[
        f("device", Text).always(),
        f("format", Text),
        f("label", Text),
        f("mount_options", Texts).repeatable().since(1),
        f("options", Texts).repeatable(),
        f("path", Text),
        f("uuid", Text),
        f("wipe_filesystem", Bool),
        f("with_mount_unit", Bool).sugar().since(1),
    ],
};

static LUKS: Shape = Shape {
    name: "Luks",
    key: Key::Field("name"),
    fields: &[
        f("cex", Struct(&CEX)).since(5),
        f("clevis", Struct(&CLEVIS)),
        f("device", Text),
        f("discard", Bool).since(4),
        f("key_file", Struct(&RESOURCE)),
        f("label", Text),
        f("name", Text).always(),
        f("open_options", Texts).repeatable().since(4),
        f("options", Texts).repeatable(),
        f("uuid", Text),
        f("wipe_volume", Bool),
    ],
};

pub(super) static CEX: Shape = Shape {
    name: "Cex",
    key: Key::None,
    fields: &[f("enabled", Bool)],
};

static CLEVIS: Shape = Shape {
    name: "Clevis",
    key: Key::None,
    fields: &[
        f("custom", Struct(&CLEVIS_CUSTOM)),
        f("tang", List(&TANG)),
        f("threshold", Int),
        f("tpm2", Bool),
    ],
};

static CLEVIS_CUSTOM: Shape = Shape {
    name: "ClevisCustom",
    key: Key::None,
    fields: &[
        f("config", Text).always_before(3),
        f("needs_network", Bool),
        f("pin", Text).always_before(3),
    ],
};

pub(super) static TANG: Shape = Shape {
    name: "Tang",
    key: Key::Field("url"),
    fields: &[
        f("advertisement", Text).since(4),
        f("thumbprint", Text),
        f("url", Text).if_not_zero(),
    ],
};
