//! MAC or UUID of a client, as its request has it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// MAC or UUID of a client.
///
/// A query may have any text in its label `uuid`, and an address of 64 bits in its label `mac`. Such text is kept:
/// a request with a label that names no machine differs from one without the label.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Identifier<T> {
    /// Valid MAC or UUID.
    Valid(T),
    /// Another text in its place.
    Other(String),
}

impl<T> Identifier<T> {
    /// Returns the MAC or UUID if it is valid.
    pub fn valid(&self) -> Option<&T> {
        match self {
            Identifier::Valid(value) => Some(value),
            Identifier::Other(_) => None,
        }
    }
}

impl<T: FromStr> Identifier<T> {
    /// Parses a text of a client in any notation.
    pub fn parse(text: &str) -> Identifier<T> {
        match text.parse() {
            Ok(value) => Identifier::Valid(value),
            Err(_) => Identifier::Other(text.to_owned()),
        }
    }
}

impl<T> From<T> for Identifier<T> {
    fn from(value: T) -> Identifier<T> {
        Identifier::Valid(value)
    }
}

impl<T: fmt::Display> fmt::Display for Identifier<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Identifier::Valid(value) => value.fmt(f),
            Identifier::Other(text) => text.fmt(f),
        }
    }
}

impl<T: fmt::Display> Serialize for Identifier<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, T: FromStr> Deserialize<'de> for Identifier<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Identifier<T>, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Ok(Identifier::parse(&text))
    }
}

impl<T> schemars::JsonSchema for Identifier<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Identifier".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string" })
    }
}

#[cfg(test)]
mod tests {
    use boot_server_proto::mac::MacAddr;
    use uuid::Uuid;

    use crate::{Event, Identifier, Who};

    const UUID: &str = "16e7d8a7-bfa9-428b-9117-363341bb330b";

    fn written(who: &Who) -> String {
        serde_json::to_string(who).unwrap()
    }

    #[test]
    fn identifier_recorded_by_older_versions_reads_and_is_written_as_it_was() {
        for (mac, uuid) in [("52:54:00:00:00:01", UUID), ("", "n/a"), ("a\nb", "?")] {
            let mac_and_uuid = serde_json::json!({ "mac": mac, "uuid": uuid });
            let line = mac_and_uuid.to_string();
            let who: Who = serde_json::from_str(&line).unwrap();
            assert_eq!(written(&who), line);
        }
        let line = "{\"at_us\":1,\"event\":\"router_advertisement\",\"mac\":\"52:54:00:00:00:01\"}";
        let event: Event = serde_json::from_str(line).unwrap();
        assert_eq!(serde_json::to_string(&event).unwrap(), line);
    }

    #[test]
    fn identifier_in_another_notation_is_the_same_machine() {
        let mac = MacAddr([0x52, 0x54, 0, 0x12, 0xab, 0x0f]);
        for text in ["52:54:00:12:AB:0F", "52-54-00-12-ab-0f", "5254.0012.ab0f"] {
            assert_eq!(Identifier::parse(text), Identifier::Valid(mac));
        }
        let uuid = Uuid::parse_str(UUID).unwrap();
        for text in [UUID.to_uppercase(), UUID.replace('-', "")] {
            assert_eq!(Identifier::parse(&text), Identifier::Valid(uuid));
        }
        let who = Who {
            mac: Some(mac.into()),
            uuid: Some(uuid.into()),
            peer: None,
        };
        let line = format!("{{\"mac\":\"52:54:00:12:ab:0f\",\"uuid\":\"{UUID}\"}}");
        assert_eq!(written(&who), line);
    }

    #[test]
    fn identifier_of_other_text_is_no_machine() {
        let mac = Identifier::<MacAddr>::parse("52:54:00");
        assert_eq!(mac.valid(), None);
        assert_eq!(mac.to_string(), "52:54:00");
    }
}
