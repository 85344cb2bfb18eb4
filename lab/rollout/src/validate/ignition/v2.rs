//! Ignition 2.0 to 2.4, after its configuration documents (`doc/configuration-v2_x.md`).

use super::shape::Shape::{Bool, Int, List, Object, Text};
use super::shape::{Key, Shape};
use super::values::Check;

const fn key(name: &'static str, shape: Shape) -> Key {
    Key::new(name, shape)
}

/// The last minor version.
pub(super) const LAST_MINOR: u8 = 4;

/// All of it.
pub(super) const CONFIG: Shape = Object(&[
    key("ignition", Object(IGNITION)).required(),
    key("storage", Object(STORAGE)),
    key("systemd", Object(&[key("units", List(&Object(UNIT)))])),
    key("networkd", Object(&[key("units", List(&Object(NETWORK)))])),
    key("passwd", Object(PASSWD)),
]);

const TEXTS: Shape = List(&Text);
const VERIFICATION: Shape = Object(&[key("hash", Text).check(Check::Hash)]);
const HEADERS: Shape = List(&Object(&[key("name", Text).required(), key("value", Text)]));

const REFERENCE: &[Key] = &[
    key("source", Text).check(Check::Source),
    key("verification", VERIFICATION),
    key("httpHeaders", HEADERS).since(4),
];

const IGNITION: &[Key] = &[
    key("version", Text).required(),
    key(
        "config",
        Object(&[
            key("append", List(&Object(REFERENCE))),
            key("replace", Object(REFERENCE)),
        ]),
    ),
    key(
        "timeouts",
        Object(&[key("httpResponseHeaders", Int), key("httpTotal", Int)]),
    )
    .since(1),
    key(
        "security",
        Object(&[key(
            "tls",
            Object(&[key("certificateAuthorities", List(&Object(REFERENCE)))]),
        )]),
    )
    .since(2),
    key(
        "proxy",
        Object(&[
            key("httpProxy", Text),
            key("httpsProxy", Text),
            key("noProxy", TEXTS),
        ]),
    )
    .since(4),
];

const STORAGE: &[Key] = &[
    key("disks", List(&Object(DISK))),
    key("raid", List(&Object(RAID))),
    key("filesystems", List(&Object(FILESYSTEM))),
    key("files", List(&Object(FILE))),
    key("directories", List(&Object(DIRECTORY))).since(1),
    key("links", List(&Object(LINK))).since(1),
];

const DISK: &[Key] = &[
    key("device", Text).required().check(Check::AbsolutePath),
    key("wipeTable", Bool),
    key("partitions", List(&Object(PARTITION))),
];

const PARTITION: &[Key] = &[
    key("label", Text),
    key("number", Int),
    key("size", Int),
    key("start", Int),
    key("typeGuid", Text),
    key("guid", Text).since(1),
    key("sizeMiB", Int).since(3),
    key("startMiB", Int).since(3),
    key("wipePartitionEntry", Bool).since(3),
    key("shouldExist", Bool).since(3),
];

const RAID: &[Key] = &[
    key("name", Text).required(),
    key("level", Text).required().check(Check::RaidLevel),
    key("devices", TEXTS).required(),
    key("spares", Int),
    key("options", TEXTS).since(1),
];

const FILESYSTEM: &[Key] = &[
    key("name", Text),
    key("mount", Object(MOUNT)),
    key("path", Text).check(Check::AbsolutePath),
];

const MOUNT: &[Key] = &[
    key("device", Text).required().check(Check::AbsolutePath),
    key("format", Text).required().check(Check::Format),
    key(
        "create",
        Object(&[key("force", Bool), key("options", TEXTS)]),
    ),
    key("wipeFilesystem", Bool).since(1),
    key("label", Text).since(1),
    key("uuid", Text).since(1),
    key("options", TEXTS).since(1),
];

const OWNER: Shape = Object(&[key("id", Int), key("name", Text).since(1)]);

const FILE: &[Key] = &[
    key("filesystem", Text).required(),
    key("path", Text).required().check(Check::AbsolutePath),
    key(
        "contents",
        Object(&[
            key("compression", Text).check(Check::Compression),
            key("source", Text).check(Check::Source),
            key("verification", VERIFICATION),
            key("httpHeaders", HEADERS).since(4),
        ]),
    ),
    key("mode", Int).check(Check::Mode),
    key("user", OWNER),
    key("group", OWNER),
    key("append", Bool).since(2),
    key("overwrite", Bool).since(2),
];

const DIRECTORY: &[Key] = &[
    key("filesystem", Text).required(),
    key("path", Text).required().check(Check::AbsolutePath),
    key("mode", Int).check(Check::Mode),
    key("user", OWNER),
    key("group", OWNER),
    key("overwrite", Bool).since(2),
];

const LINK: &[Key] = &[
    key("filesystem", Text).required(),
    key("path", Text).required().check(Check::AbsolutePath),
    key("target", Text).required(),
    key("hard", Bool),
    key("user", OWNER),
    key("group", OWNER),
    key("overwrite", Bool).since(2),
];

const DROP_IN: Shape = List(&Object(&[
    key("name", Text).required().check(Check::DropInName),
    key("contents", Text),
]));

const UNIT: &[Key] = &[
    key("name", Text).required().check(Check::UnitName),
    key("enable", Bool),
    key("enabled", Bool).since(1),
    key("mask", Bool),
    key("contents", Text),
    key("dropins", DROP_IN),
];

const NETWORK: &[Key] = &[
    key("name", Text).required(),
    key("contents", Text),
    key("dropins", DROP_IN).since(2),
];

const PASSWD: &[Key] = &[
    key("users", List(&Object(USER))),
    key("groups", List(&Object(GROUP))),
];

const USER: &[Key] = &[
    key("name", Text).required().check(Check::NotEmpty),
    key("passwordHash", Text),
    key("sshAuthorizedKeys", TEXTS),
    key("create", Object(CREATE)),
    key("uid", Int).since(1),
    key("gecos", Text).since(1),
    key("homeDir", Text).since(1),
    key("noCreateHome", Bool).since(1),
    key("primaryGroup", Text).since(1),
    key("groups", TEXTS).since(1),
    key("noUserGroup", Bool).since(1),
    key("system", Bool).since(1),
    key("noLogInit", Bool).since(1),
    key("shell", Text).since(1),
];

/// Keys for creating a user: as in version 1.
pub(super) const CREATE: &[Key] = &[
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
];

/// A group: as in version 1.
pub(super) const GROUP: &[Key] = &[
    key("name", Text).required().check(Check::NotEmpty),
    key("gid", Int),
    key("passwordHash", Text),
    key("system", Bool),
];
