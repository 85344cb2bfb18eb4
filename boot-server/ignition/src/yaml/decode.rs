//! Nodes → values of a shape, as `Unmarshal` of Go's YAML libraries decodes into a struct.
//!
//! Source: `decode.go` of go-yaml v3.0.1 and v2.2.

use std::collections::BTreeMap;

use super::mismatch::{Mismatch, MismatchProblem};
use super::scalar::{Resolved, resolve};
use super::{Content, Entry, Node, Scalar};
use crate::schema::{Field, Kind, Minor, Shape};
use crate::value::{Struct, Value};

pub(crate) use super::scalar::Library;

/// Decodes a node into a struct.
///
/// # Errors
/// Every value that does not fit its field.
pub(crate) fn decode(
    node: &Node,
    shape: &'static Shape,
    minor: Minor,
    library: Library,
) -> Result<Struct, Vec<Mismatch>> {
    let mut decoder = Decoder {
        minor,
        library,
        mismatches: Vec::new(),
        nodes: 0,
        aliased: 0,
        alias_depth: 0,
        is_stopped: false,
    };
    let value = decoder.value(node, Kind::Struct(shape));
    if !decoder.mismatches.is_empty() {
        return Err(decoder.mismatches);
    }
    Ok(match value {
        Some(Value::Struct(fields)) => fields,
        _ => Struct::default(),
    })
}

struct Decoder {
    minor: Minor,
    library: Library,
    mismatches: Vec<Mismatch>,
    nodes: u32,
    /// Nodes behind an alias among them.
    aliased: u32,
    alias_depth: u32,
    /// True after an error that ends decoding.
    is_stopped: bool,
}

impl Decoder {
    /// Decodes one value; none for a null or a mismatch.
    fn value(&mut self, node: &Node, kind: Kind) -> Option<Value> {
        self.count(node);
        if self.is_stopped {
            return None;
        }
        match &node.content {
            Content::Alias(target) => {
                self.alias_depth += 1;
                let value = self.value(target, kind);
                self.alias_depth -= 1;
                value
            }
            Content::Cycle => {
                self.stop(node, MismatchProblem::Cycle);
                None
            }
            Content::Scalar(scalar) => self.scalar(node, scalar, kind),
            Content::List(items) => {
                let item_kind = match kind {
                    Kind::Texts => Kind::Text,
                    Kind::List(shape) => Kind::Struct(shape),
                    _ => return self.mismatch(node, "!!seq".to_owned(), kind),
                };
                let values = items.iter().filter_map(|item| {
                    let value = self.value(item, item_kind);
                    // The older library keeps a null entry, as one in which nothing is set.
                    value.or((self.library == Library::V2).then(|| match item_kind {
                        Kind::Struct(_) => Struct::default().into(),
                        _ => "".into(),
                    }))
                });
                Some(Value::List(values.collect()))
            }
            Content::Map(entries) => {
                if !self.keys_are_unique(entries) {
                    return None;
                }
                match kind {
                    Kind::Struct(shape) => {
                        let mut fields = Struct::default();
                        self.fields(entries, shape, &mut fields);
                        Some(Value::Struct(fields))
                    }
                    Kind::Labels => Some(Value::Labels(self.labels(entries))),
                    _ => self.mismatch(node, "!!map".to_owned(), kind),
                }
            }
        }
    }

    fn fields(&mut self, entries: &[Entry], shape: &'static Shape, into: &mut Struct) {
        let mut merged = None;
        for (key, value) in entries {
            if is_merge(key) {
                merged = Some(value);
                continue;
            }
            let Some(field) = self.field_of(key, shape) else {
                continue;
            };
            if let Some(value) = self.value(value, field.kind) {
                into.set(field.name, value);
            }
        }
        if let Some(value) = merged {
            self.merge(value, entries, shape, into);
        }
    }

    fn field_of(&mut self, key: &Node, shape: &'static Shape) -> Option<&'static Field> {
        let name = self.value(key, Kind::Text)?;
        shape.field(name.as_text()?, self.minor)
    }

    /// Adds the fields of merged mappings that the mapping itself does not set; of two the first counts.
    fn merge(
        &mut self,
        merged: &Node,
        entries: &[Entry],
        shape: &'static Shape,
        into: &mut Struct,
    ) {
        let maps: Vec<&Node> = match &merged.target().content {
            Content::List(items) if !matches!(merged.content, Content::Alias(_)) => {
                items.iter().map(AsRef::as_ref).collect()
            }
            _ => vec![merged],
        };
        let mut set: Vec<String> = entries
            .iter()
            .map(|(key, _)| key.key_text().to_owned())
            .collect();
        for map in maps {
            let Content::Map(inner) = &map.target().content else {
                self.stop(map, MismatchProblem::Merge);
                return;
            };
            let is_alias = matches!(map.content, Content::Alias(_));
            self.alias_depth += u32::from(is_alias);
            self.count(map);
            let mut nested = Struct::default();
            if self.keys_are_unique(inner) {
                self.fields(inner, shape, &mut nested);
            }
            self.alias_depth -= u32::from(is_alias);
            for field in shape.fields_in(self.minor) {
                if set.iter().any(|name| name == field.name) {
                    continue;
                }
                if let Some(value) = nested.remove(field.name) {
                    into.set(field.name, value);
                    set.push(field.name.to_owned());
                }
            }
        }
    }

    fn labels(&mut self, entries: &[Entry]) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        for (key, value) in entries {
            let name = self.value(key, Kind::Text);
            let value = self.value(value, Kind::Text);
            if let Some(name) = name.as_ref().and_then(Value::as_text) {
                let value = value.as_ref().and_then(Value::as_text).unwrap_or_default();
                labels.insert(name.to_owned(), value.to_owned());
            }
        }
        labels
    }

