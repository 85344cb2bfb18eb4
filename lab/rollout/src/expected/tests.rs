//! Tests of the effects of configs.

use std::sync::Arc;

use super::*;
use crate::plan::{Config, Document};

fn served(folder: Folder, text: &str) -> Config {
    Config {
        folder,
        asked: Asked::ByKernelOption,
        request: format!("/{}", folder.name()),
        served: Ok(Document {
            request: String::new(),
            file: None,
            text: Arc::from(text),
        }),
        source: None,
    }
}

fn booted(command_line: &str, configs: Vec<Config>) -> Booted {
    Booted {
        group: "g".into(),
        by: String::new(),
        why: String::new(),
        profile: "p".into(),
        kernel: "/assets/k".into(),
        initrd: Vec::new(),
        command_line: command_line.into(),
        script: Document {
            request: String::new(),
            file: None,
            text: Arc::from(""),
        },
        configs,
        seed: None,
    }
}

fn cloud(text: &str, system: System) -> ExpectedState {
    ExpectedState::of(&booted("", vec![served(Folder::Cloud, text)]), system)
}

fn ignition(text: &str) -> ExpectedState {
    ExpectedState::of(
        &booted("", vec![served(Folder::Ignition, text)]),
        System::StandIn,
    )
}

const CLOUD: &str = "#cloud-config
hostname: node1
write_files:
- {path: /etc//a, content: 'one', permissions: '0600', owner: 'core:core'}
- {path: /etc/b, content: 'dHdv', encoding: base64}
- {path: /etc/c, content: 'ip $private_ipv4'}
users: [{name: deploy}]
coreos:
  etcd2: {name: x}
  units:
  - {name: etcd2.service, command: start, drop_ins: [{name: 10-a.conf, content: \"[Service]\\nEnvironment=A=1\\n\"}]}
  - {name: a.service, command: start, content: \"[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStart=/bin/true\\n\"}
  - {name: b.service, command: start, content: \"[Service]\\nExecStart=/usr/bin/docker run x\\n\"}
  - {name: c.service, command: start, runtime: true, content: \"[Service]\\nType=oneshot\\nExecStart=/bin/true\\n\"}
  - {name: d.service, content: \"[Service]\\nExecStart=/bin/sleep 9\\n\"}
  - {name: e.service, command: start, content: \"[Unit]\\nConditionPathExists=/x\\n[Service]\\nExecStart=/bin/sleep 9\\n\"}
  - {name: 00-eth0.network, command: start, content: \"[Match]\\nName=eth0\\n\"}
  - {name: f.service, mask: true}
";

#[test]
fn a_cloud_config_makes_files_units_and_a_name() {
    insta::assert_debug_snapshot!(cloud(CLOUD, System::StandIn));
}

#[test]
fn the_real_system_has_its_own_services_and_programs() {
    let expected = cloud(CLOUD, System::CoreOs);
    assert_eq!(
        expected.units_active,
        ["etcd2.service", "a.service", "b.service"]
    );
}

#[test]
fn an_ignition_config_makes_files_and_units() {
    insta::assert_debug_snapshot!(ignition(
        r#"{"ignition": {"version": "3.3.0"},
            "storage": {
              "files": [
                {"path": "/etc/hostname", "contents": {"source": "data:,node2%0A"}, "mode": 384},
                {"path": "/etc/a", "contents": {"source": "data:text/plain;base64,b25l"},
                 "user": {"name": "core"}, "group": {"id": 500}},
                {"path": "/etc/b", "user": {"id": 77}},
                {"path": "/etc/c", "contents": {"source": "http://h/c"}},
                {"path": "/etc/d", "contents": {"source": null}},
                {"path": "/etc/e", "append": [{"source": "data:,x"}]},
                {"path": "/etc/f", "contents": {"source": "data:,x", "compression": "gzip"}},
                {"path": "/etc/g", "contents": {"source": "data:;base64,/w=="}}
              ],
              "disks": [{"device": "/dev/vda"}]
            },
            "systemd": {"units": [
              {"name": "a.service", "enabled": true,
               "contents": "[Service]\nExecStart=/bin/sleep 9\n[Install]\nWantedBy=multi-user.target\n"},
              {"name": "b.service", "contents": "[Service]\nExecStart=/bin/sleep 9\n",
               "dropins": [{"name": "1.conf", "contents": "[Service]\n"}]},
              {"name": "c.service", "mask": true}
            ]}}"#
    ));
}

#[test]
fn the_cloud_config_has_the_last_word() {
    let ignition = r#"{"ignition": {"version": "3.0.0"}, "storage": {"files": [
        {"path": "/etc/hostname", "contents": {"source": "data:,first"}},
        {"path": "/a", "contents": {"source": "data:,first"}}]}}"#;
    let cloud = "#cloud-config\nhostname: last\nwrite_files: [{path: /a, content: last}]\n";
    let configs = vec![
        served(Folder::Cloud, cloud),
        served(Folder::Ignition, ignition),
    ];
    let expected = ExpectedState::of(&booted("", configs), System::StandIn);
    assert_eq!(expected.hostname.as_deref(), Some("last"));
    assert_eq!(expected.files["/a"].content, "last");
    assert!(!expected.files.contains_key("/etc/hostname"));
}

#[test]
fn a_config_that_no_kernel_option_asks_for_makes_nothing() {
    let config = Config {
        asked: Asked::ByNothing,
        ..served(Folder::Cloud, "#cloud-config\nhostname: a\n")
    };
    let expected = ExpectedState::of(&booted("", vec![config]), System::StandIn);
    assert_eq!(expected, ExpectedState::default());
}

#[test]
fn kernel_options_names_of_initrds_are_not_expected() {
    let command_line = "initrd=initrd0 initrd=initrd12 initrd=main initrd=initrd a=1";
    let expected = ExpectedState::of(&booted(command_line, vec![]), System::StandIn);
    assert_eq!(
        expected.kernel_options,
        ["initrd=main", "initrd=initrd", "a=1"]
    );
}

#[test]
fn kernel_options_are_words_and_those_of_the_network_are_not_known() {
    let expected = ExpectedState::of(
        &booted("a=1 b=\"2\" a=1 c=${next-server}", vec![]),
        System::StandIn,
    );
    assert_eq!(expected.kernel_options, ["a=1", "b=2"]);
    assert!(expected.unproven[0].contains("`c=${next-server}`"));
}

#[test]
fn what_would_be_refused_in_the_machine_is_known_before() {
    let mode = "#cloud-config\nwrite_files: [{path: /a, permissions: '0999'}]\n";
    let reasons = [
        cloud("hostname: a\n", System::StandIn),
        cloud(mode, System::StandIn),
        ignition(r#"{"ignition": {"version": "2.2.0"}}"#),
        ignition(r#"{"ignitionVersion": 1}"#),
    ];
    let reasons = reasons.map(|expected| expected.hopeless.unwrap_or_default());
    insta::assert_snapshot!(reasons.join("\n"));
    let real = ExpectedState::of(
        &booted(
            "",
            vec![served(Folder::Ignition, r#"{"ignitionVersion": 1}"#)],
        ),
        System::CoreOs,
    );
    assert_eq!(real.hopeless, None);
    assert_eq!(cloud("#!/bin/sh\n", System::StandIn).unproven.len(), 1);
}
