//! Units that stay active once they are started.

use super::{ExpectedState, System};

/// Programs that the stand-in has (`images/stand-in/packages`), of those that common units run.
const STAND_IN_PROGRAMS: [&str; 33] = [
    "bash",
    "cat",
    "chmod",
    "chown",
    "cp",
    "cut",
    "date",
    "dd",
    "echo",
    "env",
    "false",
    "find",
    "grep",
    "gzip",
    "head",
    "hostname",
    "ip",
    "ln",
    "ls",
    "mkdir",
    "mount",
    "mv",
    "printf",
    "rm",
    "sed",
    "sh",
    "sleep",
    "sysctl",
    "systemctl",
    "tar",
    "test",
    "touch",
    "true",
];

/// Notes of a unit that is started whether it stays active, or why that is not known.
///
/// `content` is its file, empty for a unit of the system itself.
pub(super) fn started(name: &str, content: &str, system: System, expected: &mut ExpectedState) {
    match stays_active(name, content, system) {
        Ok(()) if expected.units_active.iter().any(|known| known == name) => {}
        Ok(()) => expected.units_active.push(name.to_owned()),
        Err(why) => expected.unproven.push(format!("unit {name}: {why}")),
    }
}

/// Reasons that a started unit may be inactive.
#[derive(Debug, thiserror::Error)]
enum Inactive {
    #[error("belongs to CoreOS, which the stand-in does not contain")]
    OfCoreOs,
    #[error("starts only if {key}={value}")]
    Conditional { key: String, value: String },
    #[error("runs once and exits")]
    Once,
    #[error("runs {0}, which the stand-in lacks")]
    Program(String),
}

fn stays_active(name: &str, content: &str, system: System) -> Result<(), Inactive> {
    if content.trim().is_empty() {
        return match system {
            System::CoreOs => Ok(()),
            System::StandIn => Err(Inactive::OfCoreOs),
        };
    }
    let values = |wanted: &str| {
        let wanted = wanted.to_owned();
        content
            .lines()
            .filter_map(|line| line.split_once('='))
            .filter(move |(key, _)| key.trim() == wanted)
            .map(|(_, value)| value.trim())
    };
    let condition = content
        .lines()
        .filter_map(|line| line.split_once('='))
        .find(|(key, _)| key.starts_with("Condition") || key.starts_with("Assert"));
    if let Some((key, value)) = condition {
        return Err(Inactive::Conditional {
            key: key.trim().to_owned(),
            value: value.trim().to_owned(),
        });
    }
    if name.ends_with(".service") {
        let kind = values("Type").next_back().unwrap_or("simple");
        let remains = values("RemainAfterExit")
            .next_back()
            .is_some_and(|value| ["yes", "true", "on", "1"].contains(&value));
        if kind == "oneshot" && !remains {
            return Err(Inactive::Once);
        }
        if system == System::StandIn {
            programs(values("ExecStartPre").chain(values("ExecStart")))?;
        }
    }
    Ok(())
}

/// Checks that the stand-in has the programs that a service runs.
fn programs<'a>(commands: impl Iterator<Item = &'a str>) -> Result<(), Inactive> {
    for command in commands.filter(|command| !command.is_empty()) {
        let program = command.split_whitespace().next().unwrap_or_default();
        // Prefixes of systemd.service(5).
        let program = program.trim_start_matches(['-', '@', ':', '+', '!', '|']);
        let name = program.rsplit('/').next().unwrap_or(program);
        if !STAND_IN_PROGRAMS.contains(&name) {
            return Err(Inactive::Program(program.to_owned()));
        }
    }
    Ok(())
}
