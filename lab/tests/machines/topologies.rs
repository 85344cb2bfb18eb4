//! Bundled topologies with simulated machines: racks whose routers relay DHCP to one server.

use std::collections::BTreeSet;
use std::fs;

use lab_model::evidence::saved;

use crate::support::{Scenarios, printed};

#[test]
fn racks_boot_through_their_relays_and_lease_from_a_pool_each() {
    let scenarios = Scenarios::new();
    for name in ["two-racks", "two-racks-kea", "trunk"] {
        let copy = scenarios.copy(&format!("topologies/{name}"), name);
        copy.edit_toml(|scenario| {
            scenario.insert("machines".into(), "simulated".into());
            if name == "two-racks" {
                // The boot server has a pool in this VPN, and the relay passes on no other answer.
                let router = scenario["router"][0].as_table_mut().unwrap();
                router.insert("vpn".into(), "blue".into());
            }
        });
    }
    let output = scenarios.lab_run().output().unwrap();
    let all = printed(&output);
    assert_eq!(output.status.code(), Some(0), "{all}");
    let subnets = [
        ("two-racks", "10.20."),
        ("two-racks-kea", "10.21."),
        ("trunk", "10.22."),
    ];
    for (name, subnet) in subnets {
        for firmware in ["bios", "uefi"] {
            let unit = format!("{name}@{firmware}");
            let attempt = scenarios.artifacts().join("latest").join(&unit);
            let attempt = saved::load(&attempt.join("attempt-1")).unwrap();
            for node in &attempt.scenario.nodes {
                let address = attempt.wire.address_of(&node.mac.to_string());
                let address = address.unwrap_or_else(|| panic!("{unit}: no lease: {all}"));
                let rack = node.network().unwrap().trim_start_matches("rack");
                let rack = format!("{subnet}{rack}.");
                assert!(address.to_string().starts_with(&rack), "{unit}: {address}");
            }
            // Frame numbers are those of each network's capture.
            let networks = attempt.wire.packets.iter();
            let networks: BTreeSet<_> = networks.flat_map(|one| one.network.as_deref()).collect();
            assert_eq!(networks, BTreeSet::from(["rack1", "rack2", "servers"]));
        }
    }
    // A capture for each network, under the name of the network; the first is that of every cell.
    let nets = scenarios
        .artifacts()
        .join("latest/two-racks@bios/attempt-1/nets");
    let names = fs::read_dir(nets).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".gz")).collect();
    names.sort();
    assert_eq!(
        names,
        ["net.pcapng.gz", "rack1.pcapng.gz", "rack2.pcapng.gz"]
    );
}
