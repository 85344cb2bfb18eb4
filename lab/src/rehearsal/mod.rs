//! Rehearsal: boots a virtual twin of each machine of a site, in a copy of the site's network that serves the
//! operator's data directory, and checks it against its plan.
//!
//! A rehearsal consists of generated scenarios, one for each firmware and image, in a temporary folder; they run
//! like any other scenario. Expectations come from the plan (`rollout::plan`, `rollout::expected`), which reads
//! the directory and never asks the server. A machine that cannot come up according to its plan is not booted
//! and counts as failed.
//!
//! ```text
//! environment  DHCP, boot options and addresses of the site
//! twin         conversion of an inventory machine into a node with expectations
//! assets       choice between the operator's files and the replacement image
//! write        writer of the scenarios' folders
//! time         share of booting in the duration of a run
//! ```

mod assets;
pub mod environment;
#[cfg(test)]
mod tests;
pub mod time;
mod twin;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use boot_server_catalog::snapshot::Snapshot;
use lab_model::fault::Injections;
use lab_model::results::Unit;
use lab_model::scenario::{Firmware, Image, InvalidScenario, Machines, Node};
use lab_model::timeline::StageName;
use lab_model::verdict::NodeVerdict;
use lab_report::{NodeSummary, UnitSummary};
use rollout::expected::{ExpectedState, System};
use rollout::inventory::{Inventory, Machine};
use rollout::plan::{Booted, MachinePlan, plan_with_requests};
use rollout::site::{self, SiteError};
use tempfile::TempDir;
use uefi_variables::KeySet;

use crate::cell::message::Asset;

use assets::Source;
use environment::{Environment, EnvironmentError};

/// Input of a rehearsal.
#[derive(Debug)]
pub struct Request<'a> {
    pub data: &'a Path,
    /// Name in reports.
    pub name: String,
    /// Loaded data directory.
    pub snapshot: &'a Snapshot,
    pub inventory: &'a Inventory,
    /// Names of the machines to rehearse.
    pub wanted: BTreeSet<String>,
    pub environment: Environment,
    /// Folder of the operator's own assets.
    pub assets: Option<&'a Path>,
    /// Folder of the image that replaces missing assets.
    pub image: &'a Path,
    pub image_name: String,
    /// Maximum memory of a twin, in MiB.
    pub memory_mib: u32,
    /// Keys of Secure Boot in every twin, whatever the inventory says.
    pub secure_boot: Option<KeySet>,
}

impl Request<'_> {
    /// Returns the keys of a machine's twin, if it has Secure Boot.
    fn keys_of(&self, machine: &Machine) -> Option<KeySet> {
        self.secure_boot.or(machine.secure_boot)
    }
}

/// Rehearsal that is ready to run.
#[derive(Debug)]
pub struct Rehearsal {
    pub units: Vec<Unit>,
    /// Files served below `/assets/`.
    pub assets: Vec<Asset>,
    /// Machines that are not booted, each with the reason.
    pub hopeless: Vec<Hopeless>,
    /// Origin of the kernels and initrds, one sentence each.
    pub images: Vec<String>,
    /// Settings in the configs that no check covers, by machine.
    pub unproven: BTreeMap<String, Vec<String>>,
    /// Temporary folder of the scenarios.
    _folder: TempDir,
}

/// Machine that cannot come up according to its plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hopeless {
    /// Name in the inventory.
    pub machine: String,
    pub firmware: Firmware,
    /// Stage at which the machine would fail.
    pub stage: StageName,
    /// Reason in one sentence.
    pub why: String,
}

