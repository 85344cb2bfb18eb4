//! Ethernet addresses, in the notations that boot configs and firmware use.

use std::fmt;
use std::str::FromStr;

/// A 48-bit Ethernet address. Displayed lowercase with colons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MacAddr(pub [u8; 6]);

/// The text is not a 48-bit MAC in colon, hyphen or dotted notation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a MAC address; write it as 52:54:00:12:34:56")]
pub struct InvalidMac(pub String);

impl MacAddr {
    /// Lowercase with hyphens, as iPXE's `hexhyp` and PXELINUX's file names write it.
    pub fn hyphenated(&self) -> String {
        self.to_string().replace(':', "-")
    }

    /// True for group addresses (broadcast, multicast), which no machine has as its own.
    pub fn is_multicast(&self) -> bool {
        self.0[0] & 1 == 1
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for MacAddr {
    type Err = InvalidMac;

    /// Reads `52:54:00:12:34:56`, `52-54-00-12-34-56` and `5254.0012.3456`, either case.
    fn from_str(text: &str) -> Result<MacAddr, InvalidMac> {
        let invalid = || InvalidMac(text.to_owned());
        let (separator, width) = if text.contains(':') {
            (':', 2)
        } else if text.contains('-') {
            ('-', 2)
        } else {
            ('.', 4)
        };
        let mut digits = String::with_capacity(12);
        for part in text.split(separator) {
            if part.len() != width || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(invalid());
            }
            digits.push_str(part);
        }
        if digits.len() != 12 {
            return Err(invalid());
        }
        let number = u64::from_str_radix(&digits, 16).map_err(|_| invalid())?;
        let [_, _, a, b, c, d, e, f] = number.to_be_bytes();
        Ok(MacAddr([a, b, c, d, e, f]))
    }
}

impl serde::Serialize for MacAddr {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl schemars::JsonSchema for MacAddr {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MacAddr".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}$|^[0-9A-Fa-f]{4}([.][0-9A-Fa-f]{4}){2}$",
        })
    }
}

impl<'de> serde::Deserialize<'de> for MacAddr {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<MacAddr, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_notations_read_as_the_same_address() {
        let mac = MacAddr([0x52, 0x54, 0, 0x12, 0xab, 0x0f]);
        for text in ["52:54:00:12:ab:0f", "52-54-00-12-AB-0F", "5254.0012.ab0f"] {
            assert_eq!(text.parse(), Ok(mac));
        }
        assert_eq!(mac.to_string(), "52:54:00:12:ab:0f");
        assert_eq!(mac.hyphenated(), "52-54-00-12-ab-0f");
    }

    #[test]
    fn other_text_is_refused() {
        for text in [
            "",
            "52:54:00:12:ab",
            "52:54:00:12:ab:0f:00",
            "5:54:00:12:ab:0f",
            "52:54-00:12:ab:0f",
            "zz:54:00:12:ab:0f",
            "52540012ab0f",
            "+2:54:00:12:ab:0f",
        ] {
            assert!(text.parse::<MacAddr>().is_err(), "{text}");
        }
    }
}
