//! `lab console`: connects this terminal to a machine's serial console until the detach key.

use std::io::IsTerminal;

use lab_report::exit_code::ExitCode;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::NodeArguments;
use crate::cli::error::{CliError, refuse};
use crate::persistent::Registry;

/// Ctrl-], as in `virsh console`.
const DETACH: u8 = 0x1d;

/// Connects until the detach key, the end of the input or the end of the machine.
pub(super) async fn run(
    registry: &Registry,
    arguments: &NodeArguments,
) -> Result<ExitCode, CliError> {
    let (lab, node) = arguments.find(registry)?;
    let failed = |error: std::io::Error| {
        refuse(
            ExitCode::Internal,
            format!("the console of {}: {error}", node.name),
        )
    };
    let machine = UnixStream::connect(lab.console(&node))
        .await
        .map_err(failed)?;
    eprintln!("Connected to {}; Ctrl-] detaches.", node.name);
    let raw = Raw::enter();
    let passed = pass(machine).await;
    drop(raw);
    eprintln!();
    passed.map_err(failed)?;
    Ok(ExitCode::Ok)
}

async fn pass(mut machine: UnixStream) -> std::io::Result<()> {
    let (mut input, mut output) = (tokio::io::stdin(), tokio::io::stdout());
    let (mut said, mut typed) = ([0; 4096], [0; 256]);
    // Requests a prompt: the last one was printed to an earlier client.
    machine.write_all(b"\r").await?;
    loop {
        tokio::select! {
            read = machine.read(&mut said) => {
                let Some(said) = said.get(..read?).filter(|said| !said.is_empty()) else {
                    return Ok(());
                };
                output.write_all(said).await?;
                output.flush().await?;
            }
            read = input.read(&mut typed) => {
                let Some(typed) = typed.get(..read?).filter(|typed| !typed.is_empty()) else {
                    return Ok(());
                };
                match typed.iter().position(|key| *key == DETACH) {
                    None => machine.write_all(typed).await?,
                    Some(at) => {
                        machine.write_all(typed.get(..at).unwrap_or_default()).await?;
                        return Ok(());
                    }
                }
            }
        }
    }
}

/// Saved terminal mode, restored on drop.
struct Raw(Option<Termios>);

impl Raw {
    /// Switches the terminal to raw mode: every key goes to the machine, including Ctrl-C. A standard input that
    /// is not a terminal is left unchanged.
    fn enter() -> Raw {
        let input = std::io::stdin();
        if !input.is_terminal() {
            return Raw(None);
        }
        let Ok(before) = tcgetattr(&input) else {
            return Raw(None);
        };
        let mut raw = before.clone();
        raw.make_raw();
        // If restoring fails, the terminal only echoes twice.
        let _ = tcsetattr(&input, OptionalActions::Now, &raw);
        Raw(Some(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}
