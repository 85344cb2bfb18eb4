//! The `lab` program: see `lab::cli`.

use std::io;
use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_env("LAB_LOG").unwrap_or_else(|_| "warn".into()))
        .with_writer(io::stderr)
        // A line that a full disk refuses would be told by `eprintln!`, which panics then.
        .log_internal_errors(false)
        .init();
    lab::cli::main()
}
