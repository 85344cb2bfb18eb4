//! `lab console`: this terminal as a machine's serial console, until the detach key.

use std::io::IsTerminal;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::NodeArguments;
use crate::alive::Registry;
use crate::cli::conduct::{Refusal, refuse};
use crate::cli::exit;

/// Ctrl-], as in `virsh console`.
const DETACH: u8 = 0x1d;

/// Connects until the detach key, the end of the input, or the machine's end.
pub(super) async fn run(registry: &Registry, arguments: &NodeArguments) -> Result<u8, Refusal> {
    let (lab, node) = arguments.find(registry)?;
    let failed = |error: std::io::Error| {
        refuse(
            exit::INTERNAL,
            format!("the console of {}: {error}", node.name),
        )
    };
    let machine = UnixStream::connect(lab.console(&node))
        .await
        .map_err(failed)?;
    eprintln!("Connected with {}; Ctrl-] leaves.", node.name);
    let raw = Raw::enter();
    let passed = pass(machine).await;
    drop(raw);
    eprintln!();
    passed.map_err(failed)?;
    Ok(exit::OK)
}

async fn pass(mut machine: UnixStream) -> std::io::Result<()> {
    let (mut input, mut output) = (tokio::io::stdin(), tokio::io::stdout());
    let (mut said, mut typed) = ([0; 4096], [0; 256]);
    // A prompt, where one waits: it was shown to somebody else.
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

/// The terminal as it was, put back when dropped.
struct Raw(Option<Termios>);

impl Raw {
    /// Every key goes to the machine, Ctrl-C too. A standard input that is no terminal stays as it is.
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
        // A terminal that stays as it is only echoes twice.
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
