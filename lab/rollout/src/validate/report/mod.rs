//! Findings in forms for people and programs.

mod github;
mod json;
mod sarif;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;

pub use self::github::github;
pub use self::json::json;
pub use self::sarif::sarif;
pub use self::text::text;
use super::Program;

/// The documentation of the rules.
const DOCUMENTATION: &str = include_str!("../../../../../docs/rules.md");

/// Returns the section of each rule in the documentation.
#[must_use]
pub fn documentation() -> BTreeMap<&'static str, &'static str> {
    let sections = DOCUMENTATION.split("\n### ").skip(1);
    sections
        .filter_map(|section| {
            let (title, text) = section.split_once('\n')?;
            // The next family's heading ends the last section of one.
            let text = text.split("\n## ").next().unwrap_or(text);
            Some((title.trim(), text.trim()))
        })
        .collect()
}

/// Returns a sentence about the result of `ignition-validate`.
fn program(program: &Program) -> Option<String> {
    match program {
        Program::NotNeeded => None,
        Program::NotInstalled => Some(
            "ignition-validate is not installed: Ignition 3 configs were checked only against their schema"
                .to_owned(),
        ),
        Program::Ran {
            program,
            configs,
            left_out,
        } => {
            let rest = match left_out {
                0 => String::new(),
                left_out => format!(", and not to {left_out} more"),
            };
            Some(format!("{} was given {configs} configs{rest}", program.display()))
        }
    }
}
