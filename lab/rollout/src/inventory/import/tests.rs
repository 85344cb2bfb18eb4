use super::*;
use crate::inventory::write::write;
use crate::inventory::{Format, Inventory, read};

const UUID: &str = "16e7d8a7-bfa9-428b-9117-363341bb330b";

fn source(name: &str, text: &str) -> Source {
    Source {
        path: name.into(),
        text: Some(text.to_owned()),
    }
}

/// What is imported, as TOML, and what is left out; in every language it is read back the same.
fn imported(kind: Option<Kind>, sources: &[Source]) -> String {
    let imported = import(kind, sources).unwrap();
    for format in [Format::Toml, Format::Yaml, Format::Json, Format::Csv] {
        let text = write(&imported.inventory, format).unwrap();
        let back = read::read_text(Path::new("m"), &text, format).map(|listed| listed.inventory);
        assert_eq!(back.as_ref(), Ok(&imported.inventory), "{text}");
    }
    format!(
        "{}--- left out:\n{}",
        write(&imported.inventory, Format::Toml).unwrap(),
        imported.left_out.join("\n")
    )
}

fn refused(kind: Option<Kind>, sources: &[Source]) -> String {
    let problems = import(kind, sources).unwrap_err();
    let told = problems.iter().map(|p| format!("{p} ({})", p.help));
    told.collect::<Vec<_>>().join("\n")
}

const WHOLE: &str = "\
# dmidecode 3.4
Getting SMBIOS data from sysfs.
SMBIOS 2.8 present.
30 structures occupying 1587 bytes.
Table at 0x000F5A90.

Handle 0x0000, DMI type 0, 24 bytes
BIOS Information
\tVendor: SeaBIOS
\tCharacteristics:
\t\tTargeted content distribution is supported
\t\tUEFI is supported
\tBIOS Revision: 0.0

Handle 0x0100, DMI type 1, 27 bytes
System Information
\tManufacturer: Dell Inc.
\tProduct Name: PowerEdge R640
\tSerial Number: 7XK2J53
\tUUID: 4C4C4544-0058-4B10-8032-B7C04F4A3533
\tWake-up Type: Power Switch

Handle 0x0300, DMI type 3, 22 bytes
Chassis Information
\tSerial Number: not the system's

Handle 0x0400, DMI type 4, 48 bytes
Processor Information
\tCore Count: 8
\tThread Count: 16

Handle 0x0401, DMI type 4, 48 bytes
Processor Information
\tCore Count: 8
\tThread Count: 16

Handle 0x1100, DMI type 17, 84 bytes
Memory Device
\tSize: 16 GB
\tSpeed: 2666 MT/s

Handle 0x1101, DMI type 17, 84 bytes
Memory Device
\tSize: 8192 MB

Handle 0x1102, DMI type 17, 84 bytes
Memory Device
\tSize: No Module Installed
";

fn system(serial: &str, uuid: &str) -> String {
    format!(
        "# dmidecode 3.2\nGetting SMBIOS data from sysfs.\n\nHandle 0x0001, DMI type 1, 27 bytes\n\
         System Information\n\tManufacturer: X\n\tSerial Number: {serial}\n\tUUID: {uuid}\n\n"
    )
}

#[test]
fn what_dmidecode_prints_of_a_machine_is_one_named_after_the_file() {
    let one = source("rack/node1.txt", WHOLE);
    let two = source("rack/node2.txt", &system("Default string", UUID));
    insta::assert_snapshot!(imported(None, &[one, two]));
}

#[test]
fn what_dmidecode_prints_of_several_machines_may_be_in_one_file() {
    let other = "26e7d8a7-bfa9-428b-9117-363341bb330b";
    let text = [
        system("S1", UUID),
        system("S2", other),
        system("S3", UUID),
        system("S4", "Not Settable"),
    ];
    insta::assert_snapshot!(imported(
        Some(Kind::Dmidecode),
        &[source("all", &text.concat())]
    ));
    let quiet = format!(
        "System Information\n\tSerial Number: A\n\tUUID: {UUID}\n\nSystem Information\n\tSerial \
         Number: B\n\tUUID: {other}\n"
    );
    let imported = import(None, &[source("quiet", &quiet)]).unwrap();
    let names: Vec<&str> = names(&imported.inventory);
    assert_eq!(names, ["A", "B"]);
}

fn names(inventory: &Inventory) -> Vec<&str> {
    let machines = inventory.machines.iter();
    machines.map(|machine| machine.name.as_str()).collect()
}

#[test]
fn every_form_of_a_dnsmasq_host_is_read() {
    let text = "\
# dhcp-host=52:54:00:00:00:99,commented
interface=eth0
dhcp-host=52:54:00:00:00:01
dhcp-host=52:54:00:00:00:02,52:54:00:00:00:12,node2,10.0.0.2,12h
dhcp-host = 52:54:0:0:0:3 , set:red , tag:blue , node3.example.com , [fd00::3] , infinite # its comment
dhcp-host=id:01:52:54:00:00:00:04,node4
dhcp-host=id:*,52:54:00:00:00:05,node5,45m
dhcp-host=52:54:00:00:00:06,ignore
dhcp-host=52:54:00:*:*:*,set:lab
dhcp-host=06-52:54:00:00:00:07,net:old,node2
--dhcp-host=52:54:00:00:00:08,10.0.0.8
dhcp-host=52:54:00:00:00:01,again
dhcp-hostsfile=/etc/hosts.d
";
    insta::assert_snapshot!(imported(None, &[source("dnsmasq.conf", text)]));
}