/// Reason why nothing can be rehearsed.
#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    /// The site cannot be copied.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// The site's network cannot be copied.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// A generated scenario is invalid; its report names the cause in the site.
    #[error("the generated scenario of the site is invalid")]
    Scenario(#[from] InvalidScenario),
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

impl RehearsalError {
    fn file(path: &Path) -> impl FnOnce(std::io::Error) -> RehearsalError + use<> {
        let path = path.to_owned();
        move |source| RehearsalError::File { path, source }
    }
}

/// Scenario to generate.
struct Cast {
    firmware: Firmware,
    image: String,
    nodes: Vec<Node>,
}

impl Rehearsal {
    /// Generates the scenarios.
    ///
    /// # Errors
    /// [`RehearsalError`] if the site as a whole cannot be copied.
    pub fn prepare(request: &Request<'_>) -> Result<Rehearsal, RehearsalError> {
        let machines = twin::with_identities(request);
        let requests = request.environment.client_requests();
        let twins = Inventory {
            machines: machines.clone(),
        };
        let plan = plan_with_requests(request.snapshot, &twins, &requests);
        let site = site::of(plan.machines.iter())?;
        let environment = request.environment.clone().at(&site)?;
        let mut rehearsal = Rehearsal {
            units: Vec::new(),
            assets: Vec::new(),
            hopeless: Vec::new(),
            images: Vec::new(),
            unproven: BTreeMap::new(),
            _folder: tempfile::tempdir().map_err(RehearsalError::file(Path::new("a folder")))?,
        };
        let mut casts: Vec<Cast> = Vec::new();
        let mut sources = assets::Sources::new(request.assets, request.image, &request.image_name);
        for (machine, planned) in machines.iter().zip(&plan.machines) {
            let firmware = machine.firmware;
            let cast = environment
                .boots(firmware)
                .map_err(|why| (StageName::Nbp, why.to_string()))
                .and_then(|()| match request.keys_of(machine) {
                    Some(_) if !firmware.is_uefi() => {
                        let why =
                            "Secure Boot requires UEFI firmware; the list of machines says `bios`";
                        Err((StageName::PowerOn, why.to_owned()))
                    }
                    _ => Ok(()),
                })
                .and_then(|()| rehearsal.cast(request, machine, planned, &mut sources));
            match cast {
                Ok((node, image)) => {
                    let same = |cast: &&mut Cast| cast.firmware == firmware && cast.image == image;
                    match casts.iter_mut().find(same) {
                        Some(cast) => cast.nodes.push(node),
                        None => casts.push(Cast {
                            firmware,
                            image,
                            nodes: vec![node],
                        }),
                    }
                }
                Err((stage, why)) => rehearsal.hopeless.push(Hopeless {
                    machine: machine.name.clone(),
                    firmware,
                    stage,
                    why,
                }),
            }
        }
        rehearsal.images = sources.sentences();
        rehearsal.assets = sources.layout()?;
        for cast in &mut casts {
            twin::name_apart(&mut cast.nodes);
        }
        for (name, cast) in write::names(&request.name, &casts).into_iter().zip(casts) {
            let firmware = cast.firmware;
            let folder = rehearsal._folder.path().join(&name);
            let scenario = write::scenario(&folder, &name, request, &environment, cast)?;
            rehearsal.units.push(Unit {
                scenario: Arc::new(scenario),
                firmware,
                repetition: None,
                injections: Injections::default(),
            });
        }
        Ok(rehearsal)
    }

    /// Builds the node of a machine and names its image. The error is the stage at which the machine would fail,
    /// and the reason.
    fn cast(
        &mut self,
        request: &Request<'_>,
        machine: &Machine,
        planned: &MachinePlan,
        sources: &mut assets::Sources<'_>,
    ) -> Result<(Node, String), (StageName, String)> {
        let booted = bootable(planned)?;
        let (image, source) = sources
            .of(booted)
            .map_err(|why| (StageName::Kernel, why.to_string()))?;
        let system = match source {
            Source::InPlace if Image::names_stand_in(&image) => System::StandIn,
            Source::Own | Source::InPlace => System::CoreOs,
        };
        let expected = ExpectedState::of(booted, system);
        if let Some(why) = &expected.hopeless {
            return Err((StageName::CloudConfig, why.clone()));
        }
        let twin = twin::node(request, machine, booted, expected)
            .map_err(|why| (StageName::PowerOn, why.to_string()))?;
        if !twin.unproven.is_empty() {
            self.unproven.insert(machine.name.clone(), twin.unproven);
        }
        Ok((twin.node, image))
    }

    /// Returns the machines that are not booted, as failed units.
    #[must_use]
    pub fn failures(&self, name: &str) -> Vec<UnitSummary> {
        let of = |firmware| -> Vec<NodeSummary> {
            let hopeless = self.hopeless.iter();
            hopeless
                .filter(|one| one.firmware == firmware)
                .map(Hopeless::summary)
                .collect()
        };
        Firmware::ALL
            .into_iter()
            .map(|firmware| (firmware, of(firmware)))
            .filter(|(_, nodes)| !nodes.is_empty())
            .map(|(firmware, nodes)| UnitSummary {
                scenario: format!("{}-not-booted", write::word(name)),
                firmware,
                repetition: None,
                machines: Machines::Virtual,
                image: "none".into(),
                nodes,
                attempts: Vec::new(),
            })
            .collect()
    }
}

impl Hopeless {
    fn summary(&self) -> NodeSummary {
        NodeSummary {
            name: self.machine.clone(),
            verdict: NodeVerdict::Fail {
                stage: self.stage,
                waited_for: "a bootable plan".into(),
                why: format!("{}; not booted", self.why),
                missing: Vec::new(),
            },
            findings: Vec::new(),
            not_proven: Vec::new(),
            seconds: None,
        }
    }
}

/// Returns the boot of a machine, or the stage and reason of its failure.
fn bootable(planned: &MachinePlan) -> Result<&Booted, (StageName, String)> {
    let problems = planned.problems().join("; ");
    match &planned.outcome {
        Err(_) => Err((StageName::Script, problems)),
        Ok(_) if !problems.is_empty() => Err((StageName::CloudConfig, problems)),
        Ok(booted) => Ok(booted),
    }
}
