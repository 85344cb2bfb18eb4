//! The variant openshift: what MachineConfigs support, and their YAML.
//!
//! Source: `config/openshift/v4_*/translate.go` of Butane v0.29.0.

use std::fmt::Write;

use serde_json::Value as Json;

use super::translate::Context;
use crate::finding::Reason;
use crate::go::url;
use crate::path::Path;
use crate::value::{Struct, Value};

impl Context<'_> {
    /// Checks what MachineConfigs do not support, and adapts the config to them.
    pub(super) fn openshift(&mut self, config: &Struct, ignition: &mut Struct) {
        let minor = self.release.minor();
        self.grub_file(ignition);
        if minor < 20 && config.child("openshift").is_true("fips") {
            self.fips_options(ignition);
        }
        let storage = Path::of(&["storage"]);
        for (index, filesystem) in ignition.child("storage").structs("filesystems").enumerate() {
            let path = storage.key("filesystems").index(index).key("format");
            match filesystem.text("format") {
                "btrfs" => self
                    .report
                    .error(path, Reason::MachineConfig("the format btrfs")),
                "none" => self
                    .report
                    .error(path, Reason::MachineConfig("the format none")),
                _ => {}
            }
        }
        for (index, file) in ignition.child("storage").structs("files").enumerate() {
            let path = storage.key("files").index(index);
            let contents = file.child("contents");
            let is_compressed = !contents.text("compression").is_empty();
            if minor < 10 && is_compressed {
                let path = path.key("contents").key("compression");
                self.report
                    .error(path, Reason::MachineConfig("compression of a file"));
            }
            let scheme = contents.opt_text("source").map(url::parse);
            if let Some(Ok(url)) = scheme
                && url.scheme != "data"
            {
                let path = path.key("contents").key("source");
                self.report.error(
                    path,
                    Reason::MachineConfig("a source other than a data URL"),
                );
            }
            let is_special = file.opt_int("mode").is_some_and(|mode| mode & !0o777 != 0);
            if minor >= 9 && is_special {
                self.report
                    .error(path.key("mode"), Reason::MachineConfig("a special mode"));
            }
        }
        for (index, user) in ignition.child("passwd").structs("users").enumerate() {
            let path = Path::of(&["passwd", "users"]).index(index);
            if user.text("name") != "core" {
                self.report.error(
                    path.key("name"),
                    Reason::MachineConfig("a user other than core"),
                );
            } else if minor < 13 && user.has("password_hash") {
                let path = path.key("password_hash");
                self.report
                    .error(path, Reason::MachineConfig("this field of a user"));
            }
        }
    }

    /// A MachineConfig cannot append to a file, so the boot loader's users become its contents.
    fn grub_file(&mut self, ignition: &mut Struct) {
        let files = ignition.child_mut("storage").list_mut("files");
        let found = files
            .iter_mut()
            .enumerate()
            .find_map(|(index, file)| match file {
                Value::Struct(file) if file.text("path") == "/boot/grub2/user.cfg" => {
                    Some((index, file))
                }
                _ => None,
            });
        let Some((index, file)) = found else {
            return;
        };
        if let [contents] = file.list("append") {
            let contents = contents.clone();
            file.remove("append");
            let path = Path::of(&["storage", "files"]).index(index).key("contents");
            self.origins
                .add_all(&Path::of(&["grub", "users"]), &path, &contents);
            file.set("contents", contents);
        }
    }

    /// FIPS 140-2 does not allow the mode that LUKS volumes have by default.
    fn fips_options(&mut self, ignition: &mut Struct) {
        for (index, luks) in ignition
            .child_mut("storage")
            .list_mut("luks")
            .iter_mut()
            .enumerate()
        {
            let Value::Struct(luks) = luks else {
                continue;
            };
            let has_cipher = luks.texts("options").any(|option| {
                option == "--cipher" || option == "-c" || option.starts_with("--cipher=")
            });
            if has_cipher {
                continue;
            }
            let options = luks.list_mut("options");
            let path = Path::of(&["storage", "luks"]).index(index).key("options");
            for option in ["--cipher", "aes-cbc-essiv:sha256"] {
                self.origins
                    .add(Path::of(&["openshift", "fips"]), path.index(options.len()));
                options.push(option.into());
            }
        }
    }
}

