//! The notation of raw DHCP options: a code, and a value that says its type.
//!
//! | value | bytes |
//! |---|---|
//! | `10.0.0.1, 10.0.0.2` | addresses, four bytes each |
//! | `text:http://host/x` | the text |
//! | `hex:01:04:c0` or `hex:0104c0` | those bytes |
//! | `u8:5`, `u16:1500`, `u32:86400` | a number, most significant byte first |
//! | `empty:` | none |

use std::net::Ipv4Addr;

use boot_server_proto::dhcp::{Options, code};

use super::dhcp::RawOptions;

/// Notations of an option value.
const NOTATIONS: &str = "addresses like \"10.0.0.1, 10.0.0.2\", or \"text:…\", \"hex:0104…\", \
                         \"u8:…\", \"u16:…\", \"u32:…\", \"empty:\"";
/// Longest option: more does not fit a message of one Ethernet frame.
const MAX_OPTION_LEN: usize = 1024;

/// An option that cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OptionProblem {
    /// Key as written under `options`.
    pub(super) key: String,
    /// Problem in one sentence.
    pub(super) message: String,
    /// Remedy, or the valid notations.
    pub(super) help: String,
}

/// Reads all options of a table.
pub(super) fn parse(raw: &RawOptions) -> Result<Options, Vec<OptionProblem>> {
    let mut options = Options::default();
    let mut problems = Vec::new();
    for (key, value) in raw {
        match parse_code(key).and_then(|code| Ok((code, parse_value(value)?))) {
            Ok((code, bytes)) => options.set(code, bytes),
            Err((message, help)) => problems.push(OptionProblem {
                key: key.clone(),
                message,
                help,
            }),
        }
    }
    if problems.is_empty() {
        Ok(options)
    } else {
        Err(problems)
    }
}

type Wrong = (String, String);

fn parse_code(key: &str) -> Result<u8, Wrong> {
    let numbers = || "a number from 1 to 254, e.g. options = { 150 = \"10.0.0.1\" }".to_owned();
    let Ok(code) = key.parse::<u8>() else {
        return Err((format!("invalid option code: `{key}`"), numbers()));
    };
    let why = match code {
        code::PAD | code::END => return Err((format!("option {code} holds no value"), numbers())),
        code::SUBNET_MASK | code::BROADCAST_ADDRESS => "follows from the subnet",
        code::LEASE_TIME | code::RENEWAL_TIME | code::REBINDING_TIME => {
            "follows from lease_seconds"
        }
        code::REQUESTED_ADDRESS
        | code::OVERLOAD
        | code::MESSAGE_TYPE
        | code::SERVER_ID
        | code::PARAMETER_LIST
        | code::MESSAGE
        | code::MAX_MESSAGE_SIZE
        | code::CLIENT_ID
        | code::RELAY_AGENT_INFO
        | code::MACHINE_ID
        | code::SUBNET_SELECTION => "is part of the protocol and set by the server",
        _ => return Ok(code),
    };
    Err((format!("option {code} {why}"), "leave it out".to_owned()))
}

fn parse_value(value: &str) -> Result<Vec<u8>, Wrong> {
    let bytes = match value.split_once(':') {
        Some(("text", text)) => Ok(text.as_bytes().to_vec()),
        Some(("hex", hex)) => parse_hex(hex),
        Some(("empty", "")) => Ok(Vec::new()),
        Some(("u8", number)) => parse_number(number, |n: u8| n.to_be_bytes().to_vec()),
        Some(("u16", number)) => parse_number(number, |n: u16| n.to_be_bytes().to_vec()),
        Some(("u32", number)) => parse_number(number, |n: u32| n.to_be_bytes().to_vec()),
        _ => value
            .split(',')
            .map(|part| part.trim().parse::<Ipv4Addr>())
            .collect::<Result<Vec<_>, _>>()
            .map(|all| all.iter().flat_map(Ipv4Addr::octets).collect())
            .map_err(|_| format!("invalid option value: `{value}` (neither a typed value nor a list of addresses)")),
    };
    match bytes {
        Ok(bytes) if bytes.len() > MAX_OPTION_LEN => Err((
            format!("{} bytes do not fit a DHCP option", bytes.len()),
            format!("at most {MAX_OPTION_LEN}"),
        )),
        Ok(bytes) => Ok(bytes),
        Err(message) => Err((message, NOTATIONS.to_owned())),
    }
}

