//! Networks of a cell beside the first one, routes to them, and their routers.
//!
//! Each network is a bridge without an address, so that the host of the lab's services reaches it only through a
//! router. In libvirt it is a network that refers to the bridge.

use std::fs;
use std::io;
use std::net::Ipv4Addr;

use boot_server_proto::mac::MacAddr;
use ipnet::Ipv4Net;
use lab_model::fault::RouterChange;
use lab_model::scenario::{Network, Node, Router, Scenario};

use super::error::AttemptError;
use super::fault;
use super::link;
use super::message::Job;
use super::router_fault;
use super::switch;
use crate::hosts::attachment::{Plug, ip};
use crate::hosts::router::{Leg, RelayJob, RouterJob};
use crate::hypervisor::Hypervisor;
use crate::hypervisor::network::{self, NetworkSpec};

/// Returns the name of a network beside the first one, as a bridge and in libvirt; `None` for the first network,
/// and for a network that the scenario does not have.
#[must_use]
pub(super) fn further_name(
    scenario: &Scenario,
    network: Option<&str>,
    run_id: &str,
) -> Option<String> {
    let mut further = scenario.network.further().iter();
    let place = further.position(|one| one.name.is_some() && one.name.as_deref() == network)?;
    Some(format!("lab-{run_id}-n{}", place + 1))
}

/// Returns the name of the network from which a machine boots, if that is not the first one; the bridge at its own
/// port of the switch, if it tags its frames.
#[must_use]
pub(super) fn network_of(scenario: &Scenario, node: &Node, run_id: &str) -> Option<String> {
    let port = switch::bridge_of_card(scenario, node.mac, run_id);
    port.or_else(|| further_name(scenario, node.network(), run_id))
}

/// Returns the VLAN with which a machine tags its frames.
#[must_use]
pub(super) fn vlan_of(scenario: &Scenario, node: &Node) -> Option<u16> {
    let network = scenario.network_of(node);
    network.vlan.filter(|_| node.is_tagged())
}

/// Creates the networks beside the first one.
///
/// # Errors
/// [`AttemptError`] if a bridge cannot be created or libvirt refuses a network.
pub(super) async fn create_networks(
    job: &Job,
    scenario: &Scenario,
    first: &NetworkSpec,
    hypervisor: &Hypervisor,
) -> Result<(), AttemptError> {
    set_mtu(&scenario.network, &first.bridge).await?;
    for network in scenario.network.further() {
        let Some(name) = further_name(scenario, network.name.as_deref(), &job.run_id) else {
            continue;
        };
        link::add_bridge(&name).await?;
        set_mtu(network, &name).await?;
        let xml = network::render_bridge(&name, &name, &first.mark);
        let nets = job.artifacts.join("nets");
        fs::write(nets.join(format!("{}.xml", network.title())), &xml)?;
        hypervisor.create_network(xml).await?;
    }
    Ok(())
}

async fn set_mtu(network: &Network, bridge: &str) -> io::Result<()> {
    match network.mtu {
        Some(mtu) => ip(&["link", "set", bridge, "mtu", &mtu.to_string()]).await,
        None => Ok(()),
    }
}

/// Starts the routers, and adds the routes to the other networks for the host of the lab's services. In the first
/// network, the routers are on the machines' side of an impaired link.
///
/// # Errors
/// [`AttemptError`] if a router does not start.
pub(super) async fn start_routers(
    job: &Job,
    scenario: &Scenario,
    first: &NetworkSpec,
    machines: &Plug,
) -> Result<(), AttemptError> {
    for (number, router) in scenario.routers.iter().enumerate() {
        let router_job = router_job(scenario, router, machines.bridge(), &job.run_id);
        let change = match number {
            0 => job.injections.router,
            _ => RouterChange::default(),
        };
        for (name, router_job) in router_fault::changed(&router.name, router_job, change) {
            let failed = |source| AttemptError::Router {
                name: name.clone(),
                source,
            };
            let folder = job.artifacts.join(&name);
            fs::create_dir_all(&folder)?;
            let log = folder.join("stderr.log");
            let plugged = machines.start_router(router_job.clone(), &log).await;
            let plugged = plugged.map_err(failed)?;
            let cut = router_fault::cut(&router_job, &plugged, first.host, change).await;
            cut.map_err(failed)?;
            fault::watch(name, plugged);
        }
    }
    for (subnet, hop) in scenario.routes_from(&scenario.network) {
        let (subnet, hop) = (subnet.to_string(), hop.to_string());
        let route = [
            "route",
            "replace",
            &subnet,
            "via",
            &hop,
            "dev",
            &first.bridge,
        ];
        ip(&route).await?;
    }
    Ok(())
}

