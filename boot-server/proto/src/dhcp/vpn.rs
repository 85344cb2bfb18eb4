//! Virtual subnet selection: the VPN of a client, in sub-options of its relay agent (RFC 6607).

use std::fmt;
use std::str::FromStr;

use super::fields::sub_option;
use super::message::Message;
use super::options::code;

/// VPN of the client, sub-option 151 of the relay agent's option 82.
pub const VIRTUAL_SUBNET: u8 = 151;
/// Sub-option 152, which a server removes that has used sub-option 151.
pub const VIRTUAL_SUBNET_CONTROL: u8 = 152;

/// Type of a VPN's name in ASCII.
const TYPE_NAME: u8 = 0;
/// Type of a VPN identifier of RFC 2685.
const TYPE_ID: u8 = 1;
/// Type of the global VPN, which has no more bytes.
const TYPE_GLOBAL: u8 = 255;

/// Longest name: a sub-option has 255 bytes, with the type.
const NAME_MAX: usize = 254;

/// Name or identifier of a VPN.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Vpn {
    /// Name in ASCII.
    Name(String),
    /// Identifier of RFC 2685: an OUI and a number.
    Id([u8; 7]),
}

/// VPN that a relay agent names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SelectedVpn {
    /// None: the network outside of all VPNs.
    Global,
    /// A VPN.
    Of(Vpn),
}

/// Malformed text of a VPN.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid VPN: `{0}`")]
pub struct InvalidVpn(pub String);

impl InvalidVpn {
    /// Returns the notations.
    pub fn help(&self) -> &'static str {
        "use a name of up to 254 ASCII characters, e.g. \"blue\", or 7 bytes of RFC 2685, e.g. \"hex:00005e00000001\""
    }
}

impl Vpn {
    /// Returns the value of sub-option 151.
    pub fn to_wire(&self) -> Vec<u8> {
        match self {
            Vpn::Name(name) => [&[TYPE_NAME], name.as_bytes()].concat(),
            Vpn::Id(id) => [&[TYPE_ID][..], id].concat(),
        }
    }
}

impl SelectedVpn {
    /// Reads a value of sub-option 151; `None` for an unknown type or a malformed value.
    pub fn from_wire(value: &[u8]) -> Option<SelectedVpn> {
        match value.split_first()? {
            (&TYPE_NAME, name) if !name.is_empty() && name.iter().all(u8::is_ascii_graphic) => {
                let name = String::from_utf8_lossy(name).into_owned();
                Some(SelectedVpn::Of(Vpn::Name(name)))
            }
            (&TYPE_ID, id) => Some(SelectedVpn::Of(Vpn::Id(id.try_into().ok()?))),
            (&TYPE_GLOBAL, []) => Some(SelectedVpn::Global),
            _ => None,
        }
    }
}

impl fmt::Display for Vpn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Vpn::Name(name) => f.write_str(name),
            Vpn::Id(id) => {
                f.write_str("hex:")?;
                id.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

impl FromStr for Vpn {
    type Err = InvalidVpn;

    /// Reads a name, or `hex:` and the 14 digits of an identifier.
    fn from_str(text: &str) -> Result<Vpn, InvalidVpn> {
        let invalid = || InvalidVpn(text.to_owned());
        let Some(digits) = text.strip_prefix("hex:") else {
            let is_name = text.bytes().all(|byte| byte.is_ascii_graphic());
            let is_name = is_name && (1..=NAME_MAX).contains(&text.len());
            return is_name.then(|| Vpn::Name(text.into())).ok_or_else(invalid);
        };
        if digits.len() != 14 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(invalid());
        }
        let number = u64::from_str_radix(digits, 16).map_err(|_| invalid())?;
        let [_, id @ ..] = number.to_be_bytes();
        Ok(Vpn::Id(id))
    }
}

impl serde::Serialize for Vpn {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Vpn {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vpn, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Message {
    /// Returns the client's VPN, when its relay agent names one. Only a relay agent may name it.
    pub fn selected_vpn(&self) -> Option<SelectedVpn> {
        if self.relay_agent.is_unspecified() {
            return None;
        }
        let information = self.options.bytes(code::RELAY_AGENT_INFO)?;
        SelectedVpn::from_wire(sub_option(information, VIRTUAL_SUBNET)?)
    }

    /// True if option 82 has sub-option 152. In a reply, it says that the server has ignored sub-option 151.
    pub fn has_vpn_control(&self) -> bool {
        let information = self.options.bytes(code::RELAY_AGENT_INFO);
        information.is_some_and(|value| sub_option(value, VIRTUAL_SUBNET_CONTROL).is_some())
    }

    /// Removes sub-option 152 from option 82.
    pub fn remove_vpn_control(&mut self) {
        let Some(information) = self.options.bytes(code::RELAY_AGENT_INFO) else {
            return;
        };
        let mut kept = Vec::with_capacity(information.len());
        let mut rest = information;
        while let Some((&[code, len], tail)) = rest.split_first_chunk::<2>() {
            let Some((value, tail)) = tail.split_at_checked(usize::from(len)) else {
                break;
            };
            if code != VIRTUAL_SUBNET_CONTROL {
                kept.extend([code, len]);
                kept.extend(value);
            }
            rest = tail;
        }
        // What cannot be read goes back as it came.
        kept.extend(rest);
        self.options.remove(code::RELAY_AGENT_INFO);
        self.options.set(code::RELAY_AGENT_INFO, kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vpn_text_and_wire_are_read_as_they_are_written() {
        for (text, wire) in [
            ("blue", &b"\0blue"[..]),
            ("hex:00005e00000001", b"\x01\x00\x00\x5e\x00\x00\x00\x01"),
        ] {
            let vpn: Vpn = text.parse().unwrap();
            assert_eq!(vpn.to_string(), text);
            assert_eq!(vpn.to_wire(), wire);
            assert_eq!(SelectedVpn::from_wire(wire), Some(SelectedVpn::Of(vpn)));
        }
        assert_eq!(SelectedVpn::from_wire(&[255]), Some(SelectedVpn::Global));
    }

    #[test]
    fn vpn_malformed_text_and_wire_are_none() {
        let long = "x".repeat(255);
        for text in [
            "",
            "two words",
            "grün",
            "hex:00",
            "hex:zz005e00000001",
            &long,
        ] {
            assert_eq!(text.parse::<Vpn>(), Err(InvalidVpn(text.into())), "{text}");
        }
        for wire in [
            &b""[..],
            b"\0",
            b"\0a b",
            b"\x01\x00",
            b"\xff\x00",
            b"\x02x",
        ] {
            assert_eq!(SelectedVpn::from_wire(wire), None, "{wire:?}");
        }
    }
}
