//! Tests of reading machine lists, with the position of every mistake.

use boot_server_proto::firmware::Firmware;

use super::*;
use crate::inventory::{Expected, Machine};

fn told(format: Format, text: &str) -> String {
    let problems = read_text(Path::new("machines"), text, format).unwrap_err();
    let told = problems.iter().map(|p| format!("{p} ({})", p.help));
    told.collect::<Vec<_>>().join("\n")
}

fn machines(format: Format, text: &str) -> Vec<Machine> {
    read_text(Path::new("machines"), text, format)
        .unwrap()
        .inventory
        .machines
}

const UUID: &str = "16e7d8a7-bfa9-428b-9117-363341bb330b";

#[test]
fn the_four_languages_say_the_same() {
    let toml = r#"
[[machines]]
name = "node1"
mac = "52-54-00-A1-9C-AE"
macs = ["5254.00b2.2f86", "52:54:00:a1:9c:ae"]
uuid = "16E7D8A7-BFA9-428B-9117-363341BB330B"
serial = "0042"
firmware = "uefi"
memory = "8 GiB"
cpus = 4
disks = [20, "1 TiB"]
labels = { rack = "7" }
expect.spec = "etcd"
expect.cloud_config = "node1.yaml"
"#;
    let yaml = r#"
machines:
- name: node1
  mac: 52-54-00-A1-9C-AE
  macs: [5254.00b2.2f86, "52:54:00:a1:9c:ae"]
  uuid: 16E7D8A7-BFA9-428B-9117-363341BB330B
  serial: "0042"
  firmware: uefi
  memory: 8 GiB
  cpus: 4
  disks: [20, 1 TiB]
  labels: {rack: "7"}
  expect: {profile: etcd, cloud_config: node1.yaml}
"#;
    let json = r#"[{"name": "node1", "mac": "52-54-00-A1-9C-AE",
        "macs": ["5254.00b2.2f86", {"mac": "52:54:00:a1:9c:ae", "boots": true}],
        "uuid": "16E7D8A7-BFA9-428B-9117-363341BB330B", "serial": "0042", "firmware": "uefi",
        "memory": 8192, "cpus": "4", "disks": ["20 GiB", 1024], "labels": {"rack": "7"},
        "expect": {"spec": "etcd", "cloud_config": "node1.yaml"}}]"#;
    let csv = "name,mac,macs,uuid,serial,firmware,memory,cpus,disks,label.rack,expect.spec,\
               expect.cloud_config,hostname\n\
               node1,52-54-00-A1-9C-AE,5254.00b2.2f86 52:54:00:a1:9c:ae,\
               16E7D8A7-BFA9-428B-9117-363341BB330B,0042,uefi,8 GiB,4,20 GiB 1 TiB,7,etcd,\
               node1.yaml,\n";
    let wanted = Machine {
        name: "node1".into(),
        macs: vec!["52:54:00:a1:9c:ae".into(), "52:54:00:b2:2f:86".into()],
        uuid: Some(UUID.into()),
        serial: Some("0042".into()),
        hostname: None,
        firmware: Firmware::Uefi,
        secure_boot: None,
        memory_mib: Some(8192),
        cpus: Some(4),
        disks_gib: vec![20, 1024],
        labels: [("rack".into(), "7".into())].into(),
        expect: Expected {
            profile: Some("etcd".into()),
            cloud_config: Some("node1.yaml".into()),
            ignition: None,
        },
    };
    for (format, text) in [
        (Format::Toml, toml),
        (Format::Yaml, yaml),
        (Format::Json, json),
        (Format::Csv, csv),
    ] {
        assert_eq!(
            machines(format, text),
            std::slice::from_ref(&wanted),
            "{format:?}"
        );
    }
}

#[test]
fn the_first_card_boots_where_nothing_else_is_said() {
    let text = "machines: [{name: a, macs: ['52:54:00:00:00:02', '52:54:00:00:00:01']}]";
    let macs = &machines(Format::Yaml, text)[0].macs;
    assert_eq!(macs, &["52:54:00:00:00:02", "52:54:00:00:00:01"]);
}

