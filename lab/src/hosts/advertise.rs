//! IPv6 router advertisements on a leg of a router, as the boot server sends them in its own network: they offer
//! nothing and end the wait of iPXE for a router.

use std::io;
use std::thread;

use boot_server_proto::dhcp::{Message, MessageType};
use boot_server_proto::mac::MacAddr;
use boot_server_proto::router_advert::{encode_advertisement, parse_solicitation};
use boot_server_proto::udp::decode_packet;
use pcap::Capture;

use super::router::Leg;

/// Frames after which an advertisement is sent: solicitations and DHCP messages of clients.
const FILTER: &str = "(icmp6 and ip6[40] == 133) or (ip and udp dst port 67)";

/// Length of the part of a frame that is looked at.
const SNAP_LENGTH: i32 = 2048;

/// Length of an Ethernet header.
const ETHERNET_HEADER_LEN: usize = 14;

/// Starts to answer router solicitations, and to advertise when a machine begins to boot.
///
/// # Errors
/// Fails if the leg's frames cannot be read.
pub(super) fn start(leg: &Leg) -> io::Result<()> {
    let capture = Capture::from_device(leg.interface.as_str()).map_err(io::Error::other)?;
    let capture = capture
        .promisc(true)
        .immediate_mode(true)
        .snaplen(SNAP_LENGTH);
    let mut capture = capture.open().map_err(io::Error::other)?;
    capture.filter(FILTER, true).map_err(io::Error::other)?;
    let advertisement = encode_advertisement(leg.mac);
    let (network, own) = (leg.network.clone(), leg.mac);
    thread::spawn(move || {
        loop {
            let is_asked = match capture.next_packet() {
                Ok(packet) => asks(packet.data, own),
                Err(pcap::Error::TimeoutExpired) => continue,
                Err(error) => {
                    eprintln!("router: no more advertisements in {network}: {error}");
                    return;
                }
            };
            if is_asked && let Err(error) = capture.sendpacket(&*advertisement) {
                eprintln!("router: cannot advertise in {network}: {error}");
            }
        }
    });
    Ok(())
}

/// True for a router solicitation of another host, and for a DHCPDISCOVER.
fn asks(frame: &[u8], own: MacAddr) -> bool {
    if let Some(solicitation) = parse_solicitation(frame) {
        return solicitation.mac != own;
    }
    let datagram = frame.get(ETHERNET_HEADER_LEN..).and_then(decode_packet);
    let message = datagram.and_then(|datagram| Message::decode(datagram.payload).ok());
    let kind = message.and_then(|message| message.message_type().ok().flatten());
    kind == Some(MessageType::Discover)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_solicitation_of_another_host_only() {
        let (own, other) = (MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2]));
        // An IPv6 packet with hop limit 255, and the beginning of a router solicitation (RFC 4861 §4.1).
        let header = [&[0x33, 0x33, 0, 0, 0, 2][..], &other.0, &[0x86, 0xdd]].concat();
        let packet = [
            &[0x60, 0, 0, 0, 0, 8, 58, 255][..],
            &[0; 32],
            &[133, 0, 0, 0, 0, 0, 0, 0],
        ];
        let frame = [header, packet.concat()].concat();
        assert!(asks(&frame, own));
        assert!(!asks(&frame, other));
    }
}
