//! From the tree of a machine list to machines, with every mistake reported.

pub(super) mod cards;

use std::collections::BTreeMap;

use boot_server_catalog::problem::{Problem, nearest};
use boot_server_proto::firmware::Firmware;

use uefi_variables::KeySet;

use super::seen::Observation;
use super::source::{Document, Entry, Node, Place, Value};
use super::value::{self, InvalidValue};
use super::{Expected, Inventory, Machine};

pub(super) const FILE_KEYS: &[&str] = &["machines"];
pub(super) const MACHINE_KEYS: &[&str] = &[
    "name",
    "mac",
    "macs",
    "uuid",
    "serial",
    "hostname",
    "firmware",
    "secure_boot",
    "memory",
    "cpus",
    "disks",
    "labels",
    "expect",
];
pub(super) const EXPECT_KEYS: &[&str] = &["profile", "spec", "cloud_config", "ignition"];

/// Labels for which a machine has separate keys.
const OWN_LABELS: [&str; 4] = ["uuid", "mac", "serial", "hostname"];

/// Returns the machines of a list, and their positions.
pub(super) fn check(
    document: &Document,
    root: &Node,
) -> Result<(Inventory, Vec<Place>), Vec<Problem>> {
    let mut checker = Checker {
        document,
        problems: Vec::new(),
        seen: Observation::default(),
    };
    let (machines, places) = checker.file(root).into_iter().unzip();
    match checker.problems.is_empty() {
        true => Ok((Inventory { machines }, places)),
        false => {
            checker.problems.sort_by_key(|p| (p.line, p.column));
            Err(checker.problems)
        }
    }
}

struct Checker<'a> {
    document: &'a Document,
    problems: Vec<Problem>,
    seen: Observation,
}

