//! The `guest-agent` program of the stand-in image: finds the cloud-config's URL on the kernel
//! command line, fetches it and applies it to this machine.

use std::path::Path;
use std::process::ExitCode;

use guest_agent::apply::{self, Machine};
use guest_agent::config::Substitutions;
use guest_agent::report::Console;
use guest_agent::system::live::LiveSystem;
use guest_agent::{cmdline, fetch};

fn main() -> ExitCode {
    let mut console = Console::open();
    match run(&mut console) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            console.say(&format!("FAILED: {reason}"));
            ExitCode::FAILURE
        }
    }
}

fn run(console: &mut Console) -> Result<(), Box<dyn std::error::Error>> {
    let kernel = std::fs::read_to_string("/proc/cmdline")?;
    let Some(url) = cmdline::cloud_config_url(&kernel)? else {
        console.say("no cloud-config-url on the kernel command line, nothing to do");
        return Ok(());
    };
    let text = fetch::fetch(&url, &mut |line| console.say(line), &std::thread::sleep)?;
    let mut machine = Machine {
        root: Path::new("/"),
        substitutions: Substitutions::from_lookup(|key| std::env::var(key).ok()),
        system: &LiveSystem,
        say: &mut |line| console.say(line),
    };
    let done = apply::apply_user_data(&text, &mut machine)?;
    console.say(&done.to_string());
    Ok(())
}