/// Writes a MachineConfig as YAML.
pub(super) fn machine_config(config: &Struct, ignition: &str) -> String {
    let openshift = config.child("openshift");
    let mut spec = serde_json::Map::new();
    spec.insert(
        "config".to_owned(),
        serde_json::from_str(ignition).unwrap_or_default(),
    );
    for (name, field) in [
        ("extensions", "extensions"),
        ("kernelArguments", "kernel_arguments"),
    ] {
        let texts: Vec<Json> = openshift.texts(field).map(Json::from).collect();
        if !texts.is_empty() {
            spec.insert(name.to_owned(), texts.into());
        }
    }
    if let Some(fips) = openshift.opt_bool("fips") {
        spec.insert("fips".to_owned(), fips.into());
    }
    if let Some(kernel) = openshift.opt_text("kernel_type") {
        spec.insert("kernelType".to_owned(), kernel.into());
    }
    let metadata = config.child("metadata");
    let labels = match metadata.get("labels") {
        Some(Value::Labels(labels)) => serde_json::json!(labels),
        _ => serde_json::json!({}),
    };
    let machine_config = serde_json::json!({
        "apiVersion": "machineconfiguration.openshift.io/v1",
        "kind": "MachineConfig",
        "metadata": { "labels": labels, "name": metadata.text("name") },
        "spec": spec,
    });
    let mut yaml = "# Generated by Butane; do not edit".to_owned();
    write_map(&machine_config, 0, &mut yaml);
    yaml
}

fn write_value(value: &Json, indent: usize, yaml: &mut String) {
    match value {
        Json::Object(fields) if !fields.is_empty() => write_map(value, indent + 2, yaml),
        Json::Array(items) if !items.is_empty() => {
            for item in items {
                let _ = write!(yaml, "\n{}-", " ".repeat(indent + 2));
                match item {
                    Json::Object(fields) if !fields.is_empty() => {
                        let mut inner = String::new();
                        write_map(item, indent + 4, &mut inner);
                        // The first key is on the line of the dash.
                        let _ = write!(yaml, " {}", inner.trim_start());
                    }
                    item => write_value(item, indent + 2, yaml),
                }
            }
        }
        Json::Object(_) => yaml.push_str(" {}"),
        Json::Array(_) => yaml.push_str(" []"),
        Json::String(text) => {
            yaml.push(' ');
            write_text(text, indent + 2, yaml);
        }
        value => {
            let _ = write!(yaml, " {value}");
        }
    }
}

fn write_map(value: &Json, indent: usize, yaml: &mut String) {
    let Json::Object(fields) = value else {
        return;
    };
    let mut names: Vec<&String> = fields.keys().collect();
    names.sort();
    for name in names {
        let _ = write!(yaml, "\n{}{name}:", " ".repeat(indent));
        write_value(&fields[name], indent, yaml);
    }
}

/// Writes a text plain where YAML reads it as a text, in a block if it has several lines, else in quotes.
fn write_text(text: &str, indent: usize, yaml: &mut String) {
    if text.contains('\n') && !text.starts_with([' ', '\n']) && !text.contains('\r') {
        let chomping = match text.strip_suffix('\n') {
            None => "-",
            Some(rest) if rest.ends_with('\n') => "+",
            Some(_) => "",
        };
        let _ = write!(yaml, "|{chomping}");
        for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
            yaml.push('\n');
            if !line.is_empty() {
                let _ = write!(yaml, "{}{line}", " ".repeat(indent));
            }
        }
        return;
    }
    let is_word = matches!(
        text.to_ascii_lowercase().as_str(),
        "" | "~" | "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n"
    );
    let is_number = text.parse::<f64>().is_ok() || text.starts_with("0x") || text.starts_with("0o");
    let is_plain = !text.starts_with(|c: char| " #,[]{}&*!|>'\"%@`".contains(c))
        && !text.starts_with("- ")
        && !text.starts_with("? ")
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with([':', ' '])
        && !text.chars().any(char::is_control);
    if is_word || is_number {
        let _ = write!(yaml, "\"{text}\"");
    } else if is_plain {
        yaml.push_str(text);
    } else if text.chars().any(char::is_control) {
        let _ = write!(yaml, "{}", Json::from(text));
    } else {
        let _ = write!(yaml, "'{}'", text.replace('\'', "''"));
    }
}
