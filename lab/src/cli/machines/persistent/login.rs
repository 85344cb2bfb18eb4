//! Waiting for a login on a machine's console after it was switched on or reset.

use std::time::{Duration, Instant};

use clap::Args;
use lab_report::exit_code::ExitCode;
use tokio::sync::mpsc;

use crate::cli::error::{CliError, refuse};
use crate::node::console::Console;
use crate::node::shell::{Shell, ShellError};
use crate::persistent::status::status;
use crate::persistent::{PersistentLab, PersistentNode};

/// Options for waiting.
#[derive(Debug, Args)]
pub(super) struct Wait {
    /// Seconds to wait for a login on the console; 0 does not wait
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u64,
}

impl Wait {
    /// Runs `begin`, then waits for the machine's login. The console, if there is one, is opened first, so that
    /// its first lines are not missed.
    pub(super) async fn after(
        &self,
        lab: &PersistentLab,
        node: &PersistentNode,
        what: &str,
        begin: impl FnOnce() -> Result<(), CliError>,
    ) -> Result<ExitCode, CliError> {
        let name = &node.name;
        let path = lab.console(node);
        let mut early = None;
        if self.timeout > 0 && path.exists() {
            early = connect(&path).await.ok();
        }
        begin()?;
        if self.timeout == 0 {
            println!("{name} {what}.");
            return Ok(ExitCode::Ok);
        }
        eprintln!("{name} {what}; waiting for its login …");
        let began = Instant::now();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(self.timeout);
        let mut console = match early {
            Some(console) => console,
            None => connect(&path).await.map_err(|error| {
                refuse(ExitCode::Internal, format!("{name}: its console: {error}"))
            })?,
        };
        Shell::wait_for_login(&mut console, deadline)
            .await
            .map_err(|error| refuse(ExitCode::Failed, not_yet(lab, name, self.timeout, &error)))?
            .leave()
            .await;
        console.disconnect();
        let seconds = began.elapsed().as_secs_f64();
        println!("{name} is up again after {seconds:.0} s.");
        Ok(ExitCode::Ok)
    }
}

fn not_yet(lab: &PersistentLab, name: &str, seconds: u64, error: &ShellError) -> String {
    if !matches!(error, ShellError::Silent) {
        return format!("{name}: {error}");
    }
    let nodes = status(lab).unwrap_or_default();
    let stage = nodes
        .iter()
        .find(|node| node.name == name)
        .and_then(|node| node.reached)
        .map_or("nothing", |(stage, _)| stage.name());
    format!(
        "{name}: no login after {seconds} s; last completed stage: {stage}; \
         see `lab logs {name}` for its console and `lab logs boot-server` for what it was served"
    )
}

async fn connect(path: &std::path::Path) -> std::io::Result<Console> {
    let (lines, _) = mpsc::unbounded_channel();
    Console::connect(path, None, lines).await
}
