//! The system inside, and its config.

use boot_server_events::Who;

use super::*;
use crate::evidence::beside::keep_data;
use crate::evidence::disturbance::Disturbance;
use crate::evidence::packet::Content;
use crate::verdict::fixture::http;

/// The kernel is up and its system has an address, unless `quiet`.
fn kernel_up(quiet: bool) -> Story {
    let mut story = Story::chainload();
    let up = story
        .attempt
        .records
        .iter()
        .find(|record| matches!(&record.seen, Observation::Console { .. }));
    let up_us = up.unwrap().at_us;
    let rest_us = if quiet { 1 } else { 50_000 };
    story.stop_at(up_us + rest_us);
    story
}

#[test]
fn a_system_that_says_nothing_on_the_wire_has_no_network() {
    let mut story = kernel_up(true);
    story.console(
        "stand-in: FAILED: Ignition needs the network, and no interface got an address by DHCP",
    );
    story.is_explained(
        Cause::GuestWithoutNetwork,
        &[
            "sent nothing after its kernel started",
            "no interface got an address",
        ],
    );
}

#[test]
fn a_system_that_asks_in_vain_has_no_network() {
    let mut story = kernel_up(true);
    let said = DhcpSaid {
        message: MessageType::Discover.into(),
        client: story.node.mac.to_string(),
        ..DhcpSaid::default()
    };
    for _ in 0..3 {
        story.packet(
            story.guest(68),
            wiring::nobody("ff:ff:ff:ff:ff:ff", 67),
            PacketContent::Dhcp(Box::new(said.clone())),
        );
    }
    story.is_explained(
        Cause::GuestWithoutNetwork,
        &["requested an address 3 times"],
    );
}

const CMDLINE: &str = "[    0.000000] Command line: console=ttyS0 cloud-config-url=http://192.168.92.77:8080/cloud?uuid=1";

#[test]
fn a_config_url_to_a_host_that_does_not_answer_leads_nowhere() {
    let mut story = kernel_up(false);
    story.console(CMDLINE);
    let mut nowhere = story.host(8080);
    nowhere.address = Some("192.168.92.77".parse().unwrap());
    story.packet(story.guest(40000), nowhere, PacketContent::TcpSyn);
    story.console(
        "guest-agent: fetch http://192.168.92.77:8080/cloud?uuid=1: attempt 1 of 15: timeout",
    );
    story.is_explained(
        Cause::ConfigUrlWrong,
        &["http://192.168.92.77:8080/cloud", "not answered"],
    );
}

#[test]
fn a_config_url_to_a_host_that_nobody_has_is_told_by_the_console() {
    let mut story = kernel_up(false);
    story.console(CMDLINE);
    story.console("guest-agent: fetch http://192.168.92.77:8080/cloud?uuid=1: attempt 1 of 15: No route to host");
    story.is_explained(Cause::ConfigUrlWrong, &["192.168.92.77"]);
}

/// The server answers a question for a config so.
pub(super) fn answers(path: &str, status: u16, detail: &str) -> Story {
    let mut story = kernel_up(false);
    let who = Who {
        mac: Some(story.node.mac.into()),
        ..Who::default()
    };
    let mut event = http(
        &who,
        path,
        "uuid=1f6c0b52-64de-4c0a-8f1b-a2d35e7c4d11",
        None,
        detail,
    );
    if let BootEvent::HttpRequest {
        status: of,
        user_agent,
        ..
    } = &mut event
    {
        (*of, *user_agent) = (status, "guest-agent/0.1.0".into());
    }
    story.event(event);
    story
}

#[test]
fn a_path_that_no_service_has_is_a_wrong_url() {
    let story = answers("/clouds", 404, "no such path");
    story.is_explained(Cause::ConfigUrlWrong, &["/clouds"]);
}

