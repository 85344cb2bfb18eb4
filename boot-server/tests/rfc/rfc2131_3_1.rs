//! RFC 2131 §3.1: an address is looked for before it is offered.

use boot_server::respond::Probe;

use crate::server::{RELAY, Server, discover, ip, with};

#[test]
fn an_address_new_to_its_client_is_looked_for_on_our_link_by_arp() {
    let offer = Server::new().ask(&discover(1), 0).unwrap();
    assert_eq!(offer.probe, Some(Probe::Arp(ip(10))));
}

#[test]
fn behind_a_relay_it_is_looked_for_by_echo() {
    let relayed = with(discover(1), |m| m.relay_agent = RELAY);
    let offer = Server::new().ask(&relayed, 0).unwrap();
    assert_eq!(offer.probe, Some(Probe::Echo([10, 7, 1, 0].into())));
}

#[test]
fn an_address_its_client_had_and_a_reserved_one_are_offered_at_once() {
    let mut server = Server::new();
    server.lease(1, 0);
    assert_eq!(server.ask(&discover(1), 10).unwrap().probe, None);
    assert_eq!(server.ask(&discover(1), 100_000).unwrap().probe, None);
    assert_eq!(server.ask(&discover(9), 0).unwrap().probe, None);
}
