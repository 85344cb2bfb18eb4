//! The `guest-agent` program of the stand-in image: finds the cloud-config's URL on the kernel
//! command line, fetches it and applies it to this machine.
//!
//! - `guest-agent apply`: the cloud-config of the kernel command line
//! - `guest-agent apply --from-file=PATH`: that of a file, as the OEM's
//! - `guest-agent explain-ignition URL VERSION`: prints why Ignition, which speaks configs up to
//!   VERSION, refuses the one at URL; fails when its version is not the reason

use std::path::Path;
use std::process::ExitCode;

use guest_agent::apply::{self, Machine};
use guest_agent::config::Substitutions;
use guest_agent::report::Console;
use guest_agent::system::live::LiveSystem;
use guest_agent::{cmdline, fetch, ignition};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut console = Console::open();
    let outcome = match arguments.as_slice() {
        [] | ["apply"] => apply_from_kernel(&mut console),
        ["apply", file] if file.starts_with("--from-file=") => {
            apply_from_file(file.trim_start_matches("--from-file="), &mut console)
        }
        ["explain-ignition", url, speaks] => return explain_ignition(url, speaks),
        _ => Err(format!("unknown command: {}", arguments.join(" ")).into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            console.say(&format!("FAILED: {reason}"));
            ExitCode::FAILURE
        }
    }
}

fn apply_from_kernel(console: &mut Console) -> Outcome {
    let kernel = std::fs::read_to_string("/proc/cmdline")?;
    let Some(url) = cmdline::cloud_config_url(&kernel)? else {
        console.say("no cloud-config-url on the kernel command line, nothing to do");
        return Ok(());
    };
    let body = fetch::fetch(&url, &mut |line| console.say(line), &std::thread::sleep);
    apply(body.map_err(Into::into), console)
}

fn apply_from_file(path: &str, console: &mut Console) -> Outcome {
    let content = std::fs::read(path);
    if let Ok(bytes) = &content {
        console.say(&format!("read {path}: {} bytes", bytes.len()));
    }
    let content = content.map_err(|error| format!("{path}: {error}").into());
    apply(content, console)
}

/// Applies user-data; where there is none, what has to be done all the same.
fn apply(user_data: Result<Vec<u8>, Box<dyn std::error::Error>>, console: &mut Console) -> Outcome {
    let mut machine = Machine {
        root: Path::new("/"),
        substitutions: Substitutions::from_lookup(|key| std::env::var(key).ok()),
        system: &LiveSystem,
        say: &mut |line| console.say(line),
    };
    let done = match user_data {
        Ok(bytes) => apply::apply_bytes(bytes, &mut machine)?,
        Err(error) => {
            apply::apply_nothing(&mut machine)?;
            return Err(error);
        }
    };
    console.say(&done.to_string());
    Ok(())
}

/// Prints for a script that puts the text into its own sentence.
fn explain_ignition(url: &str, speaks: &str) -> ExitCode {
    match fetch::fetch_once(url).and_then(|config| ignition::explain(&config, speaks)) {
        Some(why) => {
            println!("{why}");
            ExitCode::SUCCESS
        }
        None => ExitCode::FAILURE,
    }
}
