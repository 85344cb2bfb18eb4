//! Parser of `[node.expect]`.

use std::collections::BTreeMap;
use std::ops::Range;

use super::access::Owner;
use super::digest::{Sha256Error, Sha256Hex};
use super::limits::RESETS_MAX;
use super::model::{ExpectedHashes, FileExpect, MatchedBy};
use super::problem::{Located, Wrong};
use super::read::{Item, Table};
use super::text::file_mode;

/// Readable parts of a node's expectations.
#[derive(Debug)]
pub(super) struct DraftExpect {
    pub(super) at: Range<usize>,
    pub(super) matched_by: Option<Located<MatchedBy>>,
    /// True if the key is present, well-formed or not.
    pub(super) has_matched_by: bool,
    pub(super) group: Option<Located<String>>,
    /// True if the key is present, well-formed or not.
    pub(super) has_group: bool,
    pub(super) boot_group: Option<Located<String>>,
    pub(super) kernel: Option<Located<String>>,
    pub(super) initrd: Vec<String>,
    pub(super) cloud_config: Option<Located<String>>,
    pub(super) ignition: Option<Located<String>>,
    pub(super) generic_config: Option<Located<String>>,
    pub(super) hostname: Option<Located<String>>,
    pub(super) kernel_options: Vec<String>,
    pub(super) units_active: Vec<String>,
    /// Place of `units_active`, if it is present.
    pub(super) has_units: Option<Located<()>>,
    pub(super) preseed: Option<Located<BTreeMap<String, String>>>,
    pub(super) resets: u32,
    pub(super) config_may_fail: Option<Located<bool>>,
    pub(super) sha256: Option<Located<ExpectedHashes>>,
    pub(super) files: Vec<FileExpect>,
    /// True if at least one check inside the machine is present, well-formed or not.
    pub(super) checks_something: bool,
    /// Check lists that are present but empty.
    pub(super) empty_lists: Vec<Located<&'static str>>,
}

/// Parses the table.
pub(super) fn read(table: Table) -> DraftExpect {
    let matched_by = [
        ("uuid", MatchedBy::Uuid),
        ("mac", MatchedBy::Mac),
        ("default", MatchedBy::Default),
        ("labels", MatchedBy::Labels),
    ];
    let named = |key| {
        table
            .optional(key)
            .and_then(|item| item.parse(|text| file_name(text, key)))
    };
    let hostname = table.optional("hostname");
    let kernel_options = table.optional("kernel_options");
    let units_active = table.optional("units_active");
    let preseed = table.optional("preseed");
    let file = table.optional("file");
    let initrd = table.optional("initrd");
    let list = |item: &Option<Item>, parse: fn(&str) -> Result<String, Wrong>| -> Vec<String> {
        let items = item.and_then(|item| item.list()).unwrap_or_default();
        items
            .iter()
            .filter_map(|item| item.parse(parse))
            .map(|text| text.value)
            .collect()
    };
    let lists = [
        ("kernel_options", &kernel_options),
        ("units_active", &units_active),
        ("file", &file),
    ];
    let written = |item: &Option<Item>| item.map(|item| item.length());
    let mut checks_something = hostname.is_some() || preseed.is_some();
    let mut empty_lists = Vec::new();
    for (key, item) in lists {
        match (written(item), item) {
            (Some(Some(0)), Some(item)) => empty_lists.push(Located {
                value: key,
                at: item.at(),
            }),
            // A value of another type has its own message.
            (Some(_), _) => checks_something = true,
            (None, _) => {}
        }
    }
    empty_lists.sort_by_key(|list| list.at.start);
    let draft = DraftExpect {
        at: table.at(),
        has_matched_by: table.optional("matched_by").is_some(),
        matched_by: table
            .optional("matched_by")
            .and_then(|item| item.choice(&matched_by)),
        has_group: table.optional("group").is_some(),
        group: table.optional("group").and_then(|item| item.text()),
        boot_group: table.optional("boot_group").and_then(|item| item.text()),
        kernel: table
            .optional("kernel")
            .and_then(|item| item.parse(asset_path)),
        initrd: list(&initrd, asset_path),
        cloud_config: named("cloud_config"),
        ignition: named("ignition"),
        generic_config: named("generic_config"),
        checks_something,
        empty_lists,
        hostname: hostname.and_then(|item| item.parse(host_name)),
        kernel_options: list(&kernel_options, kernel_option),
        units_active: list(&units_active, unit_name),
        has_units: units_active.map(|item| Located {
            value: (),
            at: item.at(),
        }),
        preseed: preseed.and_then(|item| answers(&item)),
        resets: table
            .optional("resets")
            .and_then(|item| item.number(0..=RESETS_MAX, "resets"))
            .map_or(0, |resets| resets.value),
        config_may_fail: table
            .optional("config_may_fail")
            .and_then(|item| item.flag()),
        sha256: table.optional("sha256").and_then(|item| hashes(&item)),
        files: files(file),
    };
    table.finish();
    draft
}

