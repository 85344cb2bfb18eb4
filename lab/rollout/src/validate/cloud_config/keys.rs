//! The keys of a cloud-config: what each is for, which values it allows, which are deprecated.

use guest_agent::config::sections::{Kind as OptionKind, Section};

/// Required type of a key's value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Want {
    /// A text; numbers and booleans are the text they are written with.
    Text,
    Bool,
    Int,
    Float,
    Texts,
    Struct(&'static [Field]),
    Structs(&'static [Field]),
    /// Options that become variables of a service.
    Options(Section),
}

impl Want {
    /// Returns the kind's name in the reference's reports.
    pub(super) fn name(self) -> &'static str {
        match self {
            Want::Text => "string",
            Want::Bool => "bool",
            Want::Int => "int",
            Want::Float => "float64",
            Want::Texts => "[]string",
            Want::Struct(_) | Want::Options(_) => "struct",
            Want::Structs(_) => "[]struct",
        }
    }

    /// Returns the key of this name inside the type.
    pub(super) fn field(self, name: &str) -> Option<Field> {
        match self {
            Want::Struct(fields) | Want::Structs(fields) => {
                fields.iter().find(|field| field.name == name).copied()
            }
            Want::Options(section) => {
                let (name, kind) = section.keys().find(|(key, _)| *key == name)?;
                let field = Field::new(name, want_of(name, kind));
                Some(match name {
                    "proxy" => field.valid(PROXY),
                    "window_start" => field.valid(Valid::WindowStart),
                    "window_length" => field.valid(Valid::WindowLength),
                    "ca_file" => field
                        .deprecated("ca_file obsoleted by trusted_ca_file and client_cert_auth"),
                    "peer_ca_file" => field.deprecated(
                        "peer_ca_file obsoleted peer_trusted_ca_file and peer_client_cert_auth",
                    ),
                    _ => field,
                })
            }
            _ => None,
        }
    }

    /// Returns the names of the keys inside the type.
    pub(super) fn names(self) -> Vec<&'static str> {
        match self {
            Want::Struct(fields) | Want::Structs(fields) => {
                fields.iter().map(|field| field.name).collect()
            }
            Want::Options(section) => section.keys().map(|(key, _)| key).collect(),
            _ => Vec::new(),
        }
    }
}

/// Numbers that need not be whole.
const FLOATS: &[&str] = &[
    "cluster_remove_delay",
    "cluster_sync_interval",
    "http_read_timeout",
    "http_write_timeout",
    "retry_interval",
    "engine_reconcile_interval",
    "etcd_request_timeout",
];

fn want_of(name: &str, kind: OptionKind) -> Want {
    match kind {
        OptionKind::Text => Want::Text,
        OptionKind::Flag => Want::Bool,
        OptionKind::Number if FLOATS.contains(&name) => Want::Float,
        OptionKind::Number => Want::Int,
    }
}

/// A key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) want: Want,
    /// Reason for the deprecation.
    pub(super) deprecated: Option<&'static str>,
    /// The values that are allowed, when not any.
    pub(super) valid: Option<Valid>,
}

impl Field {
    const fn new(name: &'static str, want: Want) -> Field {
        Field {
            name,
            want,
            deprecated: None,
            valid: None,
        }
    }

    const fn deprecated(mut self, why: &'static str) -> Field {
        self.deprecated = Some(why);
        self
    }

    const fn valid(mut self, valid: Valid) -> Field {
        self.valid = Some(valid);
        self
    }
}

/// Allowed values of a key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Valid {
    Words(&'static [&'static str]),
    Permissions,
    WindowStart,
    WindowLength,
}

const PROXY: Valid = Valid::Words(&["on", "off", "readonly"]);

impl Valid {
    /// True if the value is allowed.
    pub(super) fn allows(self, value: &str) -> bool {
        match self {
            Valid::Words(words) => words.contains(&value),
            Valid::Permissions => {
                let short = (3..=4).contains(&value.len());
                let long = value.len() == 5 && value.starts_with('0');
                (short || long) && value.chars().all(|c| c.is_digit(8))
            }
            Valid::WindowStart => window_start(value).is_some(),
            Valid::WindowLength => window_length(value),
        }
    }

    /// Returns the remedy.
    pub(super) fn help(self) -> String {
        match self {
            Valid::Words(words) => format!("it may be {}", words.join(", ")),
            Valid::Permissions => "write three or four octal digits in quotes: \"0644\"".to_owned(),
            Valid::WindowStart => "write a time of day, and a day before it: Thu 04:00".to_owned(),
            Valid::WindowLength => "write a length of time: 1h30m".to_owned(),
        }
    }
}

