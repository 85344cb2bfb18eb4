//! Tests of plans: groups, configs and expectations.

use super::testing::{MACHINES, RACK, directory, inventory, snapshot};
use super::*;

fn planned(list: &str) -> Plan {
    let folder = directory(RACK);
    plan(&snapshot(folder.path()), &inventory(list))
}

fn booted<'a>(plan: &'a Plan, name: &str) -> &'a Booted {
    plan.machine(name).unwrap().outcome.as_ref().unwrap()
}

#[test]
fn a_machine_has_the_group_that_wins_and_why() {
    let plan = planned(MACHINES);
    let node1 = booted(&plan, "node1");
    assert_eq!((&*node1.group, &*node1.by), ("etcd1", "uuid"));
    assert_eq!(node1.why, "no other group matches");
    assert_eq!(booted(&plan, "w1").by, "rack");
    let lost = plan.machine("lost").unwrap().outcome.as_ref().unwrap_err();
    assert_eq!(lost.group, None);
    assert!(
        lost.reason.starts_with("none of 4 groups matches"),
        "{}",
        lost.reason
    );
}

#[test]
fn firmware_and_settings_are_in_the_script_and_the_command_line() {
    let plan = planned(MACHINES);
    let node1 = booted(&plan, "node1");
    assert!(
        node1
            .script
            .text
            .contains("kernel /assets/k initrd=initrd0 cloud-config-url=")
    );
    assert_eq!(
        node1.command_line,
        "initrd=initrd0 cloud-config-url=http://h:8080/cloud?uuid=16e7d8a7-bfa9-428b-9117-363341bb330b\
         &mac=52-54-00-00-00-01 console=ttyS0"
    );
    assert!(!booted(&plan, "node2").script.text.contains("initrd="));
}

#[test]
fn a_config_is_asked_for_by_the_url_in_the_kernel_options() {
    let plan = planned(MACHINES);
    let config = booted(&plan, "node2").config(Folder::Cloud).unwrap();
    let document = config.served.as_ref().unwrap();
    assert_eq!(document.request, "/cloud?uuid=&mac=52-54-00-00-00-02");
    assert!(document.text.contains("hostname: two\n"));
    let worker = booted(&plan, "w1");
    assert!(
        worker.config(Folder::Cloud).is_none(),
        "it is fetched elsewhere"
    );
    let ignition = worker.config(Folder::Ignition).unwrap();
    assert_eq!(
        ignition.served.as_ref().unwrap().request,
        "/ignition?rack=7"
    );
    let bare = booted(&plan, "spare").config(Folder::Cloud).unwrap();
    assert_eq!(bare.asked, Asked::ByNothing);
}

#[test]
fn a_config_that_is_asked_for_in_vain_is_a_problem() {
    let mut files = RACK.to_vec();
    let spec = r#"{"id": "bare", "boot": {"kernel": "/assets/k", "cmdline":
        {"cloud-config-url": "http://h/cloud?uuid=${uuid}"}}, "cloud_id": "bare.yaml"}"#;
    files.retain(|(name, _)| *name != "specs/bare/spec.json");
    files.push(("specs/bare/spec.json", spec));
    let folder = directory(&files);
    let plan = plan(&snapshot(folder.path()), &inventory(MACHINES));
    let problems = plan.machine("spare").unwrap().problems();
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0]
            .starts_with("requests its cloud-config and gets none: none of 4 groups matches"),
        "the host name is not in the URL: {problems:?}"
    );
}

#[test]
fn what_the_inventory_expects_and_is_not_so_is_told() {
    let plan = planned(MACHINES);
    let failing: Vec<&str> = plan
        .failing()
        .map(|machine| machine.name.as_str())
        .collect();
    assert_eq!(failing, ["w1", "lost"]);
    assert_eq!(
        plan.machine("w1").unwrap().problems(),
        ["expected ignition `other.json`, gets `worker.json`"]
    );
    let list = MACHINES.replace(
        "spec: etcd, cloud_config",
        "spec: worker, ignition: x, cloud_config",
    );
    assert_eq!(
        planned(&list).machine("node2").unwrap().problems(),
        [
            "expected spec `worker`, gets `etcd`",
            "expected ignition `x`, gets none"
        ]
    );
}

#[test]
fn machines_by_the_hundred_keep_their_order() {
    let list: String = (0..MANY + 57)
        .map(|n| {
            format!(
                "- {{name: m{n}, mac: '52:54:00:00:{:02x}:{:02x}'}}\n",
                n / 256,
                n % 256
            )
        })
        .collect();
    let plan = planned(&format!("machines:\n{list}"));
    let names: Vec<String> = plan
        .machines
        .iter()
        .map(|machine| machine.name.clone())
        .collect();
    let wanted: Vec<String> = (0..MANY + 57).map(|n| format!("m{n}")).collect();
    assert_eq!(names, wanted);
    assert_eq!(booted(&plan, "m2").group, "etcd2");
}
