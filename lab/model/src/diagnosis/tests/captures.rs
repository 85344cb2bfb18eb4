//! Captures of networks of which nothing else is known.

use super::*;
use crate::diagnosis::Explained;
use crate::diagnosis::capture::{explain_machine, machines};

fn explained(story: &Story, console: Option<&str>) -> Explained {
    explain_machine(
        "office.pcapng",
        &story.attempt.wire,
        story.node.mac,
        console,
    )
}

#[test]
fn a_boot_that_went_well_is_no_failure_in_a_capture_either() {
    for (name, firmware) in [
        ("pxe-dhcp", Firmware::Bios),
        ("proxy-dhcp", Firmware::Uefi),
        ("ipxe-chainload", Firmware::Uefi),
        ("pixiecore", Firmware::Uefi),
    ] {
        let story = Story::of(name, "node1", firmware);
        assert_eq!(machines(&story.attempt.wire), [story.node.mac]);
        let told = explained(&story, None);
        assert_eq!(
            (told.verdict, told.findings),
            (NodeVerdict::Pass, vec![]),
            "{name}: {}",
            told.text
        );
        assert!(
            told.text.contains("office.pcapng, machine 52:54:00"),
            "{}",
            told.text
        );
    }
}

#[test]
fn an_office_without_boot_options_is_explained_by_its_packets() {
    let mut story = Story::of("proxy-dhcp", "node1", Firmware::Uefi);
    let requested = story.time_of(is_dhcp(MessageType::Request));
    story.stop_at(requested + 2_000);
    let from_proxy = |packet: &Packet| matches!(&packet.what, PacketContent::Dhcp(said) if said.from_server && said.given.is_none());
    story
        .attempt
        .wire
        .packets
        .retain(|packet| !from_proxy(packet));
    let told = explained(&story, None);
    assert_eq!(
        told.findings[0].cause,
        Cause::OfferWithoutBootOptions,
        "{}",
        told.text
    );
    insta::assert_snapshot!(told.text);
}

#[test]
fn every_machine_of_a_capture_is_found_and_explained_by_itself() {
    let mut story = Story::chainload();
    let other = Story::of("ipxe-chainload", "node2", Firmware::Bios);
    let discover = other.attempt.wire.packets[0].clone();
    for _ in 0..3 {
        story.packet(
            discover.from.clone(),
            discover.to.clone(),
            discover.what.clone(),
        );
    }
    assert_eq!(
        machines(&story.attempt.wire),
        [story.node.mac, other.node.mac]
    );
    assert_eq!(explained(&story, None).verdict, NodeVerdict::Pass);
    let told = explain_machine("x", &story.attempt.wire, other.node.mac, None);
    let causes: Vec<Cause> = told.findings.iter().map(|finding| finding.cause).collect();
    // Another machine gets its address here: the server is there.
    assert_eq!(causes.first(), Some(&Cause::PoolExhausted), "{}", told.text);
    assert!(causes.contains(&Cause::NoDhcpServer), "{}", told.text);
}

#[test]
fn a_console_beside_the_capture_tells_what_came_after_the_packets() {
    let story = Story::chainload();
    let console = "[    0.000000] Linux version 6.1\r\n\u{1b}[1m[    1.5] x\u{1b}[0m\r\n\
                   [    2.000000] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n";
    let told = explained(&story, Some(console));
    assert_eq!(told.findings[0].cause, Cause::KernelPanic, "{}", told.text);
    assert!(
        told.text.contains("Unable to mount root fs"),
        "{}",
        told.text
    );
}

#[test]
fn a_capture_in_which_nobody_boots_has_no_machine() {
    assert_eq!(machines(&Wire::default()), []);
}
