//! Boot programs, TFTP, scripts, firmware, identity.

use boot_server_events::Who;

use super::*;
use crate::evidence::beside::keep_data;
use crate::evidence::domain::Domain;
use crate::timeline::StageName;

fn tftp_error(code: u16, message: &str, file: &str) -> PacketContent {
    PacketContent::TftpError {
        code,
        message: message.into(),
        file: Some(file.into()),
    }
}

/// Nothing after the address, but one question for the boot program.
fn asks_for(file: &str) -> Story {
    let mut story = Story::chainload();
    let acked = story.time_of(is_dhcp(MessageType::Ack));
    story.stop_at(acked + 1);
    let options = vec![("blksize".to_owned(), "1432".to_owned())];
    let what = PacketContent::TftpRequest {
        file: file.into(),
        options,
        write: false,
    };
    story.packet(story.guest(49152), story.host(69), what);
    story
}

#[test]
fn a_boot_program_that_is_not_there_is_named_with_who_named_it() {
    let mut story = asks_for("undionly.kpxe");
    story.packet(
        story.host(69),
        story.guest(49152),
        tftp_error(1, "File not found", "undionly.kpxe"),
    );
    story.is_explained(
        Cause::NbpNotFound,
        &["undionly.kpxe", "offer names undionly.kpxe on 192.168.92.1"],
    );
}

/// The machine loads `file` whole, and says `line`.
fn loads(file: &str, firmware: Firmware, line: &str) -> Story {
    let mut story = Story::of("ipxe-chainload", "node1", firmware);
    let acked = story.time_of(is_dhcp(MessageType::Ack));
    story.stop_at(acked + 1);
    let transfer = story.transfer(Protocol::Tftp, file, 1);
    (transfer.end, transfer.announced) = (TransferEnd::Whole, Some(1000));
    story.attempt.wire.packets.push(Packet {
        at_us: acked + 1_500_000,
        ..story.attempt.wire.packets[0].clone()
    });
    story.console(line);
    story
}

#[test]
fn a_boot_program_of_another_architecture_is_told_by_its_name() {
    let story = loads(
        "undionly.kpxe",
        Firmware::Uefi,
        "BdsDxe: No bootable option or device was found.",
    );
    let words = ["undionly.kpxe", "for BIOS", "x86-64 UEFI (architecture 7)"];
    story.is_explained(Cause::WrongArchitectureNbp, &words);
    let story = loads("ipxe-arm64.efi", Firmware::Uefi, "");
    story.is_explained(Cause::WrongArchitectureNbp, &["64-bit ARM UEFI"]);
    let story = loads(
        "ipxe.efi",
        Firmware::Bios,
        "Could not boot: Exec format error (https://ipxe.org/2e008081)",
    );
    story.is_explained(
        Cause::WrongArchitectureNbp,
        &["x86-64 UEFI, but the machine is BIOS"],
    );
}

#[test]
fn a_boot_program_that_only_its_bytes_betray_is_told_by_the_firmwares_words() {
    let line = "BdsDxe: failed to load Boot0001 \"UEFI PXEv4 (MAC:5254005C0101)\": Unsupported";
    let words = ["ipxe.efi was loaded completely", "Unsupported"];
    loads("ipxe.efi", Firmware::Uefi, line).is_explained(Cause::WrongArchitectureNbp, &words);
}

#[test]
fn a_boot_program_refused_for_its_signature_is_secure_boots_doing() {
    let line = "BdsDxe: failed to load Boot0001 \"UEFI PXEv4\" from PciRoot(0x0): Access Denied";
    let mut story = loads("ipxe.efi", Firmware::Uefi, line);
    story.node.secure_boot = Some(crate::scenario::SecureBootKeys::default());
    story.is_explained(Cause::SecureBootRefusal, &["with Secure Boot"]);
    // Nothing is known of the machine.
    story.node.secure_boot = None;
    story.attempt.beside.domains.clear();
    story.is_explained(Cause::SecureBootRefusal, &["Access Denied"]);
}

#[test]
fn the_same_refusal_without_secure_boot_comes_from_old_variables() {
    let line = "BdsDxe: failed to load Boot0001 \"UEFI PXEv4\" from PciRoot(0x0): Access Denied";
    let mut story = loads("ipxe.efi", Firmware::Uefi, line);
    let domains = &mut story.attempt.beside.domains;
    domains.insert("node1".into(), Domain::default());
    story.is_explained(Cause::StaleNvram, &["Access Denied", "still contain keys"]);
}

