//! Signer of a build without the feature `openpgp`: no key ring can be opened.

use std::path::{Path, PathBuf};

/// Reason that signing is impossible.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// This build cannot sign.
    #[error(
        "unsupported key ring {path}: this boot-server was built without OpenPGP; build it with `--features openpgp`, or remove `http.key_ring`"
    )]
    Unsupported {
        /// Path of the key ring.
        path: PathBuf,
    },
}

impl SignerError {
    /// True if only the passphrase is wrong or missing.
    pub fn is_locked(&self) -> bool {
        false
    }
}

/// Encoding of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `.asc`.
    Armored,
    /// `.sig`.
    Binary,
}

/// Signer, which this build does not have.
#[derive(Debug)]
pub enum Signer {}

impl Signer {
    /// Refuses the key ring.
    ///
    /// # Errors
    /// [`SignerError::Unsupported`], always.
    pub fn open(path: &Path, _passphrase: Option<&str>) -> Result<Signer, SignerError> {
        Err(SignerError::Unsupported {
            path: path.to_owned(),
        })
    }

    /// Returns the key's fingerprint.
    pub fn fingerprint(&self) -> String {
        match *self {}
    }

    /// Signs a text.
    pub(crate) fn sign(&self, _text: &[u8], _form: Form) -> Result<Vec<u8>, SignerError> {
        match *self {}
    }
}
