//! DHCP messages of the programs in a network boot, option by option as recorded from QEMU's iPXE ROM, OVMF and
//! Debian's iPXE (`boot-server/tests/golden`). Pure.

use std::net::Ipv4Addr;

use boot_server_proto::dhcp::{Message, MessageType, code};
use boot_server_proto::mac::MacAddr;
use uuid::Uuid;

/// Program that sends requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// iPXE on BIOS: a network card's ROM, or `undionly.kpxe`.
    IpxeBios,
    /// iPXE on UEFI.
    IpxeUefi,
    /// EDK2's PXE client.
    Edk2Pxe,
    /// EDK2's HTTP boot client.
    Edk2Http,
    /// Any DHCP client that does not boot.
    Plain,
}

/// Maximum accepted message size (option 57).
const MAX_MESSAGE: [u8; 2] = 1472_u16.to_be_bytes();
const IPXE_PARAMETERS: &[u8] = &[
    1, 3, 6, 7, 12, 15, 17, 26, 43, 60, 66, 67, 119, 128, 129, 130, 131, 132, 133, 134, 135, 175,
    203,
];
const EDK2_PARAMETERS: &[u8] = &[
    1, 2, 3, 4, 5, 6, 12, 13, 15, 17, 18, 22, 23, 28, 40, 41, 42, 43, 50, 51, 54, 58, 59, 60, 66,
    67, 97, 128, 129, 130, 131, 132, 133, 134, 135,
];
/// Features of iPXE (option 175): HTTP, TFTP, DNS, menus and others.
const IPXE_FEATURES: &[u8] = &[
    0xb1, 5, 1, 0x1a, 0xf4, 0x10, 0x41, 0xeb, 3, 1, 0, 0, 0x17, 1, 1, 0x22, 1, 1, 0x13, 1, 1, 0x11,
    1, 1, 0x27, 1, 1, 0x19, 1, 1, 0x29, 1, 1, 0x10, 1, 2, 0x21, 1, 1, 0x15, 1, 1, 0x18, 1, 1, 0x12,
    1, 1,
];

/// Sender of a request.
#[derive(Debug, Clone, Copy)]
pub struct Asker {
    pub mac: MacAddr,
    pub uuid: Uuid,
    /// Program that sends the request.
    pub program: Program,
}

impl Asker {
    /// Builds a message of this kind with all options of the program.
    #[must_use]
    pub fn message(&self, kind: MessageType, xid: u32) -> Message {
        let mut message = Message::from_client(kind, self.mac, xid);
        // The client cannot receive unicast frames before it has an address.
        message.set_broadcast();
        let (arch, interface): (u16, [u8; 3]) = match self.program {
            Program::IpxeBios => (0, [1, 2, 1]),
            Program::IpxeUefi => (7, [1, 3, 10]),
            Program::Edk2Pxe => (7, [1, 3, 0]),
            Program::Edk2Http => (16, [1, 3, 0]),
            Program::Plain => return message,
        };
        let [_, major, minor] = interface;
        let kind = match self.program {
            Program::Edk2Http => "HTTPClient",
            _ => "PXEClient",
        };
        let options = &mut message.options;
        options.set(code::MAX_MESSAGE_SIZE, MAX_MESSAGE);
        options.set(code::CLIENT_ARCH, arch.to_be_bytes());
        options.set(code::CLIENT_NDI, interface);
        let class = format!("{kind}:Arch:{arch:05}:UNDI:{major:03}{minor:03}");
        options.set(code::VENDOR_CLASS, class);
        match self.program {
            Program::IpxeBios | Program::IpxeUefi => {
                options.set(code::USER_CLASS, "iPXE");
                options.set(code::PARAMETER_LIST, IPXE_PARAMETERS);
                options.set(code::IPXE, IPXE_FEATURES);
                let mut id = vec![1];
                id.extend(self.mac.0);
                options.set(code::CLIENT_ID, id);
            }
            _ => options.set(code::PARAMETER_LIST, EDK2_PARAMETERS),
        }
        let mut machine_id = vec![0];
        machine_id.extend(self.uuid.to_bytes_le());
        options.set(code::MACHINE_ID, machine_id);
        message
    }

    /// Builds the request for an offered address.
    #[must_use]
    pub fn request(&self, xid: u32, offer: &Message) -> Message {
        let mut message = self.message(MessageType::Request, xid);
        message
            .options
            .set_addresses(code::REQUESTED_ADDRESS, &[offer.your_address]);
        if let Some(server) = offer.server_id() {
            message.options.set_addresses(code::SERVER_ID, &[server]);
        }
        message
    }

    /// Builds the request to a boot server on port 4011, sent with the client's address.
    #[must_use]
    pub fn boot_request(&self, xid: u32, address: Ipv4Addr) -> Message {
        let mut message = self.message(MessageType::Request, xid);
        message.client_address = address;
        message.flags = 0;
        message
    }
}

/// Interpretation of an answer by a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// An address, with or without a boot file.
    Offer,
    /// Boot options of a proxy, which identifies itself and offers no address.
    Proxy,
    /// Unusable answer.
    Useless,
}

/// Interprets an offer as firmware does.
#[must_use]
pub fn read_offer(offer: &Message) -> Answer {
    let class = offer.vendor_class();
    let is_proxy = class
        .is_some_and(|class| class.starts_with("PXEClient") || class.starts_with("HTTPClient"));
    match (offer.your_address.is_unspecified(), is_proxy) {
        (false, _) => Answer::Offer,
        (true, true) => Answer::Proxy,
        (true, false) => Answer::Useless,
    }
}

/// Returns the boot file of an answer: option 67, else the header field.
#[must_use]
pub fn boot_file(answer: &Message) -> Option<String> {
    let text = |bytes: &[u8]| {
        let name = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        let name = String::from_utf8_lossy(name).into_owned();
        (!name.is_empty()).then_some(name)
    };
    answer
        .options
        .bytes(code::BOOT_FILE_NAME)
        .and_then(text)
        .or_else(|| text(&answer.boot_file))
}

/// True if iPXE is told not to wait for a proxy (its option 175.176).
#[must_use]
pub fn needs_no_proxy(offer: &Message) -> bool {
    let mut options = offer.options.bytes(code::IPXE).unwrap_or_default();
    while let Some((&[code, length], rest)) = options.split_first_chunk::<2>() {
        let Some((value, rest)) = rest.split_at_checked(usize::from(length)) else {
            return false;
        };
        if code == 176 {
            return value == [1];
        }
        options = rest;
    }
    false
}
