//! Detached OpenPGP signatures, checked by `gpgv`: GnuPG's program for just this, which every Debian and
//! Ubuntu has a package of. The keys it may use are in a keyring made for the one check.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use thiserror::Error;

use super::keys::{self, BadKey};
use super::status;
pub use super::status::{Refusal, Signed};
use crate::catalog::model::{KeyText, SigningKey};

/// Reasons that a signature is missing, refused or cannot be checked.
#[derive(Debug, Error)]
pub enum SignatureError {
    /// The required signature is missing or invalid.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The user's key file.
    #[error("cannot read the signing key {path}: {source}")]
    KeyFile {
        /// Path of the file.
        path: PathBuf,
        /// I/O error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// A key that makes no sense.
    #[error("invalid signing key {name}: {source}")]
    Key {
        /// Name of the key.
        name: String,
        /// Defect of the key.
        #[source]
        source: BadKey,
    },
    /// The checking program is not there.
    #[error("cannot run gpgv, which checks signatures: {0}; install it: apt-get install gpgv")]
    Gpgv(std::io::Error),
    /// No room for a keyring.
    #[error("cannot create a temporary folder: {0}")]
    Temporary(std::io::Error),
}

/// Checks that the file at `path` has a detached signature (its bytes) by `key`.
///
/// # Errors
/// [`SignatureError`].
pub fn check(path: &Path, signature: &[u8], key: &SigningKey) -> Result<Signed, SignatureError> {
    let packets = packets_of(&key.text)?;
    let folder = tempfile::Builder::new()
        .prefix("bootlab-keyring-")
        .tempdir()
        .map_err(SignatureError::Temporary)?;
    let (keyring, signature_file) = (folder.path().join("keys.gpg"), folder.path().join("sig"));
    std::fs::write(&keyring, packets).map_err(SignatureError::Temporary)?;
    std::fs::write(&signature_file, signature).map_err(SignatureError::Temporary)?;
    let output = Command::new("gpgv")
        .args(["--status-fd", "1", "--homedir"])
        .arg(folder.path())
        .arg("--keyring")
        .arg(&keyring)
        .arg(&signature_file)
        .arg(path)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(SignatureError::Gpgv)?;
    let status = String::from_utf8_lossy(&output.stdout);
    Ok(status::judge(&status, &key.fingerprints, key.expired)?)
}

fn packets_of(text: &KeyText) -> Result<Vec<u8>, SignatureError> {
    let (name, bytes) = match text {
        KeyText::File(path) => {
            let bytes = std::fs::read(path).map_err(|source| SignatureError::KeyFile {
                path: path.clone(),
                source,
            })?;
            (path.display().to_string(), bytes)
        }
        KeyText::Shipped(name) => {
            let shipped = keys::SHIPPED.iter().find(|(shipped, _)| shipped == name);
            let (_, text) = shipped.ok_or_else(|| SignatureError::KeyFile {
                path: PathBuf::from(name),
                source: ErrorKind::NotFound.into(),
            })?;
            ((*name).to_owned(), text.as_bytes().to_owned())
        }
    };
    keys::packets(&bytes).map_err(|source| SignatureError::Key { name, source })
}
