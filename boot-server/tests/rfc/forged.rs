//! Messages that would have the server answer to everyone on a network, or believe whoever names another
//! machine.

use std::net::Ipv4Addr;

use boot_server_proto::dhcp::{Message, MessageType, code};

use crate::server::{
    EVERYONE, SERVER, Server, ask_proxy, discover, ip, message, pxe, renew, select, with,
};

/// Addresses that are no host's: everyone's, groups', reserved ones, and those of the server's own subnet.
const NO_HOSTS: [[u8; 4]; 7] = [
    [255, 255, 255, 255],
    [224, 0, 0, 1],
    [239, 1, 2, 3],
    [240, 0, 0, 1],
    [127, 0, 0, 1],
    [0, 0, 0, 1],
    [10, 0, 0, 255],
];

#[test]
fn relay_agent_address_that_is_no_hosts_is_not_answered() {
    for relay in NO_HOSTS.map(Ipv4Addr::from) {
        let relayed = |message: Message| with(message, |m| m.relay_agent = relay);
        let mut server = Server::new();
        server.ask(&relayed(discover(1)), 0).unwrap_err();
        server.ask(&relayed(select(1, ip(10))), 0).unwrap_err();
        // A relay agent may name a link that has a pool.
        let named = with(relayed(discover(1)), |m| {
            m.options.set(code::RELAY_AGENT_INFO, [5, 4, 10, 0, 0, 0]);
        });
        server.ask(&named, 0).unwrap_err();
        if relay != ip(255) {
            ask_proxy(&relayed(pxe(MessageType::Discover, 0))).unwrap_err();
        }
    }
}

#[test]
fn client_address_of_a_discover_is_not_answered_to() {
    for own in [[192, 0, 2, 7], [10, 0, 0, 77], [255, 255, 255, 255]] {
        let forged = with(discover(1), |m| {
            m.client_address = own.into();
            m.set_broadcast();
        });
        let offer = Server::new().ask(&forged, 0).unwrap();
        assert_eq!(offer.to, EVERYONE);
    }
}

#[test]
fn client_address_that_is_no_hosts_is_not_answered() {
    for own in NO_HOSTS.map(Ipv4Addr::from) {
        let mut server = Server::new();
        let inform = with(message(MessageType::Inform, 1), |m| m.client_address = own);
        server.ask(&inform, 0).unwrap_err();
        server.ask(&renew(1, own), 0).unwrap_err();
    }
}

#[test]
fn release_and_decline_without_a_server_identifier_change_nothing() {
    let mut server = Server::new();
    let address = server.lease(1, 0);
    let release = with(message(MessageType::Release, 1), |m| {
        m.client_address = address
    });
    server.ask(&release, 1).unwrap_err();
    let decline = with(message(MessageType::Decline, 1), |m| {
        m.options.set_addresses(code::REQUESTED_ADDRESS, &[address]);
    });
    server.ask(&decline, 2).unwrap_err();
    let wanting = with(discover(2), |m| {
        m.options.set_addresses(code::REQUESTED_ADDRESS, &[address]);
    });
    let other = server.ask(&wanting, 3).unwrap().message.your_address;
    assert_ne!(other, address);
    let release = with(release, |m| {
        m.options.set_addresses(code::SERVER_ID, &[SERVER])
    });
    assert_eq!(server.ask(&release, 4).unwrap_err(), "released");
}

#[test]
fn architecture_of_an_odd_length_counts_as_absent() {
    let broken = with(discover(1), |m| m.options.set(code::CLIENT_ARCH, [0]));
    assert!(Server::new().ask(&broken, 0).is_ok());
    let named = with(broken, |m| {
        m.options
            .set(code::VENDOR_CLASS, b"PXEClient:Arch:00007:UNDI:003000");
    });
    let offer = Server::new().ask(&named, 0).unwrap();
    assert_eq!(offer.message.boot_file, b"ipxe.efi");
}
