//! UEFI 2.10, section 24.7: firmware that boots over HTTP.

use boot_server::config::BootConfig;
use boot_server::respond::ServerOptions;
use boot_server_proto::dhcp::{Message, MessageType, code};

use crate::server::{SCRIPT, Server, ask_proxy, dhcp_config, pxe, with};

const URL: &[u8] = b"http://10.0.0.1:8080/nbp/ipxe.efi";

fn http_client(arch: u16) -> Message {
    with(pxe(MessageType::Discover, arch), |m| {
        let class = format!("HTTPClient:Arch:{arch:05}:UNDI:003001");
        m.options.set(code::VENDOR_CLASS, class);
    })
}

#[test]
fn a_full_offer_says_httpclient_and_the_programs_url() {
    let offer = Server::new().ask(&http_client(16), 0).unwrap();
    assert_eq!(offer.option(code::VENDOR_CLASS), Some(&b"HTTPClient"[..]));
    assert_eq!(offer.text(code::BOOT_FILE_NAME), Some(URL));
    assert_eq!(offer.message.boot_file, URL);
    assert_eq!(offer.option(code::TFTP_SERVER_NAME), None);
    assert!(offer.message.server_name.is_empty());
    assert_ne!(offer.message.your_address.octets(), [0; 4]);
}

#[test]
fn a_proxy_says_the_same_without_an_address() {
    let offer = ask_proxy(&http_client(16)).unwrap();
    assert_eq!(offer.option(code::VENDOR_CLASS), Some(&b"HTTPClient"[..]));
    assert_eq!(offer.text(code::BOOT_FILE_NAME), Some(URL));
    assert_eq!(offer.option(code::VENDOR_SPECIFIC), None);
    assert_eq!(offer.message.your_address.octets(), [0; 4]);
}

#[test]
fn each_architecture_is_told_the_program_that_it_runs() {
    let boot = BootConfig {
        efi_ia32_nbp: Some("ia32.efi".into()),
        efi_arm64_nbp: Some("arm64.efi".into()),
        efi_riscv64_nbp: Some("riscv64.efi".into()),
        ..BootConfig::default()
    };
    let mut server = Server::with(ServerOptions::default(), &dhcp_config(), boot);
    for (arch, file) in [
        (15, "ia32.efi"),
        (16, "ipxe.efi"),
        (19, "arm64.efi"),
        (28, "riscv64.efi"),
    ] {
        let offer = server.ask(&http_client(arch), 0).unwrap();
        let url = format!("http://10.0.0.1:8080/nbp/{file}");
        assert_eq!(
            offer.message.boot_file,
            url.as_bytes(),
            "architecture {arch}"
        );
    }
    for arch in [18, 20, 26] {
        let offer = server.ask(&http_client(arch), 0).unwrap();
        assert!(offer.message.boot_file.is_empty(), "architecture {arch}");
        ask_proxy(&http_client(arch)).unwrap_err();
    }
}

#[test]
fn the_ipxe_that_it_loads_is_sent_to_the_script() {
    let ipxe = with(pxe(MessageType::Discover, 7), |m| {
        m.options.set(code::USER_CLASS, *b"iPXE");
    });
    let offer = Server::new().ask(&ipxe, 0).unwrap();
    assert_eq!(offer.message.boot_file, SCRIPT.as_bytes());
    assert_eq!(offer.option(code::VENDOR_CLASS), None);
}

/// Some firmware says `HTTPClient` with the architecture that it has for TFTP: its vendor class counts.
#[test]
fn firmware_that_calls_itself_httpclient_is_told_a_url_whatever_its_architecture() {
    for offer in [
        Server::new().ask(&http_client(7), 0),
        ask_proxy(&http_client(7)),
    ] {
        let offer = offer.unwrap();
        assert_eq!(offer.option(code::VENDOR_CLASS), Some(&b"HTTPClient"[..]));
        assert_eq!(offer.text(code::BOOT_FILE_NAME), Some(URL));
    }
    let by_tftp = Server::new()
        .ask(&pxe(MessageType::Discover, 7), 0)
        .unwrap();
    assert_eq!(by_tftp.message.boot_file, b"ipxe.efi");
}
