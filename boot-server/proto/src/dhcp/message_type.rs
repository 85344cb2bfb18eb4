//! Message type (option 53), on the wire and as text.

use std::fmt;
use std::str::FromStr;

/// DHCP message types (RFC 2132 §9.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "RFC 2132's own names")]
pub enum MessageType {
    Discover,
    Offer,
    Request,
    Decline,
    Ack,
    Nak,
    Release,
    Inform,
    /// A later RFC's.
    Other(u8),
}

impl MessageType {
    /// Returns the number on the wire.
    pub fn to_wire(self) -> u8 {
        match self {
            MessageType::Discover => 1,
            MessageType::Offer => 2,
            MessageType::Request => 3,
            MessageType::Decline => 4,
            MessageType::Ack => 5,
            MessageType::Nak => 6,
            MessageType::Release => 7,
            MessageType::Inform => 8,
            MessageType::Other(value) => value,
        }
    }

    /// Decodes a number on the wire.
    pub fn from_wire(value: u8) -> MessageType {
        match value {
            1 => MessageType::Discover,
            2 => MessageType::Offer,
            3 => MessageType::Request,
            4 => MessageType::Decline,
            5 => MessageType::Ack,
            6 => MessageType::Nak,
            7 => MessageType::Release,
            8 => MessageType::Inform,
            other => MessageType::Other(other),
        }
    }
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MessageType::Discover => f.write_str("discover"),
            MessageType::Offer => f.write_str("offer"),
            MessageType::Request => f.write_str("request"),
            MessageType::Decline => f.write_str("decline"),
            MessageType::Ack => f.write_str("ack"),
            MessageType::Nak => f.write_str("nak"),
            MessageType::Release => f.write_str("release"),
            MessageType::Inform => f.write_str("inform"),
            MessageType::Other(value) => write!(f, "type {value}"),
        }
    }
}

/// Text that names no known message type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown DHCP message type: `{0}`")]
pub struct UnknownMessageType(String);

impl FromStr for MessageType {
    type Err = UnknownMessageType;

    /// Reads what [`fmt::Display`] writes.
    fn from_str(text: &str) -> Result<MessageType, UnknownMessageType> {
        let named = (1..=8).map(MessageType::from_wire);
        let number = || text.strip_prefix("type ")?.parse().ok();
        named
            .into_iter()
            .find(|message| message.to_string() == text)
            .or_else(|| number().map(MessageType::from_wire))
            .ok_or_else(|| UnknownMessageType(text.to_owned()))
    }
}

impl serde::Serialize for MessageType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl schemars::JsonSchema for MessageType {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MessageType".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let known = (1..=8).map(|number| MessageType::from_wire(number).to_string());
        let known: Vec<String> = known.collect();
        schemars::json_schema!({
            "type": "string",
            "pattern": format!("^({}|type [0-9]{{1,3}})$", known.join("|")),
        })
    }
}

impl<'de> serde::Deserialize<'de> for MessageType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<MessageType, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
