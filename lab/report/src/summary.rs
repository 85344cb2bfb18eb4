//! Result of a run as data: content of `run.json`, and input of all other reports.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use lab_model::diagnosis::{Finding, JudgedNode};
use lab_model::results::{AttemptOutcome, UnitOutcome, unit_name};
use lab_model::scenario::{Firmware, Image, Machines};
use lab_model::verdict::NodeVerdict;
use serde::{Deserialize, Serialize};

use super::whole::Whole;
use crate::exit_code::ExitCode;

/// Result of a whole run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RunSummary {
    /// Run id: six hexadecimal digits.
    pub run_id: String,
    /// Start time, RFC 3339.
    pub started: String,
    /// Duration, in seconds.
    pub seconds: f64,
    /// Processor time of everything in the cells (machines, libvirtd, servers), in seconds, over all processors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processor_seconds: Option<f64>,
    /// Accelerator of the machines, and the reason for its choice.
    pub accelerator: String,
    /// Shard of the run, e.g. `1/3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    /// Complete selection of which the run is all or a part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<Whole>,
    /// True if a node that passed only on a retry counts as a failure.
    #[serde(default)]
    pub flaky_fails: bool,
    /// Units in the requested order.
    pub units: Vec<UnitSummary>,
    /// Details of a rehearsal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rehearsal: Option<RehearsalSummary>,
    /// Folder of the run, which contains `run.json`.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// Subject and gaps of a rehearsal.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RehearsalSummary {
    pub data: PathBuf,
    /// Name of the network environment.
    pub network: String,
    /// Origin of each kernel and initrd, one sentence each.
    pub images: Vec<String>,
    /// Settings in the configs that no check covers, by machine.
    pub unproven: BTreeMap<String, Vec<String>>,
    /// Time during which at least one machine was on, in seconds.
    pub boot_seconds: f64,
    /// Remaining time, in seconds: cells, services, judging, reports.
    pub harness_seconds: f64,
}

/// Scenario on one firmware.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct UnitSummary {
    pub scenario: String,
    pub firmware: Firmware,
    /// Number of the repetition, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repetition: Option<u32>,
    #[serde(default, skip_serializing_if = "Machines::is_virtual")]
    pub machines: Machines,
    /// Name of the image; stand-ins are recognisable.
    pub image: String,
    /// Results of the nodes over all attempts.
    pub nodes: Vec<NodeSummary>,
    /// Attempts in order; empty if the unit was skipped.
    pub attempts: Vec<AttemptSummary>,
}

/// One attempt at a unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AttemptSummary {
    /// Number of the attempt, from 1.
    pub number: u32,
    /// Folder of the artifacts, relative to the run's.
    pub artifacts: PathBuf,
    /// Results of the nodes in this attempt.
    pub nodes: Vec<NodeSummary>,
}

/// Result of one machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct NodeSummary {
    pub name: String,
    pub verdict: NodeVerdict,
    /// Causes of the failure, best first; empty without a failure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// Claims that a pass does not prove, one phrase each; empty unless the machine passed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_proven: Vec<String>,
    /// Time from power-on to stop, in seconds; `None` if the machine never started.
    pub seconds: Option<f64>,
}

impl AttemptSummary {
    /// Summarises an attempt in the run's `folder`.
    #[must_use]
    pub fn of(outcome: &AttemptOutcome, folder: &Path) -> AttemptSummary {
        let node = |JudgedNode { result, findings }: &JudgedNode| NodeSummary {
            name: result.node.clone(),
            verdict: result.verdict.clone(),
            findings: findings.clone(),
            not_proven: result.not_proven.iter().map(ToString::to_string).collect(),
            seconds: result.seconds,
        };
        let artifacts = outcome.artifacts.strip_prefix(folder);
        AttemptSummary {
            number: outcome.number,
            artifacts: artifacts.unwrap_or(&outcome.artifacts).to_owned(),
            nodes: outcome.nodes.iter().map(node).collect(),
        }
    }
}

impl UnitSummary {
    /// Returns `scenario@firmware`, with `#2` for a repetition.
    #[must_use]
    pub fn name(&self) -> String {
        unit_name(&self.scenario, self.firmware, self.repetition)
    }

    /// Summarises a unit in the run's `folder`.
    #[must_use]
    pub fn of(outcome: &UnitOutcome, folder: &Path) -> UnitSummary {
        let scenario = &outcome.unit.scenario;
        let sum_up = |attempt| AttemptSummary::of(attempt, folder);
        let attempts: Vec<AttemptSummary> = outcome.attempts.iter().map(sum_up).collect();
        let nodes = scenario.nodes.iter().map(|node| match &outcome.skipped {
            Some(reason) => NodeSummary {
                name: node.name.clone(),
                verdict: NodeVerdict::Skipped {
                    reason: reason.clone(),
                },
                findings: Vec::new(),
                not_proven: Vec::new(),
                seconds: None,
            },
            None => over_all(&node.name, &attempts),
        });
        UnitSummary {
            scenario: scenario.name.clone(),
            firmware: outcome.unit.firmware,
            repetition: outcome.unit.repetition,
            machines: scenario.machines,
            image: scenario.image.name.clone(),
            nodes: nodes.collect(),
            attempts,
        }
    }

