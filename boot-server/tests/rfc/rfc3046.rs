//! RFC 3046: the relay agent's information comes back as it was sent, last.

use boot_server::config::BootConfig;
use boot_server::respond::ServerOptions;
use boot_server_proto::dhcp::{Message, MessageType, code};

use crate::server::{RELAY, SERVER, Server, ask_proxy, dhcp_config, discover, pxe, select, with};

fn with_info(message: Message, info: &[u8]) -> Message {
    with(message, |m| m.options.set(code::RELAY_AGENT_INFO, info))
}

#[test]
fn it_is_echoed_in_offers_acknowledgements_and_refusals_as_the_last_option() {
    let mut server = Server::new();
    let info = b"\x01\x03abc\x02\x01x";
    let address = [10, 0, 0, 10].into();
    for request in [discover(1), select(1, address), select(2, address)] {
        let got = server.ask(&with_info(request, info), 0).unwrap();
        let last = got.message.options.iter().last();
        assert_eq!(last, Some((code::RELAY_AGENT_INFO, &info[..])));
    }
    let got = ask_proxy(&with_info(pxe(MessageType::Discover, 0), info)).unwrap();
    assert_eq!(got.message.options.iter().last().unwrap().1, info);
}

#[test]
fn nothing_is_made_up_where_no_relay_said_anything() {
    let relayed = with(discover(1), |m| m.relay_agent = RELAY);
    assert_eq!(
        Server::new()
            .ask(&relayed, 0)
            .unwrap()
            .option(code::RELAY_AGENT_INFO),
        None
    );
}

/// §2.2: where there is no room for all of it, none of it is sent.
#[test]
fn it_is_left_out_rather_than_cut() {
    let mut config = dhcp_config();
    config
        .options
        .insert("43".into(), format!("hex:{}", "ab".repeat(190)));
    let mut server = Server::with(ServerOptions::default(), &config, BootConfig::default());
    let info = [&[1, 200][..], &[7; 200]].concat();
    let offer = server.ask(&with_info(discover(1), &info), 0).unwrap();
    assert_eq!(offer.option(code::RELAY_AGENT_INFO), None);
    assert_eq!(offer.option(code::SERVER_ID), Some(&SERVER.octets()[..]));
    assert_eq!(offer.option(43), Some(&[0xab; 190][..]));
}