#[test]
fn a_file_of_dnsmasq_hosts_has_no_keys() {
    let text = "# hosts\n52:54:00:00:00:01,node1,10.0.0.1\nid:x,node2\n52:54:00:00:00:03,node3\n";
    let imported = import(Some(Kind::Dnsmasq), &[source("hosts", text)]).unwrap();
    assert_eq!(names(&imported.inventory), ["node1", "node3"]);
}

#[test]
fn hosts_of_isc_dhcpd_are_found_at_any_depth() {
    let text = r#"
option domain-name "example.com"; # host x { hardware ethernet 1; }
subnet 10.0.0.0 netmask 255.255.255.0 {
  range 10.0.0.10, 10.0.0.20;
  host node1 { hardware ethernet 52:54:00:00:00:01; fixed-address 10.0.0.1; }
  group {
    use-host-decl-names on;
    host node2 {
      hardware ethernet 52:54:0:0:0:2;
      option host-name "web;2{";
      filename "pxelinux.0"; next-server 10.0.0.9;
    }
    host "node 3" { hardware ethernet 52:54:00:00:00:03; option domain-name "lab"; }
  }
}
host node4 { host-identifier option agent.remote-id 1:2; fixed-address 10.0.0.4; }
host node5 { hardware token-ring 0:1:2:3:4:5; hardware ethernet zz; }
if known { set x = "y"; }
host node6 { hardware ethernet 52:54:00:00:00:06; deny booting; }
"#;
    insta::assert_snapshot!(imported(None, &[source("dhcpd.conf", text)]));
}

#[test]
fn a_dhcpd_configuration_whose_blocks_do_not_close_is_refused() {
    let open = "host a { hardware ethernet 52:54:00:00:00:01;";
    let told = [open, "host a { hardware ethernet 52:54:00:00:00:01; }\n}\n"]
        .map(|text| refused(Some(Kind::Dhcpd), &[source("dhcpd.conf", text)]));
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn reservations_of_kea_are_found_in_subnets_and_networks() {
    let text = r#"{
# a comment, as Kea has them
"Dhcp4": {
  "interfaces-config": {"interfaces": ["eth0"]}, // another
  "reservations": [{"hw-address": "52:54:00:00:00:01", "hostname": "node1", "client-classes": ["a"]}],
  "subnet4": [{"subnet": "10.0.0.0/24", "reservations": [
    {"hw-address": "52:54:00:00:00:02", "ip-address": "10.0.0.2", "hostname": "node2.example.com"},
    {"duid": "01:02:03", "ip-address": "10.0.0.3"},
  ]}],
  "shared-networks": [{"name": "n", "subnet4": [{"reservations": [
    {"hw-address": "52-54-00-00-00-04", "boot-file-name": "x", "option-data": []}]}]}] /* end */
},
"Dhcp6": {"reservations": []}
}"#;
    insta::assert_snapshot!(imported(None, &[source("kea.conf", text)]));
    let list = r#"[{"hw-address": "52:54:00:00:00:01"}]"#;
    let imported = import(None, &[source("list.json", list)]).unwrap();
    assert_eq!(names(&imported.inventory), ["52-54-00-00-00-01"]);
    insta::assert_snapshot!(refused(
        Some(Kind::Kea),
        &[source("kea.conf", "{\"Dhcp4\": {,}}")]
    ));
}

#[test]
fn groups_that_select_a_uuid_or_a_mac_are_machines() {
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let directory = Source::open(&scenarios.join("pxe-dhcp/data")).unwrap();
    insta::assert_snapshot!(imported(None, &[directory]));
}

#[test]
fn a_group_for_an_installed_machine_is_no_second_machine() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("groups")).unwrap();
    for (id, selector) in [
        ("install", r#"{"mac": "52:54:00:00:00:01"}"#),
        (
            "a-run",
            r#"{"mac": "52-54-00-00-00-01", "os": "installed"}"#,
        ),
        (
            "loud",
            r#"{"uuid": "16E7D8A7-BFA9-428B-9117-363341BB330B", "hall": "7"}"#,
        ),
        ("odd", r#"{"uuid": "u1"}"#),
        ("default", "{}"),
    ] {
        let text = format!(r#"{{"id": "{id}", "profile": "p", "selector": {selector}}}"#);
        std::fs::write(folder.path().join(format!("groups/{id}.json")), text).unwrap();
    }
    let directory = Source::open(folder.path()).unwrap();
    insta::assert_snapshot!(imported(Some(Kind::Groups), &[directory]));
}

#[test]
fn what_cannot_be_told_apart_has_to_be_named() {
    let both = "dhcp-host=52:54:00:00:00:01,a\nhost a { hardware ethernet 52:54:00:00:00:01; }\n";
    let folder = tempfile::tempdir().unwrap();
    let folder = Source {
        path: "data".into(),
        ..Source::open(folder.path()).unwrap()
    };
    let told = [
        refused(None, &[source("both", both), source("neither", "x\n")]),
        refused(Some(Kind::Kea), std::slice::from_ref(&folder)),
        refused(None, &[folder]),
        refused(Some(Kind::Dnsmasq), &[source("empty", "\n")]),
        refused(Some(Kind::Dnsmasq), &[source("ids", "dhcp-host=id:x,a\n")]),
    ];
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn the_names_of_kinds_are_those_of_the_programs() {
    for kind in Kind::ALL {
        assert_eq!(Kind::from_name(kind.name()), Some(kind));
    }
    assert_eq!(Kind::from_name("isc"), Some(Kind::Dhcpd));
    assert_eq!(Kind::from_name("matchbox"), Some(Kind::Groups));
    assert_eq!(Kind::from_name("dhcp"), None);
}
