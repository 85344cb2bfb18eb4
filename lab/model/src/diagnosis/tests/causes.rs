//! Causes between the offer and the system: acknowledgements, servers that are not there, redirects, configs
//! that are not valid.

use super::*;
use crate::evidence::packet::{Content, Direction};
use crate::timeline::StageName;

/// The DHCP message of the machine or for it, with these changes.
fn message(
    story: &Story,
    message: MessageType,
    change: impl FnOnce(&mut DhcpSaid),
) -> PacketContent {
    let mut said = DhcpSaid {
        message: message.into(),
        from_server: [MessageType::Offer, MessageType::Ack].contains(&message),
        xid: 7,
        client: story.node.mac.to_string(),
        ..DhcpSaid::default()
    };
    change(&mut said);
    PacketContent::Dhcp(Box::new(said))
}

fn everybody(port: u16) -> Endpoint {
    wiring::nobody("ff:ff:ff:ff:ff:ff", port)
}

/// V19, first.
#[test]
fn request_that_nobody_acknowledges_names_the_server_identifier() {
    let mut story = Story::chainload();
    story.stop_before(is_dhcp(MessageType::Request));
    let given = address(&story.attempt.scenario, &story.node);
    for _ in 0..3 {
        let request = message(&story, MessageType::Request, |said| {
            said.wanted = Some(given);
            said.server = Some("192.168.92.77".parse().unwrap());
        });
        story.packet(story.guest(68), everybody(67), request);
    }
    story.gave_up(60, "no progress for 60 s");
    story.is_explained(
        Cause::NoAcknowledgement,
        &["192.168.92.77", "never acknowledged"],
    );
}

/// V19, second.
#[test]
fn next_server_that_does_not_answer_arp_is_named() {
    let mut story = Story::chainload();
    story.stop_before(|said| matches!(said, PacketContent::TftpRequest { .. }));
    for packet in &mut story.attempt.wire.packets {
        if let Some(said) = dhcp(packet)
            && said.from_server
        {
            said.next_server = Some("192.168.92.99".into());
        }
    }
    let address = "192.168.92.99".parse().unwrap();
    for _ in 0..3 {
        story.packet(
            story.guest(68),
            everybody(0),
            PacketContent::ArpRequest { address },
        );
    }
    story.gave_up(60, "no progress for 60 s");
    story.is_explained(
        Cause::NextServerUnreachable,
        &["the boot server 192.168.92.99", "does not answer ARP"],
    );
}

/// V19, third.
#[test]
fn boot_program_after_which_nothing_comes_is_dead() {
    let mut story = Story::chainload();
    let loaded = story.attempt.wire.transfers[0].end_us;
    story.stop_at(loaded + 1);
    story.gave_up(60, "no progress for 60 s");
    story.is_explained(
        Cause::BootProgramDead,
        &["undionly.kpxe", "sent nothing after that"],
    );
}

#[test]
fn stage_that_failed_is_the_last_that_was_begun_and_not_ended() {
    let mut story = Story::of("proxy-dhcp", "node1", Firmware::Bios);
    story.attempt.scenario.services.proxy_dhcp = crate::scenario::ProxyDhcpService::None;
    story.attempt.scenario.services.dhcp = crate::scenario::DhcpService::None;
    story.stop_before(is_dhcp(MessageType::Request));
    story
        .attempt
        .records
        .retain(|record| !matches!(record.seen, Observation::Server { .. }));
    let request = message(&story, MessageType::Request, |_| {});
    story.packet(story.guest(68), everybody(67), request);
    match story.verdict() {
        NodeVerdict::Fail { stage, .. } => assert_eq!(stage, StageName::Dhcp),
        other => panic!("{other:?}"),
    }
}

/// V20: what arrived in the place of a cloud-config.
#[test]
fn config_that_is_no_config_is_invalid_with_its_line() {
    for (text, words) in [
        ("\u{feff}#cloud-config\n", ["line 1", "byte order mark"]),
        ("#cloud-config\nhostname: a\n\tb: c\n", ["line 3", "tab"]),
        ("<html><body>login</body></html>\n", ["line 1", "HTML"]),
        ("", ["line 1", "empty"]),
    ] {
        let mut story = Story::chainload().with_port();
        let check = |record: &Record| !matches!(record.seen, Observation::Check { .. });
        story.attempt.records.retain(check);
        for record in &mut story.attempt.records {
            if let Observation::Arrived { name, content, .. } = &mut record.seen
                && name.starts_with("/cloud")
            {
                let sha256 = content.sha256.clone();
                let text = Some(text.to_owned());
                *content = Content { sha256, text };
            }
        }
        story.console("guest-agent: nothing applied: the user-data is empty");
        story.is_explained(Cause::ConfigInvalid, &words);
    }
}

