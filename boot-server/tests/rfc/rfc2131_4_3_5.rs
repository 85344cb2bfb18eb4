//! RFC 2131 §4.3.5: DHCPINFORM, configuration without a lease.

use std::net::{Ipv4Addr, SocketAddrV4};

use boot_server_proto::dhcp::{MessageType, code};

use crate::server::{Server, discover, ip, message, with};

#[test]
fn an_inform_gets_options_at_its_address_and_no_lease() {
    let inform = with(message(MessageType::Inform, 1), |m| {
        m.client_address = ip(50)
    });
    let mut server = Server::new();
    let ack = server.ask(&inform, 0).unwrap();
    assert_eq!(
        (ack.kind(), ack.to),
        (MessageType::Ack, SocketAddrV4::new(ip(50), 68))
    );
    assert_eq!(ack.message.your_address, Ipv4Addr::UNSPECIFIED);
    for absent in [code::LEASE_TIME, code::RENEWAL_TIME, code::REBINDING_TIME] {
        assert_eq!(ack.option(absent), None, "option {absent}");
    }
    assert!(ack.option(code::ROUTER).is_some());
    assert_eq!(
        server.ask(&discover(2), 0).unwrap().message.your_address,
        ip(10)
    );
}

#[test]
fn an_inform_from_nowhere_or_another_network_is_left_alone() {
    for address in [Ipv4Addr::UNSPECIFIED, Ipv4Addr::new(192, 0, 2, 7)] {
        let inform = with(message(MessageType::Inform, 1), |m| {
            m.client_address = address
        });
        Server::new().ask(&inform, 0).unwrap_err();
    }
}
