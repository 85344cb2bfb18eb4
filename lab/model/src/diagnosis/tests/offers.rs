//! Addresses and boot options.

use boot_server_events::Who;

use super::*;

/// Only DISCOVERs are left, of which there are three.
fn alone(name: &str) -> Story {
    let firmware = Firmware::Bios;
    let mut story = Story::of(name, "node1", firmware);
    story.stop_before(is_dhcp(MessageType::Offer));
    story
        .attempt
        .records
        .retain(|record| !matches!(record.seen, Observation::Server { .. }));
    for _ in 0..2 {
        let discover = story.attempt.wire.packets.last().unwrap().clone();
        story.packet(discover.from, discover.to, discover.what);
    }
    story.gave_up(60, "no deadline");
    story
}

#[test]
fn discovers_without_an_answer_are_a_network_without_a_dhcp_server() {
    let words = [
        "3 DISCOVERs",
        "52:54:00:5c:01:01",
        "(frame 1)",
        "nobody offered",
    ];
    let finding = alone("ipxe-chainload").is_explained(Cause::NoDhcpServer, &words);
    let frame = finding.evidence[0].frame.as_ref();
    assert_eq!(frame.map(|frame| frame.number), Some(1));
    assert!(finding.weight >= 90);
}

#[test]
fn a_server_that_answers_others_has_no_address_left() {
    let mut story = alone("ipxe-chainload");
    let said = DhcpSaid {
        message: MessageType::Ack.into(),
        from_server: true,
        client: "52:54:00:99:99:99".into(),
        given: Some("192.168.92.9".parse().unwrap()),
        server: Some("192.168.92.1".parse().unwrap()),
        ..DhcpSaid::default()
    };
    story.packet(
        story.host(67),
        wiring::nobody("52:54:00:99:99:99", 68),
        PacketContent::Dhcp(Box::new(said)),
    );
    story.is_explained(
        Cause::PoolExhausted,
        &["192.168.92.1 gives addresses to other machines"],
    );
}

#[test]
fn a_pool_that_our_server_calls_empty_is_exhausted() {
    let mut story = alone("ipxe-chainload");
    let who = Who {
        mac: Some(story.node.mac.into()),
        ..Who::default()
    };
    let reason = "no free address from 192.168.92.2 to 192.168.92.2".into();
    story.event(BootEvent::DhcpIgnored { who, reason });
    story.is_explained(Cause::PoolExhausted, &["no free address from 192.168.92.2"]);
}

#[test]
fn a_nak_is_a_refusal_with_its_words() {
    let mut story = Story::chainload();
    story.stop_before(is_dhcp(MessageType::Ack));
    let said = DhcpSaid {
        message: MessageType::Nak.into(),
        from_server: true,
        client: story.node.mac.to_string(),
        text: Some("lease is another's".into()),
        server: Some("192.168.92.1".parse().unwrap()),
        ..DhcpSaid::default()
    };
    story.packet(
        story.host(67),
        wiring::nobody("ff:ff:ff:ff:ff:ff", 68),
        PacketContent::Dhcp(Box::new(said)),
    );
    story.is_explained(Cause::PoolExhausted, &["NAK", "lease is another's"]);
}

/// A second server offers, and the machine takes its address.
fn with_rogue(took: bool) -> Story {
    let mut story = Story::of("pxe-dhcp", "node1", Firmware::Bios);
    let rogue = "192.168.90.66";
    let at_us = story.time_of(is_dhcp(MessageType::Offer));
    let mut offer = story
        .attempt
        .wire
        .packets
        .iter()
        .find(|packet| packet.at_us == at_us)
        .unwrap()
        .clone();
    let said = dhcp(&mut offer).unwrap();
    said.server = Some(rogue.parse().unwrap());
    said.boot_file = None;
    story.packet_at(
        at_us - 500,
        story.stranger(rogue, 67),
        offer.to.clone(),
        offer.what.clone(),
    );
    let end_us = story.stop_before(is_dhcp(MessageType::Ack));
    if took {
        dhcp(&mut offer).unwrap().message = MessageType::Ack.into();
        story.packet_at(end_us + 1, story.stranger(rogue, 67), offer.to, offer.what);
    }
    story
}

