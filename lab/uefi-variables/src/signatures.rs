//! Signature databases (`PK`, `KEK`, `db`, `dbx`): lists of certificates and hashes (UEFI Specification 2.10, section
//! 32.4.1).

use uuid::{Uuid, uuid};

/// Owner of Microsoft's certificates.
pub const MICROSOFT: Uuid = uuid!("77fa9abd-0359-4d32-bd60-28f4e78f784b");
/// `EFI_CERT_X509_GUID`.
const X509: Uuid = uuid!("a5c059a1-94e4-4aa7-87b5-ab155c2bf072");
/// `EFI_CERT_SHA256_GUID`.
const SHA256: Uuid = uuid!("c1c41626-504c-4092-aca9-41f936934328");
/// Length of `EFI_SIGNATURE_LIST`.
const LIST_HEADER: usize = 28;
/// Length of a GUID.
const GUID: usize = 16;

/// Certificates and hashes of a database, each with its owner.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signatures {
    /// Certificates in DER.
    pub certificates: Vec<(Uuid, Vec<u8>)>,
    /// SHA-256 of programs (Authenticode).
    pub hashes: Vec<(Uuid, [u8; 32])>,
}

impl Signatures {
    /// Returns a database of certificates with one owner.
    #[must_use]
    pub fn of_certificates(owner: Uuid, certificates: &[&[u8]]) -> Signatures {
        let owned = certificates.iter().map(|one| (owner, one.to_vec()));
        Signatures {
            certificates: owned.collect(),
            hashes: Vec::new(),
        }
    }

    /// Adds the certificates and hashes of another database.
    pub fn add(&mut self, other: &Signatures) {
        self.certificates.extend(other.certificates.iter().cloned());
        self.hashes.extend(&other.hashes);
    }

    /// Parses the data of a database; lists of other kinds are left out.
    #[must_use]
    pub fn read(data: &[u8]) -> Signatures {
        let mut signatures = Signatures::default();
        let mut rest = data;
        while let Some((kind, entries, after)) = list(rest) {
            for (owner, entry) in entries {
                match <[u8; 32]>::try_from(entry) {
                    Ok(hash) if kind == SHA256 => signatures.hashes.push((owner, hash)),
                    _ if kind == X509 => signatures.certificates.push((owner, entry.to_vec())),
                    _ => (),
                }
            }
            rest = after;
        }
        signatures
    }

    /// Returns the data of the database: a list for each certificate, as their lengths differ, and one for all hashes.
    #[must_use]
    pub fn to_data(&self) -> Vec<u8> {
        let mut data = Vec::new();
        for (owner, certificate) in &self.certificates {
            append(&mut data, X509, certificate.len(), &[(*owner, certificate)]);
        }
        let hashes: Vec<(Uuid, &[u8])> = self
            .hashes
            .iter()
            .map(|(owner, hash)| (*owner, hash.as_slice()))
            .collect();
        if !hashes.is_empty() {
            append(&mut data, SHA256, 32, &hashes);
        }
        data
    }
}

fn append(data: &mut Vec<u8>, kind: Uuid, length: usize, entries: &[(Uuid, &[u8])]) {
    let entry = GUID + length;
    data.extend(kind.to_bytes_le());
    // Size of the list, of its header and of an entry.
    for size in [LIST_HEADER + entries.len() * entry, 0, entry] {
        data.extend(u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes());
    }
    for (owner, bytes) in entries {
        data.extend(owner.to_bytes_le());
        data.extend(*bytes);
    }
}

/// Kind of a list, its entries with their owners, and the data behind it.
type List<'d> = (Uuid, Vec<(Uuid, &'d [u8])>, &'d [u8]);

/// Parses the first list; `None` at the end of the data, or if it is damaged.
fn list(data: &[u8]) -> Option<List<'_>> {
    let kind = guid(data)?;
    let size = |at: usize| {
        let four = data.get(at..at + 4)?;
        usize::try_from(u32::from_le_bytes(four.try_into().ok()?)).ok()
    };
    let (whole, header, entry) = (size(16)?, size(20)?, size(24)?);
    let entries = data.get(LIST_HEADER.checked_add(header)?..whole)?;
    if entry <= GUID {
        return None;
    }
    let entries = entries
        .chunks_exact(entry)
        .filter_map(|entry| Some((guid(entry)?, entry.get(GUID..)?)));
    Some((kind, entries.collect(), data.get(whole..)?))
}

fn guid(bytes: &[u8]) -> Option<Uuid> {
    Some(Uuid::from_bytes_le(bytes.get(..GUID)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_of_to_data_gives_the_same_certificates_and_hashes() {
        let signatures = Signatures {
            certificates: vec![(MICROSOFT, vec![1; 900]), (X509, vec![2; 33])],
            hashes: vec![(MICROSOFT, [3; 32]), (MICROSOFT, [4; 32])],
        };
        assert_eq!(Signatures::read(&signatures.to_data()), signatures);
        assert_eq!(Signatures::default().to_data(), Vec::<u8>::new());
    }

    #[test]
    fn read_damaged_data_ends_at_the_damage() {
        let data = Signatures::of_certificates(MICROSOFT, &[&[1; 40], &[2; 40]]).to_data();
        for length in 0..data.len() {
            let read = Signatures::read(&data[..length]).certificates.len();
            assert_eq!(read, usize::from(length >= data.len() / 2), "{length}");
        }
        let mut no_entry = data;
        no_entry[24..28].copy_from_slice(&[0; 4]);
        assert_eq!(Signatures::read(&no_entry), Signatures::default());
    }
}
