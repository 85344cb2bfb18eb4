//! Subject of a certificate, for logs: the name by which a client that is refused can be found.
//!
//! Only the fields before the subject are skipped (RFC 5280, section 4.1); nothing is verified here. Pure.

use std::fmt::Write;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const OBJECT_IDENTIFIER: u8 = 0x06;
/// `[0] EXPLICIT Version`.
const VERSION: u8 = 0xa0;
/// BMPString: UTF-16, big endian.
const BMP_STRING: u8 = 0x1e;

/// Longest subject that is told, in characters.
const MAX_LEN: usize = 200;

/// Short names of attribute types (RFC 4519), by their encoded object identifier.
const ATTRIBUTES: [(&[u8], &str); 8] = [
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 5], "serialNumber"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1],
        "emailAddress",
    ),
];

/// Returns the subject of a certificate in DER, e.g. `CN=terraform,O=Example`. Empty for a certificate without one, or
/// whose subject is only in its alternative names. `None` if the bytes are no certificate.
pub(super) fn subject(certificate: &[u8]) -> Option<String> {
    let (certificate, _) = value(certificate, SEQUENCE)?;
    let (fields, _) = value(certificate, SEQUENCE)?;
    let fields = value(fields, VERSION).map_or(fields, |(_, rest)| rest);
    let (_, fields) = value(fields, INTEGER)?;
    // Signature algorithm, issuer, validity.
    let (_, fields) = value(fields, SEQUENCE)?;
    let (_, fields) = value(fields, SEQUENCE)?;
    let (_, fields) = value(fields, SEQUENCE)?;
    let (mut names, _) = value(fields, SEQUENCE)?;
    let mut text = String::new();
    while !names.is_empty() {
        let (mut set, rest) = value(names, SET)?;
        names = rest;
        while !set.is_empty() {
            let (attribute, rest) = value(set, SEQUENCE)?;
            set = rest;
            let (kind, attribute) = value(attribute, OBJECT_IDENTIFIER)?;
            let (tag, content, _) = element(attribute)?;
            add(&mut text, kind, tag, content);
        }
    }
    if let Some((end, _)) = text.char_indices().nth(MAX_LEN) {
        text.truncate(end);
        text.push('…');
    }
    Some(text)
}

fn add(text: &mut String, kind: &[u8], tag: u8, content: &[u8]) {
    if !text.is_empty() {
        text.push(',');
    }
    match ATTRIBUTES.iter().find(|(id, _)| *id == kind) {
        Some((_, name)) => text.push_str(name),
        None => text.push('?'),
    }
    text.push('=');
    match tag {
        BMP_STRING => {
            let units = content.chunks_exact(2).map(|pair| match pair {
                [high, low] => u16::from_be_bytes([*high, *low]),
                _ => 0,
            });
            text.extend(char::decode_utf16(units).map(|char| char.unwrap_or('\u{fffd}')));
        }
        _ => {
            let content = String::from_utf8_lossy(content);
            // Writing to a string does not fail.
            let _ = write!(text, "{}", content.escape_debug());
        }
    }
}

/// Returns the content of an element with this tag, and what follows it.
fn value(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(bytes)?;
    (found == tag).then_some((content, rest))
}

/// Returns the tag and content of the first element, and what follows it (X.690, section 8.1).
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, bytes) = bytes.split_first()?;
    let (first, bytes) = bytes.split_first()?;
    let (len, bytes) = match first {
        0..=0x7f => (usize::from(*first), bytes),
        0x81..=0x83 => {
            let (digits, rest) = bytes.split_at_checked(usize::from(first & 0x7f))?;
            let digit = |len, byte: &u8| len << 8 | usize::from(*byte);
            (digits.iter().fold(0, digit), rest)
        }
        _ => return None,
    };
    let (content, rest) = bytes.split_at_checked(len)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    fn certificate(names: &[(DnType, &str)]) -> Vec<u8> {
        let mut params = CertificateParams::new(["host.example".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, name) in names {
            params.distinguished_name.push(kind.clone(), *name);
        }
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn subject_of_a_certificate_is_read() {
        let names = [
            (DnType::CommonName, "terraform"),
            (DnType::OrganizationName, "Hafenbehörde \n Süd"),
        ];
        let text = subject(&certificate(&names)).unwrap();
        assert_eq!(text, "CN=terraform,O=Hafenbehörde \\n Süd");
        assert_eq!(subject(&certificate(&[])).unwrap(), "");
        let long = "x".repeat(500);
        let text = subject(&certificate(&[(DnType::CommonName, &long)])).unwrap();
        assert_eq!(text.chars().count(), MAX_LEN + 1);
    }

    #[test]
    fn certificate_that_is_cut_off_or_changed_has_a_subject_or_none() {
        let whole = certificate(&[(DnType::CommonName, "terraform")]);
        for end in 0..whole.len() {
            assert_eq!(subject(&whole[..end]), None, "{end}");
            let mut changed = whole.clone();
            changed[end] ^= 0xff;
            let _ = subject(&changed);
        }
    }

    proptest::proptest! {
        #[test]
        fn bytes_of_a_stranger_are_read_without_panic(bytes: Vec<u8>) {
            let _ = subject(&bytes);
        }
    }
}
