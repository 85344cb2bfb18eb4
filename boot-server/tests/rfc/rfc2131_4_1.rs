//! RFC 2131 §4.1: where replies go.

use std::net::{Ipv4Addr, SocketAddrV4};

use boot_server::config::BootConfig;
use boot_server::respond::{Addressing, ServerOptions};
use boot_server_proto::dhcp::MessageType;

use crate::server::{EVERYONE, RELAY, Server, dhcp_config, discover, ip, mac, renew, with};

#[test]
fn a_relayed_request_is_answered_to_the_relays_server_port_whatever_the_client_asks() {
    let relayed = with(discover(1), |m| {
        m.relay_agent = RELAY;
        m.set_broadcast();
    });
    let offer = Server::new().ask(&relayed, 0).unwrap();
    assert_eq!((offer.to, offer.link), (SocketAddrV4::new(RELAY, 67), None));
    assert!(offer.message.wants_broadcast(), "the relay is to know");
    assert_eq!(offer.message.relay_agent, RELAY);
}

#[test]
fn a_client_that_uses_an_address_is_answered_there() {
    let mut server = Server::new();
    let address = server.lease(1, 0);
    let ack = server.ask(&renew(1, address), 1800).unwrap();
    assert_eq!((ack.to, ack.link), (SocketAddrV4::new(address, 68), None));
    assert_eq!(ack.message.client_address, address);
}

#[test]
fn a_client_without_an_address_that_asks_for_broadcast_gets_it() {
    let asking = with(discover(1), |m| m.set_broadcast());
    let offer = Server::new().ask(&asking, 0).unwrap();
    assert_eq!((offer.to, offer.link), (EVERYONE, None));
}

#[test]
fn a_client_without_an_address_is_else_answered_at_its_mac_and_new_address() {
    let offer = Server::new().ask(&discover(1), 0).unwrap();
    assert_eq!(offer.to, SocketAddrV4::new(ip(10), 68));
    assert_eq!(offer.link, Some(mac(1)));
}

#[test]
fn an_operator_can_have_it_broadcast_always() {
    let server_options = ServerOptions {
        addressing: Addressing::Broadcast,
        ..ServerOptions::default()
    };
    let mut server = Server::with(server_options, &dhcp_config(), BootConfig::default());
    let offer = server.ask(&discover(1), 0).unwrap();
    assert_eq!((offer.to, offer.link), (EVERYONE, None));
}

#[test]
fn a_refusal_is_broadcast_and_through_a_relay_asks_for_it() {
    let elsewhere = renew(1, Ipv4Addr::new(192, 0, 2, 1));
    let nak = Server::new().ask(&elsewhere, 0).unwrap();
    assert_eq!((nak.kind(), nak.to), (MessageType::Nak, EVERYONE));
    assert!(!nak.message.wants_broadcast());
    let relayed = with(elsewhere, |m| m.relay_agent = RELAY);
    let nak = Server::new().ask(&relayed, 0).unwrap();
    assert_eq!(nak.to, SocketAddrV4::new(RELAY, 67));
    assert!(nak.message.wants_broadcast());
}
