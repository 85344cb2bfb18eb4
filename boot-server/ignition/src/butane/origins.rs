//! Origin of each value of the Ignition config in the Butane config.
//!
//! Findings about the Ignition config are reported at the place in the Butane config that caused them.

use std::collections::HashMap;

use crate::finding::Report;
use crate::path::Path;
use crate::value::Value;

/// Paths of the Butane config by the paths made of them, both in snake case.
#[derive(Debug, Default)]
pub(super) struct Origins {
    map: HashMap<Path, Path>,
}

impl Origins {
    pub(super) fn add(&mut self, from: Path, to: Path) {
        self.map.insert(to, from);
    }

    /// Adds one origin for a value and everything in it.
    pub(super) fn add_all(&mut self, from: &Path, to: &Path, value: &Value) {
        self.add(from.clone(), to.clone());
        match value {
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.add_all(from, &to.index(index), item);
                }
            }
            Value::Struct(fields) => {
                for (name, value) in fields.iter() {
                    self.add_all(from, &to.key(name), value);
                }
            }
            _ => {}
        }
    }

    pub(super) fn get(&self, to: &Path) -> Option<&Path> {
        self.map.get(to)
    }

    /// Moves findings to the values that caused them. A value without an origin has the same path in both configs.
    pub(super) fn trace(&self, mut report: Report) -> Report {
        for finding in &mut report.findings {
            if let Some(from) = self.get(&finding.path) {
                finding.path = from.clone();
            }
        }
        report
    }
}
