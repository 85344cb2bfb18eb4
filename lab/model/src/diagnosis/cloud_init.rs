//! Causes that only cloud-init has: a seed that it cannot find or does not use, and a step of its config that fails. Its
//! other failures have the causes of every config.

use boot_server_catalog::nocloud::{InvalidSeedRequest, SeedFile, SeedRequest};
use boot_server_events::BootEvent;

use super::case::{Case, proof};
use super::config::requests;
use super::{Cause, Finding, Proof};
use crate::timeline::signatures::{Clue, has_clue};
use crate::timeline::{Outcome, StageName};

/// Maximum number of lines of the console that are evidence.
const LINES: usize = 4;

/// Lines of the console with this meaning, after the kernel's start.
fn lines<'a>(case: &Case<'a>, clue: Clue) -> Vec<(u64, &'a str)> {
    let kernel = case.timeline.stage(StageName::KernelUp);
    let since_us = kernel.map_or(0, |stage| stage.start_us);
    let lines = case.console();
    lines
        .filter(|(at_us, line)| *at_us >= since_us && has_clue(line, clue))
        .map(|(at_us, line)| (at_us, line.trim()))
        .collect()
}

fn said(&(at_us, line): &(u64, &str)) -> Proof {
    Proof::at(at_us, format!("the console says `{line}`"))
}

/// Detects a seed URL that cloud-init cannot append the names of files to, or whose labels are not filled in.
pub(super) fn seed_url(case: &Case) -> Option<Finding> {
    let (at_us, path, wrong) = case.events().find_map(|(at_us, event)| match event {
        BootEvent::HttpRequest {
            path,
            query,
            status: 400..500,
            ..
        } if path.starts_with("/nocloud") => {
            let wrong = SeedRequest::parse(path, query).err()?;
            Some((at_us, path, wrong))
        }
        _ => None,
    })?;
    let sentence = match &wrong {
        InvalidSeedRequest::NotSeparated { before, file } => format!(
            "the URL of the seed has no `/` at its end: cloud-init appended `{file}` to `{before}`"
        ),
        other => format!("the URL of the seed is wrong: {other}"),
    };
    Some(Finding {
        cause: Cause::ConfigUrlWrong,
        sentence,
        evidence: vec![Proof::at(at_us, format!("GET {path} was refused: {wrong}"))],
        remedy: "correct the seed in the profile's kernel options: \
                 `ds=nocloud-net;s=http://HOST:PORT/nocloud/uuid=${uuid}/`, with a `/` at its end"
            .into(),
        weight: 96,
    })
}

/// Detects a seed that was loaded completely by a cloud-init that then found no data source.
pub(super) fn seed_ignored(case: &Case) -> Option<Finding> {
    let seed = case.node.seed()?;
    let told = lines(case, Clue::NoDataSource);
    told.first()?;
    let loaded: Vec<_> = [SeedFile::MetaData, SeedFile::UserData]
        .into_iter()
        .filter_map(|file| {
            let is_file = |subject: &str| {
                let asked = SeedRequest::parse(&format!("/{subject}"), "");
                asked.is_ok_and(|asked| asked.file == file)
            };
            requests(case).find(|one| {
                one.outcome == Outcome::Done && one.subject.as_deref().is_some_and(is_file)
            })
        })
        .collect();
    if loaded.is_empty() {
        return None;
    }
    let mut evidence: Vec<Proof> = loaded.into_iter().map(proof).collect();
    evidence.extend(told.iter().take(LINES).map(said));
    Some(Finding {
        cause: Cause::SeedIgnored,
        sentence: format!(
            "cloud-init loaded the seed at {} and did not use it: it ended without a data source",
            seed.url_of(SeedFile::UserData)
        ),
        evidence,
        remedy: "write `ds=nocloud-net;s=…` instead of `ds=nocloud;s=…`: before version 23, \
                 cloud-init loads the latter and ignores it; check also that `datasource_list` of \
                 the image contains `NoCloud`"
            .into(),
        weight: 94,
    })
}

/// Detects a module or command of the config that failed, although cloud-init took the config.
pub(super) fn step_failed(case: &Case) -> Option<Finding> {
    let told = lines(case, Clue::StepFailed);
    let (_, first) = told.first()?;
    let what = first
        .split_once("[WARNING]: ")
        .map_or(*first, |(_, what)| what);
    Some(Finding {
        cause: Cause::ConfigStepFailed,
        sentence: format!("a step of the config failed in {}: {what}", case.node.name),
        evidence: told.iter().take(LINES).map(said).collect(),
        remedy: "read the output of the step above that line of the console, and \
                 `/var/log/cloud-init-output.log` in the machine; correct the command or the \
                 module's keys. Scripts of `runcmd` run without `set -e`: the last command decides"
            .into(),
        weight: 91,
    })
}
