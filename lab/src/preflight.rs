//! Requirements of a run on the host, checked before the start.
//!
//! All missing requirements are reported at once, each with the command that installs it. The table of files and
//! packages is in `doctor`.

use lab_model::fault::{Injections, Role};
use lab_model::scenario::{DhcpService, Firmware, Scenario};

use crate::doctor::gather::what_runs_need;
use crate::doctor::{self, Finding, Host, Piece, State, programs};

/// Missing requirement and its remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingRequirement {
    /// Description of the problem.
    pub what: String,
    /// Command or advice that solves it.
    pub remedy: String,
}

/// Returns the missing requirements of these scenarios and their injected faults; empty if they can run.
#[must_use]
pub fn missing_requirements(
    wanted: &[(&Scenario, Firmware, &Injections)],
) -> Vec<MissingRequirement> {
    let mut host = what_runs_need();
    host.absent_programs = programs::absent(wanted.iter().map(|(scenario, ..)| *scenario));
    missing_on(&host, wanted)
}

/// Formats the missing requirements as an error message.
#[must_use]
pub fn told(missing_requirements: &[MissingRequirement]) -> String {
    let lines: Vec<String> = missing_requirements
        .iter()
        .map(|lack| format!("\n  {}\n    {}", lack.what, lack.remedy))
        .collect();
    format!(
        "missing requirements on this host:{}\n`lab doctor` checks everything, and ci/lab installs it on Debian and Ubuntu.",
        lines.concat()
    )
}

/// Returns the missing requirements on an already inspected host.
fn missing_on(
    host: &Host,
    wanted: &[(&Scenario, Firmware, &Injections)],
) -> Vec<MissingRequirement> {
    let pieces = needed(wanted).into_iter().filter_map(Piece::of);
    let mut findings: Vec<Finding> = pieces.map(|piece| piece.examine(host)).collect();
    if wanted.iter().any(|(_, firmware, _)| firmware.is_uefi()) {
        findings.push(doctor::uefi(host));
    }
    findings.push(doctor::tun(host));
    findings.push(doctor::open_files(host));
    findings.extend(doctor::user_namespaces(host));
    findings.extend(programs::examine(host));
    findings
        .into_iter()
        .filter(|finding| finding.state == State::Missing)
        .map(|finding| MissingRequirement {
            what: finding.what,
            remedy: finding.remedy.unwrap_or_default(),
        })
        .collect()
}

/// Returns the ids of the required files.
fn needed(wanted: &[(&Scenario, Firmware, &Injections)]) -> Vec<&'static str> {
    let mut needed = vec![
        "libvirtd",
        "qemu",
        "unshare",
        "newuidmap",
        "undionly.kpxe",
        "ipxe.efi",
        "pxelinux.0",
    ];
    let has_dnsmasq = |(scenario, _, injections): &(&Scenario, Firmware, &Injections)| {
        let stations = &injections.stations;
        matches!(
            scenario.services.dhcp,
            DhcpService::Libvirt | DhcpService::Dnsmasq
        ) || !scenario.network.names.is_empty()
            || stations
                .iter()
                .any(|station| matches!(station.role, Role::DhcpServer { .. }))
    };
    if wanted.iter().any(has_dnsmasq) {
        needed.push("dnsmasq");
    }
    if wanted
        .iter()
        .any(|(_, _, injections)| !injections.barriers.is_empty())
    {
        needed.push("iptables");
    }
    needed
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::path::Path;

    use lab_model::fault::{Barrier, Station};
    use lab_model::scenario::DataCheck;

    use super::*;

    #[test]
    fn what_a_fault_injects_is_needed_too() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/ipxe-chainload");
        let scenario = Scenario::load_with(&folder, DataCheck::Skip).unwrap();
        let pieces = |injections: &Injections| needed(&[(&scenario, Firmware::Bios, injections)]);
        let plain = pieces(&Injections::default());
        assert!(!plain.contains(&"dnsmasq") && !plain.contains(&"iptables"));
        assert!(plain.iter().all(|id| Piece::of(id).is_some()));
        let (first, last) = (Ipv4Addr::new(10, 0, 0, 8), Ipv4Addr::new(10, 0, 0, 9));
        let rogue = Station {
            address: Some(first),
            mac: None,
            role: Role::DhcpServer {
                first,
                last,
                boot_file: None,
                next_server: None,
            },
        };
        let barrier = Barrier {
            protocol: "tcp".into(),
            port: 80,
            tells: false,
        };
        let more = pieces(&Injections {
            stations: vec![rogue],
            barriers: vec![barrier],
            ..Injections::default()
        });
        assert!(more.contains(&"dnsmasq") && more.contains(&"iptables"));
    }

    #[test]
    fn a_bare_host_is_told_what_it_lacks_and_who_knows_more() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/proxy-dhcp");
        let scenario = Scenario::load_with(&folder, DataCheck::Skip).unwrap();
        let host = Host {
            os_release: "ID=debian\n".into(),
            ..Host::default()
        };
        let missing_requirements = missing_on(
            &host,
            &[(&scenario, Firmware::Uefi, &Injections::default())],
        );
        insta::assert_snapshot!(told(&missing_requirements));
    }
}
