//! DHCP messages in the field's terms. The boot server's codec decodes the bytes.

use std::net::Ipv4Addr;

use boot_server_proto::dhcp::{Message, Op, code};

use super::packet::is_told;
use crate::evidence::DhcpKind;
use crate::evidence::packet::{DhcpSaid, PacketContent};

/// Ports of DHCP servers, clients, and PXE boot servers (RFC 2131 §4.1, PXE 2.1 §2.2.3).
pub(super) const PORTS: [u16; 3] = [67, 68, 4011];

/// Sub-options of option 43 (PXE 2.1 §2.2).
mod pxe {
    pub(super) const DISCOVERY_CONTROL: u8 = 6;
    pub(super) const BOOT_SERVERS: u8 = 8;
    pub(super) const BOOT_MENU: u8 = 9;
    pub(super) const END: u8 = 255;
}

/// Decodes a message of `length` bytes, of which `payload` was captured.
pub(super) fn read(payload: &[u8], length: usize) -> PacketContent {
    match Message::decode(payload) {
        Ok(message) => PacketContent::Dhcp(Box::new(said(&message))),
        Err(error) => PacketContent::Malformed {
            protocol: "dhcp".into(),
            why: if payload.len() < length {
                format!(
                    "only {} of its {length} bytes were captured: {error}",
                    payload.len()
                )
            } else {
                error.to_string()
            },
        },
    }
}

fn said(message: &Message) -> DhcpSaid {
    let options = &message.options;
    let told = |address: Ipv4Addr| is_told(address).then_some(address);
    let text = |code| options.bytes(code).map(until_nul);
    let vendor = options.bytes(code::VENDOR_SPECIFIC).unwrap_or_default();
    DhcpSaid {
        // A message type that is not one byte is invalid.
        message: match message.message_type() {
            Ok(Some(kind)) => kind.into(),
            _ => DhcpKind::Bootp,
        },
        from_server: message.op == Op::Reply,
        xid: message.xid,
        client: client(message),
        uuid: message
            .machine_id()
            .ok()
            .flatten()
            .map(|id| id.uuid().to_string()),
        arch: message
            .client_arch()
            .unwrap_or_default()
            .into_iter()
            .map(boot_server_proto::dhcp::ClientArch::to_wire)
            .collect(),
        vendor_class: message.vendor_class(),
        user_class: message.user_class_text(),
        ipxe: options.contains(code::IPXE),
        wanted: message
            .requested_address()
            .or_else(|| told(message.client_address)),
        given: told(message.your_address),
        server: message.server_id(),
        next_server: text(code::TFTP_SERVER_NAME)
            .filter(|name| !name.is_empty())
            .or_else(|| told(message.next_server).map(|address| address.to_string())),
        boot_file: text(code::BOOT_FILE_NAME)
            .or_else(|| Some(until_nul(&message.boot_file)))
            .filter(|file| !file.is_empty()),
        is_file_field_empty: options.contains(code::BOOT_FILE_NAME)
            && until_nul(&message.boot_file).is_empty(),
        relay: told(message.relay_agent),
        link: message.selected_link(),
        discovery_control: sub_option(vendor, pxe::DISCOVERY_CONTROL)
            .and_then(|value| value.first().copied()),
        boot_servers: sub_option(vendor, pxe::BOOT_SERVERS).is_some()
            || sub_option(vendor, pxe::BOOT_MENU).is_some(),
        text: text(code::MESSAGE),
        options: options.iter().map(|(code, _)| code).collect(),
    }
}

fn client(message: &Message) -> String {
    match message.mac() {
        Some(mac) => mac.to_string(),
        None => {
            let length = usize::from(message.hardware_len);
            let address = message.hardware_address.get(..length).unwrap_or_default();
            let bytes: Vec<String> = address.iter().map(|byte| format!("{byte:02x}")).collect();
            bytes.join(":")
        }
    }
}

/// Returns the text up to its NUL: some servers terminate options with one, and some clients expect it.
fn until_nul(bytes: &[u8]) -> String {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

fn sub_option(mut options: &[u8], wanted: u8) -> Option<&[u8]> {
    loop {
        match options {
            [] | [pxe::END, ..] => return None,
            [0, rest @ ..] => options = rest,
            [code, length, rest @ ..] => {
                let (value, after) = rest.split_at_checked(usize::from(*length))?;
                if *code == wanted {
                    return Some(value);
                }
                options = after;
            }
            [_] => return None,
        }
    }
}