/// A machine with Secure Boot until a file is loaded, and what its console says then.
fn signed_chain(until: &str, lines: &[&str]) -> Story {
    let mut story = Story::of("secure-boot", "node1", Firmware::Uefi);
    let asked = story.time_of(
        |what| matches!(what, PacketContent::TftpRequest { file, .. } if file.ends_with(until)),
    );
    story.stop_at(asked);
    for line in lines {
        story.console(line);
    }
    story
}

#[test]
fn shim_that_refuses_grub_is_told_with_its_words() {
    let line = "Verification failed: (0x1A) Security Violation";
    let story = signed_chain("grub.cfg", &["Fetching Netboot Image grubx64.efi", line]);
    story.is_explained(Cause::SecondStageRefused, &["grubx64.efi", "0x1A"]);
}

#[test]
fn grub_that_is_not_beside_shim_is_named() {
    let mut story = signed_chain("grubx64.efi", &["Unable to fetch TFTP image: Not Found"]);
    let file = "secureboot/grubx64.efi";
    let what = PacketContent::TftpRequest {
        file: file.into(),
        options: Vec::new(),
        write: false,
    };
    story.packet(story.guest(49153), story.host(69), what);
    let error = tftp_error(1, "File not found", file);
    story.packet(story.host(69), story.guest(49153), error);
    story.is_explained(Cause::SecondStageNotFound, &["shim was loaded", file]);
}

#[test]
fn shim_that_finds_no_name_in_the_header_is_told_with_the_option() {
    let mut story = signed_chain(
        "grubx64.efi",
        &["Unable to fetch TFTP image: Invalid Parameter"],
    );
    let is_second_stage = |what: &PacketContent| matches!(what, PacketContent::TftpRequest { file, .. } if file.ends_with("grubx64.efi"));
    story
        .attempt
        .wire
        .packets
        .retain(|packet| !is_second_stage(&packet.what));
    let mut named = 0;
    for packet in &mut story.attempt.wire.packets {
        if let PacketContent::Dhcp(said) = &mut packet.what
            && said.boot_file.is_some()
        {
            said.is_file_field_empty = true;
            named += 1;
        }
    }
    assert!(named > 0);
    story.is_explained(
        Cause::BootFileInOptionsOnly,
        &["option 67", "Unable to fetch"],
    );
}

#[test]
fn server_that_is_silent_about_revocations_is_told_with_the_requests() {
    let mut story = signed_chain("grubx64.efi", &[]);
    let file = "secureboot/revocations_sku.efi";
    for port in [49160, 49160] {
        let what = PacketContent::TftpRequest {
            file: file.into(),
            options: Vec::new(),
            write: false,
        };
        story.packet(story.guest(port), story.host(69), what);
    }
    story.is_explained(Cause::MissingFileUnanswered, &[file, "2 times"]);
}

#[test]
fn kernel_without_a_signature_is_told_with_grubs_words() {
    let story = signed_chain("vmlinuz", &["error: bad shim signature."]);
    story.is_explained(Cause::KernelRefused, &["bad shim signature"]);
}

#[test]
fn grub_at_its_prompt_has_no_menu() {
    let prompt = "   Minimal BASH-like line editing is supported. For the first word, TAB";
    let story = signed_chain("grub.cfg", &[prompt]);
    story.is_explained(Cause::GrubWithoutMenu, &["asked the server for no menu"]);
}

/// The kernel says so on every machine with Secure Boot.
#[test]
fn secure_boot_that_is_on_is_no_refusal() {
    let lines = [
        "EFI stub: UEFI Secure Boot is enabled.",
        "Kernel panic - not syncing",
    ];
    let story = signed_chain("coreos_production_pxe_image.cpio.gz", &lines);
    let causes: Vec<Cause> = story.findings().iter().map(|one| one.cause).collect();
    assert!(!causes.contains(&Cause::SecureBootRefusal), "{causes:?}");
    assert!(!causes.contains(&Cause::KernelRefused), "{causes:?}");
}