#[test]
fn a_config_that_is_not_there_is_named_with_the_servers_reason() {
    let mut story = answers("/ignition", 404, "file not found: `ignition/node1.json`");
    story
        .console("stand-in: FAILED: Ignition's fetch stage ended with exit code 1 (config URL: x)");
    story.is_explained(
        Cause::ConfigNotFound,
        &["/ignition", "404", "ignition/node1.json"],
    );
    answers("/cloud", 404, "no cloud-config").is_explained(Cause::ConfigNotFound, &["/cloud"]);
}

/// V20: our own service answers 404 to what is no config, and the file is there.
#[test]
fn a_config_that_our_service_refuses_for_its_text_is_invalid_and_not_missing() {
    let folder = tempfile::tempdir().unwrap();
    let mut remedies = std::collections::BTreeSet::new();
    for (number, (text, is_invalid)) in [
        ("\u{feff}#cloud-config\nhostname: a\n", true),
        ("#cloud-config\nusers:\n\t- name: a\n", true),
        ("<html><body>login</body></html>\n", true),
        ("#cloud-config\nhostname: {{index .hostname 99}}\n", true),
        ("#cloud-config\nhostname: a\n", false),
    ]
    .into_iter()
    .enumerate()
    {
        let mut story = answers("/cloud", 404, "group `node1`: cloud/node1.yaml: no");
        let kept = folder.path().join(number.to_string());
        keep_data(&story.attempt.scenario.data_dir(), &kept).unwrap();
        std::fs::write(kept.join("data/cloud/node1.yaml"), text).unwrap();
        story.attempt.beside = Beside::read(&kept);
        assert!(story.attempt.beside.catalog.is_some(), "{text:?}");
        story.console("guest-agent: nothing applied: HTTP status 404");
        let cause = match is_invalid {
            true => Cause::ConfigInvalid,
            false => Cause::ConfigNotFound,
        };
        let causes: Vec<Cause> = story.findings().iter().map(|one| one.cause).collect();
        assert_eq!(causes.first(), Some(&cause), "{text:?}: {causes:?}");
        let found = story.is_explained(cause, &["cloud"]);
        remedies.insert(format!("{cause:?}: {}", found.remedy));
    }
    let remedies: Vec<String> = remedies.into_iter().collect();
    insta::assert_snapshot!(remedies.join("\n"));
}

#[test]
fn a_server_with_troubles_of_its_own_is_told_from_one_without_the_file() {
    answers("/cloud", 503, "backend is gone")
        .is_explained(Cause::ConfigServerError, &["503", "backend is gone"]);
}

#[test]
fn a_config_that_the_guest_refuses_is_told_with_its_words() {
    let mut story = answers("/ignition", 200, "node1.json");
    story.console("Ignition 2.14.0");
    story.console("CRITICAL : failed to fetch config: error at line 3 col 5: invalid character");
    story
        .console("stand-in: FAILED: Ignition's fetch stage ended with exit code 1 (config URL: x)");
    story.is_explained(
        Cause::ConfigRefused,
        &["node1.json", "error at line 3 col 5"],
    );
    let mut story = answers("/cloud", 200, "node1.yaml");
    story.console("guest-agent: FAILED: the first line is neither \"#cloud-config\" nor \"#!…\"");
    story.is_explained(
        Cause::ConfigRefused,
        &["node1.yaml", "the first line is neither"],
    );
}

/// The whole boot, with checks spoiled by `found`.
fn found(found: impl Fn(&str) -> Option<String>) -> Story {
    let mut story = Story::chainload();
    for record in &mut story.attempt.records {
        if let Observation::Check {
            check,
            found: text,
            holds,
            ..
        } = &mut record.seen
            && let Some(other) = found(check)
        {
            (*text, *holds) = (other, false);
        }
    }
    story
}

