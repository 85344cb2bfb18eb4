//! The publishers' public keys, compiled in, and how OpenPGP's text form becomes what `gpgv` reads.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

/// The keys that come with the project: name and text. Each file says where it is from; which of the keys in
/// it count is the catalog's to say, by fingerprint.
pub const SHIPPED: [(&str, &str); 3] = [
    ("flatcar", include_str!("../../keys/flatcar.asc")),
    ("coreos", include_str!("../../keys/coreos.asc")),
    ("fedora", include_str!("../../keys/fedora.asc")),
];

/// Their names, as a catalog's `shipped_key` has them.
pub(crate) const NAMES: [(&str, &str); 3] = [
    (SHIPPED[0].0, SHIPPED[0].0),
    (SHIPPED[1].0, SHIPPED[1].0),
    (SHIPPED[2].0, SHIPPED[2].0),
];

const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";
/// CRC-24 of RFC 4880, section 6.1.
const CRC24_INIT: u32 = 0x00B7_04CE;
const CRC24_POLY: u32 = 0x0186_4CFB;

/// A key file that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadKey {
    /// The text has no OpenPGP block.
    #[error("no `{BEGIN}` found")]
    NoBlock,
    /// The armor has no end line.
    #[error("truncated: no end line")]
    NoEnd,
    /// The checksum does not match.
    #[error("damaged: checksum mismatch")]
    Damaged,
}

/// Returns the packets of every key in `file`: as text (RFC 4880, section 6.2, one block or several) or binary.
///
/// # Errors
/// [`BadKey`].
pub fn packets(file: &[u8]) -> Result<Vec<u8>, BadKey> {
    // Bit 7 is set in every packet's first octet (RFC 4880, section 4.2), and in no text.
    if file.first().is_some_and(|first| first & 0x80 != 0) {
        return Ok(file.to_owned());
    }
    let text = String::from_utf8_lossy(file);
    let mut packets = Vec::new();
    let mut rest: &str = &text;
    while let Some((_, after)) = rest.split_once(BEGIN) {
        let (block, after) = after.split_once(END).ok_or(BadKey::NoEnd)?;
        packets.extend(block_packets(block)?);
        rest = after;
    }
    if packets.is_empty() {
        return Err(BadKey::NoBlock);
    }
    Ok(packets)
}

fn block_packets(block: &str) -> Result<Vec<u8>, BadKey> {
    let mut lines = block.lines().skip(1).map(str::trim);
    // Headers end with an empty line.
    let body: Vec<&str> = lines
        .by_ref()
        .skip_while(|line| !line.is_empty())
        .filter(|line| !line.is_empty())
        .collect();
    let (checksum, data): (Vec<&str>, Vec<&str>) =
        body.into_iter().partition(|line| line.starts_with('='));
    let bytes = STANDARD
        .decode(data.concat())
        .map_err(|_| BadKey::Damaged)?;
    if let Some(checksum) = checksum.first() {
        let expected = STANDARD
            .decode(checksum.trim_start_matches('='))
            .map_err(|_| BadKey::Damaged)?;
        if crc24(&bytes).to_be_bytes().get(1..) != Some(expected.as_slice()) {
            return Err(BadKey::Damaged);
        }
    }
    Ok(bytes)
}

fn crc24(bytes: &[u8]) -> u32 {
    let mut crc = CRC24_INIT;
    for byte in bytes {
        crc ^= u32::from(*byte) << 16;
        for _ in 0..8 {
            crc <<= 1;
            if crc & 0x0100_0000 != 0 {
                crc ^= CRC24_POLY;
            }
        }
    }
    crc & 0x00FF_FFFF
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_key_is_whole() {
        for (name, text) in SHIPPED {
            assert!(packets(text.as_bytes()).unwrap().len() > 500, "{name}");
        }
    }

    #[test]
    fn a_key_with_one_letter_changed_is_refused() {
        let (_, text) = SHIPPED[0];
        let damaged = text.replacen("mQINBFqU", "mQINBFqV", 1);
        assert_ne!(damaged, text);
        assert_eq!(packets(damaged.as_bytes()), Err(BadKey::Damaged));
    }

    #[test]
    fn what_is_no_key_is_told_apart_from_one_cut_short() {
        assert_eq!(packets(b"hello"), Err(BadKey::NoBlock));
        let (_, text) = SHIPPED[0];
        let half = text.get(..text.len() / 2).unwrap();
        assert_eq!(packets(half.as_bytes()), Err(BadKey::NoEnd));
    }
}
