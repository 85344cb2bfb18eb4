//! Relays of others: ISC's `dhcrelay` (4.4.3) and dnsmasq (2.90).

use std::io::{self, BufRead, BufReader};
use std::process::{Command, Stdio};

use super::super::router::{Leg, RelayJob};
use super::super::say_up;

/// Runs ISC's relay, which always adds option 82 here.
pub(super) fn dhcrelay(job: &RelayJob, legs: &[Leg], upstream: usize) -> io::Result<()> {
    refuse(job, "dhcrelay", job.server_id_override || job.vpn.is_some())?;
    let mut command = lasting("dhcrelay");
    command.args(["-4", "-d", "-a", "--no-pid"]);
    for (number, leg) in legs.iter().enumerate() {
        let option = if number == upstream { "-iu" } else { "-id" };
        command.args([option, &leg.interface]);
        if number == upstream && job.link_selection {
            command.args(["-U", &leg.interface]);
        }
    }
    command.arg(job.server.to_string());
    // The last of its messages before it receives.
    run(command, "Socket/fallback")
}

/// Runs dnsmasq as a relay, one for each network of clients. It adds no option 82.
pub(super) fn dnsmasq(job: &RelayJob, legs: &[Leg], upstream: usize) -> io::Result<()> {
    let more = job.server_id_override || job.link_selection || job.vpn.is_some();
    refuse(job, "dnsmasq", more)?;
    let mut command = lasting("dnsmasq");
    command
        .args(["--keep-in-foreground", "--conf-file=/dev/null", "--port=0"])
        .args(["--user=root", "--group=root", "--bind-interfaces"])
        .args(["--pid-file=", "--log-facility=-", "--log-dhcp"]);
    for (number, leg) in legs.iter().enumerate() {
        command.arg(format!("--interface={}", leg.interface));
        if number != upstream {
            command.arg(format!("--dhcp-relay={},{}", leg.address, job.server));
        }
    }
    run(command, ": started")
}

/// Refuses what a program cannot do.
fn refuse(job: &RelayJob, program: &str, more: bool) -> io::Result<()> {
    match (job.flaw, more) {
        (None, false) => Ok(()),
        (Some(flaw), _) => Err(io::Error::other(format!(
            "unsupported flaw of {program}: {flaw:?}"
        ))),
        (None, true) => Err(io::Error::other(format!(
            "unsupported sub-options of option 82: {program} cannot send them"
        ))),
    }
}

/// Returns a command whose process ends with this one.
fn lasting(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", program]);
    command
}

/// Runs a program, passes its messages on, and reports the station ready at the message that contains `ready`.
fn run(mut command: Command, ready: &str) -> io::Result<()> {
    let mut child = command.stderr(Stdio::piped()).spawn()?;
    let lines = child.stderr.take().map(BufReader::new);
    let mut is_ready = false;
    for line in lines.into_iter().flat_map(BufRead::lines) {
        let line = line?;
        eprintln!("{line}");
        if !is_ready && line.contains(ready) {
            is_ready = true;
            say_up()?;
        }
    }
    let status = child.wait()?;
    Err(io::Error::other(format!("the relay has ended: {status}")))
}
