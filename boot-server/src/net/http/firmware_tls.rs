//! Cipher suites of UEFI firmware, beside those of the TLS library.
//!
//! EDK2 is built without elliptic curves: OVMF 2022.11 and 2025.02 (Debian 12 and 13) offer TLS 1.2 with Diffie-Hellman in
//! finite fields and with RSA key exchange, and nothing else. The former has forward secrecy and is added here: the group
//! ffdhe2048 of RFC 7919, whose parameters `rustls` knows. RFC 7919 section 4: a server may choose the group for a client
//! that names none, as EDK2 does.

use std::sync::LazyLock;

use crypto_bigint::modular::runtime_mod::{DynResidue, DynResidueParams};
use crypto_bigint::{Encoding, U256, U2048};
use tokio_rustls::rustls::crypto::ring::cipher_suite::{
    TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
};
use tokio_rustls::rustls::crypto::{
    ActiveKeyExchange, CipherSuiteCommon, CryptoProvider, KeyExchangeAlgorithm, SharedSecret,
    SupportedKxGroup, ring,
};
use tokio_rustls::rustls::ffdhe_groups::{FFDHE2048, FfdheGroup};
use tokio_rustls::rustls::{
    CipherSuite, Error, NamedGroup, PeerMisbehaved, ProtocolVersion, SupportedCipherSuite,
    Tls12CipherSuite,
};

/// Length of a public key of ffdhe2048.
const KEY_LENGTH: usize = U2048::BYTES;

/// Returns the TLS library's own algorithms, and those of firmware after them.
pub(super) fn provider() -> CryptoProvider {
    let mut provider = ring::default_provider();
    provider.cipher_suites.extend(&*SUITES);
    provider.kx_groups.push(&Ffdhe2048);
    provider
}

static SUITES: LazyLock<Vec<SupportedCipherSuite>> = LazyLock::new(|| {
    let suites = [
        (
            CipherSuite::TLS_DHE_RSA_WITH_AES_256_GCM_SHA384,
            TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        ),
        (
            CipherSuite::TLS_DHE_RSA_WITH_AES_128_GCM_SHA256,
            TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        ),
    ];
    let suites = suites.into_iter().filter_map(|(suite, like)| {
        let SupportedCipherSuite::Tls12(like) = like else {
            return None;
        };
        let common = CipherSuiteCommon {
            suite,
            ..like.common
        };
        let dhe = Tls12CipherSuite {
            common,
            kx: KeyExchangeAlgorithm::DHE,
            ..*like
        };
        // Two of them for the life of the program.
        Some(SupportedCipherSuite::Tls12(Box::leak(Box::new(dhe))))
    });
    suites.collect()
});

static PRIME: LazyLock<DynResidueParams<{ U2048::LIMBS }>> =
    LazyLock::new(|| DynResidueParams::new(&number(FFDHE2048.p)));

/// Returns a number from its big-endian bytes, of which there are at most [`KEY_LENGTH`].
fn number(bytes: &[u8]) -> U2048 {
    let mut padded = [0; KEY_LENGTH];
    let (_, end) = padded.split_at_mut(KEY_LENGTH - bytes.len().min(KEY_LENGTH));
    end.copy_from_slice(bytes.get(..end.len()).unwrap_or_default());
    U2048::from_be_bytes(padded)
}

/// Returns `base` to the power of `exponent` in the group, in constant time.
fn power(base: &U2048, exponent: &U256) -> [u8; KEY_LENGTH] {
    let residue = DynResidue::new(base, *PRIME);
    residue.pow(exponent).retrieve().to_be_bytes()
}

/// Group ffdhe2048 (RFC 7919 appendix A.1).
#[derive(Debug)]
struct Ffdhe2048;

impl SupportedKxGroup for Ffdhe2048 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        // RFC 7919 section 5.2: at least 225 bits.
        let mut secret = [0; U256::BYTES];
        let random = ring::default_provider().secure_random;
        random
            .fill(&mut secret)
            .map_err(|_| Error::FailedToGetRandomBytes)?;
        let secret = U256::from_be_bytes(secret);
        let public = power(&number(FFDHE2048.g), &secret);
        Ok(Box::new(Exchange { secret, public }))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        Some(FFDHE2048)
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::FFDHE2048
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        version == ProtocolVersion::TLSv1_2
    }
}

/// Key of one handshake.
struct Exchange {
    secret: U256,
    public: [u8; KEY_LENGTH],
}

impl ActiveKeyExchange for Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let key = number(peer);
        let last = number(FFDHE2048.p).wrapping_sub(&U2048::ONE);
        // RFC 7919 section 5.1: 1 < key < p - 1.
        if peer.len() > KEY_LENGTH || key <= U2048::ONE || key >= last {
            return Err(PeerMisbehaved::InvalidKeyShare.into());
        }
        Ok(SharedSecret::from(&power(&key, &self.secret)[..]))
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        Some(FFDHE2048)
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::FFDHE2048
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started() -> Box<dyn ActiveKeyExchange> {
        Ffdhe2048.start().unwrap()
    }

    #[test]
    fn complete_on_both_sides_gives_one_secret() {
        let (server, client) = (started(), started());
        let keys = [server.pub_key().to_vec(), client.pub_key().to_vec()];
        assert_ne!(keys[0], keys[1]);
        let one = server.complete(&keys[1]).unwrap();
        let other = client.complete(&keys[0]).unwrap();
        assert_eq!(one.secret_bytes(), other.secret_bytes());
        assert_eq!(one.secret_bytes().len(), KEY_LENGTH);
    }

    #[test]
    fn complete_refuses_keys_that_give_the_secret_away() {
        let prime = FFDHE2048.p.to_vec();
        let mut before = prime.clone();
        *before.last_mut().unwrap() -= 1;
        let long = [&[1], prime.as_slice()].concat();
        for key in [&[][..], &[0], &[1], &before, &prime, &[0xff; 256], &long] {
            let refused = started().complete(key).err();
            let expected = Some(PeerMisbehaved::InvalidKeyShare.into());
            assert_eq!(refused, expected, "{} bytes", key.len());
        }
        assert!(started().complete(&[2]).is_ok());
    }

    #[test]
    fn provider_prefers_elliptic_curves() {
        let suites = provider().cipher_suites;
        let dhe = |suite: &SupportedCipherSuite| matches!(suite, SupportedCipherSuite::Tls12(suite) if suite.kx == KeyExchangeAlgorithm::DHE);
        let first = suites.iter().position(dhe).unwrap();
        assert_eq!(suites.len() - first, 2);
        assert!(suites[first..].iter().all(dhe));
    }
}
