//! `lab fault`: injects and clears faults on the network of a persistent lab.

use clap::{Args, Subcommand};
use lab_model::fault::{Link, LiveFault};
use lab_report::exit_code::ExitCode;
use thiserror::Error;

use super::{ask, unknown};
use crate::cell::control::{ControlRequest, ControlResponse};
use crate::cli::error::{CliError, refuse};
use crate::persistent::Registry;

/// Arguments of `lab fault`.
#[derive(Debug, Args)]
pub(in crate::cli) struct FaultArguments {
    /// Run id or scenario of the lab; optional if only one lab is up
    #[arg(long, global = true, value_name = "LAB")]
    lab: Option<String>,
    #[command(subcommand)]
    fault: FaultCommand,
}

#[derive(Debug, Subcommand)]
enum FaultCommand {
    /// Degrade the machines' link in both directions: loss, duplication, reordering, delay
    Netem(NetemArguments),
    /// Drop the next DHCPOFFERs of all servers
    DropOffer {
        /// Number of DHCPOFFERs to drop
        #[arg(value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        count: u32,
    },
    /// Stall HTTP responses for a path prefix
    HttpStall {
        /// Path prefix, e.g. `/assets/`
        #[arg(value_name = "PATH", value_parser = path)]
        path: String,
    },
    /// List active faults
    List,
    /// Clear all faults
    Clear,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct NetemArguments {
    /// Percentage of frames lost, e.g. `10%`
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    loss: Option<u32>,
    /// Percentage of frames duplicated
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    duplicate: Option<u32>,
    /// Percentage of frames delivered out of order
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    reorder: Option<u32>,
    /// Additional delay of each frame, e.g. `50ms`
    #[arg(long, value_name = "TIME", value_parser = milliseconds)]
    delay: Option<u32>,
    /// Seed of the random sequence
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u32,
}

/// Sets, lists or clears faults.
pub(super) fn run(registry: &Registry, arguments: &FaultArguments) -> Result<ExitCode, CliError> {
    let lab = registry.find(arguments.lab.as_deref()).map_err(unknown)?;
    let request = match &arguments.fault {
        FaultCommand::Netem(netem) => ControlRequest::SetFault(LiveFault::Netem {
            link: Link {
                loss_percent: netem.loss.unwrap_or(0),
                duplicate_percent: netem.duplicate.unwrap_or(0),
                reorder_percent: netem.reorder.unwrap_or(0),
                delay_ms: netem.delay.unwrap_or(0),
                seed: netem.seed,
            },
        }),
        FaultCommand::DropOffer { count } => {
            ControlRequest::SetFault(LiveFault::DropOffer { count: *count })
        }
        FaultCommand::HttpStall { path } => {
            ControlRequest::SetFault(LiveFault::HttpStall { path: path.clone() })
        }
        FaultCommand::Clear => ControlRequest::ClearFaults,
        FaultCommand::List => ControlRequest::TellFaults,
    };
    if request != ControlRequest::TellFaults {
        ask(&lab, &request)?;
    }
    let ControlResponse::Faults { faults } = ask(&lab, &ControlRequest::TellFaults)? else {
        return Err(refuse(
            ExitCode::Internal,
            "the lab returned no list of faults",
        ));
    };
    if faults.is_empty() {
        println!("No active faults in {} {}.", lab.run_id, lab.unit);
    }
    for fault in &faults {
        println!("{}", words(fault));
    }
    Ok(ExitCode::Ok)
}

fn words(fault: &LiveFault) -> String {
    match fault {
        LiveFault::Netem { link } => {
            let parts = [
                (link.loss_percent, "% lost"),
                (link.duplicate_percent, "% doubled"),
                (link.reorder_percent, "% overtaken"),
                (link.delay_ms, " ms delay"),
            ];
            let parts: Vec<String> = parts
                .iter()
                .filter(|(number, _)| *number > 0)
                .map(|(number, unit)| format!("{number}{unit}"))
                .collect();
            format!("netem: {}", parts.join(", "))
        }
        LiveFault::DropOffer { count } => format!("drop-offer: the next {count}"),
        LiveFault::HttpStall { path } => format!("http-stall: {path}"),
    }
}

/// Value of an option that cannot be parsed.
#[derive(Debug, PartialEq, Eq, Error)]
enum ValueError {
    #[error("must be a whole number from 0 to 100, e.g. `10%`")]
    Percent,
    #[error("must be 0 to 10000 milliseconds, e.g. `50ms`")]
    Milliseconds,
    #[error("must be a path prefix, e.g. `/assets/`")]
    Path,
}

fn percent(text: &str) -> Result<u32, ValueError> {
    let number = text.strip_suffix('%').unwrap_or(text);
    let number = number.parse().ok().filter(|number| *number <= 100);
    number.ok_or(ValueError::Percent)
}

fn milliseconds(text: &str) -> Result<u32, ValueError> {
    let number = text.strip_suffix("ms").unwrap_or(text);
    let number = number.parse().ok().filter(|number| *number <= 10_000);
    number.ok_or(ValueError::Milliseconds)
}

fn path(text: &str) -> Result<String, ValueError> {
    match text.starts_with('/') {
        true => Ok(text.to_owned()),
        false => Err(ValueError::Path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Typed {
        #[command(flatten)]
        netem: NetemArguments,
    }

    #[test]
    fn a_bad_link_is_bad_in_one_way_or_in_several() {
        use clap::Parser;
        let typed = |words: &[&str]| Typed::try_parse_from([&["netem"], words].concat());
        let both = typed(&["--loss", "10%", "--delay", "20ms"]).unwrap().netem;
        assert_eq!(
            (both.loss, both.delay, both.reorder),
            (Some(10), Some(20), None)
        );
        assert!(typed(&["--duplicate", "1"]).is_ok());
        assert!(typed(&[]).is_err(), "nothing is no fault");
    }

    #[test]
    fn numbers_may_have_their_unit() {
        assert_eq!(percent("10%"), Ok(10));
        assert_eq!(percent("0"), Ok(0));
        assert!(percent("101%").is_err() && percent("10 %").is_err() && percent("").is_err());
        assert_eq!(milliseconds("50ms"), Ok(50));
        assert!(milliseconds("1s").is_err());
        assert!(path("/ipxe").is_ok() && path("ipxe").is_err());
    }

    #[test]
    fn a_fault_is_told_with_what_it_does() {
        let link = Link {
            loss_percent: 10,
            delay_ms: 50,
            ..Link::default()
        };
        assert_eq!(
            words(&LiveFault::Netem { link }),
            "netem: 10% lost, 50 ms delay"
        );
        assert_eq!(
            words(&LiveFault::DropOffer { count: 3 }),
            "drop-offer: the next 3"
        );
    }
}
