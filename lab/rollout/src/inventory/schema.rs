//! JSON schema of a list of machines in TOML, YAML or JSON; a test compares its keys with those that are read.

use boot_server_proto::firmware::Firmware;
use serde_json::{Value, json};
use uefi_variables::KeySet;

/// Returns the schema, draft-07.
#[must_use]
pub fn schema() -> Value {
    let text = |description: &str| json!({ "description": description, "type": "string" });
    let number = |description: &str, minimum: u32| {
        json!({
            "description": description,
            "anyOf": [{ "type": "integer", "minimum": minimum }, { "type": "string" }],
        })
    };
    let mac = json!({
        "description": "MAC of a network card.",
        "type": "string",
        "pattern": "^[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}$|^[0-9A-Fa-f]{4}([.][0-9A-Fa-f]{4}){2}$",
    });
    let card = json!({
        "type": "object",
        "required": ["mac"],
        "additionalProperties": false,
        "properties": {
            "mac": { "$ref": "#/definitions/mac" },
            "boots": { "description": "True if the machine boots from this card.", "type": "boolean" },
        },
    });
    let one_or_several = |one: Value| json!({ "anyOf": [one, { "type": "array", "items": one }] });
    let mut macs = one_or_several(
        json!({ "anyOf": [{ "$ref": "#/definitions/mac" }, { "$ref": "#/definitions/card" }] }),
    );
    macs["description"] = "MACs of all network cards; the boot card is `mac`, else the card with `boots = true`, else the first.".into();
    let mut disks = one_or_several(
        json!({ "anyOf": [{ "type": "integer", "minimum": 1 }, { "type": "string" }] }),
    );
    disks["description"] =
        "Sizes of the disks: numbers in GiB, or text with a unit, e.g. `2 TiB`.".into();
    let machine = json!({
        "description": "Machine; at least one of `mac`, `macs`, `uuid`, `serial`, `hostname` and `labels` is needed.",
        "type": "object",
        "required": ["name"],
        "additionalProperties": false,
        "properties": {
            "name": text("Unique name of the machine: letters, digits, `.`, `_` and `-`."),
            "mac": { "description": "MAC of the network card that boots.", "allOf": [{ "$ref": "#/definitions/mac" }] },
            "macs": macs,
            "uuid": text("SMBIOS UUID, e.g. `16e7d8a7-bfa9-428b-9117-363341bb330b`."),
            "serial": text("SMBIOS serial number."),
            "hostname": text("Host name that the machine tells the boot config service."),
            "firmware": {
                "description": "Firmware that boots the machine.",
                "enum": Firmware::ALL.map(Firmware::name),
                "default": Firmware::default().name(),
            },
            "secure_boot": {
                "description": "Keys of the machine's firmware, if it enforces Secure Boot; `true` means `microsoft-2011`.",
                "anyOf": [{ "type": "boolean" }, { "enum": KeySet::ALL.map(KeySet::name) }],
            },
            "memory": number("Memory: a number in MiB, or text with a unit, e.g. `64 GiB`.", 1),
            "cpus": number("Number of processors.", 1),
            "disks": disks,
            "labels": {
                "description": "Further labels that the machine's requests carry.",
                "type": "object",
                "additionalProperties": { "type": "string" },
            },
            "expect": { "$ref": "#/definitions/expect" },
        },
    });
    let expect = json!({
        "description": "Expected boot, as far as it is to be checked.",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "profile": text("Id of the profile."),
            "spec": text("Id of the spec; the same as `profile`."),
            "cloud_config": text("Name of the cloud-config, below `cloud/`."),
            "ignition": text("Name of the Ignition config, below `ignition/`."),
        },
    });
    let list =
        json!({ "type": "array", "minItems": 1, "items": { "$ref": "#/definitions/machine" } });
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "anyOf": [
            {
                "type": "object",
                "required": ["machines"],
                "additionalProperties": false,
                "properties": { "machines": list },
            },
            list,
        ],
        "definitions": { "machine": machine, "expect": expect, "card": card, "mac": mac },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::check::{EXPECT_KEYS, FILE_KEYS, MACHINE_KEYS, cards::MAC_KEYS};

    #[test]
    fn schema_has_exactly_the_keys_that_are_read() {
        let schema = schema();
        for (table, known) in [
            ("/anyOf/0", FILE_KEYS),
            ("/definitions/machine", MACHINE_KEYS),
            ("/definitions/expect", EXPECT_KEYS),
            ("/definitions/card", MAC_KEYS),
        ] {
            let keys = schema.pointer(&format!("{table}/properties")).unwrap();
            let mut keys: Vec<&str> = keys
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .collect();
            let mut known = known.to_vec();
            keys.sort_unstable();
            known.sort_unstable();
            assert_eq!(keys, known, "{table}");
        }
    }
}
