//! Effects of an Ignition config of version 2 or 3 on a machine: its files and units.
//!
//! Shapes and defaults: <https://coreos.github.io/ignition/configuration-v3_3/>,
//! <https://coreos.github.io/ignition/configuration-v2_3/>.

use guest_agent::config::read::{EncodingError, decode_content};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::{ExpectedState, ROOT, System, units};

/// Permissions of a file that asks for none.
const DEFAULT_MODE: u32 = 0o644;

/// Paths of `core`'s ids in CoreOS.
const CORE_ID: u64 = 500;

pub(super) fn read(text: &str, system: System, expected: &mut ExpectedState) {
    let Ok(config) = serde_json::from_str::<Value>(text) else {
        expected.hopeless = Some("its Ignition config is not JSON".into());
        return;
    };
    let version = match config.pointer("/ignition/version") {
        Some(version) => version.as_str().unwrap_or_default().to_owned(),
        None => config
            .get("ignitionVersion")
            .map_or_else(String::new, ToString::to_string),
    };
    let major = version.split('.').next().unwrap_or_default();
    if major != "3" && system == System::StandIn {
        expected.hopeless = Some(format!(
            "unsupported Ignition version {version}: the stand-in's Ignition supports only 3.x"
        ));
        return;
    }
    if major == "1" {
        expected
            .unproven
            .push("the effects of its Ignition version 1 config".into());
        return;
    }
    let list = |pointer: &str| {
        let list = config.pointer(pointer).and_then(Value::as_array);
        list.map_or(&[][..], Vec::as_slice)
    };
    for file in list("/storage/files") {
        self::file(file, expected);
    }
    for unit in list("/systemd/units") {
        self::unit(unit, system, expected);
    }
    let further = [
        ("/storage/directories", "its folders"),
        ("/storage/links", "its links"),
        ("/storage/disks", "its disks"),
        ("/storage/filesystems", "its file systems"),
        ("/passwd/users", "its users and their keys"),
        ("/passwd/groups", "its groups"),
    ];
    for (pointer, what) in further {
        if !list(pointer).is_empty() {
            expected.unproven.push(format!("{what} of Ignition"));
        }
    }
}

fn file(file: &Value, expected: &mut ExpectedState) {
    let Some(path) = file.get("path").and_then(Value::as_str) else {
        return;
    };
    match content(file).and_then(|content| Ok((content, owner(file)?))) {
        Ok((content, owner)) => {
            let mode = file.get("mode").and_then(Value::as_u64);
            let mode = mode.and_then(|mode| u32::try_from(mode).ok());
            expected.file(path, &content, &owner, mode.unwrap_or(DEFAULT_MODE));
        }
        Err(why) => {
            expected.files.remove(path);
            expected.unproven.push(format!("file {path}: {why}"));
        }
    }
}

/// Reasons that a file's content or owner is unknown.
#[derive(Debug, thiserror::Error)]
enum UnknownFile {
    #[error("the content is appended to the image's file")]
    Appended,
    #[error("its content is compressed")]
    Compressed,
    #[error("its content is fetched from {0}")]
    Fetched(String),
    #[error("its data URL has no comma (RFC 2397)")]
    NoComma,
    #[error(transparent)]
    Encoding(#[from] EncodingError),
    #[error("its {what} has a number only, {id}")]
    Owner { what: &'static str, id: u64 },
}

/// Returns the bytes of a file, or the reason that they are unknown.
fn content(file: &Value) -> Result<Vec<u8>, UnknownFile> {
    let is_filled = |value: &Value| value.as_array().is_some_and(|list| !list.is_empty());
    if file.get("append").is_some_and(is_filled) || file.get("append") == Some(&Value::Bool(true)) {
        return Err(UnknownFile::Appended);
    }
    let text = |key: &str| file.pointer(&format!("/contents/{key}"))?.as_str();
    if text("compression").is_some_and(|kind| !kind.is_empty()) {
        return Err(UnknownFile::Compressed);
    }
    let source = text("source").unwrap_or_default();
    if source.is_empty() {
        return Ok(Vec::new());
    }
    let Some(data) = source.strip_prefix("data:") else {
        return Err(UnknownFile::Fetched(source.to_owned()));
    };
    // RFC 2397: data:[<mediatype>][;base64],<data>
    let (kind, data) = data.split_once(',').ok_or(UnknownFile::NoComma)?;
    let bytes: Vec<u8> = percent_decode_str(data).collect();
    match kind.ends_with(";base64") {
        false => Ok(bytes),
        true => {
            let text = String::from_utf8_lossy(&bytes);
            Ok(decode_content("base64", &text)?)
        }
    }
}

/// User and group by name, or why they are not known.
fn owner(file: &Value) -> Result<String, UnknownFile> {
    let one = |what: &'static str| {
        let Some(who) = file.get(what).filter(|who| !who.is_null()) else {
            return Ok("root".to_owned());
        };
        let id = who.get("id").and_then(Value::as_u64);
        match (who.get("name").and_then(Value::as_str), id) {
            (Some(name), _) => Ok(name.to_owned()),
            (None, None | Some(0)) => Ok("root".to_owned()),
            (None, Some(CORE_ID)) => Ok("core".to_owned()),
            (None, Some(id)) => Err(UnknownFile::Owner { what, id }),
        }
    };
    Ok(format!("{}:{}", one("user")?, one("group")?))
}

fn unit(unit: &Value, system: System, expected: &mut ExpectedState) {
    let text = |key: &str| unit.get(key).and_then(Value::as_str);
    let Some(name) = text("name") else {
        return;
    };
    let place = format!("/etc/systemd/system/{name}");
    let content = text("contents").unwrap_or_default();
    let flag = |key: &str| unit.get(key).and_then(Value::as_bool) == Some(true);
    if flag("mask") {
        expected.unproven.push(format!("unit {name}: its masking"));
        return;
    }
    if !content.is_empty() {
        expected.file(&place, content.as_bytes(), ROOT, DEFAULT_MODE);
    }
    let drop_ins = unit.get("dropins").and_then(Value::as_array);
    for drop_in in drop_ins.into_iter().flatten() {
        let text = |key: &str| drop_in.get(key).and_then(Value::as_str);
        if let (Some(name), Some(content)) = (text("name"), text("contents")) {
            let path = format!("{place}.d/{name}");
            expected.file(&path, content.as_bytes(), ROOT, DEFAULT_MODE);
        }
    }
    // What is wanted by the target that machines come up to is started with it.
    let wanted = content
        .lines()
        .filter_map(|line| line.split_once('='))
        .any(|(key, value)| {
            matches!(key.trim(), "WantedBy" | "RequiredBy") && value.contains("multi-user.target")
        });
    if (flag("enabled") || flag("enable")) && wanted {
        units::started(name, content, system, expected);
    }
}
