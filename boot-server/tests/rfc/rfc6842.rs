//! RFC 6842: the client identifier comes back in every answer.

use boot_server_proto::dhcp::{MessageType, code};

use crate::server::{Server, discover, ip, select, with};

const OWN: &[u8] = b"\x01\x52\x54\0\0\0\x01";

#[test]
fn offers_acknowledgements_and_refusals_have_it_and_none_is_made_up() {
    let mut server = Server::new();
    for (request, kind) in [
        (discover(1), MessageType::Offer),
        (select(1, ip(10)), MessageType::Ack),
        (select(1, ip(99)), MessageType::Nak),
    ] {
        assert_eq!(
            server.ask(&request, 0).unwrap().option(code::CLIENT_ID),
            None
        );
        let request = with(request, |m| m.options.set(code::CLIENT_ID, OWN));
        let got = server.ask(&request, 0).unwrap();
        assert_eq!((got.kind(), got.option(code::CLIENT_ID)), (kind, Some(OWN)));
    }
}

/// Against RFC 2131 §2 on purpose: a boot ROM, iPXE and the system send different identifiers.
#[test]
fn a_machine_keeps_its_address_when_its_next_loader_has_another_identifier() {
    let mut server = Server::new();
    let address = server.lease(1, 0);
    for id in [OWN, b"\xff\0\0\0\x01", b"\0another"] {
        let request = with(discover(1), |m| m.options.set(code::CLIENT_ID, id));
        assert_eq!(
            server.ask(&request, 1).unwrap().message.your_address,
            address
        );
    }
}
