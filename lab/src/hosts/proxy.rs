//! ProxyDHCP server with a flaw: firmware cannot use its offers.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

use boot_server_proto::dhcp::{DEFAULT_MAX_MESSAGE_LEN, Message, MessageType, Op, code};
use lab_model::fault::ProxyFlaw;

use crate::hosts::simulated::dhcp::bound;

const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;

/// Serves until it is killed; `up` is called when it listens.
pub(super) fn serve(
    interface: &str,
    address: Ipv4Addr,
    flaw: ProxyFlaw,
    up: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    let socket = bound(interface, SERVER_PORT)?;
    up()?;
    let mut buffer = [0; 2048];
    loop {
        let length = socket.recv(&mut buffer)?;
        let Ok(request) = Message::decode(buffer.get(..length).unwrap_or_default()) else {
            continue;
        };
        let Some(offer) = offer(&request, address, flaw) else {
            continue;
        };
        let bytes = offer
            .encode(DEFAULT_MAX_MESSAGE_LEN)
            .map_err(io::Error::other)?;
        let everyone = SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT_PORT);
        socket.send_to(&bytes, everyone)?;
    }
}

/// Returns the offer for a machine that requests boot options; `None` for other messages.
fn offer(request: &Message, address: Ipv4Addr, flaw: ProxyFlaw) -> Option<Message> {
    let discovers = request.message_type().ok().flatten() == Some(MessageType::Discover);
    let boots = request.vendor_class()?.starts_with("PXEClient");
    if request.op != Op::Request || !discovers || !boots {
        return None;
    }
    let mut offer = Message::reply_to(request);
    let options = &mut offer.options;
    options.set(code::MESSAGE_TYPE, [MessageType::Offer.to_wire()]);
    options.set_addresses(code::SERVER_ID, &[address]);
    match flaw {
        ProxyFlaw::NoVendorClass => {
            offer.next_server = address;
            offer.boot_file = b"undionly.kpxe".to_vec();
        }
        ProxyFlaw::NoBootFile => options.set(code::VENDOR_CLASS, "PXEClient"),
    }
    if let Some(machine) = request.options.bytes(code::MACHINE_ID) {
        offer.options.set(code::MACHINE_ID, machine);
    }
    Some(offer)
}

#[cfg(test)]
mod tests {
    use boot_server_proto::mac::MacAddr;

    use super::*;
    use crate::hosts::simulated::ask::{Answer, Asker, Program, boot_file, read_offer};

    fn answered(flaw: ProxyFlaw) -> Message {
        let asker = Asker {
            mac: MacAddr([2, 0, 0, 0, 0, 1]),
            uuid: uuid::Uuid::from_u128(7),
            program: Program::IpxeBios,
        };
        let request = asker.message(MessageType::Discover, 9);
        offer(&request, Ipv4Addr::new(192, 168, 91, 250), flaw).unwrap()
    }

    #[test]
    fn firmware_can_do_nothing_with_its_offers() {
        let no_class = answered(ProxyFlaw::NoVendorClass);
        assert_eq!(read_offer(&no_class), Answer::Useless);
        let no_file = answered(ProxyFlaw::NoBootFile);
        assert_eq!(read_offer(&no_file), Answer::Proxy);
        assert_eq!(boot_file(&no_file), None);
    }

    #[test]
    fn who_does_not_boot_is_not_answered() {
        let asker = Asker {
            mac: MacAddr([2, 0, 0, 0, 0, 1]),
            uuid: uuid::Uuid::nil(),
            program: Program::Plain,
        };
        let request = asker.message(MessageType::Discover, 9);
        assert_eq!(
            offer(&request, Ipv4Addr::LOCALHOST, ProxyFlaw::NoBootFile),
            None
        );
    }
}
