//! Cause: the machine boots from another network card than it should.

use boot_server_proto::dhcp::MessageType;

use super::case::{Case, server_of};
use super::{Cause, Finding, Proof};
use crate::evidence::packet::{DhcpSaid, Packet, PacketContent, Wire};
use crate::scenario::Nic;

/// Detects firmware that gets an address at a card from which the machine should not boot.
pub(super) fn other(case: &Case) -> Option<Finding> {
    let boots = case.node.nics.iter().find(|nic| nic.boots)?;
    let mut others = case.node.nics.iter().filter(|nic| !nic.boots);
    let (other, ack) = others.find_map(|nic| Some((nic, answer(case, case.port()?, nic)?)))?;
    if case.gives_address_in_the_end() {
        return None;
    }
    let asked = case
        .in_firmware(case.dhcp())
        .find(|(_, said)| said.client == case.mac);
    let title = |nic: &Nic| {
        let networks = &case.attempt.scenario.network;
        let network = networks.named(nic.network.as_deref()).unwrap_or(networks);
        network.title().to_owned()
    };
    let (packet, said) = ack;
    let given = said
        .given
        .map_or_else(String::new, |address| format!(" {address}"));
    let server = server_of(packet, said);
    let mut evidence = vec![case.packet(
        packet,
        format!(
            "{server} acknowledges{given} to {} in {}",
            other.mac,
            title(other)
        ),
    )];
    let silence = match asked {
        Some((packet, _)) => {
            evidence.push(case.packet(
                packet,
                format!("request of {}, without an address", case.mac),
            ));
            "gets no address"
        }
        None => {
            evidence.push(Proof::of(format!("no DHCP request of {}", case.mac)));
            "sends no request"
        }
    };
    Some(Finding {
        cause: Cause::BootsFromOtherCard,
        sentence: format!(
            "{} boots from its card {} in {}, where {server} answers; the card from which it should boot, {} in {}, \
             {silence}",
            case.node.name,
            other.mac,
            title(other),
            boots.mac,
            title(boots)
        ),
        evidence,
        remedy: format!(
            "put the card {} first in the firmware's boot order, and switch network boot off for {}; or let no DHCP \
             server in {} answer that card",
            boots.mac,
            other.mac,
            title(other)
        ),
        weight: 97,
    })
}

/// Returns the acknowledgement of an address that came to a card before the kernel.
fn answer<'a>(case: &Case, port: &'a Wire, nic: &Nic) -> Option<(&'a Packet, &'a DhcpSaid)> {
    let mac = nic.mac.to_string();
    let messages = port.packets.iter().filter_map(|packet| match &packet.what {
        PacketContent::Dhcp(said) if said.client == mac => Some((packet, &**said)),
        _ => None,
    });
    let is_ack = |said: &DhcpSaid| said.from_server && said.is(MessageType::Ack);
    let mut early = case.in_firmware(messages);
    early.find(|(_, said)| is_ack(said) && said.given.is_some())
}
