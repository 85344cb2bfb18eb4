//! `lab list`: prints the scenarios, one per line.

use lab_model::scenario::{self, DataCheck};
use lab_report::exit_code::ExitCode;

use super::Folders;

/// Prints the name, firmware and summary of every valid scenario, then the mistakes in the others.
pub(super) fn run(folders: &Folders) -> ExitCode {
    let (scenarios, invalid) = scenario::load_valid(&folders.scenarios(), DataCheck::Skip);
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
    match invalid {
        None => ExitCode::Ok,
        Some(invalid) => {
            eprintln!("{:?}", miette::Report::new(invalid));
            ExitCode::InvalidInput
        }
    }
}
