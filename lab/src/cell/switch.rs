//! The cell's VLAN switch: an access port to the bridge of each network with a VLAN, and a trunk to each host that
//! tags its frames itself.
//!
//! A trunk is a bridge of its own, so that its host is attached as any other. Without trunks there is no switch: hosts
//! of one network share its bridge, and nothing else needs frames of the network.

use std::io;

use boot_server_proto::mac::MacAddr;
use lab_model::fault::SwitchChange;
use lab_model::scenario::{Network, Router, Scenario};
use tokio::sync::mpsc;

use super::error::AttemptError;
use super::link;
use super::message::Job;
use super::services::ServiceEvent;
use super::topology::further_name;
use crate::hosts::attachment::ip;
use crate::hosts::switch::{Port, PortMode, Trunk, tap};
use crate::hosts::trunk::TrunkJob;
use crate::hypervisor::Hypervisor;
use crate::hypervisor::network::{self, NetworkSpec};

/// Trunk of the switch.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TrunkPort {
    /// Name of the router or machine.
    name: String,
    /// MAC of the machine's card; `None` for a router.
    card: Option<MacAddr>,
    bridge: String,
    vlans: Vec<u16>,
    native: Option<u16>,
    mtu: Option<u16>,
}

/// Returns the trunks of a scenario, routers first.
fn trunks(scenario: &Scenario, run_id: &str) -> Vec<TrunkPort> {
    let routers = scenario.routers.iter().filter(|router| router.trunk);
    let routers = routers.map(|router| {
        let joined = || {
            let names = router.joins.iter();
            names.filter_map(|name| scenario.network.named(Some(name)))
        };
        TrunkPort {
            name: router.name.clone(),
            card: None,
            bridge: String::new(),
            vlans: joined().filter_map(|network| network.vlan).collect(),
            native: native(scenario, router),
            mtu: joined().filter_map(|network| network.mtu).max(),
        }
    });
    let nodes = scenario.nodes.iter().flat_map(|node| {
        let tagged = node.nics.iter().filter(|nic| nic.tagged);
        tagged.filter_map(|nic| {
            let network = scenario.network.named(nic.network.as_deref())?;
            Some(TrunkPort {
                name: node.name.clone(),
                card: Some(nic.mac),
                bridge: String::new(),
                vlans: vec![network.vlan?],
                native: None,
                mtu: network.mtu,
            })
        })
    });
    let numbered = routers.chain(nodes).zip(1..);
    numbered
        .map(|(port, number)| TrunkPort {
            bridge: format!("lab-{run_id}-k{number}"),
            ..port
        })
        .collect()
}

fn native(scenario: &Scenario, router: &Router) -> Option<u16> {
    let name = router.native.as_deref()?;
    scenario.network.named(Some(name))?.vlan
}

/// True if the scenario needs a switch.
#[must_use]
pub(super) fn is_needed(scenario: &Scenario) -> bool {
    !trunks(scenario, "").is_empty()
}

/// Returns the trunk of a router, if it has one.
#[must_use]
pub(super) fn trunk_of(scenario: &Scenario, router: &Router, run_id: &str) -> Option<TrunkJob> {
    let mut trunks = trunks(scenario, run_id).into_iter();
    let is_own = |port: &TrunkPort| port.card.is_none() && port.name == router.name;
    let port = trunks.find(is_own)?;
    Some(TrunkJob {
        bridge: port.bridge,
        interface: String::new(),
        vlans: port.vlans,
        native: port.native,
        mtu: port.mtu,
    })
}

/// Returns the bridge at the port of a card that tags its frames, which is also the card's network in libvirt.
#[must_use]
pub(super) fn bridge_of_card(scenario: &Scenario, mac: MacAddr, run_id: &str) -> Option<String> {
    let mut trunks = trunks(scenario, run_id).into_iter();
    let port = trunks.find(|port| port.card == Some(mac))?;
    Some(port.bridge)
}

/// Creates the bridges of the trunks.
///
/// # Errors
/// [`AttemptError`] if a bridge cannot be created or libvirt refuses a network.
pub(super) async fn create_trunks(
    job: &Job,
    scenario: &Scenario,
    first: &NetworkSpec,
    hypervisor: &Hypervisor,
) -> Result<(), AttemptError> {
    for port in trunks(scenario, &job.run_id) {
        link::add_bridge(&port.bridge).await?;
        // The bridge itself has nothing to send.
        ip(&["link", "set", &port.bridge, "addrgenmode", "none"]).await?;
        if port.card.is_some() {
            let xml = network::render_bridge(&port.bridge, &port.bridge, &first.mark);
            hypervisor.create_network(xml).await?;
        }
    }
    Ok(())
}

