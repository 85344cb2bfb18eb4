//! `--connect`: checks whether a scenario can use the host's own libvirt without conflicts.

use std::net::Ipv4Addr;
use std::process::Command;

use ipnet::Ipv4Net;
use lab_model::results::Unit;
use lab_report::exit_code::ExitCode;
use thiserror::Error;

use crate::cell::plan;
use crate::cli::error::{CliError, refuse};

/// libvirt on which no cell can be set up.
#[derive(Debug, PartialEq, Eq, Error)]
enum UriError {
    #[error("invalid URI (example: `qemu:///system`)")]
    Invalid,
    #[error("unsupported: a session libvirt has no networks; use `qemu:///system`")]
    Session,
    #[error(
        "unsupported transport: the boot server must be on the machines' own network, which only `qemu+ssh://` allows, \
         for `lab run` and `lab up`; otherwise log in to that host and run `lab` there with `--connect qemu:///system`"
    )]
    Transport,
    #[error("missing transport for a host name; use `qemu:///system` or `qemu+ssh://HOST/system`")]
    NoTransport,
    #[error("unsupported driver: `{0}`; use `qemu:///system`")]
    Driver(String),
}

/// Refuses conflicts before anything is created.
pub(super) fn check(uri: &str, units: &[Unit]) -> Result<(), CliError> {
    let refused = |code, why: String| Err(refuse(code, format!("--connect {uri}: {why}")));
    if let Err(error) = is_possible(uri) {
        return refused(ExitCode::InvalidInput, error.to_string());
    }
    if !rustix::process::geteuid().is_root() {
        let why =
            "root privileges required: the boot server listens on ports 67 and 69 of this host";
        return refused(ExitCode::HostUnsupported, why.into());
    }
    let output = Command::new("ip")
        .args(["-4", "-oneline", "address", "show"])
        .output()
        .map_err(|error| refuse(ExitCode::Internal, format!("ip: {error}")))?;
    let networks = networks(&String::from_utf8_lossy(&output.stdout));
    for unit in units {
        let network = plan::network(&unit.scenario, "");
        if let Some((interface, taken)) = collision(network.subnet, &networks) {
            let why = format!(
                "subnet conflict: {} uses {}, and this host's {interface} is in {taken}; choose \
                 another `subnet`",
                unit.scenario.name, network.subnet
            );
            return refused(ExitCode::HostUnsupported, why);
        }
    }
    Ok(())
}

/// Checks that machines can be created on this libvirt.
fn is_possible(uri: &str) -> Result<(), UriError> {
    let (driver, rest) = uri.split_once("://").ok_or(UriError::Invalid)?;
    match driver.split_once('+') {
        _ if rest.ends_with("/session") => Err(UriError::Session),
        None if driver == "qemu" && rest.starts_with('/') => Ok(()),
        Some(("qemu", "unix")) => Ok(()),
        Some(("qemu", _)) => Err(UriError::Transport),
        None if driver == "qemu" => Err(UriError::NoTransport),
        _ => Err(UriError::Driver(driver.to_owned())),
    }
}

/// Parses interfaces and their networks from the output of `ip -oneline address`.
fn networks(said: &str) -> Vec<(String, Ipv4Net)> {
    let parse = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = words.iter().position(|word| *word == "inet")?;
        let network = words.get(at + 1)?.parse::<Ipv4Net>().ok()?;
        Some(((*words.get(1)?).to_owned(), network.trunc()))
    };
    said.lines().filter_map(parse).collect()
}

/// Returns the interface whose network overlaps the subnet.
fn collision(subnet: Ipv4Net, networks: &[(String, Ipv4Net)]) -> Option<&(String, Ipv4Net)> {
    let is_in = |net: &Ipv4Net, address: Ipv4Addr| net.contains(&address);
    networks
        .iter()
        .find(|(_, taken)| is_in(taken, subnet.addr()) || is_in(&subnet, taken.addr()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_can_only_be_put_on_a_qemu_of_this_host() {
        for good in [
            "qemu:///system",
            "qemu+unix:///system?socket=/run/x",
            "qemu:///embed?root=/x",
        ] {
            assert_eq!(is_possible(good), Ok(()), "{good}");
        }
        let error = |uri: &str| is_possible(uri).unwrap_err();
        assert_eq!(error("qemu:///session"), UriError::Session);
        assert_eq!(error("qemu+tls://host/system"), UriError::Transport);
        assert_eq!(error("test:///default"), UriError::Driver("test".into()));
        assert_eq!(error("system"), UriError::Invalid);
        assert_eq!(error("qemu://host/system"), UriError::NoTransport);
    }

    #[test]
    fn a_subnet_that_the_host_is_in_is_taken() {
        let said = "1: lo    inet 127.0.0.1/8 scope host lo\n\
                    2: eth0    inet 10.1.2.3/16 brd 10.1.255.255 scope global eth0\n\
                    3: wg0    inet 192.168.92.7/32 scope global wg0\n";
        let networks = networks(said);
        assert_eq!(networks.len(), 3);
        let hit = |subnet: &str| {
            collision(subnet.parse().unwrap(), &networks).map(|(name, _)| name.as_str())
        };
        assert_eq!(hit("10.1.9.0/24"), Some("eth0"));
        assert_eq!(hit("10.0.0.0/8"), Some("eth0"));
        assert_eq!(hit("192.168.92.0/24"), Some("wg0"));
        assert_eq!(hit("192.168.93.0/24"), None);
    }
}
