//! Topologies that are read as written, and mistakes in them.

use std::net::Ipv4Addr;
use std::path::Path;

use super::super::tests::{parse, render};
use super::*;
use crate::scenario::Scenario;

const RACKS: &str = r#"summary = "Two racks boot through relays"
firmware = ["bios", "uefi"]

[[network]]
name = "servers"
subnet = "10.20.0.0/24"

[[network]]
name = "rack1"
subnet = "10.20.1.0/24"
vlan = 101

[[network]]
name = "rack2"
subnet = "10.20.2.0/24"
mtu = 1400

[[router]]
joins = ["servers", "rack1"]
relay_to = "servers"

[[router]]
name = "tor2"
joins = ["servers", "rack2"]
addresses = { servers = "10.20.0.2", rack2 = "10.20.2.254" }
relay_to = "10.20.0.1"
relay = "dnsmasq"
blocked = ["udp/69"]

[services]
dhcp = "boot-server"

[[node]]
name = "node1"
uuid = "16e7d8a7-bfa9-428b-9117-363341bb330b"
mac = "52:54:00:a1:9c:ae"
network = "rack1"
expect = { matched_by = "uuid", group = "node1", hostname = "node1" }

[[node]]
name = "node2"
uuid = "264cd073-ca62-44b3-98c0-50aad5b5f819"
nics = [{ mac = "52:54:00:b2:2f:86" }, { mac = "52:54:00:b2:2f:87", network = "rack2", boots = true }]
expect = { matched_by = "mac", group = "node2", hostname = "node2" }
"#;

fn racks() -> Scenario {
    parse(RACKS).unwrap_or_else(|error| panic!("{}", render(&error)))
}

fn report(from: &str, to: &str) -> String {
    assert!(RACKS.contains(from), "nothing to change: {from}");
    let changed = RACKS.replacen(from, to, 1);
    render(&parse(&changed).expect_err("the change should be refused"))
}

#[test]
fn topology_is_read_with_its_defaults() {
    let scenario = racks();
    let [first, second] = scenario.routers.as_slice() else {
        panic!("{:?}", scenario.routers);
    };
    assert_eq!((&*first.name, &*second.name), ("router-1", "tor2"));
    // The last free address among the servers, the first one in a rack.
    assert_eq!(
        first.address_in("servers"),
        Some(Ipv4Addr::new(10, 20, 0, 254))
    );
    assert_eq!(first.address_in("rack1"), Some(Ipv4Addr::new(10, 20, 1, 1)));
    assert_eq!(first.address_in("rack2"), None);
    assert_eq!(
        second.address_in("rack2"),
        Some(Ipv4Addr::new(10, 20, 2, 254))
    );
    assert_eq!(first.relay_to, Some(scenario.network.host()));
    assert_eq!(second.relay, RelayProgram::Dnsmasq);
    assert_eq!(second.blocked[0].to_string(), "udp/69");
    let networks: Vec<&str> = scenario
        .nodes
        .iter()
        .map(|node| scenario.network_of(node).title())
        .collect();
    assert_eq!(networks, ["rack1", "rack2"]);
    // The booting card's MAC is that of the node.
    assert_eq!(scenario.nodes[1].mac.to_string(), "52:54:00:b2:2f:87");
}

#[test]
fn router_with_a_vpn_and_a_way_out_is_read_and_written_again() {
    let keys = "relay_to = \"servers\"\nvpn = \"hex:00005e00000001\"\noutside = \"silent\"";
    let scenario = parse(&RACKS.replacen("relay_to = \"servers\"", keys, 1)).unwrap();
    let router = &scenario.routers[0];
    assert_eq!(router.outside, Some(Outside::Silent));
    assert_eq!(scenario.way_out(), router.address_in("servers"));
    let resolved = scenario.to_toml().unwrap();
    let again = Scenario::parse_resolved("racks", Path::new("racks"), &resolved);
    let again = again.unwrap_or_else(|error| panic!("{}", render(&error)));
    assert_eq!(again.routers, scenario.routers);
    assert_eq!(racks().way_out(), None);
}

