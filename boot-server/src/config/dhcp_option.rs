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

/// Mistakes in a raw option or a client identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOption {
    /// The key is not an option code.
    #[error("invalid option code: `{0}`")]
    Code(String),
    /// Padding or the end of options.
    #[error("option {0} holds no value")]
    NoValue(u8),
    /// An option that the server sets.
    #[error("option {code} {why}")]
    Reserved {
        /// Code of the option (RFC 2132).
        code: u8,
        /// Source of its value.
        why: &'static str,
    },
    /// A value in no known notation.
    #[error("invalid option value: `{0}` (neither a typed value nor a list of addresses)")]
    Value(String),
    /// A number that its type does not hold.
    #[error("invalid number: `{0}` (out of range for its type)")]
    Number(String),
    /// Text that is not hexadecimal.
    #[error("`{0}` is not hex digits in pairs")]
    Hex(String),
    /// A value of this many bytes.
    #[error("{0} bytes do not fit a DHCP option")]
    TooLong(usize),
    /// A client identifier without a notation.
    #[error("missing type: `{0}`")]
    NoType(String),
    /// A client identifier of this many bytes.
    #[error("a client identifier has 2 to 255 bytes, not {0}")]
    ClientIdLength(usize),
}

impl InvalidOption {
    /// Returns the remedy, or the valid notations.
    pub(super) fn help(&self) -> String {
        match self {
            InvalidOption::Code(_) | InvalidOption::NoValue(_) => {
                "a number from 1 to 254, e.g. options = { 150 = \"10.0.0.1\" }".to_owned()
            }
            InvalidOption::Reserved { .. } => "leave it out".to_owned(),
            InvalidOption::TooLong(_) => format!("at most {MAX_OPTION_LEN}"),
            InvalidOption::NoType(_) | InvalidOption::ClientIdLength(_) => {
                "\"hex:01:52:54:…\" or \"text:name\"".to_owned()
            }
            InvalidOption::Value(_) | InvalidOption::Number(_) | InvalidOption::Hex(_) => {
                NOTATIONS.to_owned()
            }
        }
    }
}

/// An invalid option, and its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OptionProblem {
    /// Key as written under `options`.
    pub(super) key: String,
    /// Mistake in the key or the value.
    pub(super) error: InvalidOption,
}

/// Returns all mistakes in a table.
pub(super) fn problems(raw: &RawOptions) -> Vec<OptionProblem> {
    let problem = |(key, value): (&String, &String)| {
        let key = key.clone();
        let error = parse_one(&key, value).err()?;
        Some(OptionProblem { key, error })
    };
    raw.iter().filter_map(problem).collect()
}

/// Reads all options of a table.
///
/// # Errors
/// The first mistake.
pub(super) fn parse(raw: &RawOptions) -> Result<Options, InvalidOption> {
    let mut options = Options::default();
    for (key, value) in raw {
        let (code, bytes) = parse_one(key, value)?;
        options.set(code, bytes);
    }
    Ok(options)
}

fn parse_one(key: &str, value: &str) -> Result<(u8, Vec<u8>), InvalidOption> {
    Ok((parse_code(key)?, parse_value(value)?))
}

fn parse_code(key: &str) -> Result<u8, InvalidOption> {
    let Ok(code) = key.parse::<u8>() else {
        return Err(InvalidOption::Code(key.to_owned()));
    };
    let why = match code {
        code::PAD | code::END => return Err(InvalidOption::NoValue(code)),
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
    Err(InvalidOption::Reserved { code, why })
}

fn parse_value(value: &str) -> Result<Vec<u8>, InvalidOption> {
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
            .map_err(|_| InvalidOption::Value(value.to_owned())),
    }?;
    match bytes.len() {
        len if len > MAX_OPTION_LEN => Err(InvalidOption::TooLong(len)),
        _ => Ok(bytes),
    }
}

fn parse_number<N: std::str::FromStr>(
    text: &str,
    bytes: impl FnOnce(N) -> Vec<u8>,
) -> Result<Vec<u8>, InvalidOption> {
    text.trim()
        .parse()
        .map(bytes)
        .map_err(|_| InvalidOption::Number(text.to_owned()))
}

/// Hex digits in pairs, with or without colons between them.
fn parse_hex(text: &str) -> Result<Vec<u8>, InvalidOption> {
    let wrong = || InvalidOption::Hex(text.to_owned());
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
pub(super) fn parse_client_id(text: &str) -> Result<Vec<u8>, InvalidOption> {
    let bytes = match text.split_once(':') {
        Some(("hex", hex)) => parse_hex(hex)?,
        // RFC 2132 §9.14: type 0 is for identifiers that are no hardware address.
        Some(("text", name)) => [&[0], name.as_bytes()].concat(),
        _ => return Err(InvalidOption::NoType(text.to_owned())),
    };
    match bytes.len() {
        2..=255 => Ok(bytes),
        len => Err(InvalidOption::ClientIdLength(len)),
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
            let error = parse_value(value).unwrap_err();
            assert_eq!(error.help(), NOTATIONS, "{value}: {error}");
        }
        let long = parse_value(&format!("text:{}", "x".repeat(1025)));
        assert_eq!(long, Err(InvalidOption::TooLong(1025)));
    }

    #[test]
    fn codes_that_are_the_servers_own_are_refused() {
        for key in [
            "0", "255", "256", "-1", "router", "1", "51", "53", "61", "82",
        ] {
            assert!(parse_code(key).is_err(), "{key}");
        }
        for key in ["3", "43", "66", "67", "150", "252"] {
            assert_eq!(parse_code(key).unwrap().to_string(), key);
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
