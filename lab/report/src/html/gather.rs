//! Collection of the page's content from the run's folder.

use std::io;
use std::path::{Path, PathBuf};

use lab_model::diagnosis::JudgedNode;
use lab_model::evidence::saved::{self, Attempt};
use lab_model::evidence::{Observation, Record};
use lab_model::scenario::{Node, Router, Service};
use lab_model::timeline::{StageName, Timeline};
use lab_model::untrusted::{Folder, Kind, plain_line};

use super::view::{AttemptView, Link, Machine, Page, ServiceLog, UnitView};
use crate::format::count;
use crate::sequence::{self, Moment, Relay, Tone};
use crate::{AttemptSummary, NodeSummary, RunSummary, UnitSummary};

/// Attempt as its folder has it, and its nodes as they were judged.
pub type Loaded = (Attempt, Vec<JudgedNode>);

/// Collects the page of a run; `load` reads an attempt from its folder, given with the folder's name in the run's.
pub fn gather<E: std::fmt::Display>(
    run: &RunSummary,
    load: impl Fn(&Path, &Path) -> Result<Loaded, E>,
) -> Page {
    let mut units = Vec::new();
    for (position, summary) in run.units.iter().enumerate() {
        let mut unit = UnitView {
            name: summary.name(),
            scenario: summary.scenario.clone(),
            firmware: summary.firmware,
            summary: String::new(),
            attempts: Vec::new(),
        };
        for attempt in &summary.attempts {
            let is_last = Some(attempt.number) == summary.last().map(|last| last.number);
            let verdicts = if is_last {
                &summary.nodes
            } else {
                &attempt.nodes
            };
            let seen = Seeing {
                run,
                attempt,
                verdicts,
                anchor: format!("u{position}-a{}", attempt.number),
            };
            // One attempt at a time, because the captures of a large run exceed the memory.
            let loaded = inside(&run.folder, &attempt.artifacts)
                .map_err(|error| format!("{}: {error}", attempt.artifacts.display()))
                .and_then(|folder| {
                    load(&folder, &attempt.artifacts).map_err(|error| error.to_string())
                });
            if let Ok((loaded, _)) = &loaded {
                unit.summary.clone_from(&loaded.scenario.summary);
            }
            unit.attempts.push(seen.view(loaded));
        }
        if unit.attempts.is_empty() {
            unit.attempts.push(never_tried(position, summary));
        }
        units.push(unit);
    }
    Page {
        run: run.clone(),
        units,
    }
}

/// Returns a placeholder for a unit without attempts.
fn never_tried(position: usize, summary: &UnitSummary) -> AttemptView {
    let machine =
        |(index, node): (usize, &NodeSummary)| bare(format!("u{position}-n{index}"), node);
    AttemptView {
        number: 1,
        links: Vec::new(),
        unreadable: None,
        machines: summary.nodes.iter().enumerate().map(machine).collect(),
    }
}

/// Returns a machine of which only the verdict is known.
fn bare(anchor: String, node: &NodeSummary) -> Machine {
    Machine {
        anchor,
        name: node.name.clone(),
        facts: Vec::new(),
        verdict: node.verdict.clone(),
        seconds: node.seconds,
        timeline: None,
        findings: node.findings.clone(),
        not_proven: node.not_proven.clone(),
        diagram: sequence::Diagram::default(),
        console: Vec::new(),
        services: Vec::new(),
        links: Vec::new(),
        screenshot: None,
    }
}

/// Attempt that is being prepared for the page.
struct Seeing<'r> {
    run: &'r RunSummary,
    attempt: &'r AttemptSummary,
    verdicts: &'r [NodeSummary],
    anchor: String,
}

impl Seeing<'_> {
    fn view<E: std::fmt::Display>(&self, loaded: Result<Loaded, E>) -> AttemptView {
        let machines = self.verdicts.iter().enumerate().map(|(index, verdict)| {
            let machine = bare(format!("{}-n{index}", self.anchor), verdict);
            let known = loaded.as_ref().ok().and_then(|(attempt, nodes)| {
                let judged = nodes.iter().find(|one| one.result.node == verdict.name)?;
                Some((attempt, attempt.scenario.node(&verdict.name)?, judged))
            });
            match known {
                Some((attempt, node, judged)) => self.machine(machine, attempt, node, judged),
                None => Machine {
                    links: self.links(&self.folder_of(&verdict.name), ""),
                    ..machine
                },
            }
        });
        let machines = machines.collect();
        AttemptView {
            number: self.attempt.number,
            links: self.links(&self.attempt.artifacts, "nodes"),
            unreadable: loaded.err().map(|error| error.to_string()),
            machines,
        }
    }

    fn machine(
        &self,
        bare: Machine,
        attempt: &Attempt,
        node: &Node,
        judged: &JudgedNode,
    ) -> Machine {
        let mac = node.mac.to_string();
        let timeline = &judged.result.timeline;
        let records = attempt
            .records
            .iter()
            .filter(|record| record.node.as_deref() == Some(&node.name));
        let records: Vec<&Record> = records.collect();
        let moments = moments(timeline, &records);
        let console = records.iter().filter_map(|record| match &record.seen {
            Observation::Console { line } => Some((record.at_us, line.clone())),
            _ => None,
        });
        let links = self.links(&self.folder_of(&node.name), "");
        let is_picture = |link: &&Link| {
            let extension = link.path.extension();
            extension.is_some_and(|extension| extension == "png")
        };
        Machine {
            facts: facts(attempt, node, &mac),
            findings: judged.findings.clone(),
            diagram: sequence::build(&attempt.wire, &mac, &relays(attempt, node), &moments),
            console: console.collect(),
            services: self.services(attempt),
            screenshot: links.iter().find(is_picture).map(|link| link.path.clone()),
            links,
            timeline: Some(timeline.clone()),
            ..bare
        }
    }

    /// Returns the output of the user's services.
    fn services(&self, attempt: &Attempt) -> Vec<ServiceLog> {
        let of = |service: &Service| {
            let lines = attempt
                .records
                .iter()
                .filter_map(|record| match &record.seen {
                    Observation::ServiceLine {
                        service: name,
                        stream,
                        line,
                    } if *name == service.name => Some((record.at_us, *stream, line.clone())),
                    _ => None,
                });
            ServiceLog {
                name: service.name.clone(),
                title: service.title(),
                lines: lines.collect(),
                links: self.links(&self.attempt.artifacts.join(&service.name), ""),
            }
        };
        attempt.scenario.custom_services.iter().map(of).collect()
    }

    /// Returns a node's folder, relative to the run's.
    fn folder_of(&self, node: &str) -> PathBuf {
        self.attempt.artifacts.join("nodes").join(node)
    }

    /// Returns links to the files in a folder of the run and one level below, without the folder `except`.
    fn links(&self, folder: &Path, except: &str) -> Vec<Link> {
        let mut found = Vec::new();
        let Ok(run) = Folder::open(&self.run.folder) else {
            return Vec::new();
        };
        for (name, is_folder) in entries(&run, folder) {
            if !is_folder {
                found.push(name);
            } else if name != Path::new(except) {
                let inner = entries(&run, &folder.join(&name)).into_iter();
                let inner = inner.filter(|(_, is_folder)| !is_folder);
                found.extend(inner.map(|(inner, _)| name.join(inner)));
            }
        }
        found.truncate(LINKS_LIMIT);
        // Captures come first, because they are opened most.
        found.sort_by_key(|path| (!saved::is_capture(path), path.clone()));
        let link = |path: PathBuf| Link {
            text: plain_line(&path.display().to_string()),
            path: folder.join(path),
        };
        found.into_iter().map(link).collect()
    }
}

