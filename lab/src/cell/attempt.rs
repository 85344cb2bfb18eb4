//! Worker of a cell: one attempt at a scenario, from libvirtd's start to the last machine's stop.
//!
//! The worker reads a [`Job`] and then [`CellCommand`]s from standard input and writes [`Report`]s to standard output.
//! It judges nothing. The end of its input means that the lab is gone, and ends the worker at once.

use lab_model::scenario::{DataCheck, Scenario};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};

use super::error::AttemptError;
use super::message::{CellCommand, Job, Report};
use super::on_host;
use super::programs::ProgramError;
use super::recorder::tell;
use super::worker::Cell;

/// Lines from the lab.
pub(super) type Commands = Lines<BufReader<Stdin>>;

/// Makes the attempt described on standard input.
///
/// # Errors
/// [`AttemptError`] if the lab's own set-up failed; the lab was already told.
pub async fn run() -> Result<(), AttemptError> {
    let mut commands = BufReader::new(tokio::io::stdin()).lines();
    let result = attempt(&mut commands).await;
    if let Err(error) = &result {
        tell(&Report::Broken {
            why: error.to_string(),
        });
    }
    result
}

async fn attempt(commands: &mut Commands) -> Result<(), AttemptError> {
    let line = commands.next_line().await?;
    let job: Job = serde_json::from_str(&line.unwrap_or_default()).map_err(AttemptError::Job)?;
    let on_host = job.connect.clone().map(|uri| (uri, job.run_id.clone()));
    let done = attempt_at(job, commands).await;
    if let Some((uri, run_id)) = on_host {
        // Without this, the kernel would do it.
        on_host::remove(&uri, &run_id).await?;
    }
    done
}

async fn attempt_at(job: Job, commands: &mut Commands) -> Result<(), AttemptError> {
    let (hold, scenario) = (job.hold, scenario(&job)?);
    let mut cell = tokio::select! {
        cell = Cell::set_up(job, scenario) => cell?,
        stopped = stopped_early(commands) => return stopped,
    };
    tell(&Report::Ready);
    cell.record_served_files()?;
    cell.add_nodes();
    let lived = machines_live(&mut cell, commands).await;
    cell.stop_services().await;
    cell.complete_evidence().await?;
    lived?;
    if hold && is_to_stay(commands).await? {
        cell.persist(commands).await?;
    }
    Ok(())
}

/// Returns the scenario with the job's machines.
fn scenario(job: &Job) -> Result<Scenario, AttemptError> {
    // The lab has validated the data already, or was told not to.
    let scenario = Scenario::load_with(&job.scenario, DataCheck::Skip);
    let mut scenario = scenario.map_err(|error| AttemptError::Scenario(error.into()))?;
    scenario.nodes.retain(|node| job.nodes.contains(&node.name));
    let scenario = job.replacements.apply(&scenario, job.firmware);
    if let Some(package) = scenario.firmware_package {
        let name = package.to_string();
        if !job.programs.contains_key(&name) {
            return Err(ProgramError::NotFetched(name).into());
        }
    }
    Ok(scenario)
}

/// Waits for the command to stop during the set-up; no other command comes before.
async fn stopped_early(commands: &mut Commands) -> Result<(), AttemptError> {
    let command = commands.next_line().await?.ok_or(AttemptError::LabGone)?;
    tracing::info!(command, "stopped while the cell was set up");
    Ok(())
}

/// Records what happens and carries out the lab's commands, until all machines have finished.
async fn machines_live(cell: &mut Cell, commands: &mut Commands) -> Result<(), AttemptError> {
    while !cell.has_finished() {
        tokio::select! {
            biased;
            happened = cell.next() => happened?,
            line = commands.next_line() => match parse(&line?.ok_or(AttemptError::LabGone)?)? {
                CellCommand::Start { node } => cell.start_node(&node),
                CellCommand::Stop { reason } => cell.stop(reason),
                // Sent only after all machines have finished.
                CellCommand::Keep | CellCommand::Settle => {
                    tracing::warn!("told to stay before all machines have finished");
                }
            },
        }
    }
    Ok(())
}

/// Waits with all machines running until the cell is to end or to stay.
async fn is_to_stay(commands: &mut Commands) -> Result<bool, AttemptError> {
    tell(&Report::Through);
    while let Some(line) = commands.next_line().await? {
        if parse::<CellCommand>(&line)? == CellCommand::Keep {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn parse<T: DeserializeOwned>(line: &str) -> Result<T, AttemptError> {
    serde_json::from_str(line).map_err(AttemptError::Command)
}
