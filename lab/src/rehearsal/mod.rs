//! A rehearsal: each machine of a site as a virtual twin, in a copy of the site's network, with the operator's
//! data directory served to it, and what it has to come up as.
//!
//! Made are scenarios, one for each firmware and image, in a folder of the rehearsal's own; they run as any
//! scenario does. What is expected comes from the plan (`rollout::plan`, `rollout::expected`), which reads the
//! directory and never the server. A machine of which the plan already says that it can't come up is not
//! booted, and counts as failed.
//!
//! ```text
//! environment  who gives addresses and boot options, at which address
//! twin         a machine of the inventory as a node, with what it has to come up as
//! assets       which kernels and initrds are the operator's own, and which the stand-in's
//! write        the scenarios' folders
//! time         how much of a run was booting
//! ```

mod assets;
pub mod environment;
#[cfg(test)]
pub(crate) mod tests;
pub mod time;
mod twin;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use boot_server::catalog::data_dir::Snapshot;
use rollout::expected::{ExpectedState, System};
use rollout::inventory::{Inventory, Machine};
use rollout::plan::{Booted, MachinePlan, plan_with_requests};
use rollout::site::{self, SiteError};
use tempfile::TempDir;

use crate::cell::message::Asset;
use crate::fault::Injections;
use crate::report::{NodeSummary, UnitSummary};
use crate::runner::Unit;
use crate::scenario::{Firmware, Image, InvalidScenario, Machines, Node};
use crate::timeline::StageName;
use crate::verdict::NodeVerdict;

use assets::Source;
use environment::{Environment, EnvironmentError};

/// What is to be rehearsed.
#[derive(Debug)]
pub struct Request<'a> {
    /// The data directory.
    pub data: &'a Path,
    /// What it is called in reports.
    pub name: String,
    /// The directory, loaded.
    pub snapshot: &'a Snapshot,
    /// The machines of the site.
    pub inventory: &'a Inventory,
    /// Which of them; by name.
    pub wanted: BTreeSet<String>,
    /// The network.
    pub environment: Environment,
    /// The operator's own assets.
    pub assets: Option<&'a Path>,
    /// Folder of the image that takes the place of what the site has not.
    pub image: &'a Path,
    /// What that image is called.
    pub image_name: String,
    /// No twin has more memory than this.
    pub memory_mib: u32,
}

/// A rehearsal, ready to be run.
#[derive(Debug)]
pub struct Rehearsal {
    /// What is run.
    pub units: Vec<Unit>,
    /// What is served below `/assets/`.
    pub assets: Vec<Asset>,
    /// Machines that are not booted, each with the reason.
    pub hopeless: Vec<Hopeless>,
    /// Where the kernels and initrds come from, a sentence each.
    pub images: Vec<String>,
    /// What the configs ask for and nobody looks at, by machine.
    pub unproven: BTreeMap<String, Vec<String>>,
    /// The scenarios; gone with the rehearsal.
    _folder: TempDir,
}

/// A machine of which it is known that it can't come up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hopeless {
    /// Its name in the inventory.
    pub machine: String,
    /// Its firmware.
    pub firmware: Firmware,
    /// At which stage it would fail.
    pub stage: StageName,
    /// Why.
    pub why: String,
}

/// Why nothing can be rehearsed.
#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    /// The site can't be copied.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// Its network can't be.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// A scenario made for it is no good; what of the site is to blame stands in it.
    #[error("the copy of the site is no valid scenario")]
    Scenario(#[from] InvalidScenario),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
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

/// One scenario to be.
struct Cast {
    firmware: Firmware,
    image: String,
    nodes: Vec<Node>,
}

impl Rehearsal {
    /// Makes the scenarios.
    ///
    /// # Errors
    /// [`RehearsalError`] when the site as a whole can't be copied.
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
            let firmware = twin::firmware(machine.firmware);
            let cast = environment
                .boots(firmware)
                .map_err(|why| (StageName::Nbp, why))
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

    /// A machine as a node, and the image it boots; the error is the stage it would fail at, and why.
    fn cast(
        &mut self,
        request: &Request<'_>,
        machine: &Machine,
        planned: &MachinePlan,
        sources: &mut assets::Sources<'_>,
    ) -> Result<(Node, String), (StageName, String)> {
        let booted = bootable(planned)?;
        let (image, source) = sources.of(booted).map_err(|why| (StageName::Kernel, why))?;
        let system = match source {
            Source::InPlace if Image::names_stand_in(&image) => System::StandIn,
            Source::Own | Source::InPlace => System::CoreOs,
        };
        let expected = ExpectedState::of(booted, system);
        if let Some(why) = &expected.hopeless {
            return Err((StageName::CloudConfig, why.clone()));
        }
        let twin = twin::node(request, machine, booted, expected)
            .map_err(|why| (StageName::PowerOn, why))?;
        if !twin.unproven.is_empty() {
            self.unproven.insert(machine.name.clone(), twin.unproven);
        }
        Ok((twin.node, image))
    }

    /// The machines that are not booted, as units in which they have failed.
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
                waited_for: "a machine that can come up, by its plan".into(),
                why: format!("{}; it was not booted", self.why),
                missing: Vec::new(),
            },
            findings: Vec::new(),
            not_proven: Vec::new(),
            seconds: None,
        }
    }
}

/// What a machine boots, when all is as it has to be.
fn bootable(planned: &MachinePlan) -> Result<&Booted, (StageName, String)> {
    let problems = planned.problems().join("; ");
    match &planned.outcome {
        Err(_) => Err((StageName::Script, problems)),
        Ok(_) if !problems.is_empty() => Err((StageName::CloudConfig, problems)),
        Ok(booted) => Ok(booted),
    }
}
