//! What a run needs of the host, looked for before anything is started.
//!
//! Each thing that is missing is told with the command that brings it, all at once. What is where, and what
//! brings it, is `doctor`'s to know.

use crate::doctor::gather::what_runs_need;
use crate::doctor::{self, Finding, Host, Piece, State};
use crate::fault::{Injections, Role};
use crate::scenario::{DhcpService, Firmware, Scenario};

/// Something missing and what would bring it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// What is missing.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

/// Looks for all that these scenarios, with what is injected into each, need; an empty answer means that they
/// can be run.
#[must_use]
pub fn lacks(wanted: &[(&Scenario, Firmware, &Injections)]) -> Vec<Lack> {
    lacks_of(&what_runs_need(), wanted)
}

/// What is missing, for whoever wanted a run.
#[must_use]
pub fn told(lacks: &[Lack]) -> String {
    let lines: Vec<String> = lacks
        .iter()
        .map(|lack| format!("\n  {}\n    {}", lack.what, lack.remedy))
        .collect();
    format!(
        "this host is not ready:{}\n`lab doctor` looks at all of it, and ci/lab installs it on Debian and Ubuntu.",
        lines.concat()
    )
}

/// The same of a host that was asked already.
fn lacks_of(host: &Host, wanted: &[(&Scenario, Firmware, &Injections)]) -> Vec<Lack> {
    let pieces = needed(wanted).into_iter().filter_map(Piece::of);
    let mut findings: Vec<Finding> = pieces.map(|piece| piece.examine(host)).collect();
    if wanted.iter().any(|(_, firmware, _)| firmware.is_uefi()) {
        findings.push(doctor::uefi(host));
    }
    findings.push(doctor::tun(host));
    findings.push(doctor::open_files(host));
    findings.extend(doctor::user_namespaces(host));
    findings
        .into_iter()
        .filter(|finding| finding.state == State::Missing)
        .map(|finding| Lack {
            what: finding.what,
            remedy: finding.remedy.unwrap_or_default(),
        })
        .collect()
}

/// Names of the pieces that have to be there.
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

    use super::*;
    use crate::fault::{Barrier, Station};
    use crate::scenario::DataCheck;

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
            role: Role::DhcpServer { first, last },
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
        let lacks = lacks_of(
            &host,
            &[(&scenario, Firmware::Uefi, &Injections::default())],
        );
        insta::assert_snapshot!(told(&lacks));
    }
}