/// A unit that fails after the boot has no line on the console.
#[test]
fn unit_of_the_config_that_failed_is_the_cause_of_its_check() {
    let unit = "lab-node1.service";
    let mut story = found(|check| check.starts_with("unit ").then(|| "failed".to_owned()));
    let config = format!("#cloud-config\ncoreos:\n  units:\n    - name: {unit}\n");
    for seen in [
        Observation::Arrived {
            protocol: Protocol::Http,
            name: "/cloud".into(),
            from: Endpoint::default(),
            start_us: story.last_us(),
            bytes: 5,
            content: Content {
                sha256: String::new(),
                text: Some(config),
            },
        },
        Observation::Units {
            failed: vec!["of-the-image.service".into(), unit.into()],
            without_program: Vec::new(),
            starting: Vec::new(),
        },
    ] {
        story.record(seen);
    }
    story.is_explained(Cause::UnitFailed, &[unit, "systemd lists"]);
}

#[test]
fn a_group_that_answered_instead_is_another_machines_config() {
    let mut story = Story::chainload();
    for record in &mut story.attempt.records {
        if let Observation::Server { entry, .. } = &mut record.seen
            && let BootEvent::HttpRequest { path, group, .. } = &mut entry.what
            && path == "/cloud"
        {
            *group = Some("default".into());
        }
    }
    let sentence = "group `default` matched this machine instead of `node1`";
    story.is_explained(Cause::WrongConfigServed, &[sentence]);
}

#[test]
fn another_file_than_the_groups_own_is_another_machines_config() {
    let mut story = Story::chainload();
    for record in &mut story.attempt.records {
        if let Observation::Server { entry, .. } = &mut record.seen
            && let BootEvent::HttpRequest { path, detail, .. } = &mut entry.what
            && path == "/cloud"
        {
            *detail = "cloud/default.yaml".into();
        }
    }
    story.is_explained(
        Cause::WrongConfigServed,
        &["cloud/default.yaml", "instead of node1.yaml", "`node1`"],
    );
}

#[test]
fn what_another_machine_should_have_is_its_config() {
    let hostname = |check: &str| (check == "hostname").then(|| "ipxe-chainload-two".to_owned());
    found(hostname).is_explained(Cause::WrongConfigServed, &["node2", "hostname"]);
}

#[test]
fn a_file_that_differs_is_shown_as_a_difference() {
    let content = |check: &str| {
        (check == "file /home/core/cloud content").then(|| {
            "cloud-config of ipxe-chainload: ipxe-chainload-one, matched by its UUIX\n".to_owned()
        })
    };
    let words = [
        "file /home/core/cloud content",
        "-cloud-config of",
        "+cloud-config of",
        "UUIX",
    ];
    found(content).is_explained(Cause::GuestDiffers, &words);
    let mode = |check: &str| check.ends_with("secret mode").then(|| "0644".to_owned());
    found(mode).is_explained(
        Cause::GuestDiffers,
        &["secret mode", "\"0644\"", "\"0600\""],
    );
}

/// One record takes the place of each check's.
fn disturbed(story: &mut Story, which: impl Fn(&str) -> bool) {
    for record in &mut story.attempt.records {
        if let Observation::Check { check, .. } = &record.seen
            && which(check)
        {
            record.seen = Observation::ConsoleDisturbed {
                check: check.clone(),
                disturbance: Disturbance::Checksum,
                tries: 4,
            };
        }
    }
}

/// V13, third: the console is the cause, and no check fails.
#[test]
fn disturbed_answer_is_the_cause_and_no_difference() {
    let mut story = Story::chainload();
    disturbed(&mut story, |check| check.ends_with("cloud content"));
    story.is_explained(
        Cause::ConsoleDisturbed,
        &["file /home/core/cloud content", "asked 4 times", "checksum"],
    );
    let findings = story.findings();
    assert!(
        findings
            .iter()
            .all(|finding| finding.cause != Cause::GuestDiffers),
        "{findings:#?}"
    );
}

#[test]
fn disturbed_answer_that_came_later_is_no_cause() {
    let mut story = Story::chainload();
    let mut answered = story.attempt.records.clone();
    answered.retain(|record| matches!(record.seen, Observation::Check { .. }));
    disturbed(&mut story, |_| true);
    story.attempt.records.extend(answered);
    assert_eq!(story.verdict(), NodeVerdict::Pass);
}
