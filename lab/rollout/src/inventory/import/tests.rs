//! Tests of the imports: every kind of source, and what is left out.

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

/// Returns the imported list as TOML, and the entries left out; checks that every format is read back the same.
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

/// A folder with these files, and an import of the first.
fn imported_files(kind: Kind, files: &[(&str, &str)]) -> (Inventory, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = text.replace("DIR", &folder.path().to_string_lossy());
        std::fs::write(path, text).unwrap();
    }
    let source = Source::open(&folder.path().join(files[0].0)).unwrap();
    let imported = import(Some(kind), &[source]).unwrap();
    let dir = folder.path().display().to_string();
    let left_out = imported.left_out.iter();
    let left_out = left_out.map(|line| line.replace(&dir, "DIR"));
    (imported.inventory, left_out.collect())
}

/// Name, first MAC and host name of each.
fn hosts(inventory: &Inventory) -> Vec<(String, String, String)> {
    let machines = inventory.machines.iter();
    machines
        .map(|m| {
            (
                m.name.clone(),
                m.macs[0].clone(),
                m.hostname.clone().unwrap_or_default(),
            )
        })
        .collect()
}

fn host(name: &str, mac: &str, hostname: &str) -> (String, String, String) {
    (name.into(), mac.into(), hostname.into())
}