#[test]
fn a_boot_entry_of_another_network_card_comes_from_old_variables() {
    let mut story = Story::of("ipxe-chainload", "node1", Firmware::Uefi);
    story.stop_before(is_dhcp(MessageType::Discover));
    story.console("BdsDxe: failed to load Boot0002 \"UEFI PXEv4\" from PciRoot(0x0)/Pci(0x1,0x0)/MAC(525400123456,0x1): Not Found");
    story.is_explained(Cause::StaleNvram, &["525400123456", "52:54:00:5c:01:01"]);
}

#[test]
fn uefi_that_sends_nothing_and_has_no_rng_lacks_one() {
    let mut story = Story::of("ipxe-chainload", "node1", Firmware::Uefi);
    story.stop_before(is_dhcp(MessageType::Discover));
    story.console("BdsDxe: No bootable option or device was found.");
    story
        .attempt
        .beside
        .domains
        .insert("node1".into(), Domain::default());
    story.is_explained(Cause::NoRng, &["has no `<rng>`", "No bootable option"]);
    // With one it is something else.
    let with_rng = Domain {
        has_rng: true,
        ..Domain::default()
    };
    story
        .attempt
        .beside
        .domains
        .insert("node1".into(), with_rng);
    assert!(
        story
            .findings()
            .iter()
            .all(|finding| finding.cause != Cause::NoRng)
    );
}

#[test]
fn options_that_the_machine_refuses_are_told_with_what_was_acknowledged() {
    let mut story = asks_for("undionly.kpxe");
    let options = vec![("blksize".to_owned(), "65464".to_owned())];
    story.packet(
        story.host(2000),
        story.guest(49152),
        PacketContent::TftpOptions { options },
    );
    story.packet(
        story.guest(49152),
        story.host(2000),
        tftp_error(8, "bad blksize", "undionly.kpxe"),
    );
    let words = ["the machine rejected", "blksize=65464", "bad blksize"];
    story.is_explained(Cause::TftpOptionsRefused, &words);
}

#[test]
fn the_size_probe_of_edk2_is_no_refusal() {
    let mut story = asks_for("undionly.kpxe");
    story.packet(
        story.guest(49152),
        story.host(2000),
        tftp_error(8, "User aborted", "undionly.kpxe"),
    );
    let what = PacketContent::TftpRequest {
        file: "undionly.kpxe".into(),
        options: Vec::new(),
        write: false,
    };
    story.packet(story.guest(49152), story.host(69), what);
    let findings = story.findings();
    assert!(
        findings
            .iter()
            .all(|finding| finding.cause != Cause::TftpOptionsRefused),
        "{findings:#?}"
    );
}

#[test]
fn a_tftp_server_that_stops_in_the_middle_is_named_with_how_far_it_came() {
    let mut story = asks_for("undionly.kpxe");
    story
        .transfer(Protocol::Tftp, "undionly.kpxe", 1)
        .retransmits = 2;
    story.gave_up(60, "silence");
    let words = ["192.168.92.1", "1000 of 1000000 bytes", "undionly.kpxe"];
    story.is_explained(Cause::TftpServerDied, &words);
}

#[test]
fn data_that_the_network_saw_and_the_port_did_not_is_lost_and_its_server_alive() {
    let mut story = asks_for("undionly.kpxe");
    story.transfer(Protocol::Tftp, "undionly.kpxe", 1).announced = Some(70_000);
    let mut story = story.with_port();
    // The server sends the next block three times; none arrives.
    let sent = story.attempt.wire.transfers.last_mut().unwrap();
    sent.retransmits = 3;
    sent.end_us += 7_000_000;
    story.gave_up(60, "silence");
    story.is_explained(Cause::PacketLoss, &["3 of", "did not arrive"]);
}

#[test]
fn a_tftp_server_that_never_answers_is_gone() {
    let mut story = asks_for("undionly.kpxe");
    story.gave_up(60, "silence");
    story.is_explained(Cause::TftpServerDied, &["never answered", "undionly.kpxe"]);
}

#[test]
fn a_service_that_ended_by_itself_comes_first() {
    let mut story = asks_for("undionly.kpxe");
    let seen = Observation::ServiceEnded {
        service: "server".into(),
        detail: "killed by signal 9".into(),
    };
    story.record(seen);
    story.is_explained(Cause::ServiceDied, &["server ended by itself", "signal 9"]);
}

