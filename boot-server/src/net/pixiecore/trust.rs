//! Trusted certificate authorities for files or an API behind TLS: those of this host (`/etc/ssl/certs`, or the
//! files of `SSL_CERT_FILE` and `SSL_CERT_DIR`).

use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};
use tracing::debug;

/// Returns the authorities that this host trusts; unreadable ones are omitted.
pub(super) fn authorities_of_host() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        debug!(%error, "a certificate authority is left out");
    }
    let mut authorities = RootCertStore::empty();
    let (_, ignored) = authorities.add_parsable_certificates(found.certs);
    if ignored > 0 {
        debug!(ignored, "certificate authorities that make no sense");
    }
    authorities
}

/// Creates a client that trusts these authorities.
///
/// # Errors
/// The library's.
pub(super) fn client(authorities: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(authorities)
        .with_no_client_auth())
}
