//! What a scenario asks for, as configuration: its libvirt network and its boot servers. Pure.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use boot_server::config::{
    BootConfig, Config, DhcpConfig, HttpConfig, PixiecoreConfig, ProxyDhcpConfig, RawOptions,
    Reservation, TftpConfig,
};

use super::message::Job;
use super::sandbox::cell_dir;
use crate::evidence::capture::{CaptureSpec, Extent};
use crate::evidence::saved::CAPTURES_FOLDER;
use crate::hypervisor::mark::RunMark;
use crate::hypervisor::network::{NamedMachine, NetworkSpec};
use crate::scenario::{DhcpService, Network, Node, PixiecoreService, ProxyDhcpService, Scenario};

/// Lease time that machines are given, in seconds: longer than any attempt.
const LEASE_SECONDS: u32 = 3600;

/// A boot server process of the cell.
#[derive(Debug, Clone, PartialEq)]
pub struct BootServerPlan {
    /// Its name, also of its artifacts folder.
    pub name: &'static str,
    /// Its configuration.
    pub config: Config,
}

/// Name of a scenario's network in its artifacts; in libvirt the run's id stands before it.
pub const NETWORK: &str = "net";

/// What is captured of the scenario's network; `None` for nothing.
#[must_use]
pub fn capture(scenario: &Scenario, network: &NetworkSpec, job: &Job) -> Option<CaptureSpec> {
    (job.depth.pcap != Extent::Off).then(|| CaptureSpec {
        interface: network.bridge.clone(),
        file: job
            .artifacts
            .join(CAPTURES_FOLDER)
            .join(format!("{NETWORK}.pcapng")),
        extent: job.depth.pcap,
        title: format!(
            "scenario {} on {}, run {}",
            scenario.name, job.firmware, job.run_id
        ),
        host: network.host,
        subnet: network.subnet,
        nodes: scenario
            .nodes
            .iter()
            .map(|node| (node.name.clone(), node.mac))
            .collect(),
    })
}

/// The scenario's network, with names that carry the run id.
#[must_use]
pub fn network(scenario: &Scenario, run_id: &str) -> NetworkSpec {
    NetworkSpec {
        name: format!("lab-{run_id}-{NETWORK}"),
        bridge: match &scenario.network.interface {
            Some(name) => name.clone(),
            None => format!("lab-{run_id}-br"),
        },
        subnet: scenario.network.subnet,
        host: scenario.network.host(),
        // Where a dnsmasq of the user's own is, it answers DNS, if anybody does.
        names: match scenario.services.dhcp {
            DhcpService::Dnsmasq => Vec::new(),
            _ => scenario.network.names.clone(),
        },
        dhcp: (scenario.services.dhcp == DhcpService::Libvirt).then(|| scenario.network.pool()),
        machines: named_machines(scenario)
            .map(|(node, name, address)| NamedMachine {
                mac: node.mac.to_string(),
                name: name.to_owned(),
                address,
            })
            .collect(),
        mark: RunMark {
            run_id: run_id.to_owned(),
            host_id: None,
        },
    }
}

/// The machines that DHCP tells their names, each with an address from the end of the pool.
fn named_machines(scenario: &Scenario) -> impl Iterator<Item = (&Node, &str, Ipv4Addr)> {
    let (_, last) = scenario.network.pool();
    let addresses = (0..=u32::from(last)).rev().map(Ipv4Addr::from);
    let named = scenario
        .nodes
        .iter()
        .filter_map(|node| Some((node, node.dhcp_hostname.as_deref()?)));
    named
        .zip(addresses)
        .map(|((node, name), address)| (node, name, address))
}

