//! RFC 3011 and RFC 3527: the client's link when it is not that of `giaddr`.

use std::net::{Ipv4Addr, SocketAddrV4};

use boot_server_proto::dhcp::code;

use crate::server::{Server, discover, ip, with};

const SECOND_POOL: Ipv4Addr = Ipv4Addr::new(10, 7, 1, 0);
/// A relay on our link that speaks for the other one.
const NEAR_RELAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 253);

#[test]
fn the_relays_link_selection_chooses_the_pool_and_giaddr_where_the_answer_goes() {
    let request = with(discover(1), |m| {
        m.relay_agent = NEAR_RELAY;
        m.options
            .set(code::RELAY_AGENT_INFO, [1, 1, 9, 5, 4, 10, 7, 0, 0]);
    });
    let offer = Server::new().ask(&request, 0).unwrap();
    assert_eq!(offer.message.your_address, SECOND_POOL);
    assert_eq!(offer.to, SocketAddrV4::new(NEAR_RELAY, 67));
}

#[test]
fn subnet_selection_chooses_the_pool_and_is_echoed() {
    let request = with(discover(1), |m| {
        m.options
            .set_addresses(code::SUBNET_SELECTION, &[Ipv4Addr::new(10, 7, 0, 0)]);
    });
    let offer = Server::new().ask(&request, 0).unwrap();
    assert_eq!(offer.message.your_address, SECOND_POOL);
    assert_eq!(
        offer.option(code::SUBNET_SELECTION),
        Some(&[10, 7, 0, 0][..])
    );
}

#[test]
fn link_selection_goes_before_subnet_selection() {
    let request = with(discover(1), |m| {
        m.options
            .set_addresses(code::SUBNET_SELECTION, &[Ipv4Addr::new(10, 7, 0, 0)]);
        m.options.set(code::RELAY_AGENT_INFO, [5, 4, 10, 0, 0, 0]);
    });
    assert_eq!(
        Server::new().ask(&request, 0).unwrap().message.your_address,
        ip(10)
    );
}

#[test]
fn a_broken_link_selection_counts_as_none() {
    for info in [&[5, 3, 10, 7, 0][..], &[5, 40, 10, 7, 0, 0], &[5]] {
        let request = with(discover(1), |m| m.options.set(code::RELAY_AGENT_INFO, info));
        assert_eq!(
            Server::new().ask(&request, 0).unwrap().message.your_address,
            ip(10)
        );
    }
}