impl Checker<'_> {
    fn tell(&mut self, at: Place, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(self.document.error(at, message, help));
    }

    fn file(&mut self, root: &Node) -> Vec<(Machine, Place)> {
        let shape =
            "write a list `machines`; each machine has a `name`, and a `mac`, a `uuid` or both";
        let list = match &root.value {
            Value::List(list) => list,
            Value::Table(entries) => {
                self.known(entries, FILE_KEYS);
                let machines = entries.iter().find(|entry| entry.key == "machines");
                match machines.map(|entry| (&entry.node.value, entry.at)) {
                    Some((Value::List(list), _)) => list,
                    Some((other, at)) => {
                        let message = format!("`machines` is {}, not a list", other.what());
                        self.tell(at, message, shape);
                        return Vec::new();
                    }
                    None => {
                        self.tell(root.at, "missing list `machines`", shape);
                        return Vec::new();
                    }
                }
            }
            other => {
                let message = format!("invalid list of machines: {}", other.what());
                self.tell(root.at, message, shape);
                return Vec::new();
            }
        };
        if list.is_empty() {
            self.tell(root.at, "the list of machines is empty", shape);
        }
        let machines = list.iter();
        machines
            .filter_map(|node| Some((self.machine(node)?, node.at)))
            .collect()
    }

    /// Reports unknown and duplicate keys.
    fn known(&mut self, entries: &[Entry], known: &[&str]) {
        for (index, entry) in entries.iter().enumerate() {
            let key = &entry.key;
            if !known.contains(&key.as_str()) {
                let near = nearest(key, known)
                    .map_or_else(String::new, |near| format!("did you mean `{near}`? "));
                let help = format!("{near}known keys are {}", known.join(", "));
                self.tell(entry.at, format!("unknown key `{key}`"), help);
            }
            let mut before = entries.iter().take(index);
            if let Some(first) = before.find(|other| other.key == *key) {
                let message = format!("duplicate key `{key}`: here and in line {}", first.at.line);
                self.tell(entry.at, message, "keep one of them");
            }
        }
    }

    fn machine(&mut self, node: &Node) -> Option<Machine> {
        let Value::Table(entries) = &node.value else {
            let message = format!(
                "invalid machine: {} instead of a table of keys",
                node.value.what()
            );
            self.tell(node.at, message, "write `name`, `mac` and other known keys");
            return None;
        };
        self.known(entries, MACHINE_KEYS);
        let find = |key: &str| {
            let found = entries.iter().find(|entry| entry.key == key);
            found.map(|entry| &entry.node)
        };
        let text = |me: &mut Self, key| find(key).and_then(|node| me.text(key, node));
        let mut machine = Machine {
            name: self
                .parsed(find("name"), "name", value::name)
                .unwrap_or_default(),
            uuid: self.parsed(find("uuid"), "uuid", value::uuid),
            serial: text(self, "serial"),
            hostname: text(self, "hostname"),
            cpus: self.number(find("cpus"), "cpus", value::cpus),
            memory_mib: self.number(find("memory"), "memory", value::memory_mib),
            ..Machine::default()
        };
        if machine.name.is_empty() && find("name").is_none_or(is_empty) {
            self.tell(node.at, "missing `name` of a machine", "add `name`");
        }
        machine.firmware = self.firmware(find("firmware"));
        machine.secure_boot = find("secure_boot").and_then(|node| self.secure_boot(node));
        if let (Some(node), Some(_), false) = (
            find("secure_boot"),
            machine.secure_boot,
            machine.firmware.is_uefi(),
        ) {
            let help = "write `firmware = \"uefi\"`, or remove `secure_boot`";
            self.tell(node.at, "Secure Boot requires UEFI firmware", help);
        }
        machine.disks_gib = match find("disks") {
            Some(node) => self.disks(node),
            None => Vec::new(),
        };
        machine.labels = find("labels").map_or_else(BTreeMap::new, |node| self.labels(node));
        machine.expect = find("expect").map_or_else(Expected::default, |node| self.expect(node));
        let cards = self.cards(find("mac"), find("macs"));
        let named = ["mac", "macs", "uuid", "serial", "hostname", "labels"];
        if !named
            .iter()
            .any(|key| find(key).is_some_and(|node| !is_empty(node)))
        {
            let message = format!("missing `mac` or `uuid` of machine `{}`", machine.name);
            self.tell(node.at, message, "add its `mac`, its `uuid` or both");
        }
        let name_at = find("name").map_or(node.at, |node| node.at);
        let uuid_at = find("uuid").map_or(node.at, |node| node.at);
        let mut ids = vec![("name", machine.name.as_str(), name_at)];
        ids.extend(
            machine
                .uuid
                .iter()
                .map(|uuid| ("UUID", uuid.as_str(), uuid_at)),
        );
        ids.extend(cards.iter().map(|(mac, at)| ("MAC", mac.as_str(), *at)));
        for (kind, id, at) in ids {
            if let Some(told) = self.seen.once(kind, id, &machine.name, at) {
                self.tell(at, told.message, told.help);
            }
        }
        machine.macs = cards.into_iter().map(|(mac, _)| mac).collect();
        Some(machine)
    }

    /// Returns a text; none when it is empty or something else.
    fn text(&mut self, key: &str, node: &Node) -> Option<String> {
        match &node.value {
            Value::Text(text) if text.trim().is_empty() => None,
            Value::Text(text) => match text.trim() == text && !text.contains(char::is_control) {
                true => Some(text.clone()),
                false => {
                    let message =
                        format!("invalid `{key}`: surrounding white space or a line break");
                    self.tell(node.at, message, format!("write \"{}\"", text.trim()));
                    None
                }
            },
            Value::Nothing => None,
            Value::Number(number) => {
                let message = format!("invalid `{key}`: the number {number} instead of a string");
                let help = "put the value in quotes, which preserves every digit";
                self.tell(node.at, message, help);
                None
            }
            other => {
                let message = format!("invalid `{key}`: {} instead of a string", other.what());
                self.tell(node.at, message, "put the value in quotes");
                None
            }
        }
    }

    fn parsed<T>(
        &mut self,
        node: Option<&Node>,
        key: &str,
        parse: fn(&str) -> Result<T, InvalidValue>,
    ) -> Option<T> {
        let node = node?;
        let text = self.text(key, node)?;
        self.value(node.at, parse(&text))
    }

    /// Returns a number, or text with one and its unit.
    fn number<T>(
        &mut self,
        node: Option<&Node>,
        key: &str,
        parse: fn(&str) -> Result<T, InvalidValue>,
    ) -> Option<T> {
        match node {
            Some(Node {
                at,
                value: Value::Number(number),
            }) => self.value(*at, parse(number)),
            Some(Node { at, value }) if !matches!(value, Value::Text(_) | Value::Nothing) => {
                let message = format!("invalid `{key}`: {} instead of a number", value.what());
                self.tell(
                    *at,
                    message,
                    "write a number, or a number with its unit in quotes",
                );
                None
            }
            other => self.parsed(other, key, parse),
        }
    }

    fn value<T>(&mut self, at: Place, value: Result<T, InvalidValue>) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(error) => {
                self.tell(at, error.message, error.help);
                None
            }
        }
    }

    fn firmware(&mut self, node: Option<&Node>) -> Firmware {
        let Some(node) = node else {
            return Firmware::default();
        };
        let Some(text) = self.text("firmware", node) else {
            return Firmware::default();
        };
        text.parse().unwrap_or_else(|_| {
            let names = Firmware::ALL.map(Firmware::name);
            let near = nearest(&text.to_ascii_lowercase(), &names)
                .map_or_else(String::new, |near| format!("did you mean `{near}`? "));
            let message = format!("unknown firmware `{text}`");
            let help = format!("{near}known firmwares are {}", names.join(", "));
            self.tell(node.at, message, help);
            Firmware::default()
        })
    }

    /// Returns the keys of Secure Boot; `None` if it is off. Tables of text have no booleans.
    fn secure_boot(&mut self, node: &Node) -> Option<KeySet> {
        if let Value::Truth(is_on) = &node.value {
            return is_on.then(KeySet::default);
        }
        let text = self.text("secure_boot", node)?;
        match text.as_str() {
            "true" => Some(KeySet::default()),
            "false" => None,
            name => match name.parse() {
                Ok(keys) => Some(keys),
                Err(_) => {
                    let names = KeySet::ALL.map(KeySet::name);
                    let near = nearest(&name.to_ascii_lowercase(), &names)
                        .map_or_else(String::new, |near| format!("did you mean `{near}`? "));
                    let message = format!("unknown keys of Secure Boot: `{name}`");
                    let help = format!("{near}use true, false, or one of {}", names.join(", "));
                    self.tell(node.at, message, help);
                    None
                }
            },
        }
    }

    /// Returns a list, or one value in place of a list of one.
    fn items<'n>(&self, node: &'n Node) -> &'n [Node] {
        match &node.value {
            Value::List(items) => items,
            Value::Nothing => &[],
            _ => std::slice::from_ref(node),
        }
    }

    fn disks(&mut self, node: &Node) -> Vec<u32> {
        let items = self.items(node).iter();
        items
            .filter_map(|item| self.number(Some(item), "disks", value::disk_gib))
            .collect()
    }

    /// Returns the entries of a table within a machine.
    fn table<'n>(&mut self, key: &str, node: &'n Node) -> &'n [Entry] {
        match &node.value {
            Value::Table(entries) => entries,
            Value::Nothing => &[],
            other => {
                let message = format!(
                    "invalid `{key}`: {} instead of a table of keys",
                    other.what()
                );
                self.tell(node.at, message, "write keys and values");
                &[]
            }
        }
    }

    fn labels(&mut self, node: &Node) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        for entry in self.table("labels", node) {
            let key = entry.key.as_str();
            if let Some(own) = OWN_LABELS.iter().find(|own| own.eq_ignore_ascii_case(key)) {
                let message = format!(
                    "invalid label `{key}`: its value comes from the machine's key `{own}`"
                );
                self.tell(entry.at, message, format!("write `{own}` beside `labels`"));
                continue;
            }
            let value = match &entry.node.value {
                Value::Text(text) if text.is_empty() => Some(String::new()),
                _ => self.text(key, &entry.node),
            };
            labels.extend(value.map(|value| (key.to_owned(), value)));
        }
        labels
    }

    fn expect(&mut self, node: &Node) -> Expected {
        let entries = self.table("expect", node);
        self.known(entries, EXPECT_KEYS);
        let mut text = |key: &str| {
            let entry = entries.iter().find(|entry| entry.key == key)?;
            self.text(key, &entry.node)
        };
        let (profile, spec) = (text("profile"), text("spec"));
        let expected = Expected {
            profile: profile.clone().or(spec.clone()),
            cloud_config: text("cloud_config"),
            ignition: text("ignition"),
        };
        if let (Some(_), Some(_)) = (profile, spec) {
            let help = "keep one of them: bootcfg says `spec`, matchbox `profile`";
            self.tell(
                node.at,
                "duplicate key: `profile` and `spec` mean the same",
                help,
            );
        }
        expected
    }
}

fn is_empty(node: &Node) -> bool {
    match &node.value {
        Value::Nothing => true,
        Value::Text(text) => text.trim().is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Table(entries) => entries.is_empty(),
        Value::Truth(_) | Value::Number(_) => false,
    }
}
