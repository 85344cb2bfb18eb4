//! New scenarios load, are valid, and expect what their data say.

use std::fs;

use boot_server_catalog::load;
use boot_server_catalog::load::Source;
use rollout::expected::{ExpectedState, System};
use rollout::inventory::{Inventory, Machine};
use rollout::plan::{ClientRequests, Known, Plan, plan_with_requests};
use rollout::validate::{Network, Request, validate};

use super::*;

const NAME: &str = "first-try";

fn write(kind: Kind) -> (tempfile::TempDir, Scenario) {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join(NAME);
    let nodes = Identity::pair([Uuid::from_u128(0xabcd << 112), Uuid::from_u128(7)]);
    for (path, text) in kind.files(NAME, &nodes) {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let scenario = Scenario::load_with(&folder, DataCheck::Strict)
        .map_err(miette::Report::new)
        .unwrap();
    (root, scenario)
}

fn planned(kind: Kind, scenario: &Scenario) -> Plan {
    let machine = |node: &lab_model::scenario::Node| Machine {
        name: node.name.clone(),
        macs: vec![node.mac.to_string()],
        uuid: Some(node.uuid.to_string()),
        ..Machine::default()
    };
    let inventory = Inventory {
        machines: scenario.nodes.iter().map(machine).collect(),
    };
    let loaded = load::survey(&Source::of(scenario.data_dir()));
    let requests = ClientRequests {
        known: match kind {
            Kind::IpxeChainload | Kind::ProxyDhcp => Known::ByIpxe,
            Kind::PxeDhcp => Known::UuidAndMac,
            Kind::Pixiecore => Known::Mac,
        },
        ..ClientRequests::default()
    };
    plan_with_requests(&loaded.snapshot, &inventory, &requests)
}

#[test]
fn a_new_scenario_of_each_kind_loads_strictly_and_is_valid() {
    for kind in Kind::ALL {
        let (_root, scenario) = write(kind);
        assert_eq!(scenario.nodes.len(), 2);
        let found = validate(&Request {
            root: scenario.data_dir(),
            ignition: None,
            machines: None,
            assets: None,
            network: match kind {
                Kind::Pixiecore => Network::Pixiecore,
                _ => Network::Ipxe,
            },
            program_path: None,
        });
        // What Pixiecore of before 2016 does not fill in is no fault of today's.
        let known = |rule: &str| kind == Kind::Pixiecore && rule == "pixiecore-variable";
        let mut others = found.findings.iter().filter(|one| !known(one.rule.id));
        assert_eq!(others.next(), None, "{kind:?}");
    }
}

#[test]
fn what_it_expects_is_what_its_data_says() {
    for kind in Kind::ALL {
        let (_root, scenario) = write(kind);
        for (node, planned) in scenario.nodes.iter().zip(planned(kind, &scenario).machines) {
            let booted = planned.outcome.unwrap();
            let expect = &node.expect;
            assert_eq!(booted.group, expect.group, "{kind:?}");
            let outcome = ExpectedState::of(&booted, System::StandIn);
            assert_eq!(outcome.hostname, expect.hostname, "{kind:?}");
            assert_eq!(outcome.units_active, expect.units_active, "{kind:?}");
            for option in &expect.kernel_options {
                assert!(
                    outcome.kernel_options.contains(option),
                    "{kind:?}: {option} is not among {:?}",
                    outcome.kernel_options
                );
            }
            // Its unit's file is proved by the unit.
            let files = outcome.files.iter();
            let files: Vec<String> = files
                .filter(|(path, _)| !path.starts_with("/etc/systemd/"))
                .map(|(path, file)| format!("{path} {} {} {}", file.owner, file.mode, file.content))
                .collect();
            let expected: Vec<String> = expect
                .files
                .iter()
                .map(|file| {
                    format!(
                        "{} {} {} {}",
                        file.path, file.owner, file.mode, file.content
                    )
                })
                .collect();
            assert_eq!(files, expected, "{kind:?}");
        }
    }
}
