//! Butane configs → Ignition 3.
//!
//! Source: `config/util/util.go` of Butane v0.29.0 for the order of the steps.

mod boot_device;
mod contents;
mod files;
mod filters;
mod merge;
mod mode;
mod mounts;
mod nested;
mod openshift;
mod origins;
mod partitions;
mod served;
mod translate;
mod trees;
mod validate;

use std::path::Path as FilePath;
use std::rc::Rc;

use crate::finding::{Finding, Reason, Report};
use crate::path::Path;
use crate::schema::release::{Release, Variant};
use crate::schema::{Field, Key, Kind, Shape, spec3};
use crate::yaml::decode::{Library, decode};
use crate::yaml::{InvalidYaml, Node, read};
use crate::yaml::{Mismatch, first};
use crate::{check, value::Struct};
use files::Files;
use served::render;
use translate::Context;

/// Options of a translation.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// Folder of local files; without one a config cannot refer to any.
    pub files_dir: Option<&'a FilePath>,
    /// Form of the result.
    pub output: Output,
}

/// Form of a translated config.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Output {
    /// As `butane` writes it: Ignition in one line, or a MachineConfig in YAML for the variant openshift.
    #[default]
    Butane,
    /// Ignition in one line, also for the variant openshift.
    Ignition,
    /// As `butane --pretty` writes it.
    Pretty,
    /// As matchbox 0.11.0 serves it: read as Ignition 3.4 and written with every section.
    ///
    /// A newer config or a MachineConfig becomes Ignition here; matchbox serves an empty config without a version.
    Matchbox011,
}

/// A config that was translated or refused, and what was found in it.
#[derive(Debug)]
pub struct Translation {
    /// The translated config, or the reason why there is none.
    pub result: Result<String, Refusal>,
    /// Findings, with errors among them if the config itself or what was made of it is wrong.
    pub findings: Vec<Finding>,
}

/// Reason for which a config is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The text is not YAML.
    #[error(transparent)]
    Yaml(#[from] InvalidYaml),
    /// The text is YAML whose variant and version cannot be read.
    #[error("invalid header: {}", first(.0))]
    HeaderTypes(Vec<Mismatch>),
    /// The variant or version is missing or unknown.
    #[error(transparent)]
    Header(#[from] InvalidHeader),
    /// Values are of other kinds than their keys.
    #[error("invalid values: {}", first(.0))]
    Types(Vec<Mismatch>),
    /// The config is wrong; the findings say where.
    #[error("source config is invalid")]
    Source,
    /// The Ignition config that the config describes is wrong; the findings say where.
    #[error("config generated was invalid")]
    Generated,
}

/// Problem with the variant or version of a Butane config.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHeader {
    /// No variant.
    #[error("missing `variant`")]
    NoVariant,
    /// A version that is not three numbers.
    #[error("invalid `version`: {0}")]
    Version(String),
    /// A variant and version without a translator.
    #[error("unsupported variant and version: {0} {1}")]
    Unknown(String, String),
    /// The variant rhcos, which Butane no longer has.
    #[error("unsupported variant: rhcos (use openshift)")]
    Rhcos,
}

/// Shape of what every Butane config begins with.
static HEADER: Shape = Shape {
    name: "Header",
    key: Key::None,
    fields: &[
        Field::new("version", Kind::Text),
        Field::new("variant", Kind::Text),
    ],
};

/// Translates a Butane config.
#[must_use]
pub fn translate_butane(text: &[u8], options: &Options) -> Translation {
    let mut report = Report::default();
    let result = translate(text, options, &mut report);
    Translation {
        result,
        findings: report.findings,
    }
}

fn translate(text: &[u8], options: &Options, report: &mut Report) -> Result<String, Refusal> {
    let (root, release) = header(text)?;
    let config = match decode(&root, release.shape, release.spec, Library::V3) {
        Ok(config) => config,
        Err(mismatches) => return Err(Refusal::Types(mismatches)),
    };
    report.append(validate::unused_keys(&config, release, &root));
    let result = translate_config(&config, release, options, report);
    report.locate(&root);
    result
}

