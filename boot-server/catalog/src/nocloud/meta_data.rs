//! A machine's meta-data: its group's metadata, with the names that cloud-init needs; and a seed's file by its request.

use go_template::{Budget, Value};
use serde_json::{Map, Number};

use super::request::SeedRequest;
use super::seed::SeedFile;
use crate::Labels;
use crate::matching::Group;
use crate::snapshot::{Refusal, ServedConfig, Snapshot};

/// Labels that name a machine for good, the first being preferred.
const IDENTITY: [&str; 3] = ["uuid", "serial", "mac"];

impl Snapshot {
    /// Returns the requested file of a machine's seed; user-data is rendered within the default budget.
    ///
    /// # Errors
    /// No group matches; for user-data, the first problem from the group to the rendered text.
    pub fn seed_file(&self, request: &SeedRequest) -> Result<ServedConfig, Refusal> {
        let labels = Labels::from_query(&request.query);
        match request.file {
            SeedFile::UserData => self.user_data(&labels, &request.query, Budget::default()),
            SeedFile::MetaData => self.meta_data(&labels),
            file @ (SeedFile::VendorData | SeedFile::NetworkConfig) => {
                self.empty_seed_file(&labels, file)
            }
        }
    }

    /// Returns a machine's meta-data as JSON, which is also YAML: the group's metadata, over it `instance-id` (the
    /// machine's UUID, serial number or MAC, else the group's name) and `local-hostname` (the metadata's or the label
    /// `hostname`), unless the metadata has them.
    ///
    /// # Errors
    /// No group matches.
    pub fn meta_data(&self, labels: &Labels) -> Result<ServedConfig, Refusal> {
        let group = self.group(labels)?;
        let text = serde_json::to_string_pretty(&values(group, labels));
        Ok(ServedConfig {
            group: group.name.to_string(),
            selectors: group.require.keys(),
            file: SeedFile::MetaData.name().to_owned(),
            // The keys of maps are texts.
            text: text.unwrap_or_default() + "\n",
        })
    }

    /// Returns a file of a machine's seed that is always empty: vendor-data or network-config.
    ///
    /// # Errors
    /// No group matches.
    pub fn empty_seed_file(
        &self,
        labels: &Labels,
        file: SeedFile,
    ) -> Result<ServedConfig, Refusal> {
        let group = self.group(labels)?;
        Ok(ServedConfig {
            group: group.name.to_string(),
            selectors: group.require.keys(),
            file: file.name().to_owned(),
            text: String::new(),
        })
    }
}

fn values(group: &Group, labels: &Labels) -> Map<String, serde_json::Value> {
    let metadata = group.metadata.iter();
    let mut values: Map<_, _> = metadata
        .map(|(key, value)| (key.to_string(), json(value)))
        .collect();
    let label = |key: &str| Some(labels.value(key)).filter(|value| !value.is_empty());
    if !values.contains_key("instance-id") {
        let id = IDENTITY.iter().find_map(|key| label(key));
        let id = id.unwrap_or(&group.name).to_owned();
        values.insert("instance-id".into(), id.into());
    }
    if !values.contains_key("local-hostname") {
        let named = values.get("hostname").and_then(|name| name.as_str());
        let name = named.or_else(|| label("hostname")).map(str::to_owned);
        values.extend(name.map(|name| ("local-hostname".to_owned(), name.into())));
    }
    values
}

/// Returns a value of metadata as JSON; bytes that are not UTF-8 are replaced.
fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Nil => serde_json::Value::Null,
        Value::Bool(bool) => (*bool).into(),
        Value::Int(number) => (*number).into(),
        Value::Uint(number) => (*number).into(),
        Value::Byte(number) => (*number).into(),
        Value::Float(number) => float(*number),
        Value::Complex(..) => value.to_string().into(),
        Value::String(bytes) => String::from_utf8_lossy(bytes).into(),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(map) | Value::StringMap(map) => map
            .iter()
            .map(|(key, value)| (key.to_string(), json(value)))
            .collect::<Map<_, _>>()
            .into(),
    }
}

/// Returns a number as it was written: matchbox's layout knows no integers.
fn float(number: f64) -> serde_json::Value {
    const MOST: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= MOST {
        return (number as i64).into();
    }
    Number::from_f64(number).map_or(serde_json::Value::Null, Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::go_json_map;

    fn meta_data(metadata: serde_json::Value, query: &str) -> serde_json::Value {
        let metadata = go_json_map(metadata.as_object().unwrap());
        let group = Group {
            id: "g".into(),
            name: "the group".into(),
            profile_id: "p".into(),
            require: Default::default(),
            metadata,
            number: 0,
        };
        let snapshot = Snapshot {
            groups: crate::matching::Groups::new([group]),
            ..Snapshot::default()
        };
        let served = snapshot.meta_data(&Labels::from_query(query)).unwrap();
        assert_eq!(served.group, "the group");
        serde_json::from_str(&served.text).unwrap()
    }

    #[test]
    fn instance_is_named_by_the_machine_and_else_by_its_group() {
        let id = |query: &str| meta_data(serde_json::json!({}), query)["instance-id"].clone();
        assert_eq!(id("mac=52-54-00-00-00-01&uuid=u&serial=s"), "u");
        assert_eq!(id("mac=52-54-00-00-00-01&serial=s&uuid="), "s");
        assert_eq!(id("mac=52-54-00-00-00-01"), "52:54:00:00:00:01");
        assert_eq!(id("rack=7"), "the group");
    }

    #[test]
    fn metadata_of_the_group_is_served_with_its_types_and_counts_more_than_labels() {
        let metadata = serde_json::json!({
            "instance-id": "own", "hostname": "quay", "n": 3, "f": 1.5, "l": [true, null, {"a": "b"}],
        });
        let served = meta_data(metadata, "uuid=u&hostname=other");
        assert_eq!(
            served,
            serde_json::json!({
                "instance-id": "own", "local-hostname": "quay", "hostname": "quay", "n": 3, "f": 1.5,
                "l": [true, null, {"a": "b"}],
            })
        );
        let named = meta_data(serde_json::json!({}), "hostname=other");
        assert_eq!(named["local-hostname"], "other");
        let unnamed = meta_data(serde_json::json!({}), "uuid=u");
        assert_eq!(unnamed["local-hostname"], serde_json::Value::Null);
        assert_eq!(json(&Value::from("x")), "x");
    }
}
