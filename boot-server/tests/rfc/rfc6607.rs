//! RFC 6607: the client's VPN, which only its relay agent knows.

use std::net::Ipv4Addr;

use boot_server::config::{BootConfig, PoolConfig};
use boot_server::respond::ServerOptions;
use boot_server_proto::dhcp::{Message, MessageType, code};

use crate::server::{RELAY, Server, dhcp_config, discover, ip, select, with};

/// A relay on our link that speaks for others.
const NEAR_RELAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 253);
const BLUE_LINK: [u8; 6] = [5, 4, 10, 8, 0, 0];
const BLUE: &[u8] = b"\x97\x05\0blue";
const RED: &[u8] = b"\x97\x04\0red";
const GLOBAL: &[u8] = b"\x97\x01\xff";
const CONTROL: &[u8] = b"\x98\0";

/// A server with the pool of `10.8.0.0/24` in the VPN `blue`, beside those without a VPN.
fn server() -> Server {
    let mut config = dhcp_config();
    let first = config.pools[0].clone();
    config.pools.push(PoolConfig {
        subnet: "10.8.0.0/24".parse().unwrap(),
        first: Ipv4Addr::new(10, 8, 0, 10),
        last: Ipv4Addr::new(10, 8, 0, 20),
        router: None,
        vpn: Some("blue".into()),
        ..first
    });
    Server::with(ServerOptions::default(), &config, BootConfig::default())
}

fn relayed(request: Message, relay: Ipv4Addr, information: &[&[u8]]) -> Message {
    with(request, |m| {
        m.relay_agent = relay;
        m.options.set(code::RELAY_AGENT_INFO, information.concat());
    })
}

#[test]
fn the_vpn_and_the_link_choose_the_pool_and_the_control_is_removed() {
    let mut server = server();
    let through = |request| {
        relayed(
            request,
            NEAR_RELAY,
            &[b"\x01\x01x", BLUE, CONTROL, &BLUE_LINK],
        )
    };
    let offer = server.ask(&through(discover(1)), 0).unwrap();
    let address = Ipv4Addr::new(10, 8, 0, 10);
    assert_eq!(offer.message.your_address, address);
    let echoed = [&b"\x01\x01x"[..], BLUE, &BLUE_LINK].concat();
    assert_eq!(offer.option(code::RELAY_AGENT_INFO), Some(&echoed[..]));
    let ack = server.ask(&through(select(1, address)), 1).unwrap();
    assert_eq!(ack.kind(), MessageType::Ack);
    assert_eq!(ack.option(code::RELAY_AGENT_INFO), Some(&echoed[..]));
    let nak = server.ask(&through(select(1, ip(10))), 2).unwrap();
    assert_eq!(nak.kind(), MessageType::Nak);
    assert_eq!(nak.option(code::RELAY_AGENT_INFO), Some(&echoed[..]));
}

#[test]
fn another_vpn_and_none_at_all_get_no_address_of_a_vpns_pool() {
    for information in [
        &[RED, CONTROL, &BLUE_LINK][..],
        &[&BLUE_LINK],
        &[GLOBAL, &BLUE_LINK],
    ] {
        let request = relayed(discover(1), NEAR_RELAY, information);
        let refusal = server().ask(&request, 0).unwrap_err();
        assert!(
            refusal.contains("no pool for the link of 10.8.0.0"),
            "{refusal}"
        );
        assert_eq!(refusal.contains("VPN red"), information[0] == RED);
    }
}

#[test]
fn the_global_vpn_is_that_of_pools_without_one() {
    let offer = server()
        .ask(&relayed(discover(1), RELAY, &[GLOBAL, CONTROL]), 0)
        .unwrap();
    assert_eq!(offer.message.your_address, Ipv4Addr::new(10, 7, 1, 0));
    assert_eq!(offer.option(code::RELAY_AGENT_INFO), Some(GLOBAL));
}

#[test]
fn a_server_without_vpns_sends_the_option_back_as_it_came() {
    let request = relayed(discover(1), RELAY, &[BLUE, CONTROL]);
    let offer = Server::new().ask(&request, 0).unwrap();
    assert_eq!(offer.message.your_address, Ipv4Addr::new(10, 7, 1, 0));
    let sent = [BLUE, CONTROL].concat();
    assert_eq!(offer.option(code::RELAY_AGENT_INFO), Some(&sent[..]));
}

#[test]
fn a_client_cannot_say_it() {
    let by_client = with(discover(1), |m| {
        m.options
            .set(code::RELAY_AGENT_INFO, [BLUE, CONTROL].concat());
    });
    let offer = server().ask(&by_client, 0).unwrap();
    assert_eq!(offer.message.your_address, ip(10));
}