fn header(text: &[u8]) -> Result<(Rc<Node>, &'static Release), Refusal> {
    let root = read(text)?.ok_or(InvalidHeader::NoVariant)?;
    let header = decode(&root, &HEADER, 0, Library::V3).map_err(Refusal::HeaderTypes)?;
    let (variant, version) = (header.text("variant"), header.text("version"));
    if variant.is_empty() {
        return Err(InvalidHeader::NoVariant.into());
    }
    let Some(version) = semantic_version(version) else {
        return Err(InvalidHeader::Version(version.to_owned()).into());
    };
    if (variant, version.as_str()) == ("rhcos", "0.1.0") {
        return Err(InvalidHeader::Rhcos.into());
    }
    match Release::find(variant, &version) {
        Some(release) => Ok((root, release)),
        None => Err(InvalidHeader::Unknown(variant.to_owned(), version).into()),
    }
}

/// Returns a version without leading zeroes; none for a text that is not a semantic version.
fn semantic_version(text: &str) -> Option<String> {
    let (number, suffix) = match text.find(['-', '+']) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let numbers: Option<Vec<i64>> = number.split('.').map(|part| part.parse().ok()).collect();
    let [major, minor, patch] = numbers?[..] else {
        return None;
    };
    Some(format!("{major}.{minor}.{patch}{suffix}"))
}

fn translate_config(
    config: &Struct,
    release: &'static Release,
    options: &Options,
    report: &mut Report,
) -> Result<String, Refusal> {
    report.append(validate::check(config, release));
    if report.is_fatal() {
        return Err(Refusal::Source);
    }
    let is_openshift = release.variant == Variant::Openshift;
    let mut context = Context {
        release,
        files: Files::new(options.files_dir),
        may_compress: !is_openshift || release.minor() >= 10,
        report: Report::default(),
        origins: origins::Origins::default(),
    };
    let ignition = context.base(config);
    let mut ignition = context.mount_units(config, ignition);
    context.trees(config, &mut ignition);
    context.quadlets(config, &mut ignition);
    if !context.report.is_fatal() {
        ignition = context.of_variant(config, ignition, report);
    }
    let Context {
        report: found,
        origins,
        ..
    } = context;
    report.append(origins.trace(found));
    if report.is_fatal() {
        return Err(Refusal::Source);
    }
    report.append(origins.trace(filters::check(&ignition, release)));
    if report.is_fatal() {
        return Err(Refusal::Source);
    }
    report.append(origins.trace(check::duplicates(&ignition, &spec3::BASE, release.spec)));
    report.append(origins.trace(check::check(&ignition, &spec3::BASE, release.spec)));
    if report.is_fatal() {
        return Err(Refusal::Generated);
    }
    Ok(render(config, &ignition, release, options))
}

impl Context<'_> {
    /// Applies the sugar of fcos and openshift.
    fn of_variant(&mut self, config: &Struct, ignition: Struct, report: &mut Report) -> Struct {
        let has = |field| self.release.shape.field(field, self.release.spec).is_some();
        if !has("boot_device") {
            return ignition;
        }
        let has_grub = has("grub");
        let mut ignition = self.boot_device(config, ignition);
        report.append(self.origins.trace(partitions::check(&ignition)));
        let is_openshift = self.release.variant == Variant::Openshift;
        if is_openshift && self.release.minor() < 19 && config.child("grub").has("users") {
            // Older MachineConfigs cannot set users of the boot loader.
            report.error(Path::of(&["grub"]), Reason::MachineConfig("grub"));
            return ignition;
        }
        if has_grub {
            ignition = self.grub(config, ignition);
        }
        if is_openshift {
            self.openshift(config, &mut ignition);
        }
        ignition
    }
}
