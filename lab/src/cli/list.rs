//! `lab list`: prints the scenarios, one per line.

use super::{Folders, exit};
use crate::scenario::{self, DataCheck};

/// Prints the name, firmware and summary of every scenario.
pub(super) fn run(folders: &Folders) -> u8 {
    match scenario::load_all(&folders.scenarios(), DataCheck::Skip) {
        Ok(scenarios) => {
            let width = scenarios.iter().map(|s| s.name.len()).max().unwrap_or(0);
            for scenario in scenarios {
                let firmware: Vec<&str> = scenario.firmware.iter().map(|f| f.name()).collect();
                println!(
                    "{:width$}  {:9}  {}",
                    scenario.name,
                    firmware.join(","),
                    scenario.summary
                );
            }
            exit::OK
        }
        Err(error) => {
            eprintln!("{:?}", miette::Report::new(error));
            exit::INVALID_INPUT
        }
    }
}
