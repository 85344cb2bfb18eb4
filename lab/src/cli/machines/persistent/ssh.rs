//! `lab ssh`: logs in to a machine with an SSH key of the lab, which is installed over the serial console.

use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use clap::Args;
use lab_report::exit_code::ExitCode;

use super::NodeArguments;
use super::exec::in_shell;
use crate::cli::error::{CliError, refuse};
use crate::persistent::{PersistentLab, Registry};

/// Time limit for installing the key, in seconds.
const KEY_SECONDS: u64 = 60;

/// Arguments of `lab ssh`.
#[derive(Debug, Args)]
pub(in crate::cli) struct SshArguments {
    #[command(flatten)]
    node: NodeArguments,
    /// Name of the user to log in as
    #[arg(long, value_name = "NAME", default_value = "core", value_parser = user)]
    user: String,
    /// Use your own key; leave the machine's authorized keys unchanged
    #[arg(long)]
    own_key: bool,
    /// Command to run [default: an interactive session]
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Replaces this process by `ssh`, inside the lab's network.
pub(super) async fn run(
    registry: &Registry,
    arguments: &SshArguments,
) -> Result<ExitCode, CliError> {
    let (lab, node) = arguments.node.find(registry)?;
    let failed = |error: &dyn std::fmt::Display| {
        refuse(ExitCode::Internal, format!("{}: {error}", node.name))
    };
    let key = match arguments.own_key {
        true => None,
        false => Some(key(&lab)?),
    };
    let mut script = String::from("ip -4 -oneline address show scope global");
    if let Some(key) = &key {
        let public = lab.from_outside(&key.with_extension("pub"));
        let public = fs::read_to_string(public).map_err(|error| failed(&error))?;
        script = format!("{}; {script}", authorize(&arguments.user, public.trim()));
    }
    let answer = in_shell(&lab, &node, &script, KEY_SECONDS).await?;
    let address = address(&answer.output).or(node.address.map(|address| address.to_string()));
    let Some(address) = address else {
        return Err(failed(&format!(
            "no IPv4 address on the machine: {}",
            answer.output
        )));
    };
    // Buffered output would be lost by exec.
    let _ = std::io::stdout().flush();
    let mut ssh = lab.command(Path::new("ssh"));
    if let Some(key) = &key {
        ssh.args(["-o", "IdentitiesOnly=yes", "-i"]).arg(key);
    }
    let error = ssh
        // The machine creates new host keys at each boot.
        .args(["-o", "StrictHostKeyChecking=no"])
        .args(["-o", "UserKnownHostsFile=/dev/null"])
        .args(["-o", "LogLevel=ERROR"])
        .arg(format!("{}@{address}", arguments.user))
        .args(&arguments.command)
        .exec();
    Err(failed(&format!("nsenter: {error}")))
}

/// Returns the lab's SSH key, created inside the lab on first use and removed with the lab.
fn key(lab: &PersistentLab) -> Result<PathBuf, CliError> {
    let key = lab.folder().join("ssh-key");
    if lab.from_outside(&key).exists() {
        return Ok(key);
    }
    let made = lab
        .command(Path::new("ssh-keygen"))
        .args(["-q", "-t", "ed25519", "-N", "", "-C"])
        .arg(format!("lab {}", lab.run_id))
        .arg("-f")
        .arg(&key)
        .output();
    match made {
        Ok(output) if output.status.success() => Ok(key),
        Ok(output) => Err(refuse(
            ExitCode::HostUnsupported,
            format!(
                "{}; install openssh-client",
                String::from_utf8_lossy(&output.stderr).trim()
            ),
        )),
        Err(error) => Err(refuse(ExitCode::Internal, format!("nsenter: {error}"))),
    }
}

/// Returns a shell script, for root, that adds the key to the authorized keys of `user` once.
fn authorize(user: &str, public: &str) -> String {
    format!(
        "home=$(getent passwd {user} | cut -d: -f6); mkdir -p \"$home/.ssh\"; \
         grep -qxF '{public}' \"$home/.ssh/authorized_keys\" 2>/dev/null || \
         echo '{public}' >>\"$home/.ssh/authorized_keys\"; \
         chmod 700 \"$home/.ssh\"; chmod 600 \"$home/.ssh/authorized_keys\"; chown -R {user}: \"$home/.ssh\""
    )
}

/// Returns the first address in the output of `ip -oneline address`.
fn address(said: &str) -> Option<String> {
    let mut words = said.split_whitespace().skip_while(|word| *word != "inet");
    let address = words.nth(1)?.split('/').next()?;
    Some(address.to_owned())
}

/// User name that `ssh` could misread.
#[derive(Debug, thiserror::Error)]
#[error("invalid user name (example: `core`)")]
struct UserError;

fn user(text: &str) -> Result<String, UserError> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    match !text.is_empty() && !text.starts_with('-') && text.chars().all(is_fine) {
        true => Ok(text.to_owned()),
        false => Err(UserError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_that_of_the_first_card() {
        let said = "2: eth0    inet 192.168.92.36/24 metric 1024 brd 192.168.92.255 scope global dynamic eth0";
        assert_eq!(address(said).as_deref(), Some("192.168.92.36"));
        assert_eq!(address(""), None);
    }

    #[test]
    fn a_user_is_a_word() {
        assert!(user("core").is_ok());
        assert!(user("a b").is_err() && user("$(x)").is_err() && user("-o").is_err());
    }
}
