//! Hashes of files, and the files that publishers list them in.

use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256, Sha512};
use thiserror::Error;

use crate::model::Digests;

/// Read chunk size, in bytes.
const BUFFER_BYTES: usize = 1 << 20;

/// The hashes that a file has, in lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashes {
    /// Length in bytes.
    pub size_bytes: u64,
    /// SHA-256 in lowercase hex.
    pub sha256: String,
    /// SHA-512 in lowercase hex.
    pub sha512: String,
}

/// Hashes of a file in a publisher's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// URL of the list.
    pub url: String,
    /// Hashes in the list.
    pub digests: Digests,
}

/// A file that has not the hash it should have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{algorithm} mismatch: {found} ({size_bytes} bytes), but {source_of} has {expected}")]
pub struct WrongDigest {
    /// Hash algorithm, e.g. `SHA-256`.
    pub algorithm: &'static str,
    /// Computed hash in hex.
    pub found: String,
    /// Expected hash in hex.
    pub expected: String,
    /// Source of the expected hash.
    pub source_of: String,
    /// Size of the file, in bytes.
    pub size_bytes: u64,
}

/// Returns the hashes of the file at `path`.
///
/// # Errors
/// That of reading it.
pub fn of_file(path: &Path) -> std::io::Result<Hashes> {
    let mut file = std::fs::File::open(path)?;
    let (mut sha256, mut sha512, mut size_bytes) = (Sha256::new(), Sha512::new(), 0);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = file.read(&mut buffer)?;
        let Some(chunk) = buffer.get(..read).filter(|chunk| !chunk.is_empty()) else {
            break;
        };
        sha256.update(chunk);
        sha512.update(chunk);
        size_bytes += read as u64;
    }
    Ok(Hashes {
        size_bytes,
        sha256: hex::encode(sha256.finalize()),
        sha512: hex::encode(sha512.finalize()),
    })
}

/// SHA-256 of the file at `path`, in lower-case hex, and its size in bytes.
///
/// # Errors
/// That of reading it.
pub fn sha256_of_file(path: &Path) -> std::io::Result<(String, u64)> {
    let mut file = std::fs::File::open(path)?;
    let (mut sha256, mut size_bytes) = (Sha256::new(), 0);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = file.read(&mut buffer)?;
        let Some(chunk) = buffer.get(..read).filter(|chunk| !chunk.is_empty()) else {
            return Ok((hex::encode(sha256.finalize()), size_bytes));
        };
        sha256.update(chunk);
        size_bytes += read as u64;
    }
}

/// Compares the hashes of a file with those it should have by `source_of`.
///
/// # Errors
/// The first that is wrong.
pub fn compare(found: &Hashes, expected: &Digests, source_of: &str) -> Result<(), WrongDigest> {
    let pairs = [
        ("SHA-256", &found.sha256, &expected.sha256),
        ("SHA-512", &found.sha512, &expected.sha512),
    ];
    for (algorithm, found_hash, expected) in pairs {
        if let Some(expected) = expected.as_ref().filter(|expected| *expected != found_hash) {
            return Err(WrongDigest {
                algorithm,
                found: found_hash.clone(),
                expected: expected.clone(),
                source_of: source_of.to_owned(),
                size_bytes: found.size_bytes,
            });
        }
    }
    Ok(())
}

/// Parses the hashes of `name` in a `.DIGESTS` file of CoreOS or Flatcar: lines of hash and name below headings
/// such as `# SHA512 HASH`. The length tells the kind of hash; MD5 and SHA-1 are ignored.
#[must_use]
pub fn parse_digests(text: &str, name: &str) -> Digests {
    let mut digests = Digests::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some(hash), Some(file)) = (words.next(), words.next()) else {
            continue;
        };
        let file = file.trim_start_matches('*');
        if file != name || !hash.chars().all(|digit| digit.is_ascii_hexdigit()) {
            continue;
        }
        match hash.len() {
            64 => digests.sha256 = Some(hash.to_ascii_lowercase()),
            128 => digests.sha512 = Some(hash.to_ascii_lowercase()),
            _ => {}
        }
    }
    digests
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hashes_of_the_standard_come_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        let hashes = of_file(&path).unwrap();
        assert_eq!(hashes.size_bytes, 3);
        assert!(hashes.sha256.starts_with("ba7816bf8f01cfea"));
        assert!(hashes.sha512.starts_with("ddaf35a193617aba"));
    }

    #[test]
    fn a_digests_file_is_read_for_one_name_only() {
        let (long, other) = ("ab".repeat(64), "cd".repeat(64));
        let text = format!(
            "# MD5 HASH\n0123456789abcdef0123456789abcdef  kernel\n# SHA1 HASH\n{}  kernel\n\
             # SHA512 HASH\n{long}  kernel\n{other}  kernel.sig\n",
            "ef".repeat(20)
        );
        let digests = parse_digests(&text, "kernel");
        assert_eq!(digests.sha512.as_deref(), Some(long.as_str()));
        assert_eq!(digests.sha256, None);
        assert!(parse_digests(&text, "initrd").is_empty());
    }
}
