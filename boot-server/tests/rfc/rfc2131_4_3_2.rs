//! RFC 2131 §4.3.2: DHCPREQUEST in each of the client's states.

use std::net::Ipv4Addr;

use boot_server::respond::Arrival;
use boot_server_proto::dhcp::{Message, MessageType, code};

use crate::server::{
    EVERYONE, OTHER_SERVER, RELAY, SERVER, Server, discover, ip, message, reboot, renew, select,
    with,
};

const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 5);

#[test]
fn selecting_a_client_that_takes_our_offer_is_given_the_address() {
    let mut server = Server::new();
    let offer = server.ask(&discover(1), 0).unwrap();
    let ack = server
        .ask(&select(1, offer.message.your_address), 1)
        .unwrap();
    assert_eq!(ack.kind(), MessageType::Ack);
    assert_eq!(ack.message.your_address, offer.message.your_address);
    assert_eq!(ack.option(code::LEASE_TIME), offer.option(code::LEASE_TIME));
}

#[test]
fn selecting_a_client_that_takes_another_offer_frees_ours() {
    let mut server = Server::new();
    server.ask(&discover(1), 0).unwrap();
    let taken = with(select(1, ip(200)), |m| {
        m.options.set_addresses(code::SERVER_ID, &[OTHER_SERVER]);
    });
    let why = server.ask(&taken, 1).unwrap_err();
    assert_eq!(why, "the client accepted the offer of 10.0.0.2");
    let wanting = with(discover(2), |m| {
        m.options.set_addresses(code::REQUESTED_ADDRESS, &[ip(10)]);
    });
    assert_eq!(
        server.ask(&wanting, 1).unwrap().message.your_address,
        ip(10)
    );
}

#[test]
fn selecting_an_address_that_is_not_its_own_to_have_is_refused() {
    let mut server = Server::new();
    let taken = server.lease(1, 0);
    for address in [taken, ip(99), SERVER, ip(254), ip(200)] {
        let nak = server.ask(&select(2, address), 1).unwrap();
        assert_eq!(nak.kind(), MessageType::Nak, "{address}");
    }
}

#[test]
fn a_refusal_has_no_options_but_those_of_table_3() {
    let nak = Server::new().ask(&select(1, ELSEWHERE), 0).unwrap();
    let options: Vec<u8> = nak.message.options.iter().map(|(code, _)| code).collect();
    assert_eq!(
        options,
        [code::MESSAGE_TYPE, code::SERVER_ID, code::MESSAGE]
    );
    for address in [
        nak.message.client_address,
        nak.message.your_address,
        nak.message.next_server,
    ] {
        assert_eq!(address, Ipv4Addr::UNSPECIFIED);
    }
}

#[test]
fn init_reboot_a_client_that_remembers_its_lease_is_given_it_again() {
    let mut server = Server::new();
    let address = server.lease(1, 0);
    let ack = server.ask(&reboot(1, address), 100).unwrap();
    assert_eq!(
        (ack.kind(), ack.message.your_address),
        (MessageType::Ack, address)
    );
}

#[test]
fn init_reboot_a_client_that_nobody_knows_is_left_alone() {
    Server::new().ask(&reboot(1, ip(10)), 0).unwrap_err();
}

#[test]
fn init_reboot_a_client_on_the_wrong_network_is_refused_even_if_nobody_knows_it() {
    let nak = Server::new().ask(&reboot(1, ELSEWHERE), 0).unwrap();
    assert_eq!(nak.kind(), MessageType::Nak);
}

#[test]
fn init_reboot_a_client_that_remembers_wrongly_is_refused() {
    let mut server = Server::new();
    server.lease(1, 0);
    let nak = server.ask(&reboot(1, ip(15)), 1).unwrap();
    assert_eq!(nak.kind(), MessageType::Nak);
    let nak = server.ask(&reboot(9, ip(15)), 1).unwrap();
    assert_eq!(nak.kind(), MessageType::Nak, "it has a reservation");
}

#[test]
fn renewing_and_rebinding_make_the_lease_last_from_now_on() {
    let mut server = Server::new();
    let address = server.lease(1, 0);
    let ack = server.ask(&renew(1, address), 3000).unwrap();
    assert_eq!(ack.kind(), MessageType::Ack);
    // The first lease would have ended at 3600.
    let nak = server.ask(&select(2, address), 6500).unwrap();
    assert_eq!(nak.kind(), MessageType::Nak);
    assert_eq!(
        server.ask(&select(2, address), 6600).unwrap().kind(),
        MessageType::Ack
    );
}

#[test]
fn renewing_what_another_client_has_is_refused() {
    let mut server = Server::new();
    let address = server.lease(1, 0);
    assert_eq!(
        server.ask(&renew(2, address), 1).unwrap().kind(),
        MessageType::Nak
    );
}

/// A server without a lease file that was started again: the client goes on when that harms nobody.
#[test]
fn renewing_what_the_server_forgot_is_granted_when_it_is_free() {
    let ack = Server::new().ask(&renew(1, ip(12)), 0).unwrap();
    assert_eq!(
        (ack.kind(), ack.message.your_address),
        (MessageType::Ack, ip(12))
    );
}

#[test]
fn a_request_without_any_address_is_left_alone() {
    Server::new()
        .ask(&message(MessageType::Request, 1), 0)
        .unwrap_err();
}

/// Move from behind a relay to the server's link: the old address is useless there, unlike a unicast renewal
/// from the old place.
#[test]
fn rebinding_on_our_link_with_an_address_from_behind_a_relay_is_refused() {
    let mut server = Server::new();
    let relayed = |m: &mut Message| m.relay_agent = RELAY;
    let address = server.ask(&with(discover(1), relayed), 0).unwrap();
    let address = address.message.your_address;
    let ack = server.ask(&with(select(1, address), relayed), 0).unwrap();
    assert_eq!(ack.kind(), MessageType::Ack);
    let renewed = server.ask_by(Arrival::Unicast, &renew(1, address), 300);
    assert_eq!(renewed.unwrap().kind(), MessageType::Ack);
    let rebound = server.ask_by(Arrival::Broadcast, &renew(1, address), 525);
    let nak = rebound.unwrap();
    assert_eq!((nak.kind(), nak.to), (MessageType::Nak, EVERYONE));
    // Through its relay it is where it was.
    let rebound = server.ask(&with(renew(1, address), relayed), 525);
    assert_eq!(rebound.unwrap().kind(), MessageType::Ack);
}
