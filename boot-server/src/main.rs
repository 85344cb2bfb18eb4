//! The `boot-server` program: see [`boot_server::cli`].

use std::ffi::OsString;
use std::process::ExitCode;

use boot_server::cli;

fn main() -> ExitCode {
    let typed: Vec<OsString> = std::env::args_os().collect();
    match cli::run(&typed) {
        Ok(code) => code.into(),
        Err(error) => {
            eprintln!("boot-server: {}", cli::told(&error));
            cli::ExitCode::Failure.into()
        }
    }
}