/// Maximum number of linked files of a machine or attempt.
const LINKS_LIMIT: usize = 1000;

/// Returns the attempt's folder if it is inside the run's folder and not behind a link.
fn inside(run: &Path, artifacts: &Path) -> io::Result<PathBuf> {
    match Folder::open(run).and_then(|run| run.below(artifacts)) {
        // The reader reports what is missing.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(run.join(artifacts)),
        folder => Ok(folder?.path().to_owned()),
    }
}

/// Returns the regular files and folders in a folder of the run, with true for folders; empty if the folder is
/// unreadable or behind a link.
fn entries(run: &Folder, folder: &Path) -> Vec<(PathBuf, bool)> {
    let entries = run.below(folder).and_then(|folder| folder.entries());
    entries
        .into_iter()
        .flatten()
        .filter_map(|entry| match entry.kind {
            Kind::File => Some((entry.name.into(), false)),
            Kind::Folder => Some((entry.name.into(), true)),
            Kind::Link | Kind::Special(_) => None,
        })
        .collect()
}

/// Returns the identifying facts of a machine.
fn facts(attempt: &Attempt, node: &Node, mac: &str) -> Vec<(&'static str, String)> {
    let address = attempt.wire.address_of(mac);
    let mut facts = vec![("MAC", mac.to_owned()), ("UUID", node.uuid.to_string())];
    facts.extend(address.map(|address| ("address", address.to_string())));
    if !attempt.scenario.network.further().is_empty() {
        let network = attempt.scenario.network_of(node);
        facts.push(("network", network.title().to_owned()));
    }
    facts.push(("memory", format!("{} MiB", node.memory_mib)));
    facts
}

/// Returns the relays in the machine's network.
fn relays(attempt: &Attempt, node: &Node) -> Vec<Relay> {
    let scenario = &attempt.scenario;
    let routers = scenario.routers_of(scenario.network_of(node));
    let relays = routers.filter(|router| router.relay_to.is_some());
    let relay = |router: &Router| Relay {
        name: router.name.clone(),
        addresses: router.addresses.values().copied().collect(),
    };
    relays.map(relay).collect()
}

/// Returns events of a machine other than packets.
fn moments(timeline: &Timeline, records: &[&Record]) -> Vec<Moment> {
    let moment = |at_us, text: &str, tone| Moment {
        at_us,
        text: text.to_owned(),
        tone,
    };
    let mut moments = Vec::new();
    let named = [
        (StageName::PowerOn, "power on"),
        (StageName::KernelUp, "the kernel is up"),
        (StageName::UserlandUp, "the system is up"),
    ];
    for (name, text) in named {
        let through = timeline.stage(name).and_then(|stage| stage.end_us);
        moments.extend(through.map(|at_us| moment(at_us, text, Tone::Plain)));
    }
    if let Some(stage) = timeline.stage(StageName::Checks)
        && let Some(last) = stage.events.last()
    {
        let failed = timeline.checks.iter().filter(|check| !check.holds).count();
        let all = count(timeline.checks.len(), "check", "checks");
        let (text, tone) = match failed {
            0 => (format!("{all} made, all hold"), Tone::Good),
            failed => (format!("{all} made, {failed} failed"), Tone::Bad),
        };
        moments.push(moment(last.at_us, &text, tone));
    }
    for record in records {
        match &record.seen {
            Observation::GaveUp { reason } => {
                let text = format!("the lab stopped waiting: {reason}");
                moments.push(moment(record.at_us, &text, Tone::Bad));
            }
            Observation::PowerOff { reason } => {
                moments.push(moment(record.at_us, reason, Tone::Bad));
            }
            _ => {}
        }
    }
    moments
}
