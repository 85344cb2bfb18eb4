//! Ignition 3.0 to 3.7, and the Butane base versions that correspond to them.
//!
//! Source: `config/v3_*/types/schema.go` of Ignition v2.26.0 and `base/v0_*/schema.go` of Butane v0.29.0. The order of
//! fields is that of Ignition.

mod storage;
mod variants;

use storage::STORAGE;
use variants::{BOOT_DEVICE, GRUB, METADATA, OPENSHIFT};

use super::Kind::{Bool, Int, List, Struct, Text, Texts};
use super::{Key, Shape, f};

/// Defines the config of a variant: the keys of the base, and those of the variant.
macro_rules! config {
    ($(#[$doc:meta])* $name:ident $(, $extra:expr)*) => {
        $(#[$doc])*
        pub(crate) static $name: Shape = Shape {
            name: "Config",
            key: Key::None,
            fields: &[
                f("variant", Text).sugar(),
                f("version", Text).sugar(),
                f("ignition", Struct(&IGNITION)),
                f("kernel_arguments", Struct(&KERNEL_ARGUMENTS)).since(3),
                f("passwd", Struct(&PASSWD)),
                f("storage", Struct(&STORAGE)),
                f("systemd", Struct(&SYSTEMD)),
                $($extra),*
            ],
        };
    };
}

config!(
    /// Config of flatcar, r4e, fiot and the first versions of fcos, and every Ignition config.
    BASE
);
config!(
    /// Config of fcos 1.3 and 1.4.
    FCOS_1_3,
    BOOT_DEVICE
);
config!(
    /// Config of fcos since 1.5.
    FCOS_1_5,
    BOOT_DEVICE,
    GRUB
);
config!(
    /// Config of openshift 4.8 to 4.13.
    OPENSHIFT_4_8,
    BOOT_DEVICE,
    METADATA,
    OPENSHIFT
);
config!(
    /// Config of openshift since 4.14.
    OPENSHIFT_4_14,
    BOOT_DEVICE,
    GRUB,
    METADATA,
    OPENSHIFT
);

static IGNITION: Shape = Shape {
    name: "Ignition",
    key: Key::None,
    fields: &[
        f("config", Struct(&IGNITION_CONFIG)),
        f("proxy", Struct(&PROXY)).since(1),
        f("security", Struct(&SECURITY)),
        f("timeouts", Struct(&TIMEOUTS)),
        f("version", Text).generated(),
    ],
};

static IGNITION_CONFIG: Shape = Shape {
    name: "IgnitionConfig",
    key: Key::None,
    fields: &[
        f("merge", List(&REFERENCE)),
        f("replace", Struct(&REFERENCE)),
    ],
};

static SECURITY: Shape = Shape {
    name: "Security",
    key: Key::None,
    fields: &[f("tls", Struct(&TLS))],
};

static TLS: Shape = Shape {
    name: "TLS",
    key: Key::None,
    fields: &[f("certificate_authorities", List(&REFERENCE))],
};

static TIMEOUTS: Shape = Shape {
    name: "Timeouts",
    key: Key::None,
    fields: &[f("http_response_headers", Int), f("http_total", Int)],
};

static PROXY: Shape = Shape {
    name: "Proxy",
    key: Key::None,
    fields: &[
        f("http_proxy", Text),
        f("https_proxy", Text),
        f("no_proxy", Texts),
    ],
};

/// Contents that a config or a certificate authority refers to: since 3.1 the same as a file's contents.
static REFERENCE: Shape = Shape {
    name: "Resource",
    key: Key::Field("source"),
    fields: &[
        f("compression", Text).since(1),
        f("http_headers", List(&HTTP_HEADER)).since(1),
        f("source", Text),
        f("inline", Text).sugar().since(1),
        f("local", Text).sugar().since(1),
        f("verification", Struct(&VERIFICATION)),
    ],
};

/// Contents of a file.
pub(crate) static RESOURCE: Shape = Shape {
    name: "Resource",
    key: Key::Field("source"),
    fields: &[
        f("compression", Text),
        f("http_headers", List(&HTTP_HEADER)).since(1),
        f("source", Text),
        f("inline", Text).sugar(),
        f("local", Text).sugar().since(1),
        f("verification", Struct(&VERIFICATION)),
    ],
};

static HTTP_HEADER: Shape = Shape {
    name: "HTTPHeader",
    key: Key::Field("name"),
    fields: &[f("name", Text).always(), f("value", Text)],
};

static VERIFICATION: Shape = Shape {
    name: "Verification",
    key: Key::None,
    fields: &[f("hash", Text)],
};

static KERNEL_ARGUMENTS: Shape = Shape {
    name: "KernelArguments",
    key: Key::None,
    fields: &[
        f("should_exist", Texts).group("kernel argument"),
        f("should_not_exist", Texts).group("kernel argument"),
    ],
};

static PASSWD: Shape = Shape {
    name: "Passwd",
    key: Key::None,
    fields: &[
        f("groups", List(&PASSWD_GROUP)),
        f("users", List(&PASSWD_USER)),
    ],
};

static PASSWD_GROUP: Shape = Shape {
    name: "PasswdGroup",
    key: Key::Field("name"),
    fields: &[
        f("gid", Int),
        f("name", Text).always(),
        f("password_hash", Text),
        f("should_exist", Bool).since(2),
        f("system", Bool),
    ],
};

pub(crate) static PASSWD_USER: Shape = Shape {
    name: "PasswdUser",
    key: Key::Field("name"),
    fields: &[
        f("gecos", Text),
        f("groups", Texts),
        f("home_dir", Text),
        f("name", Text).always(),
        f("no_create_home", Bool),
        f("no_log_init", Bool),
        f("no_user_group", Bool),
        f("password_hash", Text),
        f("primary_group", Text),
        f("ssh_authorized_keys", Texts),
        f("ssh_authorized_keys_local", Texts).sugar().since(4),
        f("shell", Text),
        f("should_exist", Bool).since(2),
        f("system", Bool),
        f("uid", Int),
    ],
};

static SYSTEMD: Shape = Shape {
    name: "Systemd",
    key: Key::None,
    fields: &[
        f("units", List(&UNIT)),
        f("quadlets", List(&QUADLET)).sugar().since(7),
    ],
};

pub(crate) static UNIT: Shape = Shape {
    name: "Unit",
    key: Key::Field("name"),
    fields: &[
        f("contents", Text),
        f("contents_local", Text).sugar().since(4),
        f("dropins", List(&DROPIN)),
        f("enabled", Bool),
        f("mask", Bool),
        f("name", Text).always(),
    ],
};

static DROPIN: Shape = Shape {
    name: "Dropin",
    key: Key::Field("name"),
    fields: &[
        f("contents", Text),
        f("contents_local", Text).sugar().since(4),
        f("name", Text).always(),
    ],
};

static QUADLET: Shape = Shape {
    name: "Quadlet",
    key: Key::None,
    fields: &[
        f("contents", Text),
        f("contents_local", Text),
        f("dropins", List(&DROPIN)),
        f("name", Text),
        f("rootful", Bool),
    ],
};