fn router_job(scenario: &Scenario, router: &Router, first_bridge: &str, run_id: &str) -> RouterJob {
    let joined = router.joins.iter().filter_map(|name| {
        let network = scenario.network.named(Some(name))?;
        Some((network, router.address_in(name)?))
    });
    let leg = |(network, address): (&Network, Ipv4Addr)| {
        let [a, b, c, d] = address.octets();
        let name = further_name(scenario, network.name.as_deref(), run_id);
        Leg {
            network: network.title().to_owned(),
            bridge: name.unwrap_or_else(|| first_bridge.to_owned()),
            interface: String::new(),
            // Locally administered; the same in each run, so that captures can be compared.
            mac: MacAddr([2, 0x5f, a, b, c, d]),
            address,
            prefix: network.subnet.prefix_len(),
            mtu: network.mtu,
            // In the first network, the boot server advertises.
            advertises: network.subnet != scenario.network.subnet,
        }
    };
    let own: Vec<_> = joined.collect();
    let mut routes: Vec<(Ipv4Net, Ipv4Addr)> = Vec::new();
    for (network, address) in &own {
        for (subnet, hop) in scenario.routes_from(network) {
            let is_own = own.iter().any(|(joined, _)| joined.subnet == subnet);
            let is_known = routes.iter().any(|(known, _)| *known == subnet);
            if hop != *address && !is_own && !is_known {
                routes.push((subnet, hop));
            }
        }
    }
    RouterJob {
        legs: own.into_iter().map(leg).collect(),
        trunk: switch::trunk_of(scenario, router, run_id),
        routes,
        blocked: router.blocked.clone(),
        relay: router.relay_to.map(|server| RelayJob {
            program: router.relay,
            server,
            link_selection: router.link_selection,
            server_id_override: router.server_id_override,
            vpn: router.vpn.clone(),
            flaw: None,
        }),
        outside: router.outside.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use lab_model::scenario::DataCheck;

    use super::*;

    fn two_racks() -> Scenario {
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/topologies/two-racks");
        Scenario::load_with(&folder, DataCheck::Skip).unwrap()
    }

    #[test]
    fn further_name_fits_an_interface_and_is_none_for_the_first_network() {
        let scenario = two_racks();
        let name = |network| further_name(&scenario, network, "4f2a11");
        assert_eq!(name(Some("rack2")).as_deref(), Some("lab-4f2a11-n2"));
        assert_eq!(name(Some("servers")), None);
        assert_eq!(name(None), None);
        assert!(name(Some("rack2")).unwrap().len() <= 15);
    }

    #[test]
    fn router_job_has_a_leg_on_the_bridge_of_each_network_and_the_relay() {
        let scenario = two_racks();
        let job = router_job(&scenario, &scenario.routers[0], "lab-4f2a11-br", "4f2a11");
        let legs: Vec<String> = job
            .legs
            .iter()
            .map(|leg| {
                format!(
                    "{} {} {}/{}",
                    leg.network, leg.bridge, leg.address, leg.prefix
                )
            })
            .collect();
        assert_eq!(
            legs,
            [
                "servers lab-4f2a11-br 10.20.0.254/24",
                "rack1 lab-4f2a11-n1 10.20.1.1/24"
            ]
        );
        assert_eq!(job.relay.unwrap().server, scenario.network.host());
    }
}
