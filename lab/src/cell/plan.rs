//! What a scenario asks for, as configuration: its libvirt network and its boot servers. Pure.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use boot_server::config::{
    BootConfig, Config, DhcpConfig, HttpConfig, PixiecoreConfig, ProxyDhcpConfig, TftpConfig,
};

use super::message::Job;
use crate::evidence::capture::{CaptureSpec, Extent};
use crate::evidence::saved::CAPTURES_FOLDER;
use crate::hypervisor::network::NetworkSpec;
use crate::scenario::{DhcpService, PixiecoreService, ProxyDhcpService, Scenario};

/// Port of the boot config service, bootcfg's own default.
pub const HTTP_PORT: u16 = 8080;

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
        bridge: format!("lab-{run_id}-br"),
        subnet: scenario.network.subnet,
        host: scenario.network.host(),
        dhcp: (scenario.services.dhcp == DhcpService::Libvirt).then(|| scenario.network.pool()),
    }
}

/// The boot servers of a scenario, in the order in which they are started.
///
/// In a Pixiecore scenario the boot config service is a process of its own, as it is where people run
/// Pixiecore, so that the API really is asked over HTTP.
#[must_use]
pub fn boot_servers(scenario: &Scenario, bridge: &str, assets: &Path) -> Vec<BootServerPlan> {
    let host = scenario.network.host();
    let services = &scenario.services;
    let http = HttpConfig {
        listen: SocketAddr::from((host, HTTP_PORT)),
        data: scenario.data_dir(),
        assets: Some(assets.to_path_buf()),
        ..HttpConfig::default()
    };
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
                        api: pixiecore_api(host),
                        ..PixiecoreConfig::default()
                    }),
                    ..on_the_wire
                },
            },
        ],
        PixiecoreService::Command(_) => vec![config_service(http)],
    }
}

/// The URL prefix under which Pixiecore asks.
#[must_use]
pub fn pixiecore_api(host: Ipv4Addr) -> String {
    format!("http://{host}:{HTTP_PORT}/pixiecore")
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
        lease_seconds: LEASE_SECONDS,
        // The cell's network has no strangers: nobody waits for an address to be looked for.
        probe_ms: 0,
        ..DhcpConfig::new(scenario.network.subnet, first, last)
    }
}
