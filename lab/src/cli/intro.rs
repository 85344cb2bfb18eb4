//! `lab` without arguments: prints the three main tasks and their commands.

use std::io::{self, Write};

use lab_report::exit_code::ExitCode;

/// Text to print.
const TEXT: &str = include_str!("intro.txt");

/// True if `lab` was called without arguments.
pub(super) fn is_wanted() -> bool {
    std::env::args_os().len() <= 1
}

/// Prints the introduction and returns the exit code.
pub(super) fn run() -> ExitCode {
    // A closed pipe is not an error.
    let _ = io::stdout().write_all(TEXT.as_bytes());
    ExitCode::Ok
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::super::Arguments;
    use super::*;

    #[test]
    fn each_command_that_it_names_can_be_typed() {
        let mut named = 0;
        for line in TEXT.lines() {
            let Some((_, command)) = line.split_once("  lab ") else {
                continue;
            };
            named += 1;
            let typed = command.replace("LIST", "machines.toml");
            let words = std::iter::once("lab").chain(typed.split_whitespace());
            if let Err(error) = Arguments::try_parse_from(words) {
                panic!("{line}: {error}");
            }
        }
        assert_eq!(named, 5);
    }

    #[test]
    fn commands_stand_in_the_order_in_which_they_are_needed() {
        let help = Arguments::command()
            .term_width(100)
            .render_help()
            .to_string();
        let (_, commands) = help.split_once("Commands:\n").unwrap();
        let (commands, _) = commands.split_once("\n\n").unwrap();
        insta::assert_snapshot!(commands);
    }
}
