//! cloud-init's published schema of a `#cloud-config`, and the violations of it.
//!
//! The crate `boon` validates: it is kept, small, and the tests of published schemas use it already. cloud-init's own keyword `deprecated` is
//! followed here as cloud-init 22.4.2 does (`config/schema.py`): of alternatives, the first that fits counts.

mod errors;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::LazyLock;

use boon::{Compiler, Draft, SchemaIndex, Schemas, Type};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use regex_lite::Regex;
use serde_json::Value;

use super::scalar;
use crate::validate::tree::{At, Entry, Node};

/// Version of cloud-init that the schema is of.
pub(super) const VERSION: &str = "22.4.2";
/// Name of the schema to the validator, which loads nothing from there.
const URL: &str = "http://localhost/schema-cloud-config-v1.json";
/// Formats that cloud-init does not check: Debian's `python3-jsonschema` has no libraries for them.
const UNCHECKED_FORMATS: [&str; 2] = ["hostname", "uri"];

/// Keys that cloud-init reads at the top level and the schema does not have (22.4.2: `settings.py`, `stages.py`, `mergers`,
/// `config/cc_apt_configure.py`).
const OTHER_KEYS: [&str; 25] = [
    "add_apt_repo_match",
    "apt_custom_sources_list",
    "apt_ftp_proxy",
    "apt_http_proxy",
    "apt_https_proxy",
    "apt_mirror",
    "apt_mirror_search",
    "apt_mirror_search_dns",
    "apt_preserve_sources_list",
    "apt_proxy",
    "apt_sources",
    "datasource",
    "datasource_list",
    "debconf_selections",
    "def_log_file",
    "launch-index",
    "log_cfgs",
    "logcfg",
    "merge_how",
    "merge_type",
    "network",
    "output",
    "syslog_fix_perms",
    "system_info",
    "warnings",
];

/// Step from a value to one inside it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Key(String),
    Item(usize),
}

/// Way from the whole config to a value.
pub(super) type Path = Vec<Step>;

/// Returns a path as cloud-init writes it, such as `users.0.name`.
pub(super) fn dotted(path: &[Step]) -> String {
    let steps = path.iter().map(|step| match step {
        Step::Key(key) => key.clone(),
        Step::Item(index) => index.to_string(),
    });
    steps.collect::<Vec<String>>().join(".")
}

/// Part of a config that the schema does not allow, or advises against.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Violation {
    /// Value that cloud-init names.
    pub(super) path: Path,
    /// Place of the mistake itself.
    pub(super) at: At,
    pub(super) kind: Mistake,
}

/// Kinds of violations.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Mistake {
    /// A key, and the known ones beside it.
    UnknownKey { key: String, known: Vec<String> },
    /// Wanted types, and the name of the value's own.
    Type {
        want: Vec<Want>,
        got: &'static str,
        /// True for a single value, which quotes make a text.
        is_single: bool,
    },
    /// A key is missing.
    MissingKey(String),
    /// Allowed values, as they are written in YAML.
    NotOneOf(Vec<String>),
    /// Reason that the value is refused.
    Value(String),
    /// Text of cloud-init about the deprecation, if it has one.
    Deprecated(Option<String>),
}

/// Something that a value may be.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Want {
    Type(Type),
    /// A single value, as it is written in YAML.
    Value(String),
}

impl fmt::Display for Want {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Want::Type(Type::Null) => "nothing",
            Want::Type(Type::Boolean) => "a boolean",
            Want::Type(Type::Number) => "a number",
            Want::Type(Type::Integer) => "a whole number",
            Want::Type(Type::String) => "a text",
            Want::Type(Type::Array) => "a list",
            Want::Type(Type::Object) => "a mapping",
            Want::Value(value) => value,
        })
    }
}

