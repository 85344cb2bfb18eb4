//! RFC 5107: a relay agent that stands in for the server hears its clients' renewals.

use std::net::Ipv4Addr;

use boot_server_proto::dhcp::{Message, MessageType, code};

use crate::server::{OTHER_SERVER, RELAY, SERVER, Server, discover, message, renew, select, with};

/// Option 82 with a circuit id and the server identifier override.
const INFO: [u8; 9] = [1, 1, 9, 11, 4, 10, 7, 0, 1];

fn overridden(request: Message) -> Message {
    with(request, |m| {
        m.relay_agent = RELAY;
        m.options.set(code::RELAY_AGENT_INFO, INFO);
    })
}

fn server_id(address: Ipv4Addr) -> impl FnOnce(&mut Message) {
    move |m| m.options.set_addresses(code::SERVER_ID, &[address])
}

#[test]
fn the_client_knows_the_relay_as_its_server_and_is_served_as_before() {
    let mut server = Server::new();
    let offer = server.ask(&overridden(discover(1)), 0).unwrap();
    assert_eq!(offer.option(code::SERVER_ID), Some(&RELAY.octets()[..]));
    assert_eq!(offer.option(code::RELAY_AGENT_INFO), Some(&INFO[..]));
    let address = offer.message.your_address;
    let request = with(select(1, address), server_id(RELAY));
    let ack = server.ask(&overridden(request), 0).unwrap();
    assert_eq!(ack.kind(), MessageType::Ack);
    assert_eq!(ack.option(code::SERVER_ID), Some(&RELAY.octets()[..]));
    // It renews by the relay, which hands it on.
    let ack = server.ask(&overridden(renew(1, address)), 300).unwrap();
    assert_eq!(ack.kind(), MessageType::Ack);
    assert_eq!(ack.option(code::SERVER_ID), Some(&RELAY.octets()[..]));
    let release = with(message(MessageType::Release, 1), |m| {
        m.client_address = address
    });
    let release = with(release, server_id(RELAY));
    let released = server.ask(&overridden(release), 301).unwrap_err();
    assert_eq!(released, "released");
}

#[test]
fn another_servers_offer_is_still_another_servers() {
    let mut server = Server::new();
    let offer = server.ask(&overridden(discover(1)), 0).unwrap();
    let taken = with(
        select(1, offer.message.your_address),
        server_id(OTHER_SERVER),
    );
    assert!(
        server
            .ask(&overridden(taken), 0)
            .unwrap_err()
            .contains("10.0.0.2")
    );
}

#[test]
fn a_client_cannot_say_it_and_a_broken_one_counts_as_none() {
    let by_client = with(discover(1), |m| m.options.set(code::RELAY_AGENT_INFO, INFO));
    let cut = with(overridden(discover(1)), |m| {
        m.options.set(code::RELAY_AGENT_INFO, [11, 3, 10, 7, 0]);
    });
    let nobody = with(overridden(discover(1)), |m| {
        m.options.set(code::RELAY_AGENT_INFO, [11, 4, 0, 0, 0, 0]);
    });
    for request in [by_client, cut, nobody] {
        let offer = Server::new().ask(&request, 0).unwrap();
        assert_eq!(offer.option(code::SERVER_ID), Some(&SERVER.octets()[..]));
    }
}
