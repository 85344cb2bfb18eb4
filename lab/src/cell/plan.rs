//! Configuration for a scenario: its libvirt network and its boot servers. Pure.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use boot_server::config::{
    BootConfig, Config, DhcpConfig, HttpConfig, PixiecoreConfig, PoolConfig, ProxyDhcpConfig,
    RawOptions, Reservation, TftpConfig,
};
use boot_server::policy::SHIM;
use lab_model::evidence::saved::CAPTURES_FOLDER;
use lab_model::scenario::{
    DhcpService, EfiLoader, Network, Node, PixiecoreService, ProxyDhcpService, Router, Scenario,
};

use super::https;
use super::message::Job;
use super::sandbox::cell_dir;
use super::topology;
use crate::capture::{CaptureSpec, PcapMode};
use crate::hypervisor::mark::RunMark;
use crate::hypervisor::network::{NamedMachine, NetworkSpec};

/// Lease time of machines in seconds: longer than any attempt.
const LEASE_SECONDS: u32 = 3600;

/// Boot server process of the cell.
#[derive(Debug, Clone, PartialEq)]
pub struct BootServerPlan {
    /// Name of the service and its artifacts folder.
    pub name: &'static str,
    pub config: Config,
}

/// Name of a scenario's network in its artifacts; in libvirt it is prefixed with the run id.
pub const NETWORK: &str = "net";

/// Returns the parameters of the captures, one for each network, by the network's name in artifacts; none if
/// nothing is captured.
#[must_use]
pub fn captures(
    scenario: &Scenario,
    network: &NetworkSpec,
    job: &Job,
) -> Vec<(String, CaptureSpec)> {
    if job.depth.pcap == PcapMode::Off {
        return Vec::new();
    }
    let capture = |one: &Network| {
        let name = capture_name(scenario, one);
        let spec = CaptureSpec {
            interface: bridge_of(scenario, one, &job.run_id),
            file: job
                .artifacts
                .join(CAPTURES_FOLDER)
                .join(format!("{name}.pcapng")),
            extent: job.depth.pcap,
            title: format!(
                "scenario {} on {}, run {}, network {}",
                scenario.name,
                job.firmware,
                job.run_id,
                one.title()
            ),
            host: network.host,
            subnet: one.subnet,
            nodes: scenario
                .nodes
                .iter()
                .map(|node| (node.name.clone(), node.mac))
                .collect(),
        };
        (name.to_owned(), spec)
    };
    scenario.network.iter().map(capture).collect()
}

/// Returns the name of a network's capture, without its extension.
#[must_use]
pub fn capture_name<'n>(scenario: &Scenario, one: &'n Network) -> &'n str {
    match one.subnet == scenario.network.subnet {
        true => NETWORK,
        false => one.title(),
    }
}

/// Returns the name of a network's bridge.
#[must_use]
pub fn bridge_of(scenario: &Scenario, one: &Network, run_id: &str) -> String {
    let further = topology::further_name(scenario, one.name.as_deref(), run_id);
    further.unwrap_or_else(|| network(scenario, run_id).bridge)
}

/// Returns the scenario's network, with names that contain the run id.
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
        // With a user's dnsmasq, DNS is left to dnsmasq.
        names: match scenario.services.dhcp {
            DhcpService::Dnsmasq => Vec::new(),
            _ => scenario.network.names.clone(),
        },
        dhcp: (scenario.services.dhcp == DhcpService::Libvirt).then(|| scenario.pool()),
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

/// Returns the machines with a DHCP host name, each with an address from the end of the pool.
fn named_machines(scenario: &Scenario) -> impl Iterator<Item = (&Node, &str, Ipv4Addr)> {
    let (_, last) = scenario.pool();
    let addresses = (0..=u32::from(last)).rev().map(Ipv4Addr::from);
    let named = scenario
        .nodes
        .iter()
        .filter_map(|node| Some((node, node.dhcp_hostname.as_deref()?)));
    named
        .zip(addresses)
        .map(|((node, name), address)| (node, name, address))
}

/// Returns the boot servers of a scenario in the order of their start.
///
/// With Pixiecore, the boot config service is a separate process, as in real deployments, so that the API is
/// used over HTTP.
///
/// `site` is a user's configuration: it is used unchanged except for listen addresses, data folders, and files
/// written on the host.
#[must_use]
pub fn boot_servers(
    scenario: &Scenario,
    bridge: &str,
    assets: &Path,
    site: Option<&Config>,
) -> Vec<BootServerPlan> {
    let host = scenario.network.host();
    let services = &scenario.services;
    let identity = services.https.map(|_| https::identity(&cell_dir()));
    let http = HttpConfig {
        listen: SocketAddr::from((host, scenario.network.http_port)),
        data: scenario.data_dir(),
        assets: Some(assets.to_path_buf()),
        ignition: site
            .and_then(|site| site.http.as_ref())
            .and_then(|http| http.ignition),
        tls_certificate: identity.as_ref().map(|own| own.certificate.clone()),
        tls_key: identity.map(|own| own.key),
        ..HttpConfig::default()
    };
    if !scenario.has_own_config() {
        return Vec::new();
    }
    if services.dhcp == DhcpService::Dnsmasq || !scenario.has_own_boot_options() {
        // Addresses, boot options and files are left to dnsmasq.
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
            rpc: None,
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
            efi_x64_nbp: match scenario.boot.efi {
                EfiLoader::Shim => SHIM.into(),
                EfiLoader::Ipxe => BootConfig::default().efi_x64_nbp,
            },
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

/// Returns the command line of the scenario's dnsmasq, if it has one.
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

/// Returns the URL prefix of Pixiecore's API.
#[must_use]
pub fn pixiecore_api(network: &Network) -> String {
    format!("http://{}:{}/pixiecore", network.host(), network.http_port)
}

/// Returns the image's folder below the assets, as in CoreOS's guides.
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
    let (first, last) = scenario.pool();
    DhcpConfig {
        router: Some(scenario.way_out().unwrap_or(host)),
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
        pools: relayed_pools(scenario, host),
        // The cell's network has no strangers, so probing addresses would only cost time.
        probe_ms: 0,
        ..DhcpConfig::new(scenario.network.subnet, first, last)
    }
}

/// Returns the pools of the networks whose requests are relayed to the host.
fn relayed_pools(scenario: &Scenario, host: Ipv4Addr) -> Vec<PoolConfig> {
    let relayed = scenario.relayed_to(host).into_iter();
    let pool = |(network, relay): (&Network, Ipv4Addr)| {
        let (first, last) = scenario.pool_of(network);
        let is_leg = |router: &&Router| router.address_in(network.title()) == Some(relay);
        let router = scenario.routers.iter().find(is_leg);
        let vpn = router.and_then(|router| router.vpn.as_ref());
        PoolConfig {
            subnet: network.subnet,
            first,
            last,
            router: Some(relay),
            dns: Vec::new(),
            domain: None,
            ntp: Vec::new(),
            mtu: network.mtu,
            lease_seconds: LEASE_SECONDS,
            options: RawOptions::new(),
            vpn: vpn.map(ToString::to_string),
        }
    };
    relayed.map(pool).collect()
}
