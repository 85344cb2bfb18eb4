//! Measures boot-server beside the programs it replaces, and prints a table of ratios.
//!
//! `ci/bench` starts it in network, mount and PID namespaces of its own: whatever it starts ends with it.
//! Servers run in a second network namespace, joined by a cable. All servers of a comparison take
//! turns within one run, and medians are compared.

mod boot;
mod cable;
mod config;
mod dhcp;
mod dhcp_kind;
mod dhcp_servers;
mod http;
mod leases;
mod limits;
mod perfdhcp;
mod report;
mod server;
mod table;
mod tftp;
mod tftp_client;
mod wrk;

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Parser, ValueEnum};

use self::cable::Cable;
use self::report::Report;
use self::table::Section;

/// Measures boot-server beside dnsmasq, Kea, tftpd-hpa, atftpd and nginx.
#[derive(Debug, Parser)]
#[command(name = "ci/bench")]
struct Arguments {
    /// Measurements to make; all by default.
    #[arg(value_enum, required = true)]
    what: Vec<What>,
    /// Number of measurements per server; medians are compared.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// Only rows whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// Seconds that each measurement of requests or exchanges lasts.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Writes the table to this file, too, with what earlier runs with `--write` measured on this machine;
    /// without a value, docs/benchmarks.md.
    #[arg(long, num_args = 0..=1, default_missing_value = "docs/benchmarks.md")]
    write: Option<PathBuf>,
    /// The release build of the boot server.
    #[arg(long, hide = true)]
    boot_server: PathBuf,
    /// Folder with an unpacked atftpd, which cannot be installed beside tftpd-hpa.
    #[arg(long, hide = true)]
    peers: PathBuf,
    /// A Linux kernel for the machine that boots.
    #[arg(long, hide = true)]
    kernel: Option<PathBuf>,
    /// Folder of results, so that one table can combine several runs.
    #[arg(long, hide = true)]
    results: PathBuf,
}

/// A part of the measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Address exchanges a second, and processor time for each.
    Dhcp,
    /// A file of 64 MB by TFTP.
    Tftp,
    /// A file of 64 MB by HTTP.
    Http,
    /// `/ipxe?mac=` with 10, 1,000 and 100,000 groups.
    Config,
    /// A virtual machine's time from power-on to its kernel.
    Boot,
    /// All of these.
    All,
    /// A bare server for the physical limits; started by the tool itself.
    #[value(hide = true)]
    Limits,
    /// A bare server that sleeps; likewise.
    #[value(hide = true)]
    Echo,
}

/// State shared by all measurements.
struct Bench {
    cable: Cable,
    folder: tempfile::TempDir,
    boot_server: PathBuf,
    peers: PathBuf,
    kernel: Option<PathBuf>,
    repeats: usize,
    seconds: u64,
    only: Option<String>,
}

impl Bench {
    /// True if a row of this name is selected.
    fn wants(&self, row: &str) -> bool {
        self.only.as_ref().is_none_or(|only| row.contains(only))
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if arguments.what.contains(&What::Limits) {
        return limits::serve();
    }
    if arguments.what.contains(&What::Echo) {
        return limits::echo();
    }
    if arguments.repeats == 0 || arguments.seconds == 0 {
        bail!("invalid --repeats or --seconds: at least 1 is required");
    }
    let bench = Bench {
        cable: Cable::new()?,
        folder: tempfile::tempdir().context("making a folder for the servers' files")?,
        boot_server: arguments.boot_server,
        peers: arguments.peers,
        kernel: arguments.kernel,
        repeats: arguments.repeats,
        seconds: arguments.seconds,
        only: arguments.only,
    };
    let asked = |what| arguments.what.contains(&what) || arguments.what.contains(&What::All);
    let mut report = Report::begin(&bench.peers);
    // What is measured is kept at once: the parts take minutes.
    let mut keep = |sections: Vec<Section>| -> anyhow::Result<()> {
        sections.into_iter().for_each(|section| report.add(section));
        if let Some(path) = arguments.write.as_ref().filter(|_| !report.is_empty()) {
            report.join(&arguments.results)?;
            let written = std::fs::write(path, report.render());
            written.with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(())
    };
    if asked(What::Dhcp) {
        keep(dhcp::measure(&bench)?)?;
    }
    if asked(What::Tftp) {
        keep(vec![tftp::measure(&bench)?])?;
    }
    if asked(What::Http) {
        keep(vec![http::measure(&bench)?])?;
    }
    if asked(What::Config) {
        keep(vec![config::measure(&bench)?])?;
    }
    if asked(What::Boot) {
        keep(vec![boot::measure(&bench)?])?;
    }
    if report.is_empty() {
        bail!(
            "no row with `{}` in its name",
            bench.only.unwrap_or_default()
        );
    }
    println!("{}", report.render());
    for row in report.missed() {
        eprintln!("ci/bench: target missed: {row}");
    }
    Ok(())
}