/// `Thu 04:00` or `04:00`.
fn window_start(value: &str) -> Option<()> {
    let time = match value.split_once(' ') {
        Some((day, time)) => {
            let day = day.to_ascii_lowercase();
            let days = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
            days.contains(&day.as_str()).then_some(time)?
        }
        None => value,
    };
    let (hours, minutes) = time.split_once(':')?;
    let number = |text: &str, most: u32| {
        let digits = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
        (digits && text.parse::<u32>().is_ok_and(|n| n <= most)).then_some(())
    };
    number(hours, 23)?;
    number(minutes, 59)
}

/// True for a length that the reference accepts: numbers, each with letters behind it.
fn window_length(value: &str) -> bool {
    let value = value.strip_prefix(['+', '-']).unwrap_or(value);
    let known = |c: char| c.is_ascii_digit() || c == '.' || c.is_ascii_lowercase();
    value.chars().all(known) && value.ends_with(|c: char| c.is_ascii_lowercase())
}

const REMOTE: &str =
    "trying to fetch from a remote endpoint introduces too many intermittent errors";

/// All of it.
pub(super) const CLOUD_CONFIG: Want = Want::Struct(&[
    Field::new("ssh_authorized_keys", Want::Texts),
    Field::new("coreos", Want::Struct(COREOS)),
    Field::new("write_files", Want::Structs(FILE)),
    Field::new("hostname", Want::Text),
    Field::new("users", Want::Structs(USER)),
    Field::new("manage_etc_hosts", Want::Text),
]);

const COREOS: &[Field] = &[
    Field::new("etcd", Want::Options(Section::ETCD))
        .deprecated("etcd is no longer shipped in Container Linux"),
    Field::new("etcd2", Want::Options(Section::ETCD2))
        .deprecated("etcd2 is no longer shipped in Container Linux"),
    Field::new("flannel", Want::Options(Section::FLANNEL)),
    Field::new("fleet", Want::Options(Section::FLEET))
        .deprecated("fleet is no longer shipped in Container Linux"),
    Field::new("locksmith", Want::Options(Section::LOCKSMITH)),
    Field::new("oem", Want::Struct(OEM)),
    Field::new("update", Want::Struct(UPDATE)),
    Field::new("units", Want::Structs(UNIT)),
];

const OEM: &[Field] = &[
    Field::new("id", Want::Text),
    Field::new("name", Want::Text),
    Field::new("version_id", Want::Text),
    Field::new("home_url", Want::Text),
    Field::new("bug_report_url", Want::Text),
];

const UPDATE: &[Field] = &[
    Field::new("reboot_strategy", Want::Text).valid(Valid::Words(&[
        "best-effort",
        "etcd-lock",
        "reboot",
        "off",
    ])),
    Field::new("group", Want::Text),
    Field::new("server", Want::Text),
];

const UNIT: &[Field] = &[
    Field::new("name", Want::Text),
    Field::new("mask", Want::Bool),
    Field::new("enable", Want::Bool),
    Field::new("runtime", Want::Bool),
    Field::new("content", Want::Text),
    Field::new("command", Want::Text).valid(Valid::Words(&[
        "start",
        "stop",
        "restart",
        "reload",
        "try-restart",
        "reload-or-restart",
        "reload-or-try-restart",
    ])),
    Field::new("drop_ins", Want::Structs(DROP_IN)),
];

const DROP_IN: &[Field] = &[
    Field::new("name", Want::Text),
    Field::new("content", Want::Text),
];

const FILE: &[Field] = &[
    Field::new("encoding", Want::Text).valid(Valid::Words(&[
        "base64",
        "b64",
        "gz",
        "gzip",
        "gz+base64",
        "gzip+base64",
        "gz+b64",
        "gzip+b64",
    ])),
    Field::new("content", Want::Text),
    Field::new("owner", Want::Text),
    Field::new("path", Want::Text),
    Field::new("permissions", Want::Text).valid(Valid::Permissions),
];

const USER: &[Field] = &[
    Field::new("name", Want::Text),
    Field::new("passwd", Want::Text),
    Field::new("ssh_authorized_keys", Want::Texts),
    Field::new("coreos_ssh_import_github", Want::Text).deprecated(REMOTE),
    Field::new("coreos_ssh_import_github_users", Want::Texts).deprecated(REMOTE),
    Field::new("coreos_ssh_import_url", Want::Text).deprecated(REMOTE),
    Field::new("gecos", Want::Text),
    Field::new("homedir", Want::Text),
    Field::new("no_create_home", Want::Bool),
    Field::new("primary_group", Want::Text),
    Field::new("groups", Want::Texts),
    Field::new("no_user_group", Want::Bool),
    Field::new("system", Want::Bool),
    Field::new("no_log_init", Want::Bool),
    Field::new("shell", Want::Text),
];