/// The boot servers of a scenario, in the order in which they are started.
///
/// In a Pixiecore scenario the boot config service is a process of its own, as it is where people run
/// Pixiecore, so that the API really is asked over HTTP.
///
/// `site` is a configuration of the user's own: it stays as it is, but for where the server listens, what it
/// serves, and what it would write on the host.
#[must_use]
pub fn boot_servers(
    scenario: &Scenario,
    bridge: &str,
    assets: &Path,
    site: Option<&Config>,
) -> Vec<BootServerPlan> {
    let host = scenario.network.host();
    let services = &scenario.services;
    let http = HttpConfig {
        listen: SocketAddr::from((host, scenario.network.http_port)),
        data: scenario.data_dir(),
        assets: Some(assets.to_path_buf()),
        ..HttpConfig::default()
    };
    if services.dhcp == DhcpService::Dnsmasq {
        // Addresses, boot options and files are its business.
        return vec![config_service(http)];
    }
    if let Some(site) = site {
        let here = Config {
            interface: Some(bridge.to_owned()),
            address: Some(host),
            dhcp: site.dhcp.clone().map(|dhcp| DhcpConfig {
                lease_file: None,
                ..dhcp
            }),
            http: Some(http),
            events: None,
            user: None,
            metrics: None,
            ..site.clone()
        };
        return vec![BootServerPlan {
            name: "server",
            config: here,
        }];
    }
    let on_the_wire = Config {
        interface: Some(bridge.to_owned()),
        address: Some(host),
        dhcp: (services.dhcp == DhcpService::BootServer).then(|| dhcp(scenario, host)),
        proxy_dhcp: (services.proxy_dhcp == ProxyDhcpService::BootServer)
            .then(ProxyDhcpConfig::default),
        pixiecore: None,
        boot: BootConfig {
            bios: scenario.boot.bios,
            chainload_ipxe: scenario.boot.chainload_ipxe,
            ..BootConfig::default()
        },
        tftp: Some(TftpConfig::default()),
        http: None,
        router_advertisement: true,
        ..Config::default()
    };
    match &services.pixiecore {
        PixiecoreService::None => vec![BootServerPlan {
            name: "server",
            config: Config {
                http: Some(http),
                ..on_the_wire
            },
        }],
        PixiecoreService::BootServer => vec![
            config_service(http),
            BootServerPlan {
                name: "server",
                config: Config {
                    pixiecore: Some(PixiecoreConfig {
                        api: pixiecore_api(&scenario.network),
                        ..PixiecoreConfig::default()
                    }),
                    ..on_the_wire
                },
            },
        ],
        PixiecoreService::Command(_) => vec![config_service(http)],
    }
}

/// The command line of the scenario's dnsmasq, if it has one.
#[must_use]
pub fn dnsmasq(scenario: &Scenario) -> Option<Vec<String>> {
    let conf = scenario.services.dnsmasq_conf.as_ref()?;
    let host = scenario.network.host();
    let mut command: Vec<String> = [
        "/usr/sbin/dnsmasq",
        "--keep-in-foreground",
        "--log-facility=-",
        "--log-dhcp",
        "--user=root",
        "--pid-file=",
    ]
    .map(str::to_owned)
    .into();
    command.push(format!("--conf-file={}", conf.display()));
    let leases = cell_dir().join("dnsmasq.leases");
    command.push(format!("--dhcp-leasefile={}", leases.display()));
    let names = scenario.network.names.iter();
    command.extend(names.map(|name| format!("--address=/{name}/{host}")));
    Some(command)
}

/// The URL prefix under which Pixiecore asks.
#[must_use]
pub fn pixiecore_api(network: &Network) -> String {
    format!("http://{}:{}/pixiecore", network.host(), network.http_port)
}

/// The image's folder below the assets, as CoreOS's guides lay it out.
#[must_use]
pub fn image_folder(assets: &Path) -> PathBuf {
    assets.join("coreos/current")
}

fn config_service(http: HttpConfig) -> BootServerPlan {
    BootServerPlan {
        name: "config-service",
        config: Config {
            http: Some(http),
            ..Config::default()
        },
    }
}

fn dhcp(scenario: &Scenario, host: Ipv4Addr) -> DhcpConfig {
    let (first, last) = scenario.network.pool();
    DhcpConfig {
        router: Some(host),
        dns: match scenario.network.names.is_empty() {
            true => Vec::new(),
            false => vec![host],
        },
        reservations: named_machines(scenario)
            .map(|(node, name, address)| Reservation {
                mac: Some(node.mac.to_string()),
                uuid: None,
                client_id: None,
                address,
                hostname: Some(name.to_owned()),
                options: RawOptions::new(),
            })
            .collect(),
        lease_seconds: LEASE_SECONDS,
        // The cell's network has no strangers: nobody waits for an address to be looked for.
        probe_ms: 0,
        ..DhcpConfig::new(scenario.network.subnet, first, last)
    }
}