#[test]
fn two_servers_that_offer_are_named_and_which_was_taken() {
    let words = [
        "192.168.90.66",
        "192.168.90.1",
        "took the offer of 192.168.90.66",
        "52:54:00:ee:ee:ee",
    ];
    let finding = with_rogue(true).is_explained(Cause::TwoDhcpServers, &words);
    assert!(finding.weight > 95);
    with_rogue(false).is_explained(Cause::TwoDhcpServers, &["none of them acknowledged"]);
}

#[test]
fn an_address_that_somebody_else_answers_for_is_a_conflict() {
    let mut story = Story::chainload();
    let acked = story.time_of(is_dhcp(MessageType::Ack));
    story.stop_at(acked + 1);
    let claimed = address(&story.attempt.scenario, &story.node);
    let (stranger, host) = (story.stranger(&claimed.to_string(), 0), story.host(0));
    story.packet(stranger, host, PacketContent::ArpReply { address: claimed });
    story.is_explained(
        Cause::AddressConflict,
        &[&claimed.to_string(), "52:54:00:ee:ee:ee"],
    );
}

#[test]
fn a_declined_address_is_a_conflict() {
    let mut story = Story::chainload();
    story.stop_before(is_dhcp(MessageType::Ack));
    let said = DhcpSaid {
        message: MessageType::Decline.into(),
        client: story.node.mac.to_string(),
        wanted: Some("192.168.92.2".parse().unwrap()),
        ..DhcpSaid::default()
    };
    story.packet(
        story.guest(68),
        wiring::nobody("ff:ff:ff:ff:ff:ff", 67),
        PacketContent::Dhcp(Box::new(said)),
    );
    story.is_explained(Cause::AddressConflict, &["192.168.92.2", "declined"]);
}

/// A server without events probes the only address of its pool, another host answers, and the server offers nothing.
#[test]
fn a_probed_address_that_another_host_uses_is_a_conflict_without_events() {
    let mut story = Story::chainload();
    let end_us = story.stop_before(is_dhcp(MessageType::Offer));
    let is_told = |record: &Record| matches!(record.seen, Observation::Server { .. });
    story.attempt.records.retain(|record| !is_told(record));
    let (address, everybody) = ("192.168.92.2".parse().unwrap(), "ff:ff:ff:ff:ff:ff");
    let (host, stranger) = (story.host(0), story.stranger("192.168.92.2", 0));
    let probe = PacketContent::ArpRequest { address };
    story.packet_at(end_us, host.clone(), wiring::nobody(everybody, 0), probe);
    story.is_explained(Cause::NoDhcpServer, &["nobody offered an address"]);
    let claim = PacketContent::ArpReply { address };
    story.packet_at(end_us + 1000, stranger, host, claim);
    let words = ["192.168.92.2", "is in use by 52:54:00:ee:ee:ee"];
    story.is_explained(Cause::AddressConflict, &words);
}

#[test]
fn an_address_without_boot_options_names_who_gave_it() {
    let mut story = Story::chainload();
    for packet in &mut story.attempt.wire.packets {
        if let Some(said) = dhcp(packet).filter(|said| said.from_server) {
            (said.boot_file, said.next_server) = (None, None);
        }
    }
    let acked = story.time_of(is_dhcp(MessageType::Ack));
    story.stop_at(acked + 1);
    let words = ["192.168.92.1", "OFFER", "no server named a boot file"];
    story.is_explained(Cause::OfferWithoutBootOptions, &words);
}