#[test]
fn vpn_of_another_relay_program_without_a_relay_or_malformed_is_refused() {
    let dnsmasq = "relay = \"dnsmasq\"";
    let with_vpn = format!("{dnsmasq}\nvpn = \"blue\"");
    assert!(report(dnsmasq, &with_vpn).contains("`vpn` has no effect on dnsmasq"));
    let vpn = "vpn = \"two words\"";
    let relay = "relay_to = \"servers\"";
    assert!(report(relay, &format!("{relay}\n{vpn}")).contains("invalid VPN: `two words`"));
    assert!(report(relay, "vpn = \"blue\"").contains("`vpn` without `relay_to`"));
}

#[test]
fn pool_of_a_network_leaves_out_its_routers() {
    let scenario = racks();
    let pool = |name| {
        let (first, last) = scenario.pool_of(scenario.network.named(Some(name)).unwrap());
        format!("{first}-{last}")
    };
    assert_eq!(pool("servers"), "10.20.0.3-10.20.0.253");
    assert_eq!(pool("rack1"), "10.20.1.2-10.20.1.254");
    assert_eq!(pool("rack2"), "10.20.2.1-10.20.2.253");
}

#[test]
fn relayed_to_a_server_lists_each_rack_with_the_address_of_its_relay() {
    let scenario = racks();
    let relayed = scenario.relayed_to(scenario.network.host()).into_iter();
    let relayed: Vec<String> = relayed
        .map(|(network, relay)| format!("{} {relay}", network.title()))
        .collect();
    assert_eq!(relayed, ["rack1 10.20.1.1", "rack2 10.20.2.254"]);
    assert_eq!(scenario.relayed_to(Ipv4Addr::new(10, 20, 0, 9)), []);
}

#[test]
fn routes_lead_through_the_first_router_on_the_way() {
    // Rack 2 is behind rack 1.
    let text = RACKS.replace(
        "joins = [\"servers\", \"rack2\"]\naddresses = { servers = \"10.20.0.2\", rack2 = \"10.20.2.254\" }\nrelay_to = \"10.20.0.1\"\nrelay = \"dnsmasq\"",
        "joins = [\"rack1\", \"rack2\"]",
    );
    let scenario = parse(&text).unwrap_or_else(|error| panic!("{}", render(&error)));
    let routes = |name| {
        let network = scenario.network.named(Some(name)).unwrap();
        let routes = scenario.routes_from(network).into_iter();
        let routes = routes.map(|(subnet, hop)| format!("{subnet} via {hop}"));
        routes.collect::<Vec<String>>().join(", ")
    };
    assert_eq!(
        routes("servers"),
        "10.20.1.0/24 via 10.20.0.254, 10.20.2.0/24 via 10.20.0.254"
    );
    assert_eq!(
        routes("rack1"),
        "10.20.0.0/24 via 10.20.1.1, 10.20.2.0/24 via 10.20.1.2"
    );
    assert_eq!(
        routes("rack2"),
        "10.20.1.0/24 via 10.20.2.1, 10.20.0.0/24 via 10.20.2.1"
    );
    let rack1 = scenario.network.named(Some("rack1")).unwrap();
    assert_eq!(
        scenario.gateway_of(rack1),
        Some(Ipv4Addr::new(10, 20, 1, 1))
    );
}

#[test]
fn topology_reads_back_from_the_resolved_scenario() {
    let scenario = racks();
    let resolved = scenario.to_toml().unwrap();
    let again = parse(&resolved).unwrap_or_else(|error| panic!("{resolved}{}", render(&error)));
    assert_eq!(again, scenario);
}

#[test]
fn trunk_and_tagged_card_read_back_from_the_resolved_scenario() {
    let text = RACKS
        .replace("[\"bios\", \"uefi\"]", "[\"uefi\"]")
        .replacen("10.20.0.0/24\"", "10.20.0.0/24\"\nvlan = 100", 1)
        .replacen(
            "relay_to = \"servers\"",
            "relay_to = \"servers\"\ntrunk = true\nnative = \"servers\"",
            1,
        )
        .replace("mtu = 1400", "vlan = 102")
        .replace("boots = true }", "boots = true, tagged = true }");
    let scenario = parse(&text).unwrap_or_else(|error| panic!("{}", render(&error)));
    let router = &scenario.routers[0];
    assert_eq!(
        (router.trunk, router.native.as_deref()),
        (true, Some("servers"))
    );
    assert!(!scenario.nodes[0].is_tagged());
    assert!(scenario.nodes[1].is_tagged());
    let resolved = scenario.to_toml().unwrap();
    let again = parse(&resolved).unwrap_or_else(|error| panic!("{resolved}{}", render(&error)));
    assert_eq!(again, scenario);
}