/// The schema, compiled.
struct Schema {
    json: Value,
    schemas: Schemas,
    whole: SchemaIndex,
    /// Alternatives, by their JSON pointers.
    alternatives: HashMap<String, SchemaIndex>,
    /// Known keys at the top level.
    keys: BTreeSet<String>,
}

/// The vendored schema; `None` would be a schema that cannot be compiled, which a test excludes.
static SCHEMA: LazyLock<Option<Schema>> = LazyLock::new(Schema::load);

/// Returns everything that cloud-init's schema has against a config, in the order of the text.
pub(super) fn violations(config: &Node) -> Vec<Violation> {
    let Some(schema) = &*SCHEMA else {
        return Vec::new();
    };
    let mut found = schema.unknown_keys(config);
    let json = scalar::json(config);
    if let Err(error) = schema.schemas.validate(&json, schema.whole) {
        found.append(&mut errors::violations(&error, config, &schema.json));
    }
    let mut walk = Walk {
        schema,
        found: &mut found,
    };
    walk.deprecations(&schema.json, "", config, None, &mut Vec::new());
    let mut kept: Vec<Violation> = Vec::new();
    for violation in found {
        // Two modules may have the same key.
        if !kept.contains(&violation) {
            kept.push(violation);
        }
    }
    kept.sort_by_key(|violation| violation.at);
    kept
}

impl Schema {
    fn load() -> Option<Schema> {
        let text = include_str!("schema-cloud-config-v1.json");
        let mut json: Value = serde_json::from_str(text).ok()?;
        drop_formats(&mut json);
        // cloud-init's validator is one of draft 4 that also follows what stands beside a `$ref`, as later drafts do.
        json.as_object_mut()?.remove("$schema");
        let mut compiler = Compiler::new();
        compiler.set_default_draft(Draft::V2019_09);
        compiler.enable_format_assertions();
        compiler.add_resource(URL, json.clone()).ok()?;
        let mut schemas = Schemas::new();
        let whole = compiler.compile(URL, &mut schemas).ok()?;
        let mut pointers = Vec::new();
        alternatives(&json, "", &mut pointers);
        let mut compiled = HashMap::new();
        for pointer in pointers {
            let fragment = utf8_percent_encode(&pointer, NON_ALPHANUMERIC).to_string();
            let fragment = fragment.replace("%2F", "/").replace("%7E", "~");
            let index = compiler.compile(&format!("{URL}#{fragment}"), &mut schemas);
            compiled.insert(pointer, index.ok()?);
        }
        let modules = json.get("allOf")?.as_array()?.iter();
        let modules = modules.filter_map(|module| resolved(&json, module)?.get("properties"));
        let keys = modules
            .filter_map(Value::as_object)
            .flat_map(|map| map.keys());
        let keys = keys.cloned().chain(OTHER_KEYS.map(str::to_owned)).collect();
        Some(Schema {
            json,
            schemas,
            whole,
            alternatives: compiled,
            keys,
        })
    }

    /// Keys at the top level, where the schema allows all: each module has its own.
    fn unknown_keys(&self, config: &Node) -> Vec<Violation> {
        let unknown = |entry: &&Entry| !self.keys.contains(&entry.key);
        let entries = config.entries().iter().filter(unknown);
        entries
            .map(|entry| Violation {
                path: Vec::new(),
                at: entry.at,
                kind: Mistake::UnknownKey {
                    key: entry.key.clone(),
                    known: self.keys.iter().cloned().collect(),
                },
            })
            .collect()
    }
}

fn drop_formats(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            let format = map.get("format").and_then(Value::as_str);
            if format.is_some_and(|format| UNCHECKED_FORMATS.contains(&format)) {
                map.remove("format");
            }
            map.values_mut().for_each(drop_formats);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_formats),
        _ => {}
    }
}

/// Keywords with alternatives.
const ALTERNATIVES: [&str; 2] = ["oneOf", "anyOf"];

