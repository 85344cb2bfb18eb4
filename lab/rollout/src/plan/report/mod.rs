//! Plans and their changes for people, for pull requests and for programs.

mod changes;
pub mod json;
pub mod markdown;
mod show;
mod table;

pub use changes::render as changes;
pub use show::render as show;
pub use table::render as table;

use boot_server_catalog::ignition::version_of;
use boot_server_catalog::snapshot::Folder;
use console::Style;

use super::{Asked, Booted, Config, Document};

/// Colour of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Output with ANSI colours.
    On,
    /// Output in plain text.
    Off,
}

impl Colour {
    fn paint(self, style: Style, text: &str) -> String {
        match self {
            Colour::On => style.force_styling(true).apply_to(text).to_string(),
            Colour::Off => text.to_owned(),
        }
    }

    fn bad(self, text: &str) -> String {
        self.paint(Style::new().red(), text)
    }

    fn good(self, text: &str) -> String {
        self.paint(Style::new().green(), text)
    }

    fn strong(self, text: &str) -> String {
        self.paint(Style::new().bold(), text)
    }
}

/// Renders a number of things in words.
fn counted(count: usize, one: &str, several: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {several}"),
    }
}

/// Renders a number of machines in words.
fn machines(count: usize) -> String {
    counted(count, "machine", "machines")
}

/// Returns the beginning of a document's hash: enough to see that two differ.
fn short_hash(document: &Document) -> String {
    document.sha256().chars().take(8).collect()
}

/// Renders a machine's cloud-config in a cell, or the user-data of its NoCloud seed.
fn cloud_cell(booted: &Booted) -> String {
    match (booted.config(Folder::Cloud), booted.user_data()) {
        (None, Some(planned)) => match &planned.served {
            Err(_) => "404".to_owned(),
            Ok(document) => format!("{} {}", file_name(document), short_hash(document)),
        },
        (config, _) => cell(config),
    }
}

/// Returns the name of a document's file in its folder.
fn file_name(document: &Document) -> &str {
    let file = document.file.as_deref().unwrap_or_default();
    file.split_once('/').map_or(file, |(_, name)| name)
}

/// Renders a config in a cell: its file and hash, or the reason that it is missing.
fn cell(config: Option<&Config>) -> String {
    let Some(config) = config else {
        return "-".to_owned();
    };
    match (&config.served, &config.asked) {
        (Err(_), _) => "404".to_owned(),
        (Ok(document), asked) => {
            let name = file_name(document);
            let unasked = match asked {
                Asked::ByKernelOption => "",
                Asked::ByNothing => " (not asked for)",
            };
            let translated = match (&config.source, version_of(&document.text)) {
                (Some(source), Some(version)) => {
                    format!(" ({} → {version})", source.language.name())
                }
                _ => String::new(),
            };
            format!("{name} {}{translated}{unasked}", short_hash(document))
        }
    }
}

/// Returns the labels by which a group matches.
fn by(booted: &Booted) -> &str {
    match booted.by.is_empty() {
        true => "default",
        false => &booted.by,
    }
}

#[cfg(test)]
mod tests;
