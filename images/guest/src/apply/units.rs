//! Units of systemd and systemd-networkd: files, drop-ins, masks, enabling, and at the very end
//! the commands, in the order in which the units are given.

use std::path::{Path, PathBuf};

use super::{ApplyError, Machine, files};
use crate::config::{File, Unit};
use crate::system::UnitCommand;

/// Reader of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    System,
    Network,
}

fn group(unit: &Unit) -> Group {
    match Path::new(&unit.name)
        .extension()
        .and_then(|suffix| suffix.to_str())
    {
        Some("network" | "netdev" | "link") => Group::Network,
        _ => Group::System,
    }
}

/// Returns the unit's file.
fn place(unit: &Unit) -> PathBuf {
    let folder = match group(unit) {
        Group::System => "system",
        Group::Network => "network",
    };
    let top = if unit.runtime { "run" } else { "etc" };
    files::clean(&format!("/{top}/systemd/{folder}/{}", unit.name))
}

/// Places all units, then runs their commands.
///
/// # Errors
/// [`ApplyError`], at the first step that fails.
pub fn apply(units: &[Unit], machine: &mut Machine<'_>) -> Result<(), ApplyError> {
    let mut commands = Vec::new();
    let mut reload = false;
    let mut restart_networkd = false;
    for unit in units {
        if unit.name.is_empty() {
            machine.say("passed over: a unit without a name");
            continue;
        }
        reload |= write(unit, machine)?;
        if unit.mask {
            mask(unit, machine)?;
        } else if unit.runtime {
            unmask(unit, machine)?;
        }
        match group(unit) {
            Group::Network => restart_networkd = true,
            Group::System => {
                if unit.enable {
                    machine.system.enable_unit(&unit.name, unit.runtime)?;
                    machine.say(format!("enabled {}", unit.name));
                }
                if !unit.command.is_empty() {
                    commands.push(unit);
                }
            }
        }
    }
    if reload {
        machine.system.reload_units()?;
    }
    if restart_networkd {
        run("systemd-networkd.service", UnitCommand::Restart, machine)?;
    }
    for unit in commands {
        let command = UnitCommand::parse(&unit.command).ok_or_else(|| ApplyError::UnitCommand {
            unit: unit.name.clone(),
            command: unit.command.clone(),
        })?;
        run(&unit.name, command, machine)?;
    }
    Ok(())
}

fn run(name: &str, command: UnitCommand, machine: &mut Machine<'_>) -> Result<(), ApplyError> {
    let result = machine.system.run_unit_command(name, command)?;
    machine.say(format!("{} {name}: {result}", command.word()));
    Ok(())
}

/// Writes the unit's file and drop-ins; answers whether there was anything to write.
fn write(unit: &Unit, machine: &mut Machine<'_>) -> Result<bool, ApplyError> {
    let mut wrote = false;
    let place = place(unit);
    if !unit.content.is_empty() {
        write_file(&place, &unit.content, machine)?;
        wrote = true;
    }
    for drop_in in &unit.drop_ins {
        if !drop_in.name.is_empty() && !drop_in.content.is_empty() {
            let folder = place.with_file_name(format!("{}.d", unit.name));
            write_file(&folder.join(&drop_in.name), &drop_in.content, machine)?;
            wrote = true;
        }
    }
    Ok(wrote)
}

fn write_file(path: &Path, content: &str, machine: &mut Machine<'_>) -> Result<(), ApplyError> {
    let file = File {
        path: path.to_string_lossy().into_owned(),
        content: content.as_bytes().to_vec(),
        ..File::default()
    };
    files::write(&file, machine).map(|_| ())
}

/// Replaces the unit's file by a link to `/dev/null`.
fn mask(unit: &Unit, machine: &mut Machine<'_>) -> Result<(), ApplyError> {
    let path = place(unit);
    files::make_folders(machine, path.parent().unwrap_or(Path::new("/")))?;
    let link = files::under(machine.root, &path);
    match std::fs::remove_file(&link) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => std::os::unix::fs::symlink("/dev/null", &link),
    }
    .map_err(|source| ApplyError::File { path, source })?;
    machine.say(format!("masked {}", unit.name));
    Ok(())
}

/// Takes away a file that masks the unit: an empty one, or a link to a device like `/dev/null`.
fn unmask(unit: &Unit, machine: &mut Machine<'_>) -> Result<(), ApplyError> {
    let path = place(unit);
    let file = files::under(machine.root, &path);
    let masks = match std::fs::metadata(&file) {
        Ok(meta) => !meta.is_dir() && (!meta.is_file() || meta.len() == 0),
        Err(_) => false,
    };
    if masks {
        std::fs::remove_file(&file).map_err(|source| ApplyError::File { path, source })?;
        machine.say(format!("unmasked {}", unit.name));
    }
    Ok(())
}
