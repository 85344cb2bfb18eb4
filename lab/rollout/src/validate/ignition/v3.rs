//! Ignition 3.0 to 3.6, after the JSON Schemas that come with it (`config/v3_x/schema/ignition.json`).

use super::shape::Shape::{Bool, Int, List, Object, Text};
use super::shape::{Key, Shape};
use super::values::Check;

const fn key(name: &'static str, shape: Shape) -> Key {
    Key::new(name, shape)
}

/// The last minor version.
pub(super) const LAST_MINOR: u8 = 6;

/// All of it.
pub(super) const CONFIG: Shape = Object(&[
    key("ignition", Object(IGNITION)).required(),
    key("storage", Object(STORAGE)),
    key("systemd", Object(SYSTEMD)),
    key("passwd", Object(PASSWD)),
    key("kernelArguments", Object(KERNEL_ARGUMENTS)).since(3),
]);

const TEXTS: Shape = List(&Text);

const RESOURCE: &[Key] = &[
    key("source", Text).check(Check::Source),
    key("compression", Text).check(Check::Compression),
    key("httpHeaders", List(&Object(HEADER))).since(1),
    key("verification", Object(VERIFICATION)),
];
const HEADER: &[Key] = &[key("name", Text).required(), key("value", Text)];
const VERIFICATION: &[Key] = &[key("hash", Text).check(Check::Hash)];
const RESOURCES: Shape = List(&Object(RESOURCE));

const IGNITION: &[Key] = &[
    key("version", Text).required(),
    key(
        "config",
        Object(&[key("merge", RESOURCES), key("replace", Object(RESOURCE))]),
    ),
    key(
        "timeouts",
        Object(&[key("httpResponseHeaders", Int), key("httpTotal", Int)]),
    ),
    key(
        "security",
        Object(&[key(
            "tls",
            Object(&[key("certificateAuthorities", RESOURCES)]),
        )]),
    ),
    key(
        "proxy",
        Object(&[
            key("httpProxy", Text),
            key("httpsProxy", Text),
            key("noProxy", TEXTS),
        ]),
    )
    .since(1),
];

const STORAGE: &[Key] = &[
    key("disks", List(&Object(DISK))),
    key("raid", List(&Object(RAID))),
    key("luks", List(&Object(LUKS))).since(2),
    key("filesystems", List(&Object(FILESYSTEM))),
    key("files", List(&Object(FILE))),
    key("directories", List(&Object(DIRECTORY))),
    key("links", List(&Object(LINK))),
];

const DISK: &[Key] = &[
    key("device", Text).required().check(Check::AbsolutePath),
    key("wipeTable", Bool),
    key("partitions", List(&Object(PARTITION))),
];

const PARTITION: &[Key] = &[
    key("label", Text),
    key("number", Int),
    key("sizeMiB", Int),
    key("startMiB", Int),
    key("typeGuid", Text),
    key("guid", Text),
    key("wipePartitionEntry", Bool),
    key("shouldExist", Bool),
    key("resize", Bool).since(3),
];

const RAID: &[Key] = &[
    key("name", Text).required(),
    key("level", Text).check(Check::RaidLevel),
    key("spares", Int),
    key("devices", TEXTS),
    key("options", TEXTS),
];

const LUKS: &[Key] = &[
    key("name", Text).required(),
    key("label", Text),
    key("uuid", Text),
    key("device", Text).check(Check::AbsolutePath),
    key("keyFile", Object(RESOURCE)),
    key("wipeVolume", Bool),
    key("clevis", Object(CLEVIS)),
    key("options", TEXTS),
    key("discard", Bool).since(4),
    key("openOptions", TEXTS).since(4),
    key("cex", Object(&[key("enabled", Bool)])).since(5),
];

const CLEVIS: &[Key] = &[
    key(
        "custom",
        Object(&[
            key("pin", Text),
            key("config", Text),
            key("needsNetwork", Bool),
        ]),
    ),
    key("tpm2", Bool),
    key(
        "tang",
        List(&Object(&[
            key("url", Text),
            key("thumbprint", Text),
            key("advertisement", Text).since(4),
        ])),
    ),
    key("threshold", Int),
];

const FILESYSTEM: &[Key] = &[
    key("device", Text).required().check(Check::AbsolutePath),
    key("path", Text).check(Check::AbsolutePath),
    key("format", Text).check(Check::Format),
    key("options", TEXTS),
    key("mountOptions", TEXTS).since(1),
    key("wipeFilesystem", Bool),
    key("label", Text),
    key("uuid", Text),
];

const OWNER: Shape = Object(&[key("id", Int), key("name", Text)]);

const FILE: &[Key] = &[
    key("path", Text).required().check(Check::AbsolutePath),
    key("overwrite", Bool),
    key("user", OWNER),
    key("group", OWNER),
    key("mode", Int).check(Check::Mode),
    key("contents", Object(RESOURCE)),
    key("append", RESOURCES),
];

const DIRECTORY: &[Key] = &[
    key("path", Text).required().check(Check::AbsolutePath),
    key("overwrite", Bool),
    key("user", OWNER),
    key("group", OWNER),
    key("mode", Int).check(Check::Mode),
];

const LINK: &[Key] = &[
    key("path", Text).required().check(Check::AbsolutePath),
    key("overwrite", Bool),
    key("user", OWNER),
    key("group", OWNER),
    key("target", Text).required(),
    key("hard", Bool),
];

const SYSTEMD: &[Key] = &[key("units", List(&Object(UNIT)))];

const UNIT: &[Key] = &[
    key("name", Text).required().check(Check::UnitName),
    key("enabled", Bool),
    key("mask", Bool),
    key("contents", Text),
    key(
        "dropins",
        List(&Object(&[
            key("name", Text).required().check(Check::DropInName),
            key("contents", Text),
        ])),
    ),
];

const PASSWD: &[Key] = &[
    key("users", List(&Object(USER))),
    key("groups", List(&Object(GROUP))),
];

const USER: &[Key] = &[
    key("name", Text).required().check(Check::NotEmpty),
    key("passwordHash", Text),
    key("sshAuthorizedKeys", TEXTS),
    key("uid", Int),
    key("gecos", Text),
    key("homeDir", Text),
    key("noCreateHome", Bool),
    key("primaryGroup", Text),
    key("groups", TEXTS),
    key("noUserGroup", Bool),
    key("system", Bool),
    key("noLogInit", Bool),
    key("shell", Text),
    key("shouldExist", Bool).since(2),
];

const GROUP: &[Key] = &[
    key("name", Text).required().check(Check::NotEmpty),
    key("gid", Int),
    key("passwordHash", Text),
    key("system", Bool),
    key("shouldExist", Bool).since(2),
];

const KERNEL_ARGUMENTS: &[Key] = &[key("shouldExist", TEXTS), key("shouldNotExist", TEXTS)];
