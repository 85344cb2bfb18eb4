//! RFC 4578: what PXE firmware says of itself, and what it is told.

use boot_server::config::BootConfig;
use boot_server::respond::ServerOptions;
use boot_server_proto::dhcp::{MessageType, code};

use crate::server::{SERVER, Server, dhcp_config, pxe, with};

fn boot_file(boot: BootConfig, arch: u16) -> String {
    let mut server = Server::with(ServerOptions::default(), &dhcp_config(), boot);
    let offer = server.ask(&pxe(MessageType::Discover, arch), 0).unwrap();
    String::from_utf8(offer.message.boot_file).unwrap()
}

#[test]
fn each_architecture_is_told_its_own_program() {
    let own = |name: &str| Some(name.to_owned());
    let boot = BootConfig {
        efi_ia32_nbp: own("ia32.efi"),
        efi_arm32_nbp: own("arm32.efi"),
        efi_arm64_nbp: own("arm64.efi"),
        efi_riscv32_nbp: own("riscv32.efi"),
        efi_riscv64_nbp: own("riscv64.efi"),
        ..BootConfig::default()
    };
    for (arch, file) in [
        (0, "undionly.kpxe"),
        (6, "ia32.efi"),
        (7, "ipxe.efi"),
        (9, "ipxe.efi"),
        (10, "arm32.efi"),
        (11, "arm64.efi"),
        (25, "riscv32.efi"),
        (27, "riscv64.efi"),
        (8, ""),
        (12, ""),
        (65535, ""),
    ] {
        assert_eq!(boot_file(boot.clone(), arch), file, "architecture {arch}");
    }
}

/// Debian's package `ipxe` has programs for BIOS and x64 only.
#[test]
fn an_architecture_without_a_setting_is_told_nothing() {
    for arch in [6, 10, 11, 25, 27] {
        assert_eq!(
            boot_file(BootConfig::default(), arch),
            "",
            "architecture {arch}"
        );
    }
}

#[test]
fn the_program_is_named_in_the_header_and_in_options_66_and_67() {
    let request = pxe(MessageType::Discover, 7);
    let offer = Server::new().ask(&request, 0).unwrap();
    assert_eq!(offer.message.next_server, SERVER);
    assert_eq!(offer.message.server_name, b"10.0.0.1");
    assert_eq!(
        offer.option(code::TFTP_SERVER_NAME),
        Some(&b"10.0.0.1\0"[..])
    );
    assert_eq!(offer.option(code::BOOT_FILE_NAME), Some(&b"ipxe.efi\0"[..]));
}

#[test]
fn the_machine_identifier_is_echoed_byte_for_byte_whatever_it_is() {
    for id in [vec![0; 17], vec![1, 2, 3]] {
        let request = with(pxe(MessageType::Discover, 0), |m| {
            m.options.set(code::MACHINE_ID, &id);
        });
        let offer = Server::new().ask(&request, 0).unwrap();
        assert_eq!(offer.option(code::MACHINE_ID), Some(&id[..]));
    }
}

/// Some firmware then ignores the boot file of a full offer, some takes no offer without it.
#[test]
fn a_full_offer_says_pxeclient_only_where_the_operator_wants_it() {
    let request = pxe(MessageType::Discover, 7);
    let offer = Server::new().ask(&request, 0).unwrap();
    assert_eq!(offer.option(code::VENDOR_CLASS), None);
    assert_eq!(offer.option(code::VENDOR_SPECIFIC), None);
    let server_options = ServerOptions {
        pxe_vendor_class: true,
        ..ServerOptions::default()
    };
    let mut server = Server::with(server_options, &dhcp_config(), BootConfig::default());
    let offer = server.ask(&request, 0).unwrap();
    assert_eq!(offer.option(code::VENDOR_CLASS), Some(&b"PXEClient"[..]));
    assert_eq!(
        offer.option(code::VENDOR_SPECIFIC),
        Some(&[6, 1, 8, 255][..])
    );
}
