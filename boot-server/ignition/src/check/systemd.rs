//! Units and drop-ins.

use crate::finding::{Reason, Report};
use crate::go::slash_path::extension;
use crate::go::unit;
use crate::path::Path;
use crate::value::Struct;

pub(super) fn unit(found: &Struct, path: &Path, report: &mut Report) {
    report.check(path.key("name"), unit_extension(found.text("name")));
    let contents = found.opt_text("contents").unwrap_or_default();
    let path = path.key("contents");
    match install_section(found.text("name"), found.is_true("enabled"), contents) {
        Err(error) => report.error(path, error.into()),
        Ok(Some(warning)) => report.warn(path, warning),
        Ok(None) => {}
    }
}

pub(super) fn dropin(found: &Struct, path: &Path, report: &mut Report) {
    if let Err(error) = unit::option_sections(found.text("contents")) {
        report.error(path.key("contents"), error.into());
    }
    report.check(path.key("name"), dropin_extension(found.text("name")));
}

/// Instances of a template whose contents have no section for enabling it.
pub(super) fn instances(systemd: &Struct, path: &Path, report: &mut Report) {
    for (index, instance) in systemd.structs("units").enumerate() {
        let name = instance.text("name");
        let Some((template, rest)) = name.split_once('@') else {
            continue;
        };
        let is_instance = rest
            .strip_suffix(".service")
            .is_some_and(|rest| !rest.is_empty());
        if template.is_empty() || !is_instance || !instance.is_true("enabled") {
            continue;
        }
        let template = format!("{template}@.service");
        let contents = systemd
            .structs("units")
            .filter(|unit| unit.text("name") == template)
            .last();
        let contents = contents.map_or("", |unit| unit.text("contents"));
        if contents.is_empty() {
            continue;
        }
        let has_section = match unit::option_sections(contents) {
            Ok(sections) => sections.contains(&"Install"),
            Err(_) => true,
        };
        if !has_section {
            let reason = Reason::TemplateNoInstallSection(template, name.to_owned());
            report.warn(path.key("units").index(index).key("contents"), reason);
        }
    }
}

/// Parses a unit's contents. Returns a warning for a unit that is enabled and does not say for what.
///
/// # Errors
/// The contents are not those of a unit.
pub(crate) fn install_section(
    name: &str,
    is_enabled: bool,
    contents: &str,
) -> Result<Option<Reason>, unit::Invalid> {
    let sections = unit::option_sections(contents)?;
    let is_missing = is_enabled && !contents.is_empty() && !sections.contains(&"Install");
    Ok(is_missing.then(|| Reason::NoInstallSection(name.to_owned())))
}

/// Checks the extension of a unit's name.
pub(crate) fn unit_extension(name: &str) -> Result<(), Reason> {
    match extension(name) {
        ".service" | ".socket" | ".device" | ".mount" | ".automount" | ".swap" | ".target"
        | ".path" | ".timer" | ".snapshot" | ".slice" | ".scope" => Ok(()),
        _ => Err(Reason::UnitExtension),
    }
}

/// Checks the extension of a drop-in's name.
pub(crate) fn dropin_extension(name: &str) -> Result<(), Reason> {
    if extension(name) == ".conf" {
        Ok(())
    } else {
        Err(Reason::DropinExtension)
    }
}