/// Starts the switch, if the scenario needs one. Its ports in the first network are on `first_bridge`. Refused frames
/// are sent to `told`.
///
/// # Errors
/// Fails if a port cannot be created.
pub(super) async fn start(
    job: &Job,
    scenario: &Scenario,
    first_bridge: &str,
    told: &mpsc::UnboundedSender<ServiceEvent>,
) -> io::Result<()> {
    let trunks = trunks(scenario, &job.run_id);
    if trunks.is_empty() {
        return Ok(());
    }
    let access = scenario.network.iter().filter_map(|network: &Network| {
        let further = further_name(scenario, network.name.as_deref(), &job.run_id);
        let bridge = further.unwrap_or_else(|| first_bridge.to_owned());
        let port = Port {
            name: network.title().to_owned(),
            mode: PortMode::Access(network.vlan?),
        };
        Some((port, bridge, network.mtu))
    });
    let change = &job.injections.switch;
    let trunks = trunks.into_iter().enumerate().map(|(number, port)| {
        let is_changed = match &change.port {
            Some(name) => port.name == *name,
            None => number == 0,
        };
        let mut trunk = Trunk::of(port.vlans, port.native);
        if is_changed {
            apply(change, &mut trunk);
        }
        let mode = PortMode::Trunk(trunk);
        let name = port.name;
        (Port { name, mode }, port.bridge, port.mtu)
    });
    let mut ports = Vec::new();
    for ((port, bridge, mtu), number) in access.chain(trunks).zip(1..) {
        let name = format!("lab-{}-v{number}", job.run_id);
        let tap = tap::create(&name)?;
        let mtu = mtu.unwrap_or(1500).to_string();
        // Without an address of its own, the tap sends nothing unasked.
        let options = ["mtu", &mtu, "addrgenmode", "none", "master", &bridge, "up"];
        ip(&[&["link", "set", &*name][..], &options[..]].concat()).await?;
        ports.push((port, tap));
    }
    let told = told.clone();
    tap::start(ports, move |refused| {
        // The receiver is gone once the attempt is over.
        let _ = told.send(ServiceEvent::Refused(refused));
    });
    Ok(())
}

fn apply(change: &SwitchChange, trunk: &mut Trunk) {
    for vlan in &change.without {
        trunk.allowed.remove(vlan);
    }
    trunk.native = change.native.or(trunk.native);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use lab_model::scenario::DataCheck;

    use super::*;

    fn trunk() -> Scenario {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/topologies/trunk");
        Scenario::load_with(&folder, DataCheck::Skip).unwrap()
    }

    #[test]
    fn trunk_of_a_router_carries_the_vlans_of_its_networks_in_the_order_of_its_legs() {
        let scenario = trunk();
        let job = trunk_of(&scenario, &scenario.routers[0], "4f2a11").unwrap();
        assert_eq!(job.vlans, [100, 101, 102]);
        assert_eq!((&*job.bridge, job.native), ("lab-4f2a11-k1", None));
        assert!(job.bridge.len() <= 15);
    }

    #[test]
    fn bridge_of_card_is_a_trunk_only_for_a_tagged_card() {
        let mut scenario = trunk();
        let mac = scenario.nodes[0].mac;
        assert_eq!(bridge_of_card(&scenario, mac, "4f2a11"), None);
        scenario.nodes[0].nics = vec![lab_model::scenario::Nic {
            network: Some("rack1".into()),
            mac,
            boots: true,
            tagged: true,
        }];
        let bridge = bridge_of_card(&scenario, mac, "4f2a11");
        assert_eq!(bridge.as_deref(), Some("lab-4f2a11-k2"));
    }

    #[test]
    fn apply_change_takes_a_vlan_from_the_port_and_leaves_the_host_waiting_for_it() {
        let mut trunk = Trunk::of([101, 102], None);
        let change = SwitchChange {
            without: vec![102],
            native: Some(101),
            ..SwitchChange::default()
        };
        apply(&change, &mut trunk);
        assert!(trunk.members.contains(&102) && !trunk.allowed.contains(&102));
        assert_eq!(trunk.native, Some(101));
    }
}
