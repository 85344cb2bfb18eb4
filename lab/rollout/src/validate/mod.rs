//! Everything wrong with a data directory, with file, line, rule and what would be right.
//!
//! | part | job |
//! |---|---|
//! | [`rule`] | the rules: id, level, family |
//! | [`tree`] | YAML and JSON with places |
//! | `structure`, `matching`, `boot`, [`cloud_config`], `ignition`, `templates`, `secrets` | a family each |
//! | `cloud_init` | user-data of NoCloud seeds |
//! | `programs`, `secure_boot` | EFI programs, and what Secure Boot of the machines makes of them |
//! | [`report`] | what was found: for people, as JSON, as SARIF, for GitHub |
//!
//! What can be known without the machines is found by the loaders and the check of `boot-server`; here it gets
//! its level, and everything is added that needs machines, assets or the languages of the configs.

mod boot;
pub mod cloud_config;
mod cloud_init;
mod context;
mod finding;
mod ignition;
mod matching;
mod programs;
pub mod report;
pub mod rule;
mod secrets;
mod secure_boot;
mod structure;
mod templates;
#[cfg(test)]
mod tests;
pub mod tree;

use std::ffi::OsStr;
use std::path::PathBuf;

use boot_server_catalog::check;
use boot_server_catalog::files::Root;
use boot_server_catalog::ignition::IgnitionMode;
use boot_server_catalog::load::{self, Loaded};
use boot_server_catalog::problem::Problem;
use boot_server_catalog::snapshot::Layout;

use self::context::Context;
pub use self::finding::Finding;
use self::finding::{Findings, Source};
pub use self::ignition::program::Program;
use self::programs::Programs;
pub use self::programs::{EfiProgram, EfiSignature};
pub use self::rule::{Family, Level, RULES, Rule};
use crate::inventory::read::Listed;

/// Servers from which the machines boot, where that changes the rules.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Network {
    /// Ones that chainload iPXE.
    #[default]
    Ipxe,
    /// Pixiecore, which asks for a machine by its MAC alone.
    Pixiecore,
}

/// Input of a validation.
#[derive(Default)]
pub struct Request<'a> {
    /// The data directory.
    pub root: PathBuf,
    /// Treatment of Butane and Container Linux Configs, as `[http] ignition` of the server has it.
    pub ignition: Option<IgnitionMode>,
    /// The machines that it is meant for.
    pub machines: Option<&'a Listed>,
    /// The folder of the assets, to look at kernels and initrds.
    pub assets: Option<PathBuf>,
    /// Servers from which the machines boot.
    pub network: Network,
    /// The folders in which programs are looked for, as in `PATH`.
    pub program_path: Option<&'a OsStr>,
}

/// Findings of a validation, and its extent.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Findings by file and line.
    pub findings: Vec<Finding>,
    /// The layout of the directory.
    pub layout: Layout,
    /// Number of groups.
    pub groups: usize,
    /// Number of specs or profiles.
    pub profiles: usize,
    /// Number of machines.
    pub machines: usize,
    /// Result of `ignition-validate`.
    pub ignition_validate: Program,
    /// EFI programs among the assets and in the data directory.
    pub programs: Vec<EfiProgram>,
}

impl Report {
    /// Counts the findings of this level.
    #[must_use]
    pub fn count(&self, level: Level) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.level() == level)
            .count()
    }
}

/// Validates a data directory: reads all of it, and tells everything that it finds.
#[must_use]
pub fn validate(request: &Request<'_>) -> Report {
    let mut findings = Findings::default();
    let data = load::Source {
        ignition: request.ignition,
        ..load::Source::of(&request.root)
    };
    let Loaded {
        snapshot,
        places,
        problems,
    } = load::survey(&data);
    // What translators say is found for each machine, by `templates`.
    let is_of_translator = |problem: &Problem| problem.rule.starts_with("translation-");
    for problem in problems.into_iter().filter(|it| !is_of_translator(it)) {
        findings.add(problem);
    }
    let mut report = Report {
        findings: Vec::new(),
        layout: snapshot.layout,
        groups: snapshot.groups.len(),
        profiles: snapshot.profiles().count(),
        machines: request
            .machines
            .map_or(0, |list| list.inventory.machines.len()),
        ignition_validate: Program::NotNeeded,
        programs: Vec::new(),
    };
    let root = Root::open(&data.root);
    let (Ok(root), false) = (root, findings.has("layout")) else {
        report.findings = findings.sorted();
        return report;
    };
    let assets = request.assets.as_deref();
    for problem in check::files(&root, &snapshot, assets) {
        findings.add(problem);
    }
    let mut context = Context {
        root: &root,
        groups_path: data.groups_path(),
        snapshot: &snapshot,
        places: &places,
        machines: request.machines,
        assets,
        network: request.network,
        subjects: Vec::new(),
        unmatched: Vec::new(),
    };
    context.find_subjects();
    let groups = groups_tree(&context);
    let groups = groups.as_ref().map(|(source, tree)| (source, tree));
    structure::check(&context, groups, &mut findings);
    matching::check(&context, groups, &mut findings);
    boot::check(&context, &mut findings);
    if let Some(assets) = assets {
        let programs = Programs::find(&[&request.root, assets]);
        secure_boot::check(&context, &programs, &mut findings);
        report.programs = programs.describe();
    }
    let clean = templates::check(&context, &mut findings);
    ignition::image::check(&context, &mut findings);
    secrets::check(&context, &mut findings);
    report.ignition_validate = ask_program(&clean, request.program_path, &mut findings);
    report.findings = findings.without_consequences().sorted();
    report
}

/// Returns the groups file of the bootcfg layout.
fn groups_tree(context: &Context<'_>) -> Option<(Source, tree::Node)> {
    if context.snapshot.layout != Layout::Bootcfg {
        return None;
    }
    let text = std::fs::read_to_string(&context.groups_path).ok()?;
    let source = Source::new(&context.groups_path, text);
    let tree = tree::yaml::parse(&source.text).ok()?;
    Some((source, tree))
}

/// Maximum number of configs given to `ignition-validate`: each is a process.
const PROGRAM_CONFIGS: usize = 100;

fn ask_program(
    clean: &[templates::CleanIgnition],
    path: Option<&OsStr>,
    findings: &mut Findings,
) -> Program {
    if clean.is_empty() {
        return Program::NotNeeded;
    }
    let Some(program) = ignition::program::find(path) else {
        return Program::NotInstalled;
    };
    let asked = clean.get(..PROGRAM_CONFIGS).unwrap_or(clean);
    for config in asked {
        let said = match ignition::program::run(&program, &config.text) {
            Ok(None) => continue,
            Ok(Some(said)) => said,
            Err(error) => format!("cannot run it: {error}"),
        };
        let at = ignition::program::place(&said).unwrap_or_default();
        let message = format!("ignition-validate: {said}");
        let help = "the program is part of Ignition, and its answer is final";
        let problem = config
            .source
            .problem("ignition-validate", at.into(), message, help);
        findings.add(problem);
    }
    Program::Ran {
        program,
        configs: asked.len(),
        left_out: clean.len() - asked.len(),
    }
}
