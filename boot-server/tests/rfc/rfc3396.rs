//! RFC 3396: options longer than 255 bytes, in both directions.

use boot_server::config::BootConfig;
use boot_server::respond::ServerOptions;
use boot_server_proto::dhcp::{Message, code};

use crate::server::{Server, dhcp_config, discover, ip, with};

#[test]
fn a_long_option_is_told_whole() {
    let mut config = dhcp_config();
    let routes = "0a".repeat(600);
    config.options.insert("121".into(), format!("hex:{routes}"));
    let mut server = Server::with(ServerOptions::default(), &config, BootConfig::default());
    let patient = with(discover(1), |m| {
        m.options.set(code::MAX_MESSAGE_SIZE, 1500u16.to_be_bytes());
    });
    let offer = server.ask(&patient, 0).unwrap();
    assert_eq!(offer.option(121), Some(&[10; 600][..]));
}

#[test]
fn the_parts_of_a_clients_option_are_one_option() {
    let mut bytes = discover(1).encode(548).unwrap();
    bytes.truncate(240);
    bytes.extend([code::MESSAGE_TYPE, 1, 1]);
    bytes.extend([code::REQUESTED_ADDRESS, 1, 10, code::HOST_NAME, 1, b'x']);
    bytes.extend([code::REQUESTED_ADDRESS, 3, 0, 0, 17, code::END]);
    let request = Message::decode(&bytes).unwrap();
    assert_eq!(
        Server::new().ask(&request, 0).unwrap().message.your_address,
        ip(17)
    );
}
