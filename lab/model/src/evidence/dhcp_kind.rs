//! Type of a DHCP or BOOTP message, as packets have it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use boot_server_proto::dhcp::{MessageType, UnknownMessageType};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const BOOTP: &str = "bootp";

/// Type of a DHCP message (option 53), or BOOTP, which has no types (RFC 951).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DhcpKind {
    /// Message without a valid option 53.
    #[default]
    Bootp,
    /// DHCP message of this type.
    Dhcp(MessageType),
}

impl From<MessageType> for DhcpKind {
    fn from(message: MessageType) -> DhcpKind {
        DhcpKind::Dhcp(message)
    }
}

impl fmt::Display for DhcpKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DhcpKind::Bootp => f.write_str(BOOTP),
            DhcpKind::Dhcp(message) => message.fmt(f),
        }
    }
}

impl FromStr for DhcpKind {
    type Err = UnknownMessageType;

    fn from_str(text: &str) -> Result<DhcpKind, UnknownMessageType> {
        match text {
            BOOTP => Ok(DhcpKind::Bootp),
            other => other.parse().map(DhcpKind::Dhcp),
        }
    }
}

impl Serialize for DhcpKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DhcpKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<DhcpKind, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::packet::DhcpSaid;

    #[test]
    fn dhcp_message_has_the_json_of_older_recordings() {
        let mut kinds: Vec<DhcpKind> = (0..=u8::MAX)
            .map(|number| MessageType::from_wire(number).into())
            .collect();
        kinds.push(DhcpKind::Bootp);
        for message in kinds {
            let said = DhcpSaid {
                message,
                ..DhcpSaid::default()
            };
            let json = serde_json::to_value(&said).unwrap();
            assert_eq!(json["message"], message.to_string());
            assert_eq!(serde_json::from_value::<DhcpSaid>(json).unwrap(), said);
        }
        for (text, kind) in [
            ("\"ack\"", MessageType::Ack.into()),
            ("\"type 9\"", MessageType::Other(9).into()),
            ("\"bootp\"", DhcpKind::Bootp),
        ] {
            assert_eq!(serde_json::from_str::<DhcpKind>(text).unwrap(), kind);
        }
        assert!(serde_json::from_str::<DhcpKind>("\"hello\"").is_err());
    }
}
