//! Ethernet address of a machine, in all common notations.

use std::fmt;
use std::str::FromStr;

use boot_server_events::Identifier;
use boot_server_proto::mac;
use serde::Serialize;

/// Unicast Ethernet address. Written in lowercase with colons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct MacAddr(mac::MacAddr);

/// Reason why a text is not a unicast Ethernet address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MacError {
    /// The text is none of `52:54:00:a1:9c:ae`, `52-54-00-a1-9c-ae` and `5254.00a1.9cae`.
    #[error("invalid MAC address: `{0}`")]
    Notation(String),
    /// All octets are zero.
    #[error("invalid MAC address: all zeros")]
    Zero,
    /// The group bit is set (IEEE 802, least significant bit of the first octet).
    #[error("invalid MAC address: `{0}` (multicast)")]
    Multicast(MacAddr),
}

impl MacAddr {
    /// Returns the six octets.
    pub fn octets(self) -> [u8; 6] {
        self.0.0
    }

    /// Formats the address in lowercase with hyphens, as in iPXE's `${net0/mac:hexhyp}` and PXELINUX's file
    /// names.
    pub fn hexhyp(self) -> String {
        self.0.hyphenated()
    }

    /// Parses any common notation and accepts addresses that no network card can have.
    pub fn parse_any(text: &str) -> Option<MacAddr> {
        text.parse().ok().map(MacAddr)
    }
}

impl From<mac::MacAddr> for MacAddr {
    fn from(mac: mac::MacAddr) -> MacAddr {
        MacAddr(mac)
    }
}

impl From<MacAddr> for Identifier<mac::MacAddr> {
    fn from(mac: MacAddr) -> Self {
        Identifier::Valid(mac.0)
    }
}

impl FromStr for MacAddr {
    type Err = MacError;

    fn from_str(text: &str) -> Result<Self, MacError> {
        let mac = MacAddr::parse_any(text).ok_or_else(|| MacError::Notation(text.into()))?;
        if mac.octets() == [0; 6] {
            Err(MacError::Zero)
        } else if mac.0.is_multicast() {
            Err(MacError::Multicast(mac))
        } else {
            Ok(mac)
        }
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_common_notation_is_the_same_address() {
        let expected = "52:54:00:a1:9c:ae".parse::<MacAddr>().unwrap();
        for text in ["52:54:00:A1:9C:AE", "52-54-00-a1-9c-ae", "5254.00a1.9cae"] {
            assert_eq!(text.parse::<MacAddr>(), Ok(expected), "{text}");
        }
        assert_eq!(expected.to_string(), "52:54:00:a1:9c:ae");
        assert_eq!(expected.hexhyp(), "52-54-00-a1-9c-ae");
    }

    #[test]
    fn other_text_is_no_address() {
        for text in [
            "",
            "52",
            "525400a19cae",
            "52:54:00:a1:9c",
            "52:54:00:a1:9c:ae:00",
        ] {
            assert_eq!(
                text.parse::<MacAddr>(),
                Err(MacError::Notation(text.into())),
                "{text}"
            );
        }
        for text in [
            "52:54-00:a1:9c:ae",
            "52:54:00:a1:9c:ag",
            "+2:54:00:a1:9c:ae",
            "é2:54:00:a1:9c:ae",
        ] {
            assert_eq!(
                text.parse::<MacAddr>(),
                Err(MacError::Notation(text.into())),
                "{text}"
            );
        }
    }

    #[test]
    fn an_address_no_card_can_have_is_refused() {
        assert_eq!("00:00:00:00:00:00".parse::<MacAddr>(), Err(MacError::Zero));
        assert!(matches!(
            "01:00:5e:00:00:01".parse::<MacAddr>(),
            Err(MacError::Multicast(_))
        ));
    }
}