/// V21: lines of the kernel are no mistakes of the config.
#[test]
fn config_that_is_refused_is_told_by_the_agents_words_only() {
    let mut story = Story::chainload();
    story.console("[    1.000000] iommu: Default domain type: TLB invalidation policy: lazy");
    let line = "guest-agent: FAILED: the user-data is neither";
    story.console(line);
    let found = story.is_explained(Cause::ConfigRefused, &[line]);
    assert!(!found.sentence.contains("iommu"), "{}", found.sentence);
}

/// V22.
#[test]
fn modules_of_another_kernel_are_told_as_such() {
    let mut story = Story::chainload();
    let up = story
        .attempt
        .records
        .iter()
        .find(|record| matches!(record.seen, Observation::Console { .. }));
    let up_us = up.unwrap().at_us;
    story.stop_at(up_us + 1);
    story.console("[    1.2] Loading of module virtio_net failed: Key was rejected by service");
    story.console("stand-in: FAILED: the squashfs of /usr does not mount");
    story.gave_up(60, "no progress for 60 s");
    story.is_explained(
        Cause::KernelInitrdMismatch,
        &["Key was rejected", "are of different releases"],
    );
}

/// V23: the config URL is answered by a redirect to another machine's config.
#[test]
fn redirect_to_another_machines_config_is_named() {
    let mut story = Story::chainload();
    let other = story.attempt.scenario.node("node2").unwrap().clone();
    let mut at_us = 0;
    let mut target = String::new();
    for record in &mut story.attempt.records {
        if let Observation::Server { entry, .. } = &mut record.seen
            && let BootEvent::HttpRequest {
                who, path, query, ..
            } = &mut entry.what
            && path == "/cloud"
        {
            (at_us, target) = (entry.at_us, format!("{path}?{query}"));
            who.mac = Some(other.mac.into());
            who.uuid = Some(other.uuid.into());
        }
    }
    let response = PacketContent::HttpResponse {
        status: 302,
        length: Some(0),
        target: Some(target),
        body: None,
    };
    story.packet_at(
        at_us - 50_000,
        story.host(8080),
        story.guest(49152),
        response,
    );
    let found = story.is_explained(Cause::WrongConfigServed, &["redirect (302)"]);
    insta::assert_snapshot!(found.sentence);
}

/// V25, first.
#[test]
fn tftp_answer_from_another_address_names_that_address() {
    let mut story = Story::chainload();
    story.stop_before(|said| matches!(said, PacketContent::TftpOptions { .. }));
    let mut other = story.host(40000);
    other.address = Some("192.168.92.9".parse().unwrap());
    let options = vec![("blksize".into(), "1432".into())];
    story.packet(
        other,
        story.guest(49152),
        PacketContent::TftpOptions { options },
    );
    story.gave_up(60, "no progress for 60 s");
    story.is_explained(
        Cause::TftpServerDied,
        &["192.168.92.9 answered", "192.168.92.1"],
    );
}

/// V25, second.
#[test]
fn tftp_answer_that_comes_late_names_the_delay() {
    let mut story = Story::chainload();
    let at_us = story.stop_before(|said| matches!(said, PacketContent::TftpOptions { .. }));
    let options = vec![("blksize".into(), "1432".into())];
    let answer = PacketContent::TftpOptions { options };
    story.packet_at(
        at_us + 4_000_000,
        story.host(40000),
        story.guest(49152),
        answer,
    );
    story.gave_up(60, "no progress for 60 s");
    story.is_explained(Cause::TftpServerDied, &["4.0 s late"]);
}

