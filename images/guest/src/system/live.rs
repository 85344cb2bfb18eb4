//! The real machine: systemctl, useradd and their like.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::{JobResult, System, SystemError, UnitCommand};

/// The machine this process runs on.
#[derive(Debug, Clone, Copy)]
pub struct LiveSystem;

/// systemctl's exit code for a unit that does not exist (LSB: "program is not installed").
const NOT_INSTALLED: i32 = 5;

/// Runs a program with `input` on its standard input.
fn run(program: &str, arguments: &[&str], input: &str) -> Result<Output, SystemError> {
    let fail = |source| SystemError::Run {
        program: program.to_owned(),
        source,
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(fail)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not want its input ends with a status that says more than EPIPE.
        let _ = stdin.write_all(input.as_bytes());
    }
    child.wait_with_output().map_err(fail)
}

fn said(output: &Output) -> String {
    let text = if output.stderr.is_empty() {
        &output.stdout
    } else {
        &output.stderr
    };
    String::from_utf8_lossy(text).trim().to_owned()
}

/// Runs a program that must succeed. `shown` represents its arguments in messages.
fn must(program: &str, arguments: &[&str], input: &str, shown: &str) -> Result<(), SystemError> {
    let output = run(program, arguments, input)?;
    if output.status.success() {
        return Ok(());
    }
    Err(SystemError::Program {
        command: format!("{program} {shown}"),
        outcome: output.status,
        output: said(&output),
    })
}

impl System for LiveSystem {
    /// hostnamectl's two effects, without its services on the way.
    fn set_hostname(&self, name: &str) -> Result<(), SystemError> {
        let path = Path::new("/etc/hostname");
        std::fs::write(path, format!("{name}\n"))
            .and_then(|()| Ok(rustix::system::sethostname(name.as_bytes())?))
            .map_err(|source| SystemError::File {
                path: path.to_owned(),
                source,
            })
    }

    fn hostname(&self) -> String {
        rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned()
    }

    fn user_exists(&self, name: &str) -> bool {
        run("getent", &["passwd", name], "").is_ok_and(|output| output.status.success())
    }

    fn add_user(&self, arguments: &[String]) -> Result<(), SystemError> {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        must(
            "useradd",
            &arguments,
            "",
            arguments.last().copied().unwrap_or_default(),
        )
    }

    fn set_password(&self, user: &str, hash: &str) -> Result<(), SystemError> {
        must("chpasswd", &["-e"], &format!("{user}:{hash}"), "-e")
    }

    fn authorize_keys(&self, user: &str, keys: &[String]) -> Result<(), SystemError> {
        let input = format!("{}\n", keys.join("\n"));
        must(
            "update-ssh-keys",
            &["-u", user, "-a", "coreos-cloudinit"],
            &input,
            user,
        )
    }

    fn change_owner(&self, path: &Path, owner: &str) -> Result<(), SystemError> {
        must("chown", &["--", owner, &path.to_string_lossy()], "", owner)
    }

    fn reload_units(&self) -> Result<(), SystemError> {
        must("systemctl", &["daemon-reload"], "", "daemon-reload")
    }

    fn enable_unit(&self, name: &str, runtime: bool) -> Result<(), SystemError> {
        let mut arguments = vec!["enable", "--force", "--no-reload", "--quiet"];
        if runtime {
            arguments.push("--runtime");
        }
        arguments.extend(["--", name]);
        must("systemctl", &arguments, "", &format!("enable {name}"))
    }

    fn run_unit_command(&self, name: &str, command: UnitCommand) -> Result<JobResult, SystemError> {
        let output = run("systemctl", &["--quiet", command.word(), "--", name], "")?;
        if output.status.success() {
            Ok(JobResult::Done)
        } else if output.status.code() == Some(NOT_INSTALLED) {
            Err(SystemError::Program {
                command: format!("systemctl {} {name}", command.word()),
                outcome: output.status,
                output: said(&output),
            })
        } else {
            Ok(JobResult::Failed(said(&output)))
        }
    }

    fn start_script(&self, unit: &str, script: &Path) -> Result<(), SystemError> {
        let script = script.to_string_lossy();
        let unit = format!("--unit={unit}");
        let arguments = [
            "--quiet",
            "--description=Script of the machine's user-data",
            &unit,
            "/bin/bash",
            &script,
        ];
        must("systemd-run", &arguments, "", &unit)
    }

    fn random_name(&self) -> String {
        std::fs::read_to_string("/proc/sys/kernel/random/uuid")
            .map(|uuid| uuid.trim().to_owned())
            .unwrap_or_else(|_| std::process::id().to_string())
    }
}