fn parse_number<N: std::str::FromStr>(
    text: &str,
    bytes: impl FnOnce(N) -> Vec<u8>,
) -> Result<Vec<u8>, String> {
    text.trim()
        .parse()
        .map(bytes)
        .map_err(|_| format!("invalid number: `{text}` (out of range for its type)"))
}

/// Hex digits in pairs, with or without colons between them.
fn parse_hex(text: &str) -> Result<Vec<u8>, String> {
    let wrong = || format!("`{text}` is not hex digits in pairs");
    let digits: Vec<u8> = match text.contains(':') {
        true if text.split(':').all(|pair| pair.len() == 2) => text.replace(':', "").into_bytes(),
        true => return Err(wrong()),
        false => text.as_bytes().to_vec(),
    };
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let (pairs, []) = digits.as_chunks::<2>() else {
        return Err(wrong());
    };
    pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect::<Option<_>>()
        .ok_or_else(wrong)
}

/// Reads a client identifier: `hex:…` are its bytes, `text:…` its name without a type.
pub(super) fn parse_client_id(text: &str) -> Result<Vec<u8>, String> {
    let bytes = match text.split_once(':') {
        Some(("hex", hex)) => parse_hex(hex)?,
        // RFC 2132 §9.14: type 0 is for identifiers that are no hardware address.
        Some(("text", name)) => [&[0], name.as_bytes()].concat(),
        _ => return Err(format!("missing type: `{text}`")),
    };
    match bytes.len() {
        2..=255 => Ok(bytes),
        len => Err(format!("a client identifier has 2 to 255 bytes, not {len}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_notation_gives_its_bytes() {
        for (value, bytes) in [
            ("10.0.0.1", &[10, 0, 0, 1][..]),
            ("10.0.0.1, 10.0.0.2", &[10, 0, 0, 1, 10, 0, 0, 2]),
            ("text:http://w:80/", b"http://w:80/"),
            ("text:", b""),
            ("hex:0104C0", &[1, 4, 0xc0]),
            ("hex:01:04:c0", &[1, 4, 0xc0]),
            ("u8:5", &[5]),
            ("u16:1500", &[5, 0xdc]),
            ("u32:1", &[0, 0, 0, 1]),
            ("empty:", &[]),
        ] {
            assert_eq!(parse_value(value).as_deref(), Ok(bytes), "{value}");
        }
    }

    #[test]
    fn other_values_are_refused_with_the_notations_there_are() {
        for value in [
            "", "wpad", "10.0.0", "hex:1", "hex:1:2", "hex:zz", "u8:256", "u16:-1", "empty:x",
        ] {
            let (message, help) = parse_value(value).unwrap_err();
            assert!(!message.is_empty() && help.contains("text:"), "{value}");
        }
        assert!(parse_value(&format!("text:{}", "x".repeat(1025))).is_err());
    }

    #[test]
    fn codes_that_are_the_servers_own_are_refused() {
        for key in [
            "0", "255", "256", "-1", "router", "1", "51", "53", "61", "82",
        ] {
            assert!(parse_code(key).is_err(), "{key}");
        }
        for key in ["3", "43", "66", "67", "150", "252"] {
            assert_eq!(
                parse_code(key).map(|code| code.to_string()).as_deref(),
                Ok(key)
            );
        }
    }

    #[test]
    fn client_identifiers_are_hex_or_a_name_of_type_0() {
        assert_eq!(parse_client_id("hex:01:52").as_deref(), Ok(&[1, 0x52][..]));
        assert_eq!(parse_client_id("text:ab").as_deref(), Ok(&b"\0ab"[..]));
        for wrong in ["ab", "hex:01", "text:", "hex:0"] {
            assert!(parse_client_id(wrong).is_err(), "{wrong}");
        }
    }
}
