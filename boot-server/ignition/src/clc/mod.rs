//! Container Linux Configs → Ignition 2.2, as matchbox up to 0.9 translates them: for no platform.
//!
//! Source: `config/config.go` and `config/types/*.go` of the Container Linux Config Transpiler v0.9.0.

mod check;
mod convert;
mod options;
mod services;
mod size;
mod validate;

use crate::finding::{Finding, Report};
use crate::render::{Style, to_json};
use crate::schema::spec2;
use crate::value::Struct;
use crate::yaml::Mismatch;
use crate::yaml::decode::{Library, decode};
use crate::yaml::{Content, InvalidYaml, Node, Place, read};

pub use options::InvalidVersion;

/// Version of the Ignition specification that configs are translated to.
const SPEC_VERSION: &str = "2.2.0";

/// A Container Linux Config that was translated or refused, and what was found in it.
#[derive(Debug)]
pub struct ClcTranslation {
    /// The translated config, or the reason why there is none.
    pub result: Result<String, ClcRefusal>,
    /// Findings, with errors among them if the config itself or what was made of it is wrong.
    pub findings: Vec<Finding>,
}

/// Reason for which a Container Linux Config is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClcRefusal {
    /// The text is not YAML.
    #[error(transparent)]
    Yaml(#[from] InvalidYaml),
    /// Values are of other kinds than their keys.
    #[error("invalid values: {}", crate::yaml::first(.0))]
    Types(Vec<Mismatch>),
    /// The version of etcd or flannel is not three numbers.
    #[error("invalid version: {0}")]
    Version(InvalidVersion),
    /// The config is wrong; the findings say where.
    #[error("config is invalid")]
    Source,
    /// The Ignition config that the config describes is wrong; the findings say where.
    #[error("config generated was invalid")]
    Generated,
}

/// Translates a Container Linux Config.
#[must_use]
pub fn translate_clc(text: &[u8]) -> ClcTranslation {
    let mut report = Report::default();
    let result = translate(text, &mut report);
    ClcTranslation {
        result,
        findings: report.findings,
    }
}

fn translate(text: &[u8], report: &mut Report) -> Result<String, ClcRefusal> {
    let nothing = Node {
        at: Place { line: 1, column: 1 },
        content: Content::Map(Vec::new()),
    };
    let root = read(text)?;
    if root.is_none() {
        report.warn(crate::path::Path::default(), crate::finding::Reason::Empty);
    }
    let root = root.as_deref().unwrap_or(&nothing);
    let config = decode(root, &spec2::CONFIG, 0, Library::V2);
    let sections = options::Sections::decode(root);
    let config = match (config, &sections) {
        (Ok(config), Ok(_)) => config,
        (config, sections) => {
            let mut mismatches = config.err().unwrap_or_default();
            match sections {
                Err(options::Unreadable::Types(more)) => mismatches.extend(more.iter().cloned()),
                Err(options::Unreadable::Version(version)) if mismatches.is_empty() => {
                    return Err(ClcRefusal::Version(version.clone()));
                }
                _ => {}
            }
            return Err(ClcRefusal::Types(mismatches));
        }
    };
    let Ok(sections) = sections else {
        return Err(ClcRefusal::Types(Vec::new()));
    };
    report.append(validate::check(&config, &sections, root));
    if report.is_fatal() {
        report.locate(root);
        return Err(ClcRefusal::Source);
    }
    let result = generate(&config, &sections, report);
    report.locate(root);
    result
}

fn generate(
    config: &Struct,
    sections: &options::Sections,
    report: &mut Report,
) -> Result<String, ClcRefusal> {
    let (mut ignition, found) = convert::convert(config);
    let mut is_fatal = found.is_fatal();
    report.append(found);
    match services::add(config, sections, &mut ignition) {
        Ok(()) => {}
        Err((path, reason)) => {
            report.error(path, reason);
            is_fatal = true;
        }
    }
    if is_fatal {
        return Err(ClcRefusal::Generated);
    }
    let found = check::check(&ignition);
    is_fatal = found.is_fatal();
    report.append(found);
    if is_fatal {
        return Err(ClcRefusal::Generated);
    }
    Ok(to_json(&ignition, &spec2::CONFIG, 0, Style::KeepEmpty))
}
