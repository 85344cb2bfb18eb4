//! Raspberry Pis: boot loaders that call themselves BIOS machines and want a menu of that name.

use boot_server::config::BootConfig;
use boot_server::respond::ServerOptions;
use boot_server_proto::dhcp::{Message, MessageType, code};
use boot_server_proto::mac::MacAddr;

use crate::server::{Server, ask_proxy, dhcp_config, pxe, with};

fn pi(mac: [u8; 6]) -> Message {
    let mut message = Message::from_client(MessageType::Discover, MacAddr(mac), 7);
    let class = *b"PXEClient:Arch:00000:UNDI:002001";
    message.options.set(code::VENDOR_CLASS, class);
    message.options.set(code::CLIENT_ARCH, [0, 0]);
    message
}

fn wants_its_menu(options: Option<&[u8]>) -> bool {
    let menu = b"\x09\x14\0\0\x11Raspberry Pi Boot";
    options.is_some_and(|options| {
        options.starts_with(&[6, 1, 8])
            && options.windows(menu.len()).any(|part| part == menu)
            && options.last() == Some(&255)
    })
}

#[test]
fn every_makers_prefix_gets_the_menu_the_server_and_a_file_by_offer_and_proxy() {
    for prefix in [
        [0xb8, 0x27, 0xeb],
        [0xdc, 0xa6, 0x32],
        [0xe4, 0x5f, 0x01],
        [0xd8, 0x3a, 0xdd],
        [0x2c, 0xcf, 0x67],
        [0x28, 0xcd, 0xc1],
    ] {
        let [a, b, c] = prefix;
        let request = pi([a, b, c, 1, 2, 3]);
        for got in [
            Server::new().ask(&request, 0).unwrap(),
            ask_proxy(&request).unwrap(),
        ] {
            assert!(
                wants_its_menu(got.option(code::VENDOR_SPECIFIC)),
                "{prefix:x?}"
            );
            assert_eq!(got.option(code::VENDOR_CLASS), Some(&b"PXEClient"[..]));
            assert_eq!(got.option(code::TFTP_SERVER_NAME), Some(&b"10.0.0.1"[..]));
            assert_eq!(got.message.boot_file, b"bootcode.bin");
        }
    }
}

#[test]
fn newer_ones_are_known_by_their_architecture() {
    let request = pxe(MessageType::Discover, 41);
    let offer = Server::new().ask(&request, 0).unwrap();
    assert!(wants_its_menu(offer.option(code::VENDOR_SPECIFIC)));
}

#[test]
fn a_bios_machine_of_another_maker_and_a_pi_with_uefi_are_no_pis_here() {
    let offer = Server::new().ask(&pi([0x52, 0x54, 0, 1, 2, 3]), 0).unwrap();
    assert_eq!(offer.message.boot_file, b"undionly.kpxe");
    let uefi = with(pi([0xdc, 0xa6, 0x32, 1, 2, 3]), |m| {
        m.options.set(code::CLIENT_ARCH, [0, 11]);
        let class = *b"PXEClient:Arch:00011:UNDI:003000";
        m.options.set(code::VENDOR_CLASS, class);
    });
    let offer = Server::new().ask(&uefi, 0).unwrap();
    assert_eq!(offer.option(code::VENDOR_SPECIFIC), None);
}

#[test]
fn an_operator_can_have_them_told_nothing() {
    let boot = BootConfig {
        raspberry_pi_nbp: String::new(),
        ..BootConfig::default()
    };
    let mut server = Server::with(ServerOptions::default(), &dhcp_config(), boot);
    let offer = server.ask(&pi([0xdc, 0xa6, 0x32, 1, 2, 3]), 0).unwrap();
    assert!(offer.message.boot_file.is_empty());
    assert_eq!(offer.option(code::VENDOR_SPECIFIC), None);
}
