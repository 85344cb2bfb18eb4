//! The PXE specification 2.1: proxyDHCP on port 67 and the boot service on 4011.

use std::net::{Ipv4Addr, SocketAddrV4};

use boot_server_proto::dhcp::{Message, MessageType, code};

use crate::server::{
    EVERYONE, SERVER, ask_boot_service, ask_proxy, discover, ip, message, pxe, with,
};

fn ipxe(arch: u16) -> Message {
    with(pxe(MessageType::Discover, arch), |m| {
        m.options.set(code::USER_CLASS, *b"iPXE")
    })
}

#[test]
fn a_proxys_offer_has_a_boot_file_and_no_address_or_network() {
    for request in [
        pxe(MessageType::Discover, 0),
        pxe(MessageType::Discover, 7),
        ipxe(7),
    ] {
        let offer = ask_proxy(&request).unwrap();
        assert_eq!((offer.kind(), offer.to), (MessageType::Offer, EVERYONE));
        assert_eq!(offer.message.your_address, Ipv4Addr::UNSPECIFIED);
        assert!(!offer.message.boot_file.is_empty());
        assert_eq!(offer.option(code::VENDOR_CLASS), Some(&b"PXEClient"[..]));
        for absent in [
            code::LEASE_TIME,
            code::SUBNET_MASK,
            code::ROUTER,
            code::IPXE,
        ] {
            assert_eq!(offer.option(absent), None, "option {absent}");
        }
    }
}

/// EDK2 asks the boot service when there is no discovery control, and follows what that says.
#[test]
fn uefi_firmware_is_sent_to_the_boot_service_and_others_use_the_file_of_the_offer() {
    for (request, direct) in [
        (pxe(MessageType::Discover, 0), true),
        (ipxe(0), true),
        (ipxe(7), true),
        (pxe(MessageType::Discover, 7), false),
        (pxe(MessageType::Discover, 9), false),
    ] {
        let control = direct.then_some(&[6, 1, 8, 255][..]);
        assert_eq!(
            ask_proxy(&request).unwrap().option(code::VENDOR_SPECIFIC),
            control
        );
    }
}

#[test]
fn a_proxy_is_silent_to_everything_but_the_discover_of_a_client_it_has_a_file_for() {
    for request in [
        discover(1),
        pxe(MessageType::Discover, 11),
        pxe(MessageType::Request, 0),
        pxe(MessageType::Inform, 0),
        message(MessageType::Release, 1),
        message(MessageType::Decline, 1),
    ] {
        ask_proxy(&request).unwrap_err();
    }
}

#[test]
fn a_relayed_discover_is_answered_to_the_relay() {
    let relay = Ipv4Addr::new(10, 7, 0, 1);
    let request = with(pxe(MessageType::Discover, 0), |m| m.relay_agent = relay);
    assert_eq!(
        ask_proxy(&request).unwrap().to,
        SocketAddrV4::new(relay, 67)
    );
}

#[test]
fn the_boot_service_answers_a_request_to_where_it_came_from() {
    let request = with(pxe(MessageType::Request, 7), |m| m.client_address = ip(77));
    for port in [4011, 68] {
        let from = SocketAddrV4::new(ip(77), port);
        let ack = ask_boot_service(&request, from).unwrap();
        assert_eq!((ack.kind(), ack.to), (MessageType::Ack, from));
        assert_eq!(ack.message.client_address, ip(77));
        assert_eq!(ack.message.your_address, Ipv4Addr::UNSPECIFIED);
        assert_eq!(ack.message.boot_file, b"ipxe.efi");
        assert_eq!(ack.option(code::SERVER_ID), Some(&SERVER.octets()[..]));
    }
    ask_boot_service(&pxe(MessageType::Discover, 7), EVERYONE).unwrap_err();
}