/// The scenario's proxy says nothing.
fn without_proxy() -> Story {
    let mut story = Story::of("proxy-dhcp", "node1", Firmware::Uefi);
    let requested = story.time_of(is_dhcp(MessageType::Request));
    story.stop_at(requested + 2_000);
    let from_proxy = |packet: &Packet| matches!(&packet.what, PacketContent::Dhcp(said) if said.from_server && said.given.is_none());
    story
        .attempt
        .wire
        .packets
        .retain(|packet| !from_proxy(packet));
    story
        .attempt
        .records
        .retain(|record| !matches!(record.seen, Observation::Server { .. }));
    story
}

#[test]
fn a_proxy_that_says_nothing_is_told_from_an_offer_without_options() {
    let story = without_proxy();
    story.is_explained(Cause::ProxySilent, &["no proxy answered its DISCOVER"]);
    let mut findings = story.findings().into_iter();
    assert!(findings.any(|finding| finding.cause == Cause::OfferWithoutBootOptions));
}

#[test]
fn a_boot_service_that_does_not_answer_on_4011_is_silent() {
    let mut story = without_proxy();
    let offer = DhcpSaid {
        message: MessageType::Offer.into(),
        from_server: true,
        client: story.node.mac.to_string(),
        vendor_class: Some("PXEClient".into()),
        next_server: Some("192.168.91.1".into()),
        server: Some("192.168.91.1".parse().unwrap()),
        ..DhcpSaid::default()
    };
    let request = DhcpSaid {
        message: MessageType::Request.into(),
        from_server: false,
        ..offer.clone()
    };
    let mac = story.node.mac.to_string();
    story.packet(
        story.host(67),
        wiring::nobody(&mac, 68),
        PacketContent::Dhcp(Box::new(offer)),
    );
    for _ in 0..3 {
        story.packet(
            story.guest(4011),
            story.host(4011),
            PacketContent::Dhcp(Box::new(request.clone())),
        );
    }
    story.is_explained(
        Cause::ProxySilent,
        &["port 4011", "192.168.91.1", "3 requests"],
    );
}

/// The proxy's offers after `spoil`, and nothing behind them.
fn proxy_answers(spoil: impl Fn(&mut DhcpSaid)) -> Story {
    let mut story = Story::of("proxy-dhcp", "node1", Firmware::Uefi);
    let requested = story.time_of(is_dhcp(MessageType::Request));
    story.stop_at(requested + 2_000);
    for packet in &mut story.attempt.wire.packets {
        if let Some(said) = dhcp(packet).filter(|said| said.from_server && said.given.is_none()) {
            spoil(said);
        }
    }
    story
}

#[test]
fn a_proxy_without_its_vendor_class_is_passed_over() {
    let story = proxy_answers(|said| said.vendor_class = None);
    story.is_explained(Cause::ProxyMalformed, &["no option 60"]);
    let story = proxy_answers(|said| said.vendor_class = Some("Pixie".into()));
    story.is_explained(Cause::ProxyMalformed, &["`Pixie`"]);
}

#[test]
fn a_proxy_without_a_server_to_load_from_is_useless() {
    let story = proxy_answers(|said| said.next_server = None);
    story.is_explained(Cause::ProxyMalformed, &["no server to load it from"]);
}

#[test]
fn what_cannot_be_read_from_a_proxys_port_is_malformed() {
    let mut story = without_proxy();
    let (from, mac) = (story.host(67), story.node.mac.to_string());
    let what = PacketContent::Malformed {
        protocol: "dhcp".into(),
        why: "option 43 runs past the end".into(),
    };
    story.packet(from, wiring::nobody(&mac, 68), what);
    story.is_explained(Cause::ProxyMalformed, &["option 43 runs past the end"]);
}

#[test]
fn a_proxy_that_answers_well_is_not_blamed_for_what_comes_later() {
    let findings = proxy_answers(|_| ()).findings();
    assert!(
        findings.iter().all(|finding| finding.weight < 60),
        "{findings:#?}"
    );
}
