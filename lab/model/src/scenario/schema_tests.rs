//! The JSON schema of `scenario.toml` and its parser know the same keys.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use boon::{Compiler, Schemas};
use serde_json::Value;

use super::draft;
use super::problem::Source;
use super::read::tests::ASKED;

/// A scenario with every table.
const EVERY_TABLE: &str = r#"summary = "One machine boots"
firmware = ["bios"]
[[network]]
name = "servers"
subnet = "192.168.90.0/24"
[[network]]
name = "rack1"
subnet = "192.168.91.0/24"
[[router]]
joins = ["servers", "rack1"]
[services]
dhcp = "boot-server"
pixiecore = { command = ["/usr/bin/pixiecore", "api", "{api}"] }
[[service]]
name = "files"
command = ["nginx"]
ready = { tcp = 80 }
[[program]]
name = "grubx64.efi"
from = "grub:13"
[boot]
[image]
[deadline]
[[node]]
name = "node1"
uuid = "16e7d8a7-bfa9-428b-9117-363341bb330b"
nics = [{ mac = "52:54:00:a1:9c:ae", boots = true }]
[node.expect]
matched_by = "uuid"
group = "node1"
[node.expect.sha256]
[[node.expect.file]]
path = "/home/core/cloud"
content = "text"
owner = "core:core"
mode = "0644"
"#;

/// Titles of the tables in messages, and their places in the scenario and in the schema.
const TABLES: [(&str, &str, &str); 16] = [
    ("the scenario", "", ""),
    ("[[network]]", "/network/0", "/definitions/Network"),
    ("[[router]]", "/router/0", "/definitions/Router"),
    ("`nics`", "/node/0/nics/0", "/definitions/Nic"),
    ("[services]", "/services", "/definitions/Services"),
    (
        "services.pixiecore",
        "/services/pixiecore",
        "/definitions/PixiecoreService/oneOf/2",
    ),
    ("[[service]]", "/service/0", "/definitions/Service"),
    ("ready", "/service/0/ready", "/definitions/Ready"),
    ("[[program]]", "/program/0", "/definitions/PreparedProgram"),
    ("[boot]", "/boot", "/definitions/Boot"),
    ("[image]", "/image", "/definitions/Image"),
    ("[deadline]", "/deadline", "/definitions/Deadline"),
    ("[[node]]", "/node/0", "/definitions/Node"),
    ("[node.expect]", "/node/0/expect", "/definitions/Expect"),
    (
        "[node.expect.sha256]",
        "/node/0/expect/sha256",
        "/definitions/ExpectedHashes",
    ),
    (
        "[[node.expect.file]]",
        "/node/0/expect/file/0",
        "/definitions/FileExpect",
    ),
];

/// Returns the published schema of this name, which a test of the lab compares with the types.
pub(crate) fn schema(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schemas");
    let file = folder.join(format!("{name}.schema.json"));
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

/// Validates a value by the published schema of this name.
pub(crate) fn is_valid(name: &str, value: &Value) -> Result<(), String> {
    let url = "http://localhost/schema.json";
    let mut schemas = Schemas::new();
    let mut compiler = Compiler::new();
    compiler.add_resource(url, schema(name)).unwrap();
    let index = compiler.compile(url, &mut schemas).unwrap();
    let result = schemas.validate(value, index);
    result.map_err(|error| format!("{error:#}"))
}

fn is_read(text: &str) -> bool {
    let source = Source::new(Path::new("scenario.toml"), text.to_owned());
    draft::read(&source);
    source.is_sound()
}

#[test]
fn schema_has_exactly_the_keys_that_are_read() {
    assert!(is_read(EVERY_TABLE));
    let asked = ASKED.take();
    assert_eq!(asked.len(), TABLES.len(), "{asked:?}");
    let schema = schema("scenario");
    for (title, _, table) in TABLES {
        let keys = schema.pointer(&format!("{table}/properties")).unwrap();
        let keys = keys.as_object().unwrap().keys();
        let keys: BTreeSet<&str> = keys.map(String::as_str).collect();
        assert_eq!(keys, asked[title], "{title}");
    }
}

#[test]
fn unknown_key_is_refused_by_parser_and_schema() {
    let scenario: Value = toml::from_str(EVERY_TABLE).unwrap();
    assert_eq!(is_valid("scenario", &scenario), Ok(()));
    for (title, table, _) in TABLES {
        let mut wrong = scenario.clone();
        wrong.pointer_mut(table).unwrap()["unheard_of"] = true.into();
        assert!(!is_read(&toml::to_string(&wrong).unwrap()), "{title}");
        assert!(is_valid("scenario", &wrong).is_err(), "{title}");
    }
}

#[test]
fn value_out_of_range_is_refused_by_parser_and_schema() {
    let scenario: Value = toml::from_str(EVERY_TABLE).unwrap();
    for (table, key, value) in [
        ("", "firmware", Value::Array(Vec::new())),
        ("", "machines", "real".into()),
        ("/network/0", "http_port", 0.into()),
        ("/network/1", "vlan", 4095.into()),
        ("/network/1", "mtu", 500.into()),
        ("/router/0", "relay", "isc".into()),
        ("/router/0", "blocked", vec!["sctp/69"].into()),
        ("/services", "dhcp", "isc".into()),
        ("/services", "config", "matchbox".into()),
        ("/service/0", "name", "Files".into()),
        ("/service/0", "command", Value::Array(Vec::new())),
        ("/service/0", "plays", vec!["ntp"].into()),
        ("/service/0", "restart", "sometimes".into()),
        ("/service/0", "stop", "STOP".into()),
        ("/service/0/ready", "tcp", 0.into()),
        ("/service/0/ready", "within_seconds", 0.into()),
        ("/program/0", "sign", "nobody".into()),
        ("/boot", "bios", "grub".into()),
        ("/deadline", "boot_seconds", 5.into()),
        ("/deadline", "dhcp_seconds", 9999.into()),
        ("/node/0", "memory_mib", 2.into()),
        ("/node/0", "disks_mib", vec![1].into()),
        ("/node/0", "mac", "52:54".into()),
        ("/node/0/expect", "resets", 17.into()),
        ("/node/0/expect", "matched_by", "name".into()),
        ("/node/0/expect/sha256", "kernel", "0123".into()),
        ("/node/0/expect/file/0", "mode", "rw".into()),
    ] {
        let mut wrong = scenario.clone();
        wrong.pointer_mut(table).unwrap()[key] = value;
        assert!(!is_read(&toml::to_string(&wrong).unwrap()), "{key}");
        assert!(is_valid("scenario", &wrong).is_err(), "{key}");
    }
}
