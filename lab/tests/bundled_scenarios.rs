//! The scenarios that come with the project are sound, and each proves what it is there for.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use boot_server_catalog::ignition::{IgnitionMode, version_of};
use boot_server_catalog::load::Source;
use boot_server_catalog::nocloud::{SeedFile, UserDataKind};
use boot_server_catalog::snapshot::{Folder, Snapshot};
use lab_model::scenario::{DataCheck, Firmware, MatchedBy, Scenario, load_all};
use rollout::expected::{ExpectedState, System};
use rollout::inventory::{Inventory, Machine};
use rollout::plan::{Plan, plan};

fn bundled() -> Vec<Scenario> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    load_all(&root, DataCheck::Strict)
        .map_err(miette::Report::new)
        .expect("sound scenarios")
}

#[test]
fn bundled_scenarios_run_on_the_firmware_they_are_meant_for() {
    let found: Vec<(String, Vec<Firmware>)> = bundled()
        .into_iter()
        .map(|s| (s.name, s.firmware))
        .collect();
    let both = vec![Firmware::Bios, Firmware::Uefi];
    let all = vec![Firmware::Bios, Firmware::Uefi, Firmware::UefiHttp];
    let expected = [
        ("butane".to_owned(), both.clone()),
        ("cloud-config-full".to_owned(), vec![Firmware::Bios]),
        ("https-boot".to_owned(), vec![Firmware::UefiHttp]),
        ("ignition".to_owned(), vec![Firmware::Bios]),
        ("ipxe-chainload".to_owned(), all),
        ("libvirt-guide".to_owned(), vec![Firmware::Bios]),
        ("libvirt-guide-alone".to_owned(), vec![Firmware::Bios]),
        ("pixiecore".to_owned(), both.clone()),
        ("proxy-dhcp".to_owned(), both),
        ("pxe-dhcp".to_owned(), vec![Firmware::Bios]),
        ("secure-boot".to_owned(), vec![Firmware::Uefi]),
        ("secure-boot-http".to_owned(), vec![Firmware::UefiHttp]),
    ];
    assert_eq!(found, expected);
}

/// Those that are ours: a guide of somebody else's has the machines, configs and addresses that it has.
fn ours() -> Vec<Scenario> {
    let all = bundled().into_iter();
    all.filter(|scenario| !scenario.name.starts_with("libvirt-guide"))
        .collect()
}

#[test]
fn each_has_a_machine_for_every_way_to_match_and_another_config_for_each() {
    for scenario in ours() {
        let ways: Vec<MatchedBy> = scenario.nodes.iter().map(|n| n.expect.matched_by).collect();
        for way in [MatchedBy::Uuid, MatchedBy::Mac, MatchedBy::Default] {
            assert!(
                ways.contains(&way),
                "{}: no node is matched by {way:?}",
                scenario.name
            );
        }
        let read = |folder: &str, file: Option<&String>| {
            let path = |file| scenario.data_dir().join(folder).join(file);
            file.map(|file| fs::read_to_string(path(file)).unwrap())
        };
        let nodes = scenario.nodes.iter();
        let configs: HashSet<(Option<String>, Option<String>)> = nodes
            .map(|node| {
                let expect = &node.expect;
                let cloud = read("cloud", expect.cloud_config.as_ref());
                (cloud, read("ignition", expect.ignition.as_ref()))
            })
            .collect();
        assert!(
            !configs.contains(&(None, None)),
            "{}: no config",
            scenario.name
        );
        assert_eq!(
            configs.len(),
            scenario.nodes.len(),
            "{}: configs alike",
            scenario.name
        );
        let ignition = scenario
            .nodes
            .iter()
            .filter(|node| node.expect.ignition.is_some());
        assert!(
            ignition.count() > 0,
            "{}: no node has an Ignition config",
            scenario.name
        );
    }
}

