//! A group's metadata for a machine as the lines of an environment file.

use go_template::Value;

use super::Labels;
use super::matching::Group;
use super::snapshot::{Folder, Layout, Snapshot};
use super::template::Metadata;

impl Snapshot {
    /// Returns the lines `KEY=value` of a group's metadata for a machine, sorted.
    ///
    /// bootcfg 0.2: metadata, and after a name that both have, the label. matchbox: what templates
    /// see, nested keys joined by `_`; lists and nulls are left out.
    pub fn environment(&self, group: &Group, labels: &Labels, query: &str) -> String {
        let mut lines: Vec<(String, String)> = Vec::new();
        match self.layout {
            Layout::Bootcfg => {
                let metadata = group.metadata.iter();
                lines.extend(metadata.map(|(key, value)| (key.to_uppercase(), value.to_string())));
                let labels = labels.0.iter();
                lines.extend(labels.map(|(key, value)| (key.to_uppercase(), value.clone())));
            }
            Layout::Matchbox => {
                let values = self.values(Folder::Generic, group, labels, query);
                flatten("", &values, &mut lines);
            }
        }
        lines.sort_by(|(a, _), (b, _)| a.cmp(b));
        lines
            .iter()
            .map(|(key, value)| format!("{key}={value}\n"))
            .collect()
    }
}

fn flatten(prefix: &str, values: &Metadata, lines: &mut Vec<(String, String)>) {
    for (key, value) in values {
        let key = format!("{prefix}{}", key.to_uppercase());
        match value {
            Value::Map(inner) | Value::StringMap(inner) => {
                flatten(&format!("{key}_"), inner, lines)
            }
            Value::List(_) | Value::Nil => {}
            other => lines.push((key, other.to_string())),
        }
    }
}
