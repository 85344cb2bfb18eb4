//! IPv6 router advertisements on a leg of a router, as the boot server sends them in its own network: they offer
//! nothing and end the wait of iPXE for a router.

use std::io;
use std::thread;

use boot_server_proto::dhcp::{Message, MessageType};
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
    let network = leg.network.clone();
    thread::spawn(move || {
        loop {
            let is_asked = match capture.next_packet() {
                Ok(packet) => asks(packet.data),
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

/// True for a router solicitation and for a DHCPDISCOVER.
fn asks(frame: &[u8]) -> bool {
    if parse_solicitation(frame).is_some() {
        return true;
    }
    let datagram = frame.get(ETHERNET_HEADER_LEN..).and_then(decode_packet);
    let message = datagram.and_then(|datagram| Message::decode(datagram.payload).ok());
    let kind = message.and_then(|message| message.message_type().ok().flatten());
    kind == Some(MessageType::Discover)
}
