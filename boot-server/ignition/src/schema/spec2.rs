//! Container Linux Configs and Ignition 2.2, which is what they are translated to.
//!
//! Source: `config/types/*.go` of the Container Linux Config Transpiler v0.9.0 and `config/v2_2/types/schema.go` of
//! Ignition. Most fields are the same in both; the others are read only (sugar) or written only (generated).

use super::Kind::{Bool, Int, List, Struct, Text, Texts, Uint};
use super::{Shape, f, shape};

/// A Container Linux Config, and the Ignition config made of it.
pub(crate) static CONFIG: Shape = shape(
    "Config",
    &[
        f("ignition", Struct(&IGNITION)),
        f("networkd", Struct(&NETWORKD)),
        f("passwd", Struct(&PASSWD)),
        f("storage", Struct(&STORAGE)),
        f("systemd", Struct(&SYSTEMD)),
        f("etcd", Struct(&ETCD)).sugar(),
        f("flannel", Struct(&FLANNEL)).sugar(),
        f("update", Struct(&UPDATE)).sugar(),
        f("docker", Struct(&DOCKER)).sugar(),
        f("locksmith", Struct(&LOCKSMITH)).sugar(),
    ],
);

static IGNITION: Shape = shape(
    "Ignition",
    &[
        f("config", Struct(&IGNITION_CONFIG)),
        f("security", Struct(&SECURITY)),
        f("timeouts", Struct(&TIMEOUTS)),
        f("version", Text).generated(),
    ],
);

static IGNITION_CONFIG: Shape = shape(
    "IgnitionConfig",
    &[
        f("append", List(&REFERENCE)),
        f("replace", Struct(&REFERENCE)).if_present(),
    ],
);

static REFERENCE: Shape = shape(
    "Reference",
    &[
        f("source", Text).if_not_zero(),
        f("verification", Struct(&VERIFICATION)),
    ],
);

static VERIFICATION: Shape = shape("Verification", &[f("hash", Struct(&HASH)).if_present()]);

/// Read as function and sum, and written as one text.
static HASH: Shape = shape("Hash", &[f("function", Text), f("sum", Text)]);

static SECURITY: Shape = shape("Security", &[f("tls", Struct(&TLS))]);

static TLS: Shape = shape("TLS", &[f("certificate_authorities", List(&REFERENCE))]);

static TIMEOUTS: Shape = shape(
    "Timeouts",
    &[f("http_response_headers", Int), f("http_total", Int)],
);

static NETWORKD: Shape = shape("Networkd", &[f("units", List(&NETWORKD_UNIT))]);

static NETWORKD_UNIT: Shape = shape(
    "NetworkdUnit",
    &[
        f("contents", Text).if_not_zero(),
        f("dropins", List(&NETWORKD_DROPIN)),
        f("name", Text).if_not_zero(),
    ],
);

static NETWORKD_DROPIN: Shape = shape(
    "NetworkdDropin",
    &[
        f("contents", Text).if_not_zero(),
        f("name", Text).if_not_zero(),
    ],
);

static PASSWD: Shape = shape(
    "Passwd",
    &[
        f("groups", List(&PASSWD_GROUP)),
        f("users", List(&PASSWD_USER)),
    ],
);

static PASSWD_GROUP: Shape = shape(
    "PasswdGroup",
    &[
        f("gid", Uint),
        f("name", Text).if_not_zero(),
        f("password_hash", Text).if_not_zero(),
        f("system", Bool).if_not_zero(),
    ],
);

static PASSWD_USER: Shape = shape(
    "PasswdUser",
    &[
        f("create", Struct(&USER_CREATE)).if_present(),
        f("gecos", Text).if_not_zero(),
        f("groups", Texts),
        f("home_dir", Text).if_not_zero(),
        f("name", Text).if_not_zero(),
        f("no_create_home", Bool).if_not_zero(),
        f("no_log_init", Bool).if_not_zero(),
        f("no_user_group", Bool).if_not_zero(),
        f("password_hash", Text),
        f("primary_group", Text).if_not_zero(),
        f("ssh_authorized_keys", Texts),
        f("shell", Text).if_not_zero(),
        f("system", Bool).if_not_zero(),
        f("uid", Int),
    ],
);

static USER_CREATE: Shape = shape(
    "UserCreate",
    &[
        f("gecos", Text).if_not_zero(),
        f("groups", Texts),
        f("home_dir", Text).if_not_zero(),
        f("no_create_home", Bool).if_not_zero(),
        f("no_log_init", Bool).if_not_zero(),
        f("no_user_group", Bool).if_not_zero(),
        f("primary_group", Text).if_not_zero(),
        f("shell", Text).if_not_zero(),
        f("system", Bool).if_not_zero(),
        f("uid", Uint),
    ],
);

static STORAGE: Shape = shape(
    "Storage",
    &[
        f("directories", List(&DIRECTORY)),
        f("disks", List(&DISK)),
        f("files", List(&FILE)),
        f("filesystems", List(&FILESYSTEM)),
        f("links", List(&LINK)),
        f("raid", List(&RAID)),
    ],
);

