//! Boots by HTTPS: packets show who opened a connection, and only the server knows what was requested in it.

use super::*;
use crate::diagnosis::Cause;
use crate::diagnosis::tests::Story;
use crate::evidence::packet::{Packet, PacketContent, Protocol};
use crate::verdict::judge_node;
use crate::verdict::unproven::Unproven;

/// A whole boot by HTTPS, as packets show it.
fn story() -> Story {
    let mut story = Story::at_port("https-boot", "node1", Firmware::UefiHttp);
    let port = story.attempt.ports.get_mut("node1").unwrap();
    for packet in &mut port.packets {
        if matches!(packet.what, PacketContent::HttpRequest { .. }) {
            packet.what = PacketContent::TlsHello;
        }
    }
    port.packets
        .retain(|packet| !matches!(packet.what, PacketContent::HttpResponse { .. }));
    port.transfers.retain(|one| one.protocol != Protocol::Http);
    story.attempt.records.retain(|record| {
        !matches!(
            record.seen,
            Observation::Arrived {
                protocol: Protocol::Http,
                ..
            }
        )
    });
    story
}

fn failed_stage(story: &Story) -> StageName {
    match story.verdict() {
        NodeVerdict::Fail { stage, .. } => stage,
        other => panic!("{other:?}"),
    }
}

#[test]
fn judge_boot_by_https_passes_and_says_that_bytes_were_encrypted() {
    let story = story();
    let result = judge_node(&story.attempt, &story.node);
    assert_eq!(result.verdict, NodeVerdict::Pass);
    let bytes = result.not_proven;
    for stage in [
        StageName::Nbp,
        StageName::Script,
        StageName::Kernel,
        StageName::Initrd,
        StageName::Ignition,
    ] {
        assert!(
            bytes.contains(&Unproven::Encrypted(stage)),
            "{stage}: {bytes:?}"
        );
    }
}

#[test]
fn judge_requests_of_connections_that_the_machine_never_opened_fails() {
    let mut without = story();
    let port = without.attempt.ports.get_mut("node1").unwrap();
    port.packets
        .retain(|packet| packet.what != PacketContent::TlsHello);
    assert_eq!(failed_stage(&without), StageName::Nbp);

    let mut of_another = story();
    let port = of_another.attempt.ports.get_mut("node1").unwrap();
    for packet in &mut port.packets {
        if packet.what == PacketContent::TlsHello {
            packet.from.port = packet.from.port.map(|port| port ^ 1);
        }
    }
    assert_eq!(failed_stage(&of_another), StageName::Nbp);
}

#[test]
fn judge_connection_without_a_request_is_a_refused_certificate() {
    let mut story = story();
    let port = story.attempt.ports.get_mut("node1").unwrap();
    let is_hello = |packet: &&Packet| packet.what == PacketContent::TlsHello;
    let first_us = port.packets.iter().find(is_hello).unwrap().at_us;
    port.packets.retain(|packet| packet.at_us <= first_us);
    story.attempt.records.retain(|record| match &record.seen {
        Observation::Server { entry, .. } => entry.at_us < first_us,
        _ => record.at_us < first_us,
    });
    assert_eq!(failed_stage(&story), StageName::Nbp);
    let words = ["the firmware began a TLS connection to 192.168.100.1:8080"];
    let found = story.is_explained(Cause::TlsRefused, &words);
    assert!(found.weight >= 90);
}