/// Collects the JSON pointers of all alternatives.
fn alternatives(schema: &Value, pointer: &str, found: &mut Vec<String>) {
    match schema {
        Value::Object(map) => {
            for (key, value) in map {
                let inner = format!("{pointer}/{}", escaped(key));
                if let (true, Value::Array(branches)) =
                    (ALTERNATIVES.contains(&key.as_str()), value)
                {
                    found.extend((0..branches.len()).map(|index| format!("{inner}/{index}")));
                }
                alternatives(value, &inner, found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                alternatives(item, &format!("{pointer}/{index}"), found);
            }
        }
        _ => {}
    }
}

/// Returns a key as a part of a JSON pointer (RFC 6901).
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Returns the target of a `$ref`, or the schema itself.
fn resolved<'s>(root: &'s Value, schema: &'s Value) -> Option<&'s Value> {
    match schema.get("$ref").and_then(Value::as_str) {
        Some(reference) => root.pointer(reference.strip_prefix('#')?),
        None => Some(schema),
    }
}

/// Walk along a schema and a config.
struct Walk<'a> {
    schema: &'a Schema,
    found: &'a mut Vec<Violation>,
}

impl Walk<'_> {
    /// Collects the deprecated keys and values that a config has. `key` is the place of the value's key.
    fn deprecations(
        &mut self,
        schema: &Value,
        pointer: &str,
        node: &Node,
        key: Option<At>,
        path: &mut Path,
    ) {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str)
            && let Some(pointer) = reference.strip_prefix('#')
            && let Some(target) = self.schema.json.pointer(pointer)
        {
            self.deprecations(target, pointer, node, key, path);
        }
        if schema.get("deprecated") == Some(&Value::Bool(true)) {
            let text = schema.get("description").and_then(Value::as_str);
            self.found.push(Violation {
                path: path.clone(),
                at: key.unwrap_or(node.at),
                kind: Mistake::Deprecated(text.map(str::to_owned)),
            });
        }
        self.members(schema, pointer, node, path);
        if let Some(items) = schema.get("items").filter(|items| items.is_object()) {
            let pointer = format!("{pointer}/items");
            for (index, item) in node.items().iter().enumerate() {
                path.push(Step::Item(index));
                self.deprecations(items, &pointer, item, None, path);
                path.pop();
            }
        }
        for (index, part) in list(schema, "allOf").iter().enumerate() {
            self.deprecations(part, &format!("{pointer}/allOf/{index}"), node, key, path);
        }
        for keyword in ALTERNATIVES {
            let json = scalar::json(node);
            let fitting = list(schema, keyword).iter().enumerate().find(|(index, _)| {
                let pointer = format!("{pointer}/{keyword}/{index}");
                let compiled = self.schema.alternatives.get(&pointer);
                compiled.is_some_and(|one| self.schema.schemas.validate(&json, *one).is_ok())
            });
            if let Some((index, branch)) = fitting {
                let pointer = format!("{pointer}/{keyword}/{index}");
                self.deprecations(branch, &pointer, node, key, path);
            }
        }
    }

    /// Walks into the values of a mapping.
    fn members(&mut self, schema: &Value, pointer: &str, node: &Node, path: &mut Path) {
        for keyword in ["properties", "patternProperties"] {
            let Some(members) = schema.get(keyword).and_then(Value::as_object) else {
                continue;
            };
            for (name, member) in members {
                let pattern = match keyword {
                    "properties" => None,
                    _ => Some(Regex::new(name)),
                };
                let pointer = format!("{pointer}/{keyword}/{}", escaped(name));
                for entry in node.entries() {
                    let is_meant = match &pattern {
                        None => entry.key == *name,
                        Some(pattern) => pattern.as_ref().is_ok_and(|one| one.is_match(&entry.key)),
                    };
                    if is_meant {
                        path.push(Step::Key(entry.key.clone()));
                        self.deprecations(member, &pointer, &entry.value, Some(entry.at), path);
                        path.pop();
                    }
                }
            }
        }
    }
}

