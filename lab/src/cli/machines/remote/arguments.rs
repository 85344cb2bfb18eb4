//! Reconstruction of the command line for the `lab` on another host, with paths replaced by remote ones.

use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Command, CommandFactory};

use crate::cli::Arguments;
use crate::cli::machines::named;

/// Replacement of an option's value on the remote command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Instead<'a> {
    /// Omit the option.
    Nothing,
    /// Pass this value.
    Value(&'a str),
}

/// Returns the arguments of this process, except the named options (by field name).
pub(super) fn own(instead: &[(&str, Instead<'_>)]) -> Vec<String> {
    of(std::env::args_os(), instead)
}

/// Returns the value of an option or operand of this process (by field name).
pub(super) fn said(id: &str) -> Option<String> {
    let mut found = None;
    let (_, all) = parsed(std::env::args_os());
    let mut matches = &all;
    loop {
        // Not every command has every option.
        if let Ok(Some(mut values)) = matches.try_get_raw(id)
            && let Some(value) = values.next()
        {
            found = Some(value.to_string_lossy().into_owned());
        }
        match matches.subcommand() {
            Some((_, inner)) => matches = inner,
            None => return found,
        }
    }
}

fn parsed(said: impl IntoIterator<Item = OsString>) -> (Command, ArgMatches) {
    let mut command = Arguments::command();
    command.build();
    let matches = command.clone().get_matches_from(said);
    (command, matches)
}

fn of(said: impl IntoIterator<Item = OsString>, instead: &[(&str, Instead<'_>)]) -> Vec<String> {
    let (all, matches) = parsed(said);
    let mut words = Vec::new();
    let (mut command, mut matches) = (&all, &matches);
    while let Some((name, inner)) = matches.subcommand() {
        let Some(next) = command.find_subcommand(name) else {
            break;
        };
        words.push(name.to_owned());
        (command, matches) = (next, inner);
        words.extend(of_one(command, matches, instead));
    }
    words
}

/// Returns the arguments given to one command.
fn of_one(command: &Command, matches: &ArgMatches, instead: &[(&str, Instead<'_>)]) -> Vec<String> {
    let (mut options, mut operands, mut last) = (Vec::new(), Vec::new(), Vec::new());
    for argument in command.get_arguments() {
        let id = argument.get_id().as_str();
        // Global options are passed with the last command.
        if argument.is_global_set() && matches.subcommand().is_some() {
            continue;
        }
        let flag = argument.get_long().map(|long| format!("--{long}"));
        if let Some((_, instead)) = instead.iter().find(|(other, _)| *other == id) {
            match (instead, flag) {
                (Instead::Value(value), Some(flag)) => options.push(format!("{flag}={value}")),
                (Instead::Value(value), None) => operands.push((*value).to_owned()),
                (Instead::Nothing, _) => {}
            }
            continue;
        }
        if matches.value_source(id) != Some(ValueSource::CommandLine) {
            continue;
        }
        if !matches!(argument.get_action(), ArgAction::Set | ArgAction::Append) {
            options.extend(flag);
            continue;
        }
        let values = matches.get_raw(id).into_iter().flatten();
        let values = values.map(|value| value.to_string_lossy().into_owned());
        match flag {
            Some(flag) => options.extend(values.map(|value| format!("{flag}={value}"))),
            None if argument.is_last_set() => last.extend(values),
            // Paths of scenarios: their folder is brought there, where they are names in it.
            None if matches!(id, "names" | "scenario") => {
                let values: Vec<String> = values.collect();
                operands.extend(named::selected(&values).map_or(values, |found| found.names));
            }
            None => operands.extend(values),
        }
    }
    options.extend(operands);
    if !last.is_empty() {
        options.push("--".into());
        options.extend(last);
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(said: &str, instead: &[(&str, Instead<'_>)]) -> String {
        let said = said.split(' ').map(OsString::from);
        of(said, instead).join(" ")
    }

    #[test]
    fn what_was_said_is_said_again() {
        for same in [
            "exec --lab=4f2a11 --timeout=5 node1 -- ls -l --all",
            "power off node1",
            "capture --follow --full",
            "fault netem --loss=10% --lab=real",
            "run --firmware=bios --firmware=uefi --repeat=2 --jobs=3 --quiet one two",
            "ps",
        ] {
            assert_eq!(words(&format!("lab {same}"), &[]), same);
        }
    }

    #[test]
    fn files_are_where_they_are_there() {
        let said = "lab --scenarios /mine run --artifacts /here one --connect qemu+ssh://x/system --cache=/c";
        let instead = [
            ("scenarios", Instead::Value("scenarios")),
            ("cache", Instead::Nothing),
            ("connect", Instead::Value("qemu:///system")),
            ("artifacts", Instead::Value("runs")),
        ];
        let there = words(said, &instead);
        let mut there: Vec<&str> = there.split(' ').collect();
        assert_eq!(there.remove(0), "run");
        assert_eq!(there.pop(), Some("one"));
        there.sort_unstable();
        assert_eq!(
            there,
            [
                "--artifacts=runs",
                "--connect=qemu:///system",
                "--scenarios=scenarios"
            ]
        );
        let picture = [("file", Instead::Value("-"))];
        assert_eq!(
            words("lab screenshot node1", &picture),
            "screenshot node1 -"
        );
    }

    #[test]
    fn path_of_a_scenario_is_its_name_there() {
        let site = tempfile::tempdir().unwrap();
        std::fs::create_dir(site.path().join("one")).unwrap();
        std::fs::write(site.path().join("one/scenario.toml"), "").unwrap();
        let one = format!("lab run {}/one two", site.path().display());
        assert_eq!(words(&one, &[]), "run one two");
        let all = format!("lab run {}", site.path().display());
        assert_eq!(words(&all, &[]), "run");
    }

    #[test]
    fn the_environment_stays_here() {
        // LAB_SCENARIOS is a value, but nobody said it.
        assert_eq!(words("lab list", &[]), "list");
    }
}