#[test]
fn no_two_of_them_share_a_subnet_a_mac_or_a_uuid() {
    let scenarios = ours();
    let nodes = || scenarios.iter().flat_map(|scenario| &scenario.nodes);
    let subnets: HashSet<_> = scenarios.iter().map(|s| s.network.subnet).collect();
    let macs: HashSet<_> = nodes().map(|node| node.mac).collect();
    let uuids: HashSet<_> = nodes().map(|node| node.uuid).collect();
    assert_eq!(subnets.len(), scenarios.len());
    assert_eq!(macs.len(), nodes().count());
    assert_eq!(uuids.len(), nodes().count());
}

#[test]
fn what_they_expect_is_literal() {
    for scenario in bundled() {
        let text = fs::read_to_string(scenario.dir.join("scenario.toml")).unwrap();
        for sign in ["{{", "${"] {
            assert!(
                !text.contains(sign),
                "{}: `{sign}` in what is expected",
                scenario.name
            );
        }
    }
}

/// Returns what the machines of a scenario would be served.
fn planned(scenario: &Scenario, snapshot: &Snapshot) -> Plan {
    let machines = scenario.nodes.iter().map(|node| Machine {
        name: node.name.clone(),
        macs: vec![node.mac.to_string()],
        uuid: Some(node.uuid.to_string()),
        ..Machine::default()
    });
    let inventory = Inventory {
        machines: machines.collect(),
    };
    plan(snapshot, &inventory)
}

/// No run of CI boots these machines: their image needs packages from the network.
#[test]
fn cloud_init_has_a_machine_for_each_kind_of_user_data() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/systems/cloud-init");
    let scenario = Scenario::load(&folder).unwrap();
    assert_eq!(scenario.firmware, [Firmware::Bios, Firmware::Uefi]);
    let (snapshot, problems) = Snapshot::load(&Source::of(scenario.data_dir()));
    assert_eq!(problems, []);
    let plan = planned(&scenario, &snapshot);
    let mut kinds = Vec::new();
    for (node, machine) in scenario.nodes.iter().zip(&plan.machines) {
        let booted = machine.outcome.as_ref().unwrap();
        let seed = booted.seed.as_ref().unwrap();
        let user_data = seed.file(SeedFile::UserData).unwrap();
        kinds.push(UserDataKind::of(&user_data.served.as_ref().unwrap().text).unwrap());
        let options = &node.expect.kernel_options;
        assert!(
            options.contains(&seed.option),
            "{}: {}",
            node.name,
            seed.option
        );
    }
    let each = [
        UserDataKind::CloudConfig,
        UserDataKind::Script,
        UserDataKind::Jinja,
        UserDataKind::Mime,
    ];
    assert_eq!(kinds, each);
}

/// Compares what the machines of `butane` would be served; `ci/test` boots only one of them.
#[test]
fn butane_serves_what_its_machines_expect_in_versions_that_the_stand_in_reads() {
    let all = bundled();
    let scenario = all.iter().find(|it| it.name == "butane").unwrap();
    let config = scenario.services.boot_server_config.as_ref().unwrap();
    let config: boot_server::config::Config =
        toml::from_str(&fs::read_to_string(config).unwrap()).unwrap();
    let mode = config.http.unwrap().ignition;
    assert_eq!(mode, Some(IgnitionMode::AsButane));
    let source = Source {
        ignition: mode,
        ..Source::of(scenario.data_dir())
    };
    let (snapshot, problems) = Snapshot::load(&source);
    assert_eq!(problems, []);
    let plan = planned(scenario, &snapshot);
    let mut versions = Vec::new();
    let mut compared = 0;
    for (node, machine) in scenario.nodes.iter().zip(&plan.machines) {
        let booted = machine.outcome.as_ref().unwrap();
        let served = booted.config(Folder::Ignition).unwrap().served.as_ref();
        versions.extend(version_of(&served.unwrap().text));
        let state = ExpectedState::of(booted, System::StandIn);
        assert_eq!(state.hostname, node.expect.hostname, "{}", node.name);
        for file in &node.expect.files {
            if let Some(served) = state.files.get(&file.path) {
                assert_eq!(served.content, file.content, "{}", file.path);
                compared += 1;
            }
        }
    }
    assert_eq!(versions, ["3.3.0", "3.3.0", "3.0.0"]);
    assert!(compared >= 3, "{compared}");
}
