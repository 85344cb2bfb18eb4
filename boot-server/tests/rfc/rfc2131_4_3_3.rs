//! RFC 2131 §4.3.3 and §4.3.4: DHCPDECLINE and DHCPRELEASE.

use boot_server_proto::dhcp::{Message, MessageType, code};

use crate::server::{OTHER_SERVER, SERVER, Server, discover, ip, message, with};

fn decline(last: u8, address: u8) -> Message {
    with(message(MessageType::Decline, last), |m| {
        m.options
            .set_addresses(code::REQUESTED_ADDRESS, &[ip(address)]);
        m.options.set_addresses(code::SERVER_ID, &[SERVER]);
    })
}

fn release(last: u8, address: u8) -> Message {
    with(message(MessageType::Release, last), |m| {
        m.client_address = ip(address);
        m.options.set_addresses(code::SERVER_ID, &[SERVER]);
    })
}

/// Returns the address offered to another machine that requests this one.
fn offered_to_another(server: &mut Server, address: u8, second: u64) -> std::net::Ipv4Addr {
    let wanting = with(discover(2), |m| {
        m.options
            .set_addresses(code::REQUESTED_ADDRESS, &[ip(address)]);
    });
    server.ask(&wanting, second).unwrap().message.your_address
}

#[test]
fn a_declined_address_rests_and_the_client_gets_another() {
    let mut server = Server::new();
    server.lease(1, 0);
    server.ask(&decline(1, 10), 1).unwrap_err();
    let again = server.ask(&discover(1), 2).unwrap();
    assert_eq!(again.message.your_address, ip(11));
    let insisting = with(discover(1), |m| {
        m.options.set_addresses(code::REQUESTED_ADDRESS, &[ip(10)]);
    });
    let again = server.ask(&insisting, 3).unwrap();
    assert_eq!(again.message.your_address, ip(11));
    let nak = server.ask(&crate::server::select(1, ip(10)), 3).unwrap();
    assert_eq!(nak.kind(), MessageType::Nak);
    assert_ne!(offered_to_another(&mut server, 10, 2), ip(10));
}

#[test]
fn a_client_cannot_decline_what_is_not_its_own_or_at_another_server() {
    let mut server = Server::new();
    server.lease(1, 0);
    server.ask(&decline(2, 10), 1).unwrap_err();
    let elsewhere = with(decline(1, 10), |m| {
        m.options.set_addresses(code::SERVER_ID, &[OTHER_SERVER]);
    });
    server.ask(&elsewhere, 1).unwrap_err();
    assert_eq!(
        server.ask(&discover(1), 2).unwrap().message.your_address,
        ip(10)
    );
}

#[test]
fn a_released_address_can_be_anyone_elses() {
    let mut server = Server::new();
    server.lease(1, 0);
    assert_eq!(server.ask(&release(1, 10), 1).unwrap_err(), "released");
    assert_eq!(offered_to_another(&mut server, 10, 1), ip(10));
}

#[test]
fn a_release_by_another_client_or_for_another_server_changes_nothing() {
    let mut server = Server::new();
    server.lease(1, 0);
    server.ask(&release(2, 10), 1).unwrap_err();
    let elsewhere = with(release(1, 10), |m| {
        m.options.set_addresses(code::SERVER_ID, &[OTHER_SERVER]);
    });
    server.ask(&elsewhere, 1).unwrap_err();
    assert_ne!(offered_to_another(&mut server, 10, 1), ip(10));
}