    /// Returns the last attempt.
    #[must_use]
    pub fn last(&self) -> Option<&AttemptSummary> {
        self.attempts.last()
    }
}

/// Combines a node's results of all attempts: the last one counts, and a pass after a failure is flaky. A node
/// that passed first and fails in a retry, caused by other nodes, fails.
fn over_all(name: &str, attempts: &[AttemptSummary]) -> NodeSummary {
    let all = attempts
        .iter()
        .filter_map(|attempt| attempt.nodes.iter().find(|node| node.name == name));
    let Some(last) = all.clone().next_back() else {
        return NodeSummary {
            name: name.to_owned(),
            verdict: NodeVerdict::Interrupted,
            findings: Vec::new(),
            not_proven: Vec::new(),
            seconds: None,
        };
    };
    let earlier = all.map(|node| &node.verdict);
    let mut failed = earlier.filter(|verdict| {
        matches!(
            verdict,
            NodeVerdict::Fail { .. } | NodeVerdict::Infra { .. }
        )
    });
    let verdict = match (&last.verdict, failed.next()) {
        (NodeVerdict::Pass, Some(first)) => NodeVerdict::Flaky {
            attempts: attempts.last().map_or(0, |attempt| attempt.number),
            first: first.sentence(),
        },
        (verdict, _) => verdict.clone(),
    };
    NodeSummary {
        name: name.to_owned(),
        verdict,
        findings: last.findings.clone(),
        not_proven: last.not_proven.clone(),
        seconds: last.seconds,
    }
}

