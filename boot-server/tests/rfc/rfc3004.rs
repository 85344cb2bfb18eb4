//! RFC 3004: the user class, as it is written there and as iPXE sends it.

use boot_server_proto::dhcp::{MessageType, code};

use crate::server::{SCRIPT, Server, pxe, with};

#[test]
fn ipxe_is_known_by_its_user_class_in_both_encodings() {
    for class in [&b"iPXE"[..], b"\x04iPXE", b"\x03abc\x04iPXE"] {
        let request = with(pxe(MessageType::Discover, 0), |m| {
            m.options.set(code::USER_CLASS, class);
        });
        let offer = Server::new().ask(&request, 0).unwrap();
        assert_eq!(offer.message.boot_file, SCRIPT.as_bytes(), "{class:?}");
    }
}

#[test]
fn another_user_class_is_not_ipxe() {
    for class in [&b"iPXEX"[..], b"\x05iPXEX", b"PXE"] {
        let request = with(pxe(MessageType::Discover, 0), |m| {
            m.options.set(code::USER_CLASS, class);
        });
        let offer = Server::new().ask(&request, 0).unwrap();
        assert_eq!(offer.message.boot_file, b"undionly.kpxe", "{class:?}");
    }
}
