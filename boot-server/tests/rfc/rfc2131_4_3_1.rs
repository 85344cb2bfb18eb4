//! RFC 2131 §4.3.1: which address is offered, and what is said with it.

use std::net::Ipv4Addr;

use boot_server::respond::Arrival;
use boot_server_proto::dhcp::{MessageType, code};

use crate::server::{RELAY, Server, discover, ip, message, renew, select, with};

#[test]
fn the_clients_lease_comes_first_then_what_it_had_then_what_it_asks_for() {
    let mut server = Server::new();
    let wanting = |last, address: u8| {
        with(discover(last), |m| {
            m.options
                .set_addresses(code::REQUESTED_ADDRESS, &[ip(address)]);
        })
    };
    let offered = |server: &mut Server, request, second| {
        server.ask(&request, second).unwrap().message.your_address
    };
    assert_eq!(offered(&mut server, wanting(1, 15), 0), ip(15));
    server.ask(&select(1, ip(15)), 0).unwrap();
    assert_eq!(offered(&mut server, wanting(1, 16), 1), ip(15), "its lease");
    assert_eq!(
        offered(&mut server, wanting(1, 16), 9000),
        ip(15),
        "it had it"
    );
    assert_eq!(offered(&mut server, wanting(2, 15), 1), ip(10), "another's");
    assert_eq!(offered(&mut server, wanting(3, 200), 1), ip(11), "not ours");
    assert_eq!(offered(&mut server, wanting(9, 12), 1), ip(99), "reserved");
}

#[test]
fn an_offer_has_the_address_and_all_options_of_its_pool() {
    let offer = Server::new().ask(&discover(1), 0).unwrap();
    assert_eq!(offer.message.your_address, ip(10));
    for (option, bytes) in [
        (code::MESSAGE_TYPE, &[2][..]),
        (code::SERVER_ID, &[10, 0, 0, 1]),
        (code::SUBNET_MASK, &[255, 255, 255, 0]),
        (code::BROADCAST_ADDRESS, &[10, 0, 0, 255]),
        (code::ROUTER, &[10, 0, 0, 254]),
        (code::DNS, &[10, 0, 0, 2, 10, 0, 0, 3]),
        (code::DOMAIN_NAME, b"lab.example"),
        (code::NTP, &[10, 0, 0, 4]),
        (code::MTU, &1400u16.to_be_bytes()),
        (code::LEASE_TIME, &3600u32.to_be_bytes()),
        // §4.4.5: T1 and T2.
        (code::RENEWAL_TIME, &1800u32.to_be_bytes()),
        (code::REBINDING_TIME, &3150u32.to_be_bytes()),
        (150, &[10, 0, 0, 5]),
        (252, b"http://wpad/"),
    ] {
        assert_eq!(offer.option(option), Some(bytes), "option {option}");
    }
    assert_eq!(offer.option(code::HOST_NAME), None);
    assert_eq!(offer.message.next_server, Ipv4Addr::UNSPECIFIED);
}

#[test]
fn a_reservation_comes_with_its_name_and_its_own_options_before_the_pools() {
    let offer = Server::new().ask(&discover(9), 0).unwrap();
    assert_eq!(offer.option(code::HOST_NAME), Some(&b"node9"[..]));
    assert_eq!(offer.option(252), Some(&b"own"[..]));
    assert_eq!(offer.option(150), Some(&[10, 0, 0, 5][..]));
}

#[test]
fn the_pool_is_that_of_the_relay_and_an_unknown_relays_clients_get_nothing() {
    let mut server = Server::new();
    let relayed = |relay| with(discover(1), |m| m.relay_agent = relay);
    let offer = server.ask(&relayed(RELAY), 0).unwrap();
    assert_eq!(offer.message.your_address, Ipv4Addr::new(10, 7, 1, 0));
    assert_eq!(offer.option(code::ROUTER), Some(&[10, 7, 0, 1][..]));
    assert_eq!(
        offer.option(code::LEASE_TIME),
        Some(&600u32.to_be_bytes()[..])
    );
    assert_eq!(offer.option(150), None, "an option of the other pool");
    let why = server.ask(&relayed([192, 0, 2, 1].into()), 0).unwrap_err();
    assert_eq!(why, "no pool for the link of 192.0.2.1");
}

#[test]
fn a_reservation_by_client_identifier_is_found_in_the_pool_of_its_address() {
    let request = with(discover(1), |m| {
        m.relay_agent = RELAY;
        m.options.set(code::CLIENT_ID, *b"\0shelf-4");
    });
    let offer = Server::new().ask(&request, 0).unwrap();
    assert_eq!(offer.message.your_address, Ipv4Addr::new(10, 7, 0, 44));
    let here = with(request, |m| m.relay_agent = Ipv4Addr::UNSPECIFIED);
    let offer = Server::new().ask(&here, 0).unwrap();
    assert_eq!(
        offer.message.your_address,
        ip(10),
        "on another link it has none"
    );
}

/// A client behind a relay renews by unicast, past the relay (§4.3.2).
#[test]
fn a_client_that_renews_past_its_relay_is_served_from_its_pool() {
    let mut server = Server::new();
    let relayed = |request| {
        with(request, |m: &mut boot_server_proto::dhcp::Message| {
            m.relay_agent = RELAY;
        })
    };
    let offer = server.ask(&relayed(discover(1)), 0).unwrap();
    let address = offer.message.your_address;
    server.ask(&relayed(select(1, address)), 0).unwrap();
    let renewal = renew(1, address);
    let ack = server.ask_by(Arrival::Unicast, &renewal, 300).unwrap();
    assert_eq!(
        (ack.kind(), ack.message.your_address),
        (MessageType::Ack, address)
    );
}

#[test]
fn servers_messages_are_not_answered() {
    for kind in [
        MessageType::Offer,
        MessageType::Ack,
        MessageType::Nak,
        MessageType::Other(13),
    ] {
        Server::new().ask(&message(kind, 1), 0).unwrap_err();
    }
}