#[test]
fn every_mistake_of_a_list_is_told_with_its_place() {
    let text = r#"
[[machines]]
name = "node 1"
mac = "52:54:00:a1:9c"
memroy = "8 GiB"
uuid = "16e7d8a7bfa9428b9117363341bb330b"

[[machines]]
firmware = "efi"
serial = 42
memory = "8 GB"
disks = ["0 GiB"]
cpus = true
macs = ["52:54:00:00:00:01", "52-54-00-00-00-01"]

[[machines]]
name = "empty"

[machines.labels]
mac = "x"
rack = 7

[machines.expect]
profile = "a"
spec = "b"
cloud-config = "c"
"#;
    insta::assert_snapshot!(told(Format::Toml, text));
}

#[test]
fn names_macs_and_uuids_that_are_there_twice_name_both_places() {
    let text = format!(
        "name,mac,macs,uuid\na,52:54:00:00:00:01,,{UUID}\nb,52-54-00-00-00-01,,{}\na,52:54:00:00:00:03,52:54:00:00:00:01,\n",
        UUID.to_uppercase()
    );
    insta::assert_snapshot!(told(Format::Csv, &text));
}

#[test]
fn a_machine_boots_by_one_card() {
    let text = "
machines:
- name: a
  mac: 52:54:00:00:00:01
  macs:
  - {mac: '52:54:00:00:00:02', boots: true}
- name: b
  macs:
  - {mac: '52:54:00:00:00:03', boots: true}
  - {mac: '52:54:00:00:00:04', boots: true}
  - {mac: '52:54:00:00:00:05', boot: yes, boots: 'yes'}
  - {}
";
    insta::assert_snapshot!(told(Format::Yaml, text));
}

#[test]
fn a_list_without_machines_is_a_mistake() {
    let lists = [
        (Format::Toml, ""),
        (
            Format::Toml,
            "[[machine]]\nname = 'a'\nmac = '52:54:00:00:00:01'\n",
        ),
        (Format::Toml, "[machines.a]\nmac = 'x'\n"),
        (Format::Yaml, ""),
        (Format::Yaml, "machines: []"),
        (Format::Json, "[]"),
        (Format::Json, "[\"a\"]"),
        (
            Format::Json,
            "{\"machines\": [{\"name\": \"a\", \"name\": \"b\", \"uuid\": null}]}",
        ),
        (Format::Csv, ""),
        (Format::Csv, "name,mac\n,,\n"),
    ];
    let told = lists.map(|(format, text)| told(format, text));
    insta::assert_snapshot!(told.join("\n--\n"));
}

#[test]
fn text_that_yaml_takes_for_something_else_is_refused() {
    let text = "machines:\n- name: a\n  serial: 0042\n  hostname: yes\n  uuid: 1\n";
    insta::assert_snapshot!(told(Format::Yaml, text));
}

#[test]
fn a_csv_cell_with_nothing_in_it_says_nothing() {
    let read = machines(
        Format::Csv,
        "name;mac;serial;label.os\na;52:54:00:00:00:01;;\n\nb;;S1;x\n",
    );
    assert_eq!(read[0].serial, None);
    assert_eq!(read[0].labels.len(), 0);
    assert_eq!(read[1].labels["os"], "x");
}

#[test]
fn a_machine_has_a_place_for_what_others_find_wrong() {
    let text = "machines:\n- name: a\n  uuid: 16e7d8a7-bfa9-428b-9117-363341bb330b\n- {name: b, serial: S}\n";
    let listed = read_text(Path::new("m.yaml"), text, Format::Yaml).unwrap();
    let problem = listed.problem(1, Severity::Warning, "matches nothing", "add a group");
    assert_eq!(problem.to_string(), "m.yaml:4:3: matches nothing");
}

#[test]
fn a_file_is_told_by_its_extension() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("m.csv");
    std::fs::write(&file, "name,serial\na,1\n").unwrap();
    assert_eq!(read(&file).unwrap().machines.len(), 1);
    for name in ["m.txt", "machines", "missing.toml"] {
        let problems = read(&folder.path().join(name)).unwrap_err();
        assert_eq!(problems.len(), 1, "{name}");
    }
}
