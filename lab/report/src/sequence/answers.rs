//! Detection of a machine's requests that nobody answered.

use std::collections::HashSet;

use boot_server_proto::dhcp::MessageType;
use lab_model::evidence::packet::{DhcpSaid, Endpoint, Packet, PacketContent, Transfer};

use super::lanes::is_relayed;

/// Identity of a packet: captures of several networks number their frames on their own.
pub(super) type PacketKey = (u64, u64);

/// Returns the identity of a packet.
pub(super) fn key(packet: &Packet) -> PacketKey {
    (packet.at_us, packet.frame)
}

/// Returns the requests by the machine with this MAC, and by relays in its name, that were not answered before they
/// were repeated.
pub(super) fn unanswered(
    mac: &str,
    packets: &[&Packet],
    transfers: &[&Transfer],
) -> HashSet<PacketKey> {
    let mut silent = HashSet::new();
    for (index, packet) in packets.iter().enumerate() {
        let later = packets.get(index + 1..).unwrap_or_default();
        let answered = match &packet.what {
            PacketContent::Dhcp(said) if expects_answer(said) => dhcp(said, packet, later),
            PacketContent::TftpRequest { .. } | PacketContent::HttpRequest { .. }
                if packet.from.mac == mac =>
            {
                file(packet, later, transfers)
            }
            // Listed only if nobody accepted the request.
            PacketContent::TcpSyn => later.iter().any(|other| {
                other.what == PacketContent::TcpReset && is_reply(packet, &other.from, &other.to)
            }),
            PacketContent::ArpRequest { address } if packet.from.mac == mac => {
                let own = packet.from.address == Some((*address).into());
                let replies = |other: &&&Packet| matches!(&other.what, PacketContent::ArpReply { address: replied } if replied == address);
                // A machine that probes its own address expects no answer.
                own || packet.from.address.is_none() || later.iter().find(replies).is_some()
            }
            _ => true,
        };
        if !answered {
            silent.insert(key(packet));
        }
    }
    silent
}

fn expects_answer(said: &DhcpSaid) -> bool {
    !said.from_server && !said.is(MessageType::Decline) && !said.is(MessageType::Release)
}

/// True if a message with the same transaction id arrives before the next request to the same port.
fn dhcp(said: &DhcpSaid, packet: &Packet, later: &[&Packet]) -> bool {
    let is_same_link = |other: &Packet| is_relayed(other) == is_relayed(packet);
    for other in later.iter().filter(|other| is_same_link(other)) {
        match &other.what {
            PacketContent::Dhcp(answer) if answer.from_server && answer.xid == said.xid => {
                return true;
            }
            PacketContent::Dhcp(next) if !next.from_server && other.to.port == packet.to.port => {
                return false;
            }
            _ => {}
        }
    }
    false
}

/// True if an answer arrives at the requesting port before that port asks again.
fn file(packet: &Packet, later: &[&Packet], transfers: &[&Transfer]) -> bool {
    let mut until_us = u64::MAX;
    for other in later {
        let again = other.from == packet.from
            && matches!(
                other.what,
                PacketContent::TftpRequest { .. } | PacketContent::HttpRequest { .. }
            );
        if again {
            until_us = other.at_us;
            break;
        }
        let answers = matches!(
            other.what,
            PacketContent::TftpOptions { .. }
                | PacketContent::TftpError { .. }
                | PacketContent::HttpResponse { .. }
                | PacketContent::TcpReset
                | PacketContent::Malformed { .. }
                | PacketContent::Unreachable { .. }
        );
        if answers && is_reply(packet, &other.from, &other.to) {
            return true;
        }
    }
    transfers.iter().any(|transfer| {
        is_reply(packet, &transfer.from, &transfer.to)
            && (packet.at_us..until_us).contains(&transfer.start_us)
    })
}

/// TFTP servers answer from another port than the requested one.
fn is_reply(packet: &Packet, from: &Endpoint, to: &Endpoint) -> bool {
    from.mac == packet.to.mac && to.mac == packet.from.mac && to.port == packet.from.port
}
