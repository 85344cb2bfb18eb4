//! Sealed URLs: what a machine may fetch by way of us is what the API named, and nothing else.
//!
//! `/_/file?name=…` carries the URL encrypted and authenticated with a key of this process, so that
//! we are no open proxy. A script from before a restart is of no use after it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use chacha20poly1305::aead::{Aead, Generate, Key, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

/// Bytes of the nonce in front of the sealed URL.
const NONCE_BYTES: usize = 24;

/// A name that was not sealed by this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the file name was not issued by this server since its start")]
pub(super) struct NotSealed;

/// Seals URLs and opens them again.
#[derive(Clone)]
pub(super) struct Sealer(XChaCha20Poly1305);

impl Sealer {
    /// Returns a sealer with a new random key.
    pub(super) fn new() -> Sealer {
        let key = Key::<XChaCha20Poly1305>::generate();
        Sealer(XChaCha20Poly1305::new(&key))
    }

    /// Returns the sealed URL, fit for a query. `None` only for a URL too long for the cipher.
    pub(super) fn seal(&self, url: &str) -> Option<String> {
        let nonce = XNonce::generate();
        let sealed = self.0.encrypt(&nonce, url.as_bytes()).ok()?;
        let mut name = nonce.to_vec();
        name.extend(sealed);
        Some(URL_SAFE.encode(name))
    }

    /// Returns the URL in a sealed name.
    ///
    /// # Errors
    /// The name was not made by this sealer.
    pub(super) fn open(&self, name: &str) -> Result<String, NotSealed> {
        let bytes = URL_SAFE.decode(name).map_err(|_| NotSealed)?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_BYTES).ok_or(NotSealed)?;
        let nonce = XNonce::try_from(nonce).map_err(|_| NotSealed)?;
        let url = self.0.decrypt(&nonce, sealed).map_err(|_| NotSealed)?;
        String::from_utf8(url).map_err(|_| NotSealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_sealed_is_opened() {
        let (sealer, other) = (Sealer::new(), Sealer::new());
        let name = sealer.seal("http://api/k?a=1&b=2").unwrap();
        assert_eq!(sealer.open(&name).as_deref(), Ok("http://api/k?a=1&b=2"));
        assert_ne!(sealer.seal("http://api/k?a=1&b=2").unwrap(), name);
        assert_eq!(other.open(&name), Err(NotSealed));
        let changed = format!("AAAA{}", &name[4..]);
        for wrong in ["", "bogus", "AAAA", changed.as_str()] {
            assert_eq!(sealer.open(wrong), Err(NotSealed), "{wrong}");
        }
    }
}
