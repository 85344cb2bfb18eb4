//! The JSON schema of `fault.toml` and its parser know the same keys.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use super::{Collection, load};
use crate::scenario::read::tests::ASKED;
use crate::scenario::schema_tests::{is_valid, schema};

/// A fault with every table, and a station of each role.
const EVERY_TABLE: &str = r#"summary = "Nobody answers"
scenario = "ipxe-chainload"
firmware = "bios"
nodes = ["node1"]
[expect]
verdict = "fail"
stage = "dhcp"
cause = "no-dhcp-server"
[[change]]
file = "scenario.toml"
replace = "a"
with = "b"
[machine]
[server]
without = ["proxy_dhcp"]
[link]
[[rewrite]]
replace = "a"
with = "b"
[[barrier]]
protocol = "tcp"
port = 8080
[[station]]
role = "silent"
address = "192.168.92.200"
[[station]]
role = "dhcp-server"
address = "192.168.92.200"
first = "192.168.92.210"
last = "192.168.92.219"
[[station]]
role = "leases"
address = "192.168.92.200"
count = 1
[[station]]
role = "web"
address = "192.168.92.200"
stall_after = 1000
[[station]]
role = "tftp"
die_after = 1000
[[station]]
role = "proxy"
address = "192.168.92.200"
flaw = "no-boot-file"
[[station]]
role = "answers"
address = "192.168.92.200"
[[station]]
role = "requests"
address = "192.168.92.200"
urls = ["http://192.168.92.1:8080/boot.ipxe"]
[[station]]
role = "machine"
address = "192.168.92.200"
uuid = "16e7d8a7-bfa9-428b-9117-363341bb330b"
[router]
[switch]
[kill]
after = "tftp_request"
"#;

/// Titles of the tables in messages, and their places in the fault and in the schema.
const TABLES: [(&str, &str, &str); 11] = [
    ("the fault", "", ""),
    ("[expect]", "/expect", "/definitions/ExpectTable"),
    ("[[change]]", "/change/0", "/definitions/ChangeTable"),
    ("[machine]", "/machine", "/definitions/MachineTable"),
    ("[server]", "/server", "/definitions/ServerTable"),
    ("[link]", "/link", "/definitions/LinkTable"),
    ("[[rewrite]]", "/rewrite/0", "/definitions/RewriteTable"),
    ("[[barrier]]", "/barrier/0", "/definitions/BarrierTable"),
    ("[router]", "/router", "/definitions/RouterTable"),
    ("[switch]", "/switch", "/definitions/SwitchTable"),
    ("[kill]", "/kill", "/definitions/KillTable"),
];

fn is_read(value: &Value) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let text = toml::to_string(value).unwrap();
    fs::write(folder.path().join("fault.toml"), text).unwrap();
    load(Collection::Faults, folder.path()).is_ok()
}

fn fault() -> Value {
    toml::from_str(EVERY_TABLE).unwrap()
}

fn keys(schema: &Value, table: &str) -> BTreeSet<String> {
    let properties = schema.pointer(&format!("{table}/properties")).unwrap();
    properties.as_object().unwrap().keys().cloned().collect()
}

#[test]
fn schema_has_exactly_the_keys_that_are_read() {
    assert!(is_read(&fault()));
    // A passing case and a removed file have keys of their own.
    let asked = ASKED.take();
    assert_eq!(asked.len(), TABLES.len() + 1, "{asked:?}");
    let schema = schema("fault");
    let asked_for = |title: &str| -> BTreeSet<String> {
        asked[title].iter().map(|key| (*key).to_owned()).collect()
    };
    for (title, _, table) in TABLES {
        assert_eq!(keys(&schema, table), asked_for(title), "{title}");
    }
    let roles = schema.pointer("/definitions/StationTable/oneOf").unwrap();
    let roles = 0..roles.as_array().unwrap().len();
    let of_roles: BTreeSet<String> = roles
        .flat_map(|role| keys(&schema, &format!("/definitions/StationTable/oneOf/{role}")))
        .collect();
    assert_eq!(of_roles, asked_for("[[station]]"));
}

#[test]
fn unknown_key_is_refused_by_parser_and_schema() {
    assert_eq!(is_valid("fault", &fault()), Ok(()));
    let stations = (0..9).map(|index| format!("/station/{index}"));
    let tables = TABLES.iter().map(|(_, table, _)| (*table).to_owned());
    for table in tables.chain(stations) {
        let mut wrong = fault();
        wrong.pointer_mut(&table).unwrap()["unheard_of"] = true.into();
        assert!(!is_read(&wrong), "{table}");
        assert!(is_valid("fault", &wrong).is_err(), "{table}");
    }
}

#[test]
fn value_out_of_range_is_refused_by_parser_and_schema() {
    for (table, key, value) in [
        ("", "firmware", json!("bois")),
        ("", "nodes", json!([])),
        ("", "machines", json!("real")),
        ("", "boot_seconds", json!(5)),
        ("/expect", "verdict", json!("pass")),
        ("/expect", "stage", json!("dchp")),
        ("/expect", "cause", json!("no-cause")),
        ("/expect", "shown", json!([""])),
        ("/change/0", "replace", json!("")),
        ("/machine", "uuid", json!(7)),
        ("/server", "without", json!(["proxy-dhcp"])),
        ("/link", "loss_percent", json!(101)),
        ("/link", "delay_ms", json!(10_001)),
        ("/rewrite/0", "toward", json!("server")),
        ("/barrier/0", "protocol", json!("icmp")),
        ("/barrier/0", "port", json!(0)),
        ("/station/0", "role", json!("loud")),
        ("/station/2", "count", json!(65)),
        ("/station/3", "status", json!(503)),
        ("/station/5", "flaw", json!("none")),
        ("/station/6", "status", json!(30)),
        ("/station/7", "urls", json!(["ftp://192.168.92.1/"])),
        ("/kill", "after", json!("tftp")),
        ("/kill", "restart_ms", json!(60_001)),
    ] {
        let mut wrong = fault();
        wrong.pointer_mut(table).unwrap()[key] = value;
        assert!(!is_read(&wrong), "{table}/{key}");
        assert!(is_valid("fault", &wrong).is_err(), "{table}/{key}");
    }
}
