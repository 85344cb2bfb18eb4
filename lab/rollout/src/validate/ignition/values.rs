//! Values that Ignition refuses though they are of the right kind.

/// Version of the config, which selects the schema.
#[derive(Debug, Clone, Copy)]
pub(super) struct Version {
    pub(super) major: u8,
    pub(super) minor: u8,
}

/// Check of a value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Check {
    AbsolutePath,
    /// The URL of a resource.
    Source,
    Hash,
    Compression,
    Mode,
    UnitName,
    DropInName,
    Format,
    RaidLevel,
    NotEmpty,
}

/// Problem of a value.
pub(super) struct Wrong {
    pub(super) rule: &'static str,
    pub(super) message: String,
    pub(super) help: String,
}

fn wrong(message: impl Into<String>, help: impl Into<String>) -> Option<Wrong> {
    Some(Wrong {
        rule: "ignition-value",
        message: message.into(),
        help: help.into(),
    })
}

/// Highest mode there is.
const MAX_MODE: u32 = 0o7777;

/// Modes that look octal. Read as decimal numbers they are unusual modes.
const OCTAL_LOOKS: &[u32] = &[
    400, 440, 444, 500, 550, 555, 600, 640, 644, 660, 664, 666, 700, 710, 750, 755, 770, 775, 777,
    1777, 2755, 2775, 4755,
];

const SCHEMES: &[&str] = &["http", "https", "tftp", "s3", "gs", "arn", "data"];
const UNIT_SUFFIXES: &[&str] = &[
    "service",
    "socket",
    "device",
    "mount",
    "automount",
    "swap",
    "target",
    "path",
    "timer",
    "snapshot",
    "slice",
    "scope",
];
const FORMATS: &[&str] = &["ext4", "btrfs", "xfs", "vfat", "swap", "none"];
const RAID_LEVELS: &[&str] = &[
    "linear", "raid0", "0", "stripe", "raid1", "1", "mirror", "raid4", "4", "raid5", "5", "raid6",
    "6", "raid10", "10",
];

impl Check {
    /// Returns the problem of this value, if any.
    pub(super) fn look(self, text: &str, version: Version) -> Option<Wrong> {
        match self {
            Check::AbsolutePath if !text.starts_with('/') => wrong(
                format!("invalid path `{text}`: not absolute"),
                "write the absolute path, which begins with /",
            ),
            Check::Source => source(text),
            Check::Hash => hash(text),
            Check::Compression if !matches!(text, "" | "gzip") => {
                wrong(format!("unknown compression `{text}`"), "it may be gzip")
            }
            Check::Mode => mode(text),
            Check::UnitName => {
                let suffix = text.rsplit_once('.').map_or("", |(_, suffix)| suffix);
                match UNIT_SUFFIXES.contains(&suffix) {
                    true => None,
                    false => wrong(
                        format!("invalid unit name `{text}`"),
                        format!("end it in .{}", UNIT_SUFFIXES.join(", .")),
                    ),
                }
            }
            Check::DropInName if !text.ends_with(".conf") => wrong(
                format!("invalid drop-in name `{text}`"),
                "end it in .conf, else systemd does not read it",
            ),
            Check::Format if !FORMATS.contains(&text) || text == "none" && version.major < 3 => {
                wrong(
                    format!("unsupported filesystem `{text}`"),
                    "it may be ext4, btrfs, xfs, vfat or swap",
                )
            }
            Check::RaidLevel if !RAID_LEVELS.contains(&text) => wrong(
                format!("unknown RAID level `{text}`"),
                "it may be linear, raid0, raid1, raid4, raid5, raid6 or raid10",
            ),
            Check::NotEmpty if text.is_empty() => wrong("empty name", "write a name"),
            _ => None,
        }
    }
}

fn source(text: &str) -> Option<Wrong> {
    if text.is_empty() {
        return None;
    }
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    if !SCHEMES.contains(&scheme.to_ascii_lowercase().as_str()) {
        return wrong(
            format!("unsupported URL `{text}`"),
            "write a URL of http, https, tftp, s3, gs or data",
        );
    }
    let web = matches!(scheme, "http" | "https" | "tftp" | "s3" | "gs");
    if web && !text.get(scheme.len()..)?.starts_with("://") {
        return wrong(
            format!("missing host in `{text}`"),
            format!("write {scheme}://HOST/PATH"),
        );
    }
    (scheme == "data" && !text.contains(','))
        .then(|| {
            wrong(
                format!("invalid data URL `{text}`"),
                "write data:,TEXT with % escapes, or data:;base64,…",
            )
        })
        .flatten()
}

fn hash(text: &str) -> Option<Wrong> {
    let help = "write sha512- and 128 hexadecimal digits";
    let (function, sum) = text.split_once('-').unwrap_or((text, ""));
    let digits = match function {
        "sha512" => 128,
        "sha256" => 64,
        _ => return wrong(format!("unknown hash function `{function}`"), help),
    };
    let hexadecimal = sum.chars().all(|c| c.is_ascii_hexdigit());
    match hexadecimal && sum.len() == digits {
        true => None,
        false => wrong(format!("invalid hash: not a sum of {function}"), help),
    }
}

fn mode(text: &str) -> Option<Wrong> {
    // A leading zero makes it octal: only YAML allows one.
    if text.starts_with('0') {
        return None;
    }
    let mode: u32 = text.parse().ok()?;
    if OCTAL_LOOKS.contains(&mode) {
        let meant = u32::from_str_radix(text, 8).unwrap_or_default();
        return Some(Wrong {
            rule: "decimal-mode",
            message: format!("mode {mode} is decimal, and means {mode:04o}"),
            help: format!("write {meant} for {meant:04o}"),
        });
    }
    match mode > MAX_MODE {
        true => wrong(
            format!("invalid mode {mode}"),
            format!("write it in decimal, at most {MAX_MODE}"),
        ),
        false => None,
    }
}
