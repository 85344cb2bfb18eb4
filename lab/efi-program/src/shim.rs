//! shim's sections: `.vendor_cert` (`cert_table` in `cert.S`) and `.sbatlevel` (`sbat_var.S`); seen in shim 16.1.

use uefi_variables::{MICROSOFT, Signatures};

use crate::certificate::{common_name, parse};
use crate::sbat::Level;

/// Keys and revocations that were built into shim.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shim {
    /// Certificates of the vendor, whose programs shim starts.
    pub authorized: Signatures,
    /// Programs that shim refuses.
    pub deauthorized: Signatures,
    /// Lowest generations that shim writes into the machine's variables when they are lower.
    pub level: Level,
}

impl Shim {
    /// Returns the names of the vendor's certificates.
    #[must_use]
    pub fn vendors(&self) -> Vec<String> {
        let ders = self
            .authorized
            .certificates
            .iter()
            .map(|(_, der)| der.as_slice());
        let certificates = parse(ders);
        let names = certificates
            .iter()
            .map(|one| common_name(&one.tbs_certificate.subject));
        names.collect()
    }

    pub(crate) fn read(vendor: &[u8], level: Option<&[u8]>) -> Shim {
        let size = |at: usize| number(vendor, at);
        // Offsets count from the beginning of the table.
        let part = |size: Option<usize>, offset: Option<usize>| {
            let (size, offset) = (size?, offset?);
            vendor.get(offset..offset.checked_add(size)?)
        };
        Shim {
            authorized: database(part(size(0), size(8))),
            deauthorized: database(part(size(4), size(12))),
            level: level.and_then(automatic).unwrap_or_default(),
        }
    }
}

/// Parses a certificate in DER, or a list of certificates and hashes.
fn database(data: Option<&[u8]>) -> Signatures {
    /// Tag and length of a certificate in DER.
    const SEQUENCE: &[u8] = &[0x30, 0x82];
    match data {
        Some(der) if der.starts_with(SEQUENCE) => Signatures::of_certificates(MICROSOFT, &[der]),
        Some(lists) => Signatures::read(lists),
        None => Signatures::default(),
    }
}

/// Returns the level that shim applies by itself: its offset counts from the second word.
fn automatic(section: &[u8]) -> Option<Level> {
    const OFFSETS: usize = 4;
    let start = number(section, OFFSETS)?.checked_add(OFFSETS)?;
    section.get(start..).map(Level::read)
}

fn number(data: &[u8], at: usize) -> Option<usize> {
    let four = data.get(at..at.checked_add(4)?)?;
    usize::try_from(u32::from_le_bytes(four.try_into().ok()?)).ok()
}