#[test]
fn a_boot_program_loaded_again_and_again_is_a_loop() {
    let mut story = Story::chainload();
    let acked = story.time_of(is_dhcp(MessageType::Ack));
    story.stop_at(acked + 1);
    for _ in 0..5 {
        let transfer = story.transfer(Protocol::Tftp, "undionly.kpxe", 1);
        (transfer.end, transfer.announced) = (TransferEnd::Whole, Some(1000));
    }
    story.is_explained(Cause::ChainloadLoop, &["undionly.kpxe", "5 times"]);
}

/// The question for the script, and no more.
fn asks_for_script(answer: Option<PacketContent>) -> Story {
    let mut story = Story::chainload();
    let at_us = story.time_of(
        |said| matches!(said, PacketContent::HttpRequest { target, .. } if target.starts_with("/ipxe")),
    );
    story.stop_at(at_us + 1);
    if let Some(what) = answer {
        story.packet(story.host(8080), story.guest(49152), what);
    }
    story
}

#[test]
fn a_script_that_no_group_has_is_told_group_by_group() {
    let mut story = asks_for_script(None);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("scenario");
    keep_data(&story.attempt.scenario.data_dir(), &data).unwrap();
    // No default, and another UUID for node1.
    let config = data.join("data/config.yaml");
    let text = std::fs::read_to_string(&config).unwrap();
    let (groups, _) = text.split_once("  - name: default").unwrap();
    let groups = groups.replace(
        "1f6c0b52-64de-4c0a-8f1b-a2d35e7c4d11",
        "00000000-0000-4000-8000-000000000001",
    );
    std::fs::write(&config, groups).unwrap();
    story.attempt.beside = Beside::read(&data);
    let query = "uuid=1f6c0b52-64de-4c0a-8f1b-a2d35e7c4d11&mac=52-54-00-5c-01-01";
    let who = Who {
        mac: Some(story.node.mac.into()),
        ..Who::default()
    };
    let BootEvent::HttpRequest {
        method, user_agent, ..
    } = crate::verdict::fixture::http(&who, "", "", None, "")
    else {
        unreachable!()
    };
    story.event(BootEvent::HttpRequest {
        who,
        method,
        user_agent,
        path: "/ipxe".into(),
        query: query.into(),
        status: 404,
        bytes: 0,
        length: None,
        group: None,
        selectors: None,
        sha256: None,
        detail: "none of 2 groups matches".into(),
        millis: 1,
    });
    let words = [
        "uuid=1f6c0b52-64de-4c0a-8f1b-a2d35e7c4d11",
        "none of 2 groups matches",
        "`node1` no match: uuid wanted \"00000000-0000-4000-8000-000000000001\", got \"1f6c0b52",
        "`node2` no match: mac wanted",
    ];
    story.is_explained(Cause::ScriptNotFound, &words);
}

#[test]
fn http_that_is_blocked_is_told_with_what_does_answer() {
    let mut story = Story::chainload();
    let syn = story.stop_before(|said| matches!(said, PacketContent::TcpSyn));
    story.attempt.records.retain(|record| time_us(record) < syn);
    for _ in 0..3 {
        story.packet(story.guest(49153), story.host(8080), PacketContent::TcpSyn);
    }
    story.is_explained(
        Cause::HttpBlocked,
        &[
            "192.168.92.1:8080",
            "3 connection attempts, never answered",
            "answers other requests",
        ],
    );
    let why = "administratively prohibited".to_owned();
    story.packet(
        story.host(0),
        story.guest(0),
        PacketContent::Unreachable {
            why,
            port: Some(8080),
            address: None,
        },
    );
    story.is_explained(Cause::HttpBlocked, &["prohibited"]);
}

#[test]
fn a_machine_with_anothers_uuid_is_told_whose_it_is() {
    let mut story = Story::chainload();
    let other = story
        .attempt
        .scenario
        .node("node2")
        .unwrap()
        .uuid
        .to_string();
    for packet in &mut story.attempt.wire.packets {
        if let Some(said) = dhcp(packet).filter(|said| !said.from_server) {
            said.uuid = Some(other.clone());
        }
    }
    story.stop_before(|said| matches!(said, PacketContent::HttpRequest { .. }));
    story.is_explained(Cause::BorrowedIdentity, &[&other, "that of node2"]);
}

#[test]
fn a_pass_of_the_boot_program_without_a_script_is_the_script_stages_failure() {
    let story = asks_for_script(None);
    let NodeVerdict::Fail { stage, .. } = story.verdict() else {
        panic!()
    };
    assert_eq!(stage, StageName::Script);
}