#[test]
fn packets_on_one_side_of_the_link_only_are_lost_even_where_the_transfer_never_began() {
    let mut story = Story::chainload();
    let at_us = story.stop_before(|said| matches!(said, PacketContent::TftpOptions { .. }));
    let mut story = story.with_port();
    // The server's answers leave it and do not arrive.
    for again in 1..=3 {
        let options = vec![("blksize".into(), "1432".into())];
        let answer = PacketContent::TftpOptions { options };
        let (host, guest) = (story.host(40000), story.guest(49152));
        story.packet_at(at_us + again * 1_000_000, host, guest, answer);
    }
    story.gave_up(60, "no progress for 60 s");
    story.is_explained(Cause::PacketLoss, &["3 of", "did not arrive"]);
}

/// V26.
#[test]
fn frame_from_the_machines_own_mac_at_its_port_is_another_host() {
    let mut story = Story::chainload().with_port();
    let transfer = story.attempt.wire.transfers[0].start_us;
    story.stop_at(transfer);
    let port = story.attempt.ports.get_mut("node1").unwrap();
    port.packets.retain(|packet| packet.at_us < transfer);
    port.transfers.clear();
    let mut frame = port.packets[0].clone();
    frame.direction = Some(Direction::ToMachine);
    frame.from.address = Some("192.168.92.55".parse().unwrap());
    frame.what = PacketContent::ArpRequest {
        address: "192.168.92.1".parse().unwrap(),
    };
    port.packets.push(frame);
    story.gave_up(60, "no progress for 60 s");
    story.is_explained(Cause::DuplicateMac, &["two hosts", "192.168.92.55"]);
}

#[test]
fn address_that_the_machine_was_never_given_is_another_hosts_on_a_capture_of_the_segment() {
    let mut story = Story::chainload();
    let at_us = story.attempt.wire.transfers[0].start_us;
    story.stop_at(at_us);
    let mut stranger = story.guest(5000);
    stranger.address = Some("192.168.92.55".parse().unwrap());
    let address = "192.168.92.1".parse().unwrap();
    story.packet(
        stranger,
        everybody(0),
        PacketContent::ArpRequest { address },
    );
    story.gave_up(60, "no progress for 60 s");
    story.is_explained(Cause::DuplicateMac, &["192.168.92.55"]);
}

#[test]
fn two_uuids_of_one_mac_are_two_hosts_on_a_capture_of_the_segment() {
    let two = |other: uuid::Uuid| {
        let mut story = Story::chainload();
        let at_us = story.attempt.wire.transfers[0].start_us;
        story.stop_at(at_us);
        let message = message(&story, MessageType::Discover, |said| {
            said.uuid = Some(other.to_string())
        });
        story.packet(story.guest(68), everybody(67), message);
        story.gave_up(60, "no progress for 60 s");
        story
    };
    let other = uuid::Uuid::from_u128(0x1111_2222_3333_4444_5555_6666_7777_8888);
    two(other).is_explained(Cause::DuplicateMac, &["two hosts", &other.to_string()]);
    let story = Story::chainload();
    let swapped = uuid::Uuid::from_bytes(story.node.uuid.to_bytes_le());
    for same in [swapped, uuid::Uuid::nil()] {
        let findings = two(same).findings();
        assert!(
            findings.iter().all(|one| one.cause != Cause::DuplicateMac),
            "{findings:#?}"
        );
    }
}

#[test]
fn firmware_that_asks_for_an_address_while_its_mac_loads_is_another_host() {
    for (end, is_two) in [
        (TransferEnd::Whole, true),
        (TransferEnd::BrokenByReceiver, false),
    ] {
        let mut story = Story::chainload();
        let at_us = story.attempt.wire.transfers[0].start_us;
        story.stop_at(at_us);
        story.transfer(Protocol::Tftp, "undionly.kpxe", 20).end = end;
        let start_us = story.attempt.wire.transfers[0].start_us;
        let message = message(&story, MessageType::Discover, |said| said.arch = vec![0]);
        let from = wiring::nobody(&story.node.mac.to_string(), 68);
        story.packet_at(start_us + 5_000_000, from, everybody(67), message);
        story.gave_up(60, "no progress for 60 s");
        if is_two {
            story.is_explained(Cause::DuplicateMac, &["while it loads undionly.kpxe"]);
        } else {
            let findings = story.findings();
            let causes: Vec<Cause> = findings.iter().map(|one| one.cause).collect();
            assert!(!causes.contains(&Cause::DuplicateMac), "{findings:#?}");
        }
    }
}