static OWNER: Shape = shape("Owner", &[f("id", Int), f("name", Text).if_not_zero()]);

static DIRECTORY: Shape = shape(
    "Directory",
    &[
        f("filesystem", Text).if_not_zero(),
        f("group", Struct(&OWNER)).if_present(),
        f("overwrite", Bool),
        f("path", Text).if_not_zero(),
        f("user", Struct(&OWNER)).if_present(),
        f("mode", Int),
    ],
);

static FILE: Shape = shape(
    "File",
    &[
        f("filesystem", Text).if_not_zero(),
        f("group", Struct(&OWNER)).if_present(),
        f("overwrite", Bool),
        f("path", Text).if_not_zero(),
        f("user", Struct(&OWNER)).if_present(),
        f("append", Bool).if_not_zero(),
        f("contents", Struct(&FILE_CONTENTS)),
        f("mode", Int),
    ],
);

static FILE_CONTENTS: Shape = shape(
    "FileContents",
    &[
        f("compression", Text).generated(),
        f("source", Text).generated(),
        f("verification", Struct(&VERIFICATION)).generated(),
        f("remote", Struct(&REMOTE)).sugar(),
        f("inline", Text).sugar(),
        f("local", Text).sugar(),
    ],
);

static REMOTE: Shape = shape(
    "Remote",
    &[
        f("url", Text),
        f("compression", Text),
        f("verification", Struct(&VERIFICATION)),
    ],
);

static LINK: Shape = shape(
    "Link",
    &[
        f("filesystem", Text).if_not_zero(),
        f("group", Struct(&OWNER)).if_present(),
        f("overwrite", Bool),
        f("path", Text).if_not_zero(),
        f("user", Struct(&OWNER)).if_present(),
        f("hard", Bool).if_not_zero(),
        f("target", Text).if_not_zero(),
    ],
);

static DISK: Shape = shape(
    "Disk",
    &[
        f("device", Text).if_not_zero(),
        f("partitions", List(&PARTITION)),
        f("wipe_table", Bool).if_not_zero(),
    ],
);

/// Size and start are read with units and written in sectors.
static PARTITION: Shape = shape(
    "Partition",
    &[
        f("guid", Text).if_not_zero(),
        f("label", Text).if_not_zero(),
        f("number", Int).if_not_zero(),
        f("size", Text).if_not_zero(),
        f("start", Text).if_not_zero(),
        f("type_guid", Text).if_not_zero(),
    ],
);

static FILESYSTEM: Shape = shape(
    "Filesystem",
    &[
        f("mount", Struct(&MOUNT)).if_present(),
        f("name", Text).if_not_zero(),
        f("path", Text).if_not_zero(),
    ],
);

static MOUNT: Shape = shape(
    "Mount",
    &[
        f("create", Struct(&MOUNT_CREATE)).if_present(),
        f("device", Text).if_not_zero(),
        f("format", Text).if_not_zero(),
        f("label", Text),
        f("options", Texts),
        f("uuid", Text),
        f("wipe_filesystem", Bool).if_not_zero(),
    ],
);

static MOUNT_CREATE: Shape = shape(
    "MountCreate",
    &[f("force", Bool).if_not_zero(), f("options", Texts)],
);

static RAID: Shape = shape(
    "Raid",
    &[
        f("devices", Texts),
        f("level", Text).if_not_zero(),
        f("name", Text).if_not_zero(),
        f("options", Texts),
        f("spares", Int).if_not_zero(),
    ],
);

static SYSTEMD: Shape = shape("Systemd", &[f("units", List(&UNIT))]);

static UNIT: Shape = shape(
    "Unit",
    &[
        f("contents", Text).if_not_zero(),
        f("dropins", List(&DROPIN)),
        f("enable", Bool).if_not_zero(),
        f("enabled", Bool),
        f("mask", Bool).if_not_zero(),
        f("name", Text).if_not_zero(),
    ],
);

static DROPIN: Shape = shape(
    "Dropin",
    &[
        f("contents", Text).if_not_zero(),
        f("name", Text).if_not_zero(),
    ],
);

/// The version chooses the other keys of etcd and flannel, which are in the tables of `clc`.
static ETCD: Shape = shape("Etcd", &[f("version", Text)]);

static FLANNEL: Shape = shape("Flannel", &[f("version", Text), f("network_config", Text)]);

static UPDATE: Shape = shape("Update", &[f("group", Text), f("server", Text)]);

static DOCKER: Shape = shape("Docker", &[f("flags", Texts)]);

pub(crate) static LOCKSMITH: Shape = shape(
    "Locksmith",
    &[
        f("reboot_strategy", Text),
        f("window_start", Text),
        f("window_length", Text),
        f("group", Text),
        f("etcd_endpoints", Text),
        f("etcd_cafile", Text),
        f("etcd_certfile", Text),
        f("etcd_keyfile", Text),
    ],
);