/// Parses the table `[node.expect.sha256]`.
fn hashes(item: &Item) -> Option<Located<ExpectedHashes>> {
    let table = item.table("[node.expect.sha256]")?;
    let one = |key| {
        let hash = table.optional(key).and_then(|item| item.parse(sha256));
        hash.map(|hash| hash.value)
    };
    let initrd = table.optional("initrd").and_then(|item| item.list());
    let value = ExpectedHashes {
        boot_program: one("boot_program"),
        kernel: one("kernel"),
        initrd: initrd
            .into_iter()
            .flatten()
            .filter_map(|item| item.parse(sha256))
            .map(|hash| hash.value)
            .collect(),
        cloud_config: one("cloud_config"),
        ignition: one("ignition"),
    };
    table.finish();
    Some(Located {
        value,
        at: item.at(),
    })
}

/// Parses the table `[node.expect.preseed]`.
fn answers(item: &Item) -> Option<Located<BTreeMap<String, String>>> {
    let table = item.table("[node.expect.preseed]")?;
    let mut value = BTreeMap::new();
    for (question, answer) in table.entries() {
        let is_question = question.contains('/')
            && question
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"/-_.+".contains(&b));
        if !is_question {
            answer.wrong(Wrong::new(
                format!("invalid question of debconf: `{question}`"),
                "use its name with a slash, e.g. `\"netcfg/get_domain\" = \"lab.example\"`",
            ));
        } else if let Some(text) = answer.text() {
            value.insert(question.to_owned(), text.value);
        }
    }
    if value.is_empty() && table.entries().next().is_none() {
        item.wrong(Wrong::new(
            "`[node.expect.preseed]` is empty",
            "write at least one question, e.g. `\"netcfg/get_domain\" = \"lab.example\"`",
        ));
    }
    Some(Located {
        value,
        at: item.at(),
    })
}

fn sha256(text: &str) -> Result<Sha256Hex, Wrong> {
    text.parse().map_err(|error: Sha256Error| {
        Wrong::new(
            error.to_string(),
            "use 64 hexadecimal digits, as printed by `sha256sum FILE`",
        )
    })
}

/// Parses a path below the assets.
fn asset_path(text: &str) -> Result<String, Wrong> {
    let is_sound = !text.is_empty()
        && !text.contains(|c: char| c.is_whitespace() || c.is_control())
        && text.split('/').all(|part| !["", ".", ".."].contains(&part));
    if is_sound {
        return Ok(text.to_owned());
    }
    Err(Wrong::new(
        format!("invalid path below the assets: `{text}`"),
        "omit `/assets/`, e.g. `coreos/current/coreos_production_pxe.vmlinuz`",
    ))
}

fn files(item: Option<Item>) -> Vec<FileExpect> {
    let mut files: Vec<FileExpect> = Vec::new();
    for item in item.and_then(|item| item.list()).unwrap_or_default() {
        let Some(table) = item.table("[[node.expect.file]]") else {
            continue;
        };
        let path = table.required("path", "path = \"/home/core/cloud\"");
        let found = path.and_then(|item| item.parse(file_path));
        let content = table
            .required("content", "content = \"text\"")
            .and_then(|i| i.text());
        let owner = table
            .required("owner", "owner = \"core:core\"")
            .and_then(|i| i.parse(owner));
        let mode = table
            .required("mode", "mode = \"0644\"")
            .and_then(|i| i.parse(file_mode));
        table.finish();
        if let (Some(path), Some(found)) = (path, &found)
            && files.iter().any(|other| other.path == found.value)
        {
            let what = format!("duplicate expected file: `{}`", found.value);
            path.wrong(Wrong::new(
                what,
                "write one `[[node.expect.file]]` per path",
            ));
        }
        if let (Some(path), Some(content), Some(owner), Some(mode)) = (found, content, owner, mode)
        {
            files.push(FileExpect {
                path: path.value,
                content: content.value,
                owner: owner.value,
                mode: mode.value,
            });
        }
    }
    files
}

