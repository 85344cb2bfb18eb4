//! Text output of packets, one line each, as they arrive.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use lab_model::evidence::packet::{Endpoint, Packet, Protocol, Transfer, TransferEnd, Wire};

use super::format;
use super::sequence::label;

/// Writer for a capture that may still grow.
#[derive(Debug, Default)]
pub struct PacketLines {
    /// Node names by MAC.
    names: HashMap<String, String>,
    host: Option<IpAddr>,
    packets: usize,
    transfers: HashSet<usize>,
    /// Time of the first packet.
    zero_us: Option<u64>,
}

impl PacketLines {
    /// Creates a writer from the machines' MACs and the address of the servers' host.
    #[must_use]
    pub fn new(names: HashMap<String, String>, host: IpAddr) -> PacketLines {
        PacketLines {
            names,
            host: Some(host),
            ..PacketLines::default()
        }
    }

    /// Returns the lines of new packets and of transfers ended since the last call, in the order of time.
    pub fn fresh(&mut self, wire: &Wire) -> Vec<String> {
        let mut lines: Vec<(u64, String)> = Vec::new();
        let packets = wire.packets.get(self.packets..).unwrap_or_default();
        self.packets = wire.packets.len();
        for packet in packets {
            lines.push((packet.at_us, self.packet(packet)));
        }
        for (index, transfer) in wire.transfers.iter().enumerate() {
            if transfer.end != TransferEnd::Open && self.transfers.insert(index) {
                lines.push((transfer.end_us, self.transfer(transfer)));
            }
        }
        lines.sort_by_key(|(at_us, _)| *at_us);
        let zero_us = *self
            .zero_us
            .get_or_insert_with(|| lines.first().map_or(0, |(at_us, _)| *at_us));
        let timed = lines.into_iter().map(|(at_us, line)| {
            let seconds = format::seconds_between(zero_us, at_us);
            format!("{seconds:>9.3}  {line}")
        });
        timed.collect()
    }

    fn packet(&self, packet: &Packet) -> String {
        let is_machine = self.names.contains_key(&packet.from.mac);
        let label = label(&packet.what, is_machine);
        let details: Vec<String> = label
            .details
            .iter()
            // A body gets its own lines.
            .map(|(name, value)| format!("{name} {}", value.replace('\n', " ⏎ ")))
            .collect();
        let mut line = self.ends(&packet.from, &packet.to, &label.title);
        if !details.is_empty() {
            line += &format!("  [{}]", details.join(", "));
        }
        line
    }

    fn transfer(&self, transfer: &Transfer) -> String {
        let protocol = match transfer.protocol {
            Protocol::Tftp => "TFTP",
            Protocol::Http => "HTTP",
        };
        let end = match transfer.end {
            TransferEnd::Whole | TransferEnd::Open => "",
            TransferEnd::BrokenByReceiver => ", aborted by the receiver",
            TransferEnd::BrokenBySender => ", aborted by the sender",
        };
        let what = format!(
            "{protocol} {}: {} in {}{end}",
            transfer.name,
            format::bytes(transfer.bytes),
            format::seconds(format::seconds_between(transfer.start_us, transfer.end_us)),
        );
        self.ends(&transfer.from, &transfer.to, &what)
    }

    fn ends(&self, from: &Endpoint, to: &Endpoint, what: &str) -> String {
        format!("{:>15} → {:15}  {what}", self.name(from), self.name(to))
    }

    fn name(&self, end: &Endpoint) -> String {
        if let Some(name) = self.names.get(&end.mac) {
            return name.clone();
        }
        match end.address {
            Some(address) if Some(address) == self.host => "host".into(),
            Some(address) => address.to_string(),
            None => end.mac.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab_model::evidence::packet::PacketContent;

    fn end(mac: &str, address: &str) -> Endpoint {
        Endpoint {
            mac: mac.into(),
            address: Some(address.parse().unwrap()),
            port: None,
        }
    }

    #[test]
    fn each_packet_is_written_once_and_a_transfer_when_it_has_ended() {
        let machine = end("52:54:00:00:00:01", "192.168.92.2");
        let host = end("52:54:00:ff:ff:ff", "192.168.92.1");
        let names = HashMap::from([("52:54:00:00:00:01".to_owned(), "node1".to_owned())]);
        let mut lines = PacketLines::new(names, host.address.unwrap());
        let mut wire = Wire::default();
        wire.packets.push(Packet {
            at_us: 1_000_000,
            frame: 1,
            network: None,
            from: machine.clone(),
            to: host.clone(),
            direction: None,
            what: PacketContent::HttpRequest {
                method: "GET".into(),
                target: "/ipxe?uuid=1".into(),
                host: None,
                user_agent: Some("iPXE/1.21".into()),
            },
        });
        wire.transfers.push(Transfer {
            protocol: Protocol::Http,
            name: "/assets/kernel".into(),
            from: host,
            to: machine,
            start_us: 1_500_000,
            end_us: 2_500_000,
            frame: 2,
            network: None,
            bytes: 14_000_000,
            announced: None,
            retransmits: 0,
            longest_silence_us: 0,
            end: TransferEnd::Open,
            direction: None,
            content: None,
        });
        insta::assert_snapshot!(lines.fresh(&wire).join("\n"), @"    0.000            node1 → host             GET /ipxe?uuid=1  [agent iPXE/1.21]");
        assert!(lines.fresh(&wire).is_empty());
        wire.transfers[0].end = TransferEnd::Whole;
        insta::assert_snapshot!(lines.fresh(&wire).join("\n"), @"    1.500             host → node1            HTTP /assets/kernel: 14.0 MB in 1.00 s");
        assert!(lines.fresh(&wire).is_empty());
    }
}
