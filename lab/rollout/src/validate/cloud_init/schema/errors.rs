//! Conversion of the validator's errors to violations. A value that fits no alternative is reported by the errors of the
//! alternative that fits best.

use boon::{ErrorKind, InstanceLocation, InstanceToken, ValidationError};
use serde_json::Value;

use super::{Mistake, Path, Step, Violation, Want};
use crate::validate::cloud_init::scalar;
use crate::validate::tree::{At, Node};

/// Returns the violations of a validator's error about a config, by the schema.
pub(super) fn violations(
    error: &ValidationError<'_, '_>,
    config: &Node,
    schema: &Value,
) -> Vec<Violation> {
    let mut found = Vec::new();
    collect(error, (config, schema), &mut found);
    found
}

fn collect(
    error: &ValidationError<'_, '_>,
    (config, schema): (&Node, &Value),
    found: &mut Vec<Violation>,
) {
    let path = path(&error.instance_location);
    let Some((node, _)) = walk(config, &path) else {
        return;
    };
    let value = |text: String| Mistake::Value(text);
    let kind = match &error.kind {
        ErrorKind::OneOf(None) | ErrorKind::AnyOf => {
            return found.append(&mut alternatives(error, (config, schema), &path));
        }
        ErrorKind::AdditionalProperties { got } => {
            let known = keys(schema, error.schema_url);
            for key in got {
                let entry = node.entry(key);
                found.push(Violation {
                    path: path.clone(),
                    at: entry.map_or(node.at, |entry| entry.at),
                    kind: Mistake::UnknownKey {
                        key: key.to_string(),
                        known: known.clone(),
                    },
                });
            }
            return;
        }
        ErrorKind::Required { want } => {
            found.extend(want.iter().map(|key| Violation {
                path: path.clone(),
                at: node.at,
                kind: Mistake::MissingKey((*key).to_owned()),
            }));
            return;
        }
        ErrorKind::Type { want, .. } => Mistake::Type {
            want: want.iter().map(Want::Type).collect(),
            got: scalar::type_name(node),
            is_single: node.scalar().is_some(),
        },
        ErrorKind::Enum { want } => Mistake::NotOneOf(want.iter().map(shown).collect()),
        ErrorKind::OneOf(Some(_)) => value("fits two alternatives of the schema".into()),
        ErrorKind::MinItems { want, .. } => value(format!("fewer than {want} items")),
        ErrorKind::MaxItems { want, .. } => value(format!("more than {want} items")),
        ErrorKind::MinProperties { want, .. } => value(format!("fewer than {want} keys")),
        ErrorKind::UniqueItems { got: [one, other] } => {
            value(format!("items {} and {} are equal", one + 1, other + 1))
        }
        ErrorKind::Minimum { want, .. } => value(format!("less than {want}")),
        ErrorKind::Pattern { want, .. } => value(format!("does not match `{want}`")),
        ErrorKind::Format { want, .. } => value(format!("not a valid {want}")),
        _ if !error.causes.is_empty() => {
            for cause in &error.causes {
                collect(cause, (config, schema), found);
            }
            return;
        }
        other => value(other.to_string()),
    };
    found.push(Violation {
        at: node.at,
        path,
        kind,
    });
}

/// Returns the violations of the alternative that is meant: the one whose type the value has. With none, the types of all are
/// wanted.
fn alternatives(
    error: &ValidationError<'_, '_>,
    context: (&Node, &Value),
    path: &Path,
) -> Vec<Violation> {
    let Some((node, _)) = walk(context.0, path) else {
        return Vec::new();
    };
    let (mut want, mut allowed, mut reasons) = (Vec::new(), Vec::new(), Vec::new());
    let mut inside: Option<Vec<Violation>> = None;
    for cause in &error.causes {
        let mut found = Vec::new();
        collect(cause, context, &mut found);
        let mut is_meant = !found.is_empty();
        for violation in found.iter().filter(|violation| violation.at == node.at) {
            match &violation.kind {
                Mistake::Type { want: types, .. } => extend(&mut want, types),
                Mistake::NotOneOf(values) => extend(&mut allowed, values),
                Mistake::Value(reason) => extend(&mut reasons, std::slice::from_ref(reason)),
                _ => continue,
            }
            is_meant = false;
        }
        if is_meant && inside.as_ref().is_none_or(|best| found.len() < best.len()) {
            inside = Some(found);
        }
    }
    if let Some(inside) = inside {
        // cloud-init names the value with the alternatives.
        let of_value = inside.into_iter().map(|one| Violation {
            path: path.clone(),
            ..one
        });
        return of_value.collect();
    }
    let kind = match (reasons.is_empty(), want.is_empty()) {
        // An alternative has the value's type.
        (false, _) => Mistake::Value(reasons.join(", and ")),
        (true, true) => Mistake::NotOneOf(allowed),
        (true, false) => {
            want.extend(allowed.into_iter().map(Want::Value));
            Mistake::Type {
                want,
                got: scalar::type_name(node),
                is_single: node.scalar().is_some(),
            }
        }
    };
    vec![Violation {
        path: path.clone(),
        at: node.at,
        kind,
    }]
}

/// Adds what the list does not have.
fn extend<T: Clone + PartialEq>(list: &mut Vec<T>, more: &[T]) {
    for one in more {
        if !list.contains(one) {
            list.push(one.clone());
        }
    }
}

fn path(location: &InstanceLocation<'_>) -> Path {
    let tokens = location.tokens.iter();
    let steps = tokens.map(|token| match token {
        InstanceToken::Prop(key) => Step::Key(key.to_string()),
        InstanceToken::Item(index) => Step::Item(*index),
    });
    steps.collect()
}

/// Returns the value at the end of a path, and the place of its key.
fn walk<'n>(config: &'n Node, path: &[Step]) -> Option<(&'n Node, Option<At>)> {
    let mut reached = (config, None);
    for step in path {
        reached = match step {
            Step::Key(key) => {
                let entry = reached.0.entry(key)?;
                (&entry.value, Some(entry.at))
            }
            Step::Item(index) => (reached.0.items().get(*index)?, None),
        };
    }
    Some(reached)
}

/// Returns the keys that a schema has, by its URL.
fn keys(root: &Value, url: &str) -> Vec<String> {
    let pointer = url.split_once('#').map_or("", |(_, pointer)| pointer);
    let pointer = percent_encoding::percent_decode_str(pointer).decode_utf8_lossy();
    let schema = root.pointer(&pointer);
    let properties = schema.and_then(|schema| schema.get("properties")?.as_object());
    properties.map_or_else(Vec::new, |map| map.keys().cloned().collect())
}

/// Returns an allowed value as it is written in YAML.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}