/// Returns the list that a keyword has; an empty one without it.
fn list<'s>(schema: &'s Value, keyword: &str) -> &'s [Value] {
    let list = schema.get(keyword).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::tree::yaml;

    /// Recorded problem: path and message.
    type Told = (String, String);

    #[derive(serde::Deserialize)]
    struct Recorded {
        text: String,
        errors: Vec<Told>,
        deprecations: Vec<Told>,
    }

    fn of(text: &str) -> Vec<Violation> {
        violations(&yaml::parse(text).unwrap())
    }

    #[test]
    fn violations_are_those_that_cloud_init_has_found() {
        let mut count = 0;
        for line in include_str!("schema.jsonl").lines() {
            let recorded: Recorded = serde_json::from_str(line).unwrap();
            let (mut errors, mut deprecations) = (BTreeSet::new(), BTreeSet::new());
            for violation in of(&recorded.text) {
                let path = dotted(&violation.path);
                match violation.kind {
                    Mistake::Deprecated(text) => {
                        let text =
                            text.map_or("DEPRECATED.".into(), |text| format!("DEPRECATED: {text}"));
                        deprecations.insert((path, text));
                    }
                    // cloud-init has nothing against any key at the top level.
                    Mistake::UnknownKey { .. } if path.is_empty() => {}
                    _ => {
                        errors.insert(path);
                    }
                }
            }
            let told: BTreeSet<String> =
                recorded.errors.into_iter().map(|(path, _)| path).collect();
            assert_eq!(errors, told, "{}", recorded.text);
            let told: BTreeSet<Told> = recorded.deprecations.into_iter().collect();
            assert_eq!(deprecations, told, "{}", recorded.text);
            count += 1;
        }
        assert!(count > 60, "{count}");
    }

    #[test]
    fn unknown_key_at_the_top_is_found() {
        let found = of("write_file: []\nhostname: x\nnetwork: {}\n");
        assert_eq!(found.len(), 1, "{found:?}");
        let Mistake::UnknownKey { key, known } = &found[0].kind else {
            panic!("{found:?}")
        };
        assert_eq!(
            (key.as_str(), found[0].at),
            ("write_file", At { line: 1, column: 1 })
        );
        assert!(known.contains(&"write_files".to_owned()));
    }

    #[test]
    fn mistake_inside_an_alternative_has_its_own_place() {
        let found = of("users:\n  - name: a\n    shel: b\n");
        let (place, path) = (found[0].at, dotted(&found[0].path));
        assert_eq!((place, &*path), (At { line: 3, column: 5 }, "users.0"));
        let Mistake::UnknownKey { key, known } = &found[0].kind else {
            panic!("{found:?}")
        };
        assert!(
            key == "shel" && known.contains(&"shell".to_owned()),
            "{known:?}"
        );
        let found = of("power_state:\n  mode: halt\n  delay: [1]\n");
        let kind = |want: &[Want], got, is_single| Mistake::Type {
            want: want.to_vec(),
            got,
            is_single,
        };
        let of_type = Want::Type;
        let want = [
            of_type(Type::Integer),
            of_type(Type::String),
            Want::Value("`now`".into()),
        ];
        let kind_of_delay = kind(&want, "a list", false);
        assert_eq!((found[0].at.line, &found[0].kind), (3, &kind_of_delay));
        let found = of("users: 7\n");
        let want = [Type::String, Type::Array, Type::Object].map(of_type);
        let kind_of_users = kind(&want, "a whole number", true);
        assert_eq!(found[0].kind, kind_of_users);
        let found = of("growpart: {mode: manual}\n");
        let Mistake::NotOneOf(allowed) = &found[0].kind else {
            panic!("{found:?}")
        };
        assert_eq!(
            allowed,
            &["`auto`", "`growpart`", "`gpart`", "`off`", "`false`"]
        );
    }
}