fn file_name(text: &str, key: &str) -> Result<String, Wrong> {
    if text.is_empty() || text.contains(['/', '\\', '\0']) || text.starts_with('.') {
        let folder = match key {
            "ignition" => "ignition/",
            "generic_config" => "generic/",
            _ => "cloud/",
        };
        let help =
            format!("use the name of a file in the scenario's `data/{folder}`, e.g. `node1.yaml`");
        return Err(Wrong::new(format!("invalid file name: `{text}`"), help));
    }
    Ok(text.to_owned())
}

/// Checks the absolute path of an expected file.
///
/// # Errors
/// The problem, if the path is relative or is not plain.
pub fn file_path(text: &str) -> Result<String, Wrong> {
    let sound = text.starts_with('/')
        && !text.ends_with('/')
        && !text.split('/').any(|part| part == "..")
        && !text.contains(char::is_control);
    if !sound {
        let what = format!("invalid absolute path: `{text}`");
        return Err(Wrong::new(
            what,
            "begin with `/` and avoid `..`, e.g. `/home/core/cloud`",
        ));
    }
    // Two spellings of a path would be two expectations of one file.
    let parts = text.split('/').filter(|part| !["", "."].contains(part));
    let plain: String = parts.map(|part| format!("/{part}")).collect();
    if plain != text {
        return Err(Wrong::new(
            format!("path not in its shortest form: `{text}`"),
            format!("write `{plain}`"),
        ));
    }
    if text == "/dev/null" {
        return Err(Wrong::new(
            "meaningless expectation: `/dev/null` is the same on every machine",
            "expect a file that a config writes, e.g. `/home/core/cloud`",
        ));
    }
    Ok(plain)
}

/// Units that systemd always activates.
const ALWAYS_ACTIVE: [&str; 4] = ["-.slice", "-.mount", "system.slice", "user.slice"];

fn owner(text: &str) -> Result<Owner, Wrong> {
    text.parse::<Owner>()
        .map_err(|error| Wrong::new(error.to_string(), "use user and group, e.g. `core:core`"))
}

pub(super) fn host_name(text: &str) -> Result<String, Wrong> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.len() <= 64 && text.split('.').all(label) {
        return Ok(text.to_owned());
    }
    let help = "use labels of letters, digits and hyphens, at most 64 characters, e.g. `node1`";
    Err(Wrong::new(format!("invalid host name: `{text}`"), help))
}

fn kernel_option(text: &str) -> Result<String, Wrong> {
    if text.is_empty() || text.contains(char::is_whitespace) {
        let help = "write one option per entry, e.g. `console=ttyS0`";
        return Err(Wrong::new(format!("invalid kernel option: `{text}`"), help));
    }
    Ok(text.to_owned())
}

/// Checks the name of a systemd unit.
///
/// # Errors
/// The problem, if the name has no kind of unit as its ending.
pub fn unit_name(text: &str) -> Result<String, Wrong> {
    const KINDS: [&str; 9] = [
        "service",
        "socket",
        "target",
        "timer",
        "mount",
        "automount",
        "swap",
        "path",
        "slice",
    ];
    let sound = text
        .rsplit_once('.')
        .is_some_and(|(name, kind)| !name.is_empty() && KINDS.contains(&kind))
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.@:\\".contains(&b));
    if ALWAYS_ACTIVE.contains(&text) {
        return Err(Wrong::new(
            format!("meaningless expectation: `{text}` is active on every systemd machine"),
            "expect a unit that a config starts, e.g. `lab-node1.service`",
        ));
    }
    if sound {
        return Ok(text.to_owned());
    }
    Err(Wrong::new(
        format!("invalid unit name: `{text}`"),
        "e.g. `lab-node1.service`",
    ))
}