impl RunSummary {
    /// Returns the number of nodes by verdict.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for node in self.nodes() {
            *counts.entry(node.verdict.word()).or_default() += 1;
        }
        counts
    }

    /// Returns the limitations of a pass in this run, one sentence each; every report prints them.
    #[must_use]
    pub fn caveats(&self) -> Vec<String> {
        let any = |is: fn(&UnitSummary) -> bool| self.units.iter().any(is);
        let mut caveats: Vec<String> = Vec::new();
        if let Some(rehearsal) = &self.rehearsal {
            caveats.extend(rehearsal.sentences());
            caveats.extend(rehearsal.unproven_in_short());
        }
        let booted = self.units.iter().filter(|unit| unit.machines.is_virtual());
        // A rehearsal names the image of each folder instead.
        let booted = booted.filter(|_| self.rehearsal.is_none());
        let images: BTreeSet<&str> = booted.map(|unit| unit.image.as_str()).collect();
        for image in images {
            caveats.push(match image.split_once(':') {
                None if image == Image::DEBIAN_CLOUD_INIT => "The machines booted Debian packages with their own \
                    cloud-init, assembled on this host; not Debian's cloud image."
                    .into(),
                _ if !Image::names_stand_in(image) => format!("The machines booted {image}."),
                Some((_, name)) => format!(
                    "The machines booted the stand-in image made from Debian packages, not CoreOS itself, under the \
                     name `{name}`."
                ),
                None => "The machines booted the stand-in image made from Debian packages, not CoreOS itself.".into(),
            });
        }
        if any(|unit| !unit.machines.is_virtual()) {
            caveats.push(
                "Simulated machines sent the requests of firmware, up to the initrd; they booted nothing.".into(),
            );
        }
        caveats
    }

    /// Returns every node of the run.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeSummary> {
        self.units.iter().flat_map(|unit| &unit.nodes)
    }

    /// Returns the exit code; of several, that of an interruption first, then failures, leaks, flaky passes that are
    /// not allowed, and failures of only the infrastructure.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        let any = |wanted: &str| self.nodes().any(|node| node.verdict.word() == wanted);
        if any("interrupted") {
            ExitCode::Interrupted
        } else if any("fail") {
            ExitCode::Failed
        } else if any("leaked") {
            ExitCode::Leaked
        } else if any("flaky") && self.flaky_fails {
            ExitCode::Flaky
        } else if any("infra") {
            ExitCode::SetUpFailed
        } else {
            ExitCode::Ok
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab_model::timeline::StageName;

    fn fail() -> NodeVerdict {
        NodeVerdict::Fail {
            stage: StageName::Script,
            waited_for: "a script".into(),
            why: "nothing came".into(),
            missing: Vec::new(),
        }
    }

    fn attempts(verdicts: &[NodeVerdict]) -> Vec<AttemptSummary> {
        let attempt = |(index, verdict): (usize, &NodeVerdict)| AttemptSummary {
            number: u32::try_from(index).unwrap() + 1,
            artifacts: PathBuf::new(),
            nodes: vec![NodeSummary {
                name: "node1".into(),
                verdict: verdict.clone(),
                findings: Vec::new(),
                not_proven: Vec::new(),
                seconds: Some(1.0),
            }],
        };
        verdicts.iter().enumerate().map(attempt).collect()
    }

    fn exit_code(verdict: NodeVerdict, flaky_fails: bool) -> u8 {
        let run = RunSummary {
            run_id: "4f2a11".into(),
            started: String::new(),
            seconds: 1.0,
            processor_seconds: None,
            accelerator: String::new(),
            shard: None,
            whole: None,
            flaky_fails,
            rehearsal: None,
            units: vec![UnitSummary {
                scenario: "one".into(),
                firmware: Firmware::Bios,
                repetition: None,
                machines: Machines::Virtual,
                image: Image::STAND_IN.into(),
                nodes: vec![NodeSummary {
                    name: "node1".into(),
                    verdict,
                    findings: Vec::new(),
                    not_proven: Vec::new(),
                    seconds: None,
                }],
                attempts: Vec::new(),
            }],
            folder: PathBuf::new(),
        };
        run.exit_code().code()
    }

    #[test]
    fn a_pass_after_a_failure_is_flaky_and_remembers_the_failure() {
        let verdict = over_all("node1", &attempts(&[fail(), NodeVerdict::Pass])).verdict;
        let NodeVerdict::Flaky { attempts, first } = verdict else {
            panic!("{verdict:?}");
        };
        assert_eq!(attempts, 2);
        assert_eq!(first, "script: nothing came");
    }

    #[test]
    fn a_failure_after_a_pass_is_a_failure() {
        let verdict = over_all("node1", &attempts(&[NodeVerdict::Pass, fail()])).verdict;
        assert_eq!(verdict, fail());
    }

    #[test]
    fn two_passes_are_a_pass() {
        let both = [NodeVerdict::Pass, NodeVerdict::Pass];
        assert_eq!(
            over_all("node1", &attempts(&both)).verdict,
            NodeVerdict::Pass
        );
    }

    #[test]
    fn exit_codes_tell_what_happened() {
        let flaky = NodeVerdict::Flaky {
            attempts: 2,
            first: String::new(),
        };
        let leaked = NodeVerdict::Leaked {
            what: String::new(),
        };
        let infra = NodeVerdict::Infra { why: String::new() };
        let skipped = NodeVerdict::Skipped {
            reason: String::new(),
        };
        assert_eq!(exit_code(NodeVerdict::Pass, true), 0);
        assert_eq!(exit_code(fail(), false), 100);
        assert_eq!(exit_code(flaky.clone(), false), 0);
        assert_eq!(exit_code(flaky, true), 101);
        assert_eq!(exit_code(leaked, false), 102);
        assert_eq!(exit_code(infra, false), 75);
        assert_eq!(exit_code(skipped, false), 0);
        assert_eq!(exit_code(NodeVerdict::Interrupted, false), 130);
    }

    #[test]
    fn a_run_says_what_its_passes_do_not_say() {
        let unit = |machines| UnitSummary {
            scenario: "one".into(),
            firmware: Firmware::Bios,
            repetition: None,
            machines,
            image: Image::STAND_IN.into(),
            nodes: Vec::new(),
            attempts: Vec::new(),
        };
        let caveats = |units: Vec<UnitSummary>| {
            let run = RunSummary {
                run_id: String::new(),
                started: String::new(),
                seconds: 0.0,
                processor_seconds: None,
                accelerator: String::new(),
                shard: None,
                whole: None,
                flaky_fails: false,
                rehearsal: None,
                units,
                folder: PathBuf::new(),
            };
            run.caveats()
        };
        let both = caveats(vec![unit(Machines::Virtual), unit(Machines::Simulated)]);
        let stand_in =
            "The machines booted the stand-in image made from Debian packages, not CoreOS itself";
        let nothing = "Simulated machines sent the requests of firmware, up to the initrd; they booted nothing.";
        assert_eq!(both, [&format!("{stand_in}."), nothing]);
        let simulated = caveats(vec![unit(Machines::Simulated)]);
        assert_eq!(simulated, [nothing]);
        let named = |image: &str| {
            caveats(vec![UnitSummary {
                image: image.into(),
                ..unit(Machines::Virtual)
            }])
        };
        assert_eq!(
            named("flatcar:stable@1.0.0"),
            ["The machines booted flatcar:stable@1.0.0."]
        );
        assert_eq!(
            named("debian-cloud-init"),
            [
                "The machines booted Debian packages with their own cloud-init, assembled on this host; not Debian's \
                 cloud image."
            ]
        );
        assert_eq!(
            named("stand-in:lookalike"),
            [format!("{stand_in}, under the name `lookalike`.")]
        );
    }
}
