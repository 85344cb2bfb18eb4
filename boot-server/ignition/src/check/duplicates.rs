//! Entries of lists that have the same key.

use std::collections::{HashMap, HashSet};

use crate::finding::{Reason, Report};
use crate::path::Path;
use crate::schema::{Kind, Minor, Shape};
use crate::value::{Struct, Value};

/// Reports every entry whose key an earlier entry of its list, or of a list that shares keys with it, has.
pub(crate) fn duplicates(config: &Struct, shape: &'static Shape, minor: Minor) -> Report {
    let mut report = Report::default();
    super::walk(
        config,
        shape,
        minor,
        &Path::default(),
        &mut |found, shape, path| {
            let mut seen: HashMap<&str, HashSet<String>> = HashMap::new();
            for field in shape
                .fields_in(minor)
                .filter(|field| !field.is_repeatable && !field.is_sugar())
            {
                let keys = seen.entry(field.group.unwrap_or(field.name)).or_default();
                for (index, item) in found.list(field.name).iter().enumerate() {
                    if !keys.insert(key_of(item, field.kind)) {
                        report.error(path.key(field.name).index(index), Reason::Duplicate);
                    }
                }
            }
        },
    );
    report
}

/// Returns the key by which an entry of a list is found.
pub(crate) fn key_of(item: &Value, kind: Kind) -> String {
    match (item, kind) {
        (Value::Struct(fields), Kind::List(shape)) => shape.key_of(fields),
        (Value::Bytes(bytes), _) => String::from_utf8_lossy(bytes).into_owned(),
        (item, _) => item.as_text().unwrap_or_default().to_owned(),
    }
}