#[test]
fn kea_list_of_results_is_imported_whatever_command_was_answered() {
    let host = r#"{"hw-address": "52:54:00:aa:03:01", "hostname": "db1", "subnet-id": 3}"#;
    for text in [
        format!(
            r#"[{{"result": 0, "arguments": {{"Dhcp4": {{"subnet4": [{{"id": 3, "reservations": [{host}]}}]}}}}}}]"#
        ),
        format!(r#"[{{"arguments": {{"hosts": [{host}]}}, "result": 0, "text": "1 found."}}]"#),
        format!(r#"[{{"arguments": {host}, "result": 0, "text": "Host found."}}]"#),
        format!(r#"{{"arguments": {host}, "result": 0}}"#),
        format!(
            r#"[{{"result": 1, "text": "down"}}, {{"arguments": {{"count": 1, "hosts": [{host}]}}, "result": 0}}]"#
        ),
        format!("[{host}]"),
    ] {
        let imported = import(None, &[source("kea.json", &text)]).unwrap();
        assert_eq!(
            hosts(&imported.inventory),
            [self::host("db1", "52:54:00:aa:03:01", "db1")],
            "{text}"
        );
        let told: &[&str] = match text.contains("down") {
            true => &["kea.json:1: error answer of a server: down"],
            false => &[],
        };
        assert_eq!(imported.left_out, told, "{text}");
    }
}

#[test]
fn kea_include_is_read_or_named_and_the_rest_imported() {
    let config = |reservations: &str| {
        format!(
            "{{ \"Dhcp4\": {{ # <?include \"/no\"?>\n \"note\": \"<?include\", \"subnet4\": [ {{ \"id\": 1,\n \
             \"reservations\": {reservations} }} ],\n \"reservations\": [ {{ \"hw-address\": \
             \"52:54:00:aa:03:09\", \"hostname\": \"gw9\" }} ] }} }}"
        )
    };
    let gw9 = host("gw9", "52:54:00:aa:03:09", "gw9");
    let db1 = host("db1", "52:54:00:aa:03:01", "db1");
    let mut ignored = Vec::new();
    for missing in [
        "<?include \"/nothing/r.json\"?>",
        "[ <?include \"/nothing/r.json\"?> ]",
        "[ <?include \"/nothing/r.json\"?>, <?include \"/nothing/r.json\"?> ]",
    ] {
        let (inventory, left_out) = imported_files(Kind::Kea, &[("kea.conf", &config(missing))]);
        assert_eq!(hosts(&inventory), std::slice::from_ref(&gw9), "{missing}");
        ignored.extend(left_out);
    }
    insta::assert_snapshot!(ignored.join("\n"));
    let one = r#"{ "hw-address": "52:54:00:aa:03:01", "hostname": "db1" }"#;
    for (written, brought) in [
        (
            "<?include \"DIR/r.json\"?>",
            format!("# all\n[ {one} ] // end"),
        ),
        ("[ <?include \"r.json\"?> ]", one.to_owned()),
        (
            "<?include \"r.json\"?>",
            "<?include \"inner/x.json\"?>".to_owned(),
        ),
    ] {
        let files = [
            ("kea.conf", &*config(written)),
            ("r.json", &*brought),
            ("inner/x.json", &*format!("[{one}]")),
        ];
        let (inventory, _) = imported_files(Kind::Kea, &files);
        assert_eq!(hosts(&inventory), [db1.clone(), gw9.clone()], "{written}");
    }
    let files = [
        ("kea.conf", &*config("<?include \"r.json\"?>")),
        ("r.json", "<?include \"r.json\"?>"),
    ];
    let (inventory, left_out) = imported_files(Kind::Kea, &files);
    assert_eq!(hosts(&inventory), [gw9]);
    insta::assert_snapshot!(left_out.join("\n"));
}

#[test]
fn dhcpd_lease_file_gives_the_hosts_that_are_declared_last() {
    let text = "authoring-byte-order little-endian;\nlease 10.0.0.7 { binding state free; hardware ethernet \
                52:54:00:bb:00:77; }\nhost web1.lab.internal {\n dynamic;\n hardware ethernet \
                52:54:00:bb:00:01;\n supersede server.filename = \"pxelinux.0\";\n supersede host-name = \
                \"web1\";\n}\nhost old7.lab { dynamic; hardware ethernet 52:54:00:bb:00:07; }\nhost old7.lab { \
                dynamic; deleted; }\nhost new8.lab { dynamic; hardware ethernet 52:54:00:bb:00:07; supersede \
                host-name = \"new8\"; }\nhost web2 { dynamic; hardware ethernet 52:54:00:bb:00:02; }\nhost web2 \
                { dynamic; hardware ethernet 52:54:00:bb:00:03; }\n";
    let imported = import(None, &[source("dhcpd.leases", text)]).unwrap();
    assert_eq!(
        hosts(&imported.inventory),
        [
            host("web1", "52:54:00:bb:00:01", "web1"),
            host("new8", "52:54:00:bb:00:07", "new8"),
            host("web2", "52:54:00:bb:00:03", ""),
        ]
    );
}

#[test]
fn dhcpd_keywords_in_any_case_and_names_told_by_a_later_statement_are_read() {
    let text = "Option domain-name \"lab.internal\";\ngroup {\n host a { hardware ethernet 0:16:3e:9:a:1; }\n \
                Host b { Hardware Ethernet 00:16:3e:09:0a:02; OPTION Host-Name \"B\"; }\n subnet 10.0.0.0 \
                netmask 255.0.0.0 { use-host-decl-names false; host c { hardware ethernet 0:16:3e:9:a:3; } }\n \
                Use-Host-Decl-Names ON;\n}\nhost d { HARDWARE ETHERNET 0:16:3e:9:a:4; }\n";
    let imported = import(None, &[source("dhcpd.conf", text)]).unwrap();
    assert_eq!(
        hosts(&imported.inventory),
        [
            host("a", "00:16:3e:09:0a:01", "a"),
            host("b", "00:16:3e:09:0a:02", "B"),
            host("c", "00:16:3e:09:0a:03", ""),
            host("d", "00:16:3e:09:0a:04", ""),
        ]
    );
}

#[test]
fn dhcpd_includes_are_read_where_they_stand_or_named() {
    let text = "authoritative;\ninclude \"/nothing/rack1.conf\";\ngroup { use-host-decl-names on;\n INCLUDE \
                \"hosts.d/rack2.conf\"; }\nhost here { hardware ethernet 52:54:00:cc:00:01; }\n# include \
                \"no\";\n";
    let rack2 = "host r2 { hardware ethernet 52:54:00:cc:00:02; }\ninclude \"more.conf\";\ninclude \
                 \"DIR/dhcpd.conf\";\n";
    let more = "host r3 { hardware ethernet 52:54:00:cc:00:03; }\n";
    let files = [
        ("dhcpd.conf", text),
        ("hosts.d/rack2.conf", rack2),
        ("hosts.d/more.conf", more),
    ];
    let (inventory, left_out) = imported_files(Kind::Dhcpd, &files);
    assert_eq!(
        hosts(&inventory),
        [
            host("r2", "52:54:00:cc:00:02", "r2"),
            host("r3", "52:54:00:cc:00:03", "r3"),
            host("here", "52:54:00:cc:00:01", ""),
        ]
    );
    insta::assert_snapshot!(left_out.join("\n"));
    // A file of includes alone is told by them.
    let only = import(
        None,
        &[source(
            "d",
            "include \"/nothing/x\";\nhost a { hardware ethernet 2:0:0:0:0:1; }",
        )],
    );
    insta::assert_snapshot!(only.unwrap().left_out.join("\n"));
}

#[test]
fn dnsmasq_files_and_folders_are_read_or_named() {
    let text = "interface=prov0\nconf-file=more.conf # hosts\nconf-dir=DIR/conf.d,*.conf\nconf-dir=other.d/,.bak\n\
                dhcp-hostsfile=hosts\ndhcp-hostsdir=hosts.d\nconf-dir=/nothing/dir\nconf-file=/nothing/file\n\
                dhcp-host=52:54:00:dd:00:01,10.0.0.1,api1\nconf-file=dnsmasq.conf\n";
    let line = |n: u8| format!("dhcp-host=52:54:00:dd:00:{n:02},h{n}\n");
    let bare = |n: u8| format!("52:54:00:dd:00:{n:02},h{n}\n");
    let files: [(&str, &str); 10] = [
        ("dnsmasq.conf", text),
        ("more.conf", &line(2)),
        ("conf.d/a.conf", &line(3)),
        ("conf.d/b.txt", &line(90)),
        ("conf.d/.c.conf", &line(91)),
        ("conf.d/d.conf~", &line(92)),
        ("other.d/x", &line(4)),
        ("other.d/x.bak", &line(93)),
        ("hosts", &bare(5)),
        ("hosts.d/one", &bare(6)),
    ];
    let (inventory, left_out) = imported_files(Kind::Dnsmasq, &files);
    let names: Vec<&str> = inventory.machines.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["h2", "h3", "h4", "h5", "h6", "api1"]);
    insta::assert_snapshot!(left_out.join("\n"));
    let files = [(
        "d.conf",
        "dhcp-hostsfile=/nothing/hosts\ndhcp-host=52:54:00:dd:00:01,a\nread-ethers\n",
    )];
    let (_, left_out) = imported_files(Kind::Dnsmasq, &files);
    // A host may have /etc/ethers.
    insta::assert_snapshot!(left_out[0]);
}

#[test]
fn uuid_placeholder_of_firmware_is_named_as_such() {
    let messages = [
        "03000200-0400-0500-0006-000700080009",
        "00020003-0004-0005-0006-000700080009",
        "03000200-0400-0500-0006-00070008000",
        "00000000-0000-0000-0000-000000000000",
        "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
        "Not Settable",
        "Not Present",
    ]
    .map(|uuid| {
        let text = format!("machines:\n- {{name: a, mac: '52:54:00:00:00:01', uuid: '{uuid}'}}\n");
        let problems = read::read_text(Path::new("m"), &text, Format::Yaml).unwrap_err();
        problems[0].message.clone()
    });
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn groups_without_machines_are_examples_with_made_up_macs() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(
        "profiles/p.json",
        r#"{"id": "p", "boot": {"kernel": "/assets/k"}}"#,
    );
    write(
        "groups/default.json",
        r#"{"id": "default", "profile": "p"}"#,
    );
    write(
        "groups/installed.json",
        r#"{"id": "i", "profile": "p", "selector": {"os": "installed"}}"#,
    );
    let imported = import(None, &[Source::open(folder.path()).unwrap()]).unwrap();
    let machines = &imported.inventory.machines;
    assert_eq!(machines.len(), 2);
    assert_eq!(
        machines[1].labels.get("os").map(String::as_str),
        Some("installed")
    );
    assert!(
        imported
            .left_out
            .iter()
            .any(|line| line.contains("placeholder MAC"))
    );
    write(
        "groups/n.json",
        r#"{"id": "n", "profile": "p", "selector": {"mac": "52:54:00:00:00:01"}}"#,
    );
    let imported = import(None, &[Source::open(folder.path()).unwrap()]).unwrap();
    assert_eq!(names(&imported.inventory), ["n"]);
}

#[test]
fn groups_file_of_another_name_and_a_directory_of_folders_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("etcd-rkt.yaml");
    let text = "---\napi_version: v1alpha1\ngroups:\n  - name: node1\n    spec: e\n    require: {mac: \
                '52:54:00:00:00:01'}\n";
    std::fs::write(&file, text).unwrap();
    std::fs::create_dir_all(folder.path().join("specs/e")).unwrap();
    std::fs::write(
        folder.path().join("specs/e/spec.json"),
        r#"{"id": "e", "boot": {"kernel": "k"}}"#,
    )
    .unwrap();
    let imported = import(None, &[Source::open(&file).unwrap()]).unwrap();
    assert_eq!(names(&imported.inventory), ["node1"]);
    let problems = import(None, &[Source::open(folder.path()).unwrap()]).unwrap_err();
    assert!(problems[0].help.contains("etcd-rkt.yaml"), "{problems:?}");
    let other = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(other.path().join("groups/etcd")).unwrap();
    let problems = import(None, &[Source::open(other.path()).unwrap()]).unwrap_err();
    let dir = other.path().display().to_string();
    insta::assert_snapshot!(problems[0].to_string().replace(&dir, "DIR"));
}
