//! RFC 2132 §9.3 and §9.10: options in `file` and `sname`, and no more than the client takes.

use boot_server::config::BootConfig;
use boot_server::respond::ServerOptions;
use boot_server_proto::dhcp::{Message, code};

use crate::server::{Server, dhcp_config, discover, with};

/// A server with so much to say that not all of it fits.
fn talkative() -> Server {
    let mut config = dhcp_config();
    for code in 200..206 {
        let text = format!("text:{}", "x".repeat(90));
        config.options.insert(code.to_string(), text);
    }
    Server::with(ServerOptions::default(), &config, BootConfig::default())
}

#[test]
fn what_does_not_fit_the_options_field_is_put_into_the_unused_header_fields() {
    let offer = talkative().ask(&discover(1), 0).unwrap();
    let told = (200..206).filter(|code| offer.option(*code).is_some());
    // 308 bytes of options field would hold two at most.
    assert!(told.count() >= 3, "{:?}", offer.message.options);
}

#[test]
fn what_fits_nowhere_is_left_out_before_what_the_client_cannot_do_without() {
    let offer = talkative().ask(&discover(1), 0).unwrap();
    assert_eq!(offer.option(205), None);
    for needed in [
        code::SUBNET_MASK,
        code::ROUTER,
        code::LEASE_TIME,
        code::SERVER_ID,
    ] {
        assert!(offer.option(needed).is_some(), "option {needed}");
    }
}

#[test]
fn a_client_that_takes_longer_messages_is_told_all() {
    let patient = with(discover(1), |m| {
        m.options.set(code::MAX_MESSAGE_SIZE, 1500u16.to_be_bytes());
    });
    let offer = talkative().ask(&patient, 0).unwrap();
    assert!((200..206).all(|code| offer.option(code).is_some()));
}

#[test]
fn a_clients_own_overloaded_fields_are_read() {
    let mut bytes = discover(1).encode(548).unwrap();
    bytes.truncate(240);
    bytes.extend([code::MESSAGE_TYPE, 1, 1, code::OVERLOAD, 1, 1, code::END]);
    let wanted = [code::REQUESTED_ADDRESS, 4, 10, 0, 0, 17, code::END];
    bytes[108..115].copy_from_slice(&wanted);
    let request = Message::decode(&bytes).unwrap();
    let offer = Server::new().ask(&request, 0).unwrap();
    assert_eq!(offer.message.your_address.octets(), [10, 0, 0, 17]);
}