    fn scalar(&mut self, node: &Node, scalar: &Scalar, kind: Kind) -> Option<Value> {
        let Ok(resolved) = resolve(scalar, self.library) else {
            let tag = scalar.tag.clone().unwrap_or_default();
            self.stop(node, MismatchProblem::Tag(tag));
            return None;
        };
        let decoded = match (&resolved, kind) {
            (Resolved::Null, _) => return None,
            (Resolved::Binary(bytes), Kind::Text) => Some(Value::from_bytes(bytes.clone())),
            (_, Kind::Text) => Some(Value::Text(scalar.text.clone())),
            (Resolved::Bool(value), Kind::Bool) => Some(Value::Bool(*value)),
            (Resolved::Text, Kind::Bool) if self.library == Library::V3 => {
                truth(&scalar.text).map(Value::Bool)
            }
            (Resolved::Int(value), Kind::Int) => Some(Value::Int(*value)),
            (Resolved::Int(value), Kind::Uint) if *value >= 0 => Some(Value::Int(*value)),
            (Resolved::Float(value), Kind::Uint) if (0.0..=i64::MAX as f64).contains(value) => {
                Some(Value::Int(*value as i64))
            }
            // Go converts, and so cuts off a fraction.
            (Resolved::Float(value), Kind::Int) if *value <= i64::MAX as f64 => {
                Some(Value::Int(*value as i64))
            }
            _ => None,
        };
        if decoded.is_none() {
            let found = format!("{} `{}`", resolved.tag(), shortened(&scalar.text));
            return self.mismatch(node, found, kind);
        }
        decoded
    }

    fn keys_are_unique(&mut self, entries: &[Entry]) -> bool {
        if self.library == Library::V2 {
            return true;
        }
        let mut first: BTreeMap<&str, usize> = BTreeMap::new();
        let before = self.mismatches.len();
        for (key, _) in entries {
            let Content::Scalar(scalar) = &key.content else {
                continue;
            };
            if let Some(&first) = first.get(scalar.text.as_str()) {
                let problem = MismatchProblem::DuplicateKey {
                    key: scalar.text.clone(),
                    first,
                };
                self.mismatches.push(Mismatch {
                    at: key.at,
                    problem,
                });
            } else {
                first.insert(&scalar.text, key.at.line);
            }
        }
        self.mismatches.len() == before
    }

    fn mismatch(&mut self, node: &Node, found: String, kind: Kind) -> Option<Value> {
        let wanted = match kind {
            Kind::Text => "a text",
            Kind::Int | Kind::Uint => "a number",
            Kind::Bool => "a truth value",
            Kind::Texts => "a list of texts",
            Kind::Struct(_) | Kind::Labels => "a mapping",
            Kind::List(_) => "a list of mappings",
        };
        let problem = MismatchProblem::Kind { found, wanted };
        self.mismatches.push(Mismatch {
            at: node.at,
            problem,
        });
        None
    }

    fn stop(&mut self, node: &Node, problem: MismatchProblem) {
        if !self.is_stopped {
            self.is_stopped = true;
            self.mismatches.push(Mismatch {
                at: node.at,
                problem,
            });
        }
    }

    /// Counts a node, and stops when most of many nodes are behind aliases.
    fn count(&mut self, node: &Node) {
        self.nodes += 1;
        if self.alias_depth > 0 {
            self.aliased += 1;
        }
        let allowed = match self.nodes {
            0..=400_000 => 0.99,
            4_000_000.. => 0.10,
            nodes => 0.99 - 0.89 * (f64::from(nodes - 400_000) / 3_600_000.0),
        };
        let share = f64::from(self.aliased) / f64::from(self.nodes);
        if self.aliased > 100 && self.nodes > 1_000 && share > allowed {
            self.stop(node, MismatchProblem::Aliases);
        }
    }
}

fn is_merge(key: &Node) -> bool {
    match &key.content {
        Content::Scalar(scalar) => {
            scalar.text == "<<"
                && match scalar.tag.as_deref() {
                    None | Some("!") => !scalar.is_quoted,
                    Some(tag) => tag == "!!merge",
                }
        }
        _ => false,
    }
}

/// Truth values of YAML 1.1, which go-yaml v3 takes for a field that wants one, even in quotes.
fn truth(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// Shortens a text for a message, as Go does.
fn shortened(text: &str) -> String {
    if text.chars().count() > 10 {
        let head: String = text.chars().take(7).collect();
        format!("{head}...")
    } else {
        text.to_owned()
    }
}
