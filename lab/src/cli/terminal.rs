//! Terminal settings: progress that is redrawn in place, and colours.

use std::ffi::OsString;
use std::io::{IsTerminal, stderr, stdout};

use lab_report::live::Show;
use lab_report::table::Colour;

/// Output style of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OutputStyle {
    /// Progress style, on standard error.
    pub(super) progress: Show,
    /// Colours of results, on standard output.
    pub(super) table: Colour,
}

impl OutputStyle {
    /// Chooses the style from flags, environment and the kind of outputs.
    pub(super) fn choose(quiet: bool, no_color: bool) -> OutputStyle {
        let read = |name: &str| std::env::var_os(name);
        let colour = |is_terminal| colour(no_color, is_terminal, read);
        let redraws = stderr().is_terminal() && read("TERM").is_none_or(|term| term != "dumb");
        OutputStyle {
            progress: match (quiet, redraws) {
                (true, _) => Show::Nothing,
                (false, true) => Show::InPlace(colour(true)),
                (false, false) => Show::Lines,
            },
            table: colour(stdout().is_terminal()),
        }
    }
}

/// Decides on colours. Flags override the environment, and variables that disable colours override those that
/// force them (<https://no-color.org>, <https://bixense.com/clicolors>).
fn colour(no_color: bool, is_terminal: bool, read: impl Fn(&str) -> Option<OsString>) -> Colour {
    let is_set = |name| read(name).is_some_and(|value| !value.is_empty());
    let is = |name, wanted: &str| read(name).is_some_and(|value| value == wanted);
    let forced = is_set("CLICOLOR_FORCE") && !is("CLICOLOR_FORCE", "0");
    if no_color || is_set("NO_COLOR") {
        Colour::Off
    } else if forced {
        Colour::On
    } else if !is_terminal || is("CLICOLOR", "0") || is("TERM", "dumb") {
        Colour::Off
    } else {
        Colour::On
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(no_color: bool, is_terminal: bool, environment: &[(&str, &str)]) -> Colour {
        colour(no_color, is_terminal, |name| {
            let value = environment.iter().find(|(known, _)| *known == name);
            value.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn colours_are_for_terminals() {
        assert_eq!(chosen(false, true, &[]), Colour::On);
        assert_eq!(chosen(false, false, &[]), Colour::Off);
        assert_eq!(chosen(false, true, &[("TERM", "dumb")]), Colour::Off);
    }

    #[test]
    fn who_wants_no_colours_gets_none() {
        assert_eq!(chosen(true, true, &[("CLICOLOR_FORCE", "1")]), Colour::Off);
        assert_eq!(chosen(false, true, &[("NO_COLOR", "1")]), Colour::Off);
        assert_eq!(chosen(false, true, &[("CLICOLOR", "0")]), Colour::Off);
        let both = [("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")];
        assert_eq!(chosen(false, true, &both), Colour::Off);
        assert_eq!(
            chosen(false, true, &[("NO_COLOR", "")]),
            Colour::On,
            "empty counts as unset"
        );
    }

    #[test]
    fn colours_can_be_had_where_there_is_no_terminal() {
        assert_eq!(chosen(false, false, &[("CLICOLOR_FORCE", "1")]), Colour::On);
        assert_eq!(
            chosen(false, false, &[("CLICOLOR_FORCE", "0")]),
            Colour::Off
        );
    }
}
