//! Ignition version 1, after the configuration document of Ignition 0.2. In YAML its keys are in snake_case.

use super::shape::Shape::{Bool, Dimension, Int, List, Object, Text};
use super::shape::{Key, Shape};
use super::v2::{CREATE, GROUP};
use super::values::Check;

const fn key(name: &'static str, shape: Shape) -> Key {
    Key::new(name, shape)
}

/// All of it.
pub(super) const CONFIG: Shape = Object(&[
    key("ignitionVersion", Int).required(),
    key("storage", Object(STORAGE)),
    key("systemd", Object(&[key("units", List(&Object(UNIT)))])),
    key("networkd", Object(&[key("units", List(&Object(NETWORK)))])),
    key("passwd", Object(PASSWD)),
]);

const TEXTS: Shape = List(&Text);

const STORAGE: &[Key] = &[
    key("disks", List(&Object(DISK))),
    key("raid", List(&Object(RAID))),
    key("filesystems", List(&Object(FILESYSTEM))),
];

const DISK: &[Key] = &[
    key("device", Text).required().check(Check::AbsolutePath),
    key("wipeTable", Bool),
    key("partitions", List(&Object(PARTITION))),
];

const PARTITION: &[Key] = &[
    key("label", Text),
    key("number", Int),
    key("size", Dimension),
    key("start", Dimension),
    key("typeGuid", Text),
];

const RAID: &[Key] = &[
    key("name", Text).required(),
    key("level", Text).required().check(Check::RaidLevel),
    key("devices", TEXTS).required(),
    key("spares", Int),
];

const FILESYSTEM: &[Key] = &[
    key("device", Text).required().check(Check::AbsolutePath),
    key("format", Text).required().check(Check::Format),
    key(
        "create",
        Object(&[key("force", Bool), key("options", TEXTS)]),
    ),
    key("files", List(&Object(FILE))),
];

const FILE: &[Key] = &[
    key("path", Text).required().check(Check::AbsolutePath),
    key("contents", Text),
    key("mode", Int).check(Check::Mode),
    key("uid", Int),
    key("gid", Int),
];

const UNIT: &[Key] = &[
    key("name", Text).required().check(Check::UnitName),
    key("enable", Bool),
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

const NETWORK: &[Key] = &[key("name", Text).required(), key("contents", Text)];

const PASSWD: &[Key] = &[
    key("users", List(&Object(USER))),
    key("groups", List(&Object(GROUP))),
];

const USER: &[Key] = &[
    key("name", Text).required().check(Check::NotEmpty),
    key("passwordHash", Text),
    key("sshAuthorizedKeys", TEXTS),
    key("create", Object(CREATE)),
];
