//! Merging a generated config with the one that the user wrote.
//!
//! Source: `config/merge/merge.go` of Ignition v2.26.0: the user's config is the child, and overrides.

use std::collections::{HashMap, HashSet};

use super::origins::Origins;
use crate::check::key_of;
use crate::path::Path;
use crate::schema::{Field, Kind, Minor, Shape, Written, is_zero};
use crate::value::{Struct, Value};

/// A config and where its values come from.
pub(super) struct Traced<'a> {
    pub(super) config: &'a Struct,
    pub(super) origins: &'a Origins,
}

/// Merges a child into its parent.
pub(super) fn merge(
    parent: &Traced,
    child: &Traced,
    shape: &'static Shape,
    minor: Minor,
) -> (Struct, Origins) {
    let mut merger = Merger {
        minor,
        parent: parent.origins,
        child: child.origins,
        origins: Origins::default(),
    };
    let root = Path::default();
    let at = At {
        parent: root.clone(),
        child: root.clone(),
        result: root,
    };
    let merged = merger.fields(parent.config, child.config, shape, &at);
    (merged, merger.origins)
}

/// Paths of a value in the three configs.
struct At {
    parent: Path,
    child: Path,
    result: Path,
}

impl At {
    fn key(&self, name: &'static str) -> At {
        At {
            parent: self.parent.key(name),
            child: self.child.key(name),
            result: self.result.key(name),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Parent,
    Child,
}

struct Merger<'a> {
    minor: Minor,
    parent: &'a Origins,
    child: &'a Origins,
    origins: Origins,
}

impl Merger<'_> {
    fn fields(
        &mut self,
        parent: &Struct,
        child: &Struct,
        shape: &'static Shape,
        at: &At,
    ) -> Struct {
        let mut merged = Struct::default();
        let fields = shape
            .fields_in(self.minor)
            .filter(|field| !field.is_sugar());
        for field in fields {
            let at = at.key(field.name);
            let value = match field.kind {
                Kind::Struct(inner) => {
                    if !parent.has(field.name) && !child.has(field.name) {
                        continue;
                    }
                    let (parent, child) = (parent.child(field.name), child.child(field.name));
                    Some(self.fields(parent, child, inner, &at).into())
                }
                Kind::List(_) | Kind::Texts => self.list(parent, child, field, shape, &at),
                _ => {
                    let value = child.get(field.name);
                    // A text that is not a pointer is the child's, even if it is empty.
                    let is_pointer = field.written_in(self.minor) == Written::IfSet;
                    match (value, parent.get(field.name)) {
                        (Some(value), _) => {
                            Some(self.take(value, Side::Child, &at.child, &at.result))
                        }
                        (None, Some(value)) if is_pointer => {
                            Some(self.take(value, Side::Parent, &at.parent, &at.result))
                        }
                        _ => None,
                    }
                }
            };
            if let Some(value) = value {
                merged.set(field.name, value);
            }
        }
        merged
    }

    fn list(
        &mut self,
        parent: &Struct,
        child: &Struct,
        field: &Field,
        shape: &'static Shape,
        at: &At,
    ) -> Option<Value> {
        let (parents, children) = (parent.list(field.name), child.list(field.name));
        if parents.is_empty() && children.is_empty() {
            return child.get(field.name).or(parent.get(field.name)).cloned();
        }
        let mut items = Vec::new();
        let found = if field.is_repeatable {
            HashMap::new()
        } else {
            child_keys(child, field, shape, self.minor)
        };
        let mut merged_keys = HashSet::new();
        for (index, item) in parents.iter().enumerate() {
            let key = key_of(item, field.kind);
            let from = at.parent.index(index);
            let to = at.result.index(items.len());
            match found.get(&key) {
                Some(&(list, index)) if list == field.name => {
                    let at = At {
                        parent: from,
                        child: at.child.index(index),
                        result: to,
                    };
                    items.push(self.item(item, &children[index], field.kind, &at));
                }
                // The child has a node of this path in another list.
                Some(_) => {}
                None => items.push(self.take(item, Side::Parent, &from, &to)),
            }
            merged_keys.insert(key);
        }
        for (index, item) in children.iter().enumerate() {
            if field.is_repeatable || !merged_keys.contains(&key_of(item, field.kind)) {
                let to = at.result.index(items.len());
                items.push(self.take(item, Side::Child, &at.child.index(index), &to));
            }
        }
        Some(Value::List(items))
    }

    fn item(&mut self, parent: &Value, child: &Value, kind: Kind, at: &At) -> Value {
        match (parent, child, kind) {
            (Value::Struct(parent), Value::Struct(child), Kind::List(shape)) => {
                self.fields(parent, child, shape, at).into()
            }
            _ => self.take(child, Side::Child, &at.child, &at.result),
        }
    }

    /// Takes a value from one side as it is, and the origins of everything in it.
    fn take(&mut self, value: &Value, side: Side, from: &Path, to: &Path) -> Value {
        self.trace(value, side, from, to);
        value.clone()
    }

    fn trace(&mut self, value: &Value, side: Side, from: &Path, to: &Path) -> bool {
        let is_traced = match value {
            Value::List(items) => items.iter().enumerate().fold(false, |any, (index, item)| {
                self.trace(item, side, &from.index(index), &to.index(index)) || any
            }),
            Value::Struct(fields) => fields.iter().fold(false, |any, (name, value)| {
                self.trace(value, side, &from.key(name), &to.key(name)) || any
            }),
            value => !is_zero(value) || !matches!(value, Value::Text(_)),
        };
        let origins = if side == Side::Parent {
            self.parent
        } else {
            self.child
        };
        if is_traced && let Some(origin) = origins.get(from) {
            self.origins.add(origin.clone(), to.clone());
        }
        is_traced
    }
}

/// Returns the list and index of each entry of the lists that share keys with a field.
fn child_keys(
    child: &Struct,
    field: &Field,
    shape: &'static Shape,
    minor: Minor,
) -> HashMap<String, (&'static str, usize)> {
    let mut found = HashMap::new();
    for other in shape.fields_in(minor) {
        let is_shared = other.group.is_some() && other.group == field.group;
        if other.name == field.name || is_shared {
            for (index, item) in child.list(other.name).iter().enumerate() {
                found.insert(key_of(item, other.kind), (other.name, index));
            }
        }
    }
    found
}
