//! A machine's Ethernet address, in the notations people write it in.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// An Ethernet address. Written lowercase with colons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MacAddr([u8; 6]);

/// Why a text is not the address of one machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MacError {
    /// Neither `52:54:00:a1:9c:ae`, `52-54-00-a1-9c-ae` nor `5254.00a1.9cae`.
    #[error("`{0}` is not a MAC address")]
    Notation(String),
    /// All octets are zero.
    #[error("the MAC address is all zeros")]
    Zero,
    /// The group bit is set (IEEE 802, least significant bit of the first octet).
    #[error("`{0}` is a multicast address, no network card has it")]
    Multicast(MacAddr),
}

impl MacAddr {
    /// The six octets.
    pub fn octets(self) -> [u8; 6] {
        self.0
    }

    /// Lowercase with hyphens, as iPXE's `${net0/mac:hexhyp}` and PXELINUX's file names have it.
    pub fn hexhyp(self) -> String {
        self.to_string().replace(':', "-")
    }

    /// The address in any common notation, without asking whether a network card can have it.
    pub fn parse_any(text: &str) -> Option<MacAddr> {
        let group_digits = match text.chars().find(|c| !c.is_ascii_hexdigit())? {
            '.' => 4,
            ':' | '-' => 2,
            _ => return None,
        };
        let separator = text.chars().nth(group_digits)?;
        let groups: Vec<&str> = text.split(separator).collect();
        if groups.iter().any(|group| group.len() != group_digits) {
            return None;
        }
        let digits = groups.concat();
        if digits.len() != 12 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let value = u64::from_str_radix(&digits, 16).ok()?;
        let [_, _, octets @ ..] = value.to_be_bytes();
        Some(MacAddr(octets))
    }
}

impl FromStr for MacAddr {
    type Err = MacError;

    fn from_str(text: &str) -> Result<Self, MacError> {
        let mac = MacAddr::parse_any(text).ok_or_else(|| MacError::Notation(text.into()))?;
        let [first, ..] = mac.0;
        if mac.0 == [0; 6] {
            Err(MacError::Zero)
        } else if first & 1 == 1 {
            Err(MacError::Multicast(mac))
        } else {
            Ok(mac)
        }
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl Serialize for MacAddr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
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
