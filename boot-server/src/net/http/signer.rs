//! Detached OpenPGP signatures, made with the one secret key of a key ring.
//!
//! The key is unlocked once, when the server starts.

use std::fmt;
use std::path::{Path, PathBuf};

use pgp::composed::{ArmorOptions, Deserializable, DetachedSignature, SignedSecretKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::ser::Serialize;
use pgp::types::{KeyDetails, Password, SigningKey};
use rand::rngs::OsRng;

use crate::state_file::{StateFileError, read_key};

/// Reasons that signing is impossible.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// The key ring cannot be read.
    #[error("the key ring: {0}")]
    Read(#[from] StateFileError),
    /// The key ring is invalid.
    #[error("invalid key ring {path}: not an OpenPGP secret key, armored or binary: {source}")]
    KeyRing {
        /// Path of the key ring.
        path: PathBuf,
        /// Error of the OpenPGP library.
        source: Box<pgp::errors::Error>,
    },
    /// The key ring has several secret keys, or none.
    #[error("ambiguous key ring {path}: {count} secret keys; keep only the signing key")]
    Count {
        /// Path of the key ring.
        path: PathBuf,
        /// Number of secret keys in the ring.
        count: usize,
    },
    /// The key is locked.
    #[error(
        "cannot unlock the key of {path} with the passphrase in BOOT_SERVER_PASSPHRASE, BOOTCFG_PASSPHRASE or MATCHBOX_PASSPHRASE: {source}"
    )]
    Passphrase {
        /// The key ring.
        path: PathBuf,
        /// Error of the OpenPGP library.
        source: Box<pgp::errors::Error>,
    },
    /// A text could not be signed.
    #[error("signing: {0}")]
    Sign(#[from] Box<pgp::errors::Error>),
}

impl SignerError {
    /// True if only the passphrase is wrong or missing.
    pub fn is_locked(&self) -> bool {
        matches!(self, SignerError::Passphrase { .. })
    }
}

/// Encoding of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `.asc`: armored, over the text whatever its line ends.
    Armored,
    /// `.sig`: binary, over the bytes.
    Binary,
}

/// Signs with an unlocked key.
pub struct Signer {
    key: SignedSecretKey,
    /// Index of the subkey that is for signing, when there is one.
    subkey: Option<usize>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.fingerprint())
    }
}

impl Signer {
    /// Reads a key ring and unlocks its key.
    ///
    /// # Errors
    /// See [`SignerError`].
    pub fn open(path: &Path, passphrase: Option<&str>) -> Result<Signer, SignerError> {
        let owned = || path.to_owned();
        let bytes = read_key(path)?;
        let invalid = |source| SignerError::KeyRing {
            path: owned(),
            source: Box::new(source),
        };
        let keys = match bytes.starts_with(b"-----BEGIN") {
            true => SignedSecretKey::from_armor_many(&bytes[..]).map(|(keys, _)| keys),
            false => SignedSecretKey::from_bytes_many(&bytes[..]),
        };
        let keys: Result<Vec<SignedSecretKey>, _> = keys.map_err(invalid)?.collect();
        let mut keys = keys.map_err(invalid)?;
        let count = keys.len();
        let (Some(mut key), 1) = (keys.pop(), count) else {
            return Err(SignerError::Count {
                path: owned(),
                count,
            });
        };
        let signs = |subkey: &pgp::composed::SignedSecretSubKey| {
            subkey
                .signatures
                .iter()
                .any(|signature| signature.key_flags().sign())
        };
        let subkey = key.secret_subkeys.iter().position(signs);
        let password = Password::from(passphrase.unwrap_or_default());
        let unlocked = match subkey.and_then(|index| key.secret_subkeys.get_mut(index)) {
            Some(subkey) => subkey.key.remove_password(&password),
            None => key.primary_key.remove_password(&password),
        };
        unlocked.map_err(|source| SignerError::Passphrase {
            path: owned(),
            source: Box::new(source),
        })?;
        Ok(Signer { key, subkey })
    }

    /// Returns the key's fingerprint, for the log.
    pub fn fingerprint(&self) -> String {
        self.key.primary_key.fingerprint().to_string()
    }

    /// Signs a text.
    ///
    /// # Errors
    /// The key cannot.
    pub(crate) fn sign(&self, text: &[u8], form: Form) -> Result<Vec<u8>, SignerError> {
        let subkey = self
            .subkey
            .and_then(|index| self.key.secret_subkeys.get(index));
        match subkey {
            Some(subkey) => sign_with(&subkey.key, text, form),
            None => sign_with(&self.key.primary_key, text, form),
        }
        .map_err(|error| SignerError::Sign(Box::new(error)))
    }
}

fn sign_with(key: &impl SigningKey, text: &[u8], form: Form) -> pgp::errors::Result<Vec<u8>> {
    let password = Password::empty();
    let hash = HashAlgorithm::Sha256;
    match form {
        Form::Armored => DetachedSignature::sign_text_data(OsRng, key, &password, hash, text)?
            .to_armored_bytes(ArmorOptions::default()),
        Form::Binary => {
            DetachedSignature::sign_binary_data(OsRng, key, &password, hash, text)?.to_bytes()
        }
    }
}