#[test]
fn network_alone_is_resolved_as_a_table() {
    let alone = Networks::from(Network::new("10.20.0.0/24".parse().unwrap()));
    let text = toml::to_string(&alone).unwrap();
    assert_eq!(text, "subnet = \"10.20.0.0/24\"\n");
}

/// One listing of all reports, as for other mistakes.
#[test]
fn each_mistake_of_a_topology_is_refused_with_its_place_and_what_would_be_right() {
    let listed = MISTAKES.iter().map(|(name, from, to)| {
        let report = report(from, to);
        format!("# {name}\n{}\n", report.trim_end())
    });
    insta::assert_snapshot!(listed.collect::<Vec<String>>().join("\n"));
}

const MISTAKES: &[(&str, &str, &str)] = &[
    ("network_without_a_name", "name = \"rack1\"\n", ""),
    ("network_with_an_unknown_key", "vlan = 101", "vlna = 101"),
    ("network_name_twice", "name = \"rack2\"", "name = \"rack1\""),
    (
        "network_with_the_name_of_a_capture",
        "name = \"rack2\"",
        "name = \"net\"",
    ),
    (
        "networks_none",
        "[[network]]\nname = \"servers\"\nsubnet = \"10.20.0.0/24\"\n\n[[network]]\nname = \"rack1\"\nsubnet = \"10.20.1.0/24\"\nvlan = 101\n\n[[network]]\nname = \"rack2\"\nsubnet = \"10.20.2.0/24\"\nmtu = 1400\n\n",
        "network = []\n\n",
    ),
    ("subnets_overlap", "10.20.2.0/24", "10.20.0.0/22"),
    ("vlan_out_of_range", "vlan = 101", "vlan = 4095"),
    ("vlan_twice", "mtu = 1400", "vlan = 101"),
    (
        "trunk_to_a_network_without_a_vlan",
        "relay_to = \"servers\"",
        "relay_to = \"servers\"\ntrunk = true",
    ),
    (
        "native_network_without_a_trunk",
        "relay_to = \"servers\"",
        "relay_to = \"servers\"\nnative = \"rack1\"",
    ),
    (
        "native_network_that_the_router_does_not_join",
        "relay_to = \"servers\"",
        "relay_to = \"servers\"\nnative = \"rack2\"",
    ),
    (
        "tagged_card_without_a_vlan",
        "boots = true",
        "boots = true, tagged = true",
    ),
    (
        "tagged_card_with_bios",
        "network = \"rack2\", boots = true",
        "network = \"rack1\", boots = true, tagged = true",
    ),
    ("mtu_too_small", "mtu = 1400", "mtu = 500"),
    (
        "host_key_in_a_further_network",
        "vlan = 101",
        "address = \"10.20.1.7\"",
    ),
    (
        "router_to_an_unknown_network",
        "joins = [\"servers\", \"rack1\"]",
        "joins = [\"servers\", \"rakc1\"]",
    ),
    (
        "router_to_nowhere",
        "joins = [\"servers\", \"rack1\"]",
        "joins = [\"servers\"]",
    ),
    (
        "router_twice_in_a_network",
        "joins = [\"servers\", \"rack1\"]",
        "joins = [\"servers\", \"rack1\", \"rack1\"]",
    ),
    (
        "router_without_networks",
        "joins = [\"servers\", \"rack1\"]\n",
        "",
    ),
    ("router_with_an_unknown_key", "blocked =", "bloked ="),
    (
        "router_name_twice",
        "name = \"tor2\"",
        "name = \"router-1\"",
    ),
    (
        "router_with_a_name_of_ours",
        "name = \"tor2\"",
        "name = \"server\"",
    ),
    (
        "router_address_elsewhere",
        "rack2 = \"10.20.2.254\"",
        "rack2 = \"10.20.1.254\"",
    ),
    (
        "router_address_in_a_network_that_is_not_joined",
        "rack2 = \"10.20.2.254\"",
        "rack1 = \"10.20.1.254\"",
    ),
    (
        "router_address_of_the_host",
        "servers = \"10.20.0.2\"",
        "servers = \"10.20.0.1\"",
    ),
    (
        "relay_to_an_address_in_no_network",
        "relay_to = \"10.20.0.1\"",
        "relay_to = \"192.168.0.1\"",
    ),
    (
        "relay_to_a_network_that_is_not_joined",
        "relay_to = \"10.20.0.1\"",
        "relay_to = \"10.20.1.9\"",
    ),
    (
        "relay_to_an_unknown_name",
        "relay_to = \"servers\"",
        "relay_to = \"rack1\"",
    ),
    (
        "relay_program_without_a_server",
        "relay_to = \"10.20.0.1\"\n",
        "",
    ),
    (
        "relay_program_unknown",
        "relay = \"dnsmasq\"",
        "relay = \"dhcrelay\"",
    ),
    (
        "relay_option_of_another_program",
        "relay = \"dnsmasq\"",
        "relay = \"dnsmasq\"\nlink_selection = true",
    ),
    ("blocked_port_without_a_protocol", "udp/69", "69"),
    (
        "node_in_an_unknown_network",
        "network = \"rack1\"",
        "network = \"rack7\"",
    ),
    (
        "node_with_two_booting_cards",
        "\"52:54:00:b2:2f:86\" }",
        "\"52:54:00:b2:2f:86\", boots = true }",
    ),
    ("node_without_a_booting_card", ", boots = true", ""),
    (
        "node_with_cards_and_a_network",
        "nics =",
        "network = \"rack1\"\nnics =",
    ),
    (
        "node_with_cards_and_another_mac",
        "nics =",
        "mac = \"52:54:00:b2:2f:88\"\nnics =",
    ),
    (
        "node_with_a_card_of_another",
        "52:54:00:b2:2f:86",
        "52:54:00:a1:9c:ae",
    ),
    (
        "node_without_cards",
        "nics = [{ mac = \"52:54:00:b2:2f:86\" }, { mac = \"52:54:00:b2:2f:87\", network = \"rack2\", boots = true }]",
        "nics = []",
    ),
    (
        "network_of_machines_that_nothing_joins",
        "joins = [\"servers\", \"rack2\"]\naddresses = { servers = \"10.20.0.2\", rack2 = \"10.20.2.254\" }",
        "joins = [\"servers\", \"rack1\"]",
    ),
    (
        "service_in_an_unknown_network",
        "[services]",
        "[[service]]\nname = \"files\"\ncommand = [\"nginx\"]\naddress = \"10.20.1.9\"\nnetwork = \"rakc1\"\n[services]",
    ),
    (
        "service_outside_its_network",
        "[services]",
        "[[service]]\nname = \"files\"\ncommand = [\"nginx\"]\naddress = \"10.20.1.9\"\n[services]",
    ),
    (
        "service_without_a_host_in_its_network",
        "[services]",
        "[[service]]\nname = \"files\"\ncommand = [\"nginx\"]\nnetwork = \"rack1\"\n[services]",
    ),
    (
        "service_with_a_role_twice_in_its_network",
        "[services]",
        "[[service]]\nname = \"a\"\ncommand = [\"a\"]\naddress = \"10.20.1.8\"\nnetwork = \"rack1\"\nplays = [\"dhcp\"]\n[[service]]\nname = \"b\"\ncommand = [\"b\"]\naddress = \"10.20.1.9\"\nnetwork = \"rack1\"\nplays = [\"dhcp\"]\n[services]",
    ),
];

#[test]
fn service_with_the_role_of_another_in_another_network_is_accepted() {
    let service = "[[service]]\nname = \"a\"\ncommand = [\"a\"]\naddress = \"10.20.1.8\"\nnetwork = \"rack1\"\nplays = [\"dhcp\"]\n[services]";
    let scenario = parse(&RACKS.replace("[services]", service));
    let scenario = scenario.unwrap_or_else(|error| panic!("{}", render(&error)));
    let service = &scenario.custom_services[0];
    assert_eq!(scenario.network_of_service(service).title(), "rack1");
}
