//! TLS for the HTTP services: a certificate and its key from PEM files, read again on reload.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::VerifierBuilderError;
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_rustls::server::TlsStream;

use super::firmware_tls;
use crate::state_file::{StateFileError, read_key};

/// Reasons that TLS is impossible.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read.
    #[error(transparent)]
    File(#[from] StateFileError),
    /// A PEM file.
    #[error("{path}: {source}")]
    Pem {
        /// Path of the PEM file.
        path: PathBuf,
        /// Error of the PEM parser.
        source: pem::Error,
    },
    /// A file without a certificate.
    #[error(
        "no certificate found: {0} (a PEM certificate begins with -----BEGIN CERTIFICATE-----)"
    )]
    NoCertificate(PathBuf),
    /// Certificate and key.
    #[error("{certificate} with the key {key}: {source}")]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Error of the TLS library.
        source: rustls::Error,
    },
    /// Certificate of an authority.
    #[error("{path}: {source}")]
    Authority {
        /// The authorities' file.
        path: PathBuf,
        /// Error of the TLS library.
        source: rustls::Error,
    },
    /// Authorities that verify no client.
    #[error("{path}: {source}")]
    Clients {
        /// The authorities' file.
        path: PathBuf,
        /// Error of the TLS library.
        source: VerifierBuilderError,
    },
}

/// The server's identity. Clones share it.
#[derive(Debug, Clone)]
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    config: Arc<RwLock<Arc<ServerConfig>>>,
}

impl Tls {
    /// Reads a certificate (with its chain) and its key.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn load(certificate: &Path, key: &Path) -> Result<Tls, TlsError> {
        Ok(Tls {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            config: Arc::new(RwLock::new(read(certificate, key)?)),
        })
    }

    /// Reads both files again; connections from now on get the new certificate.
    ///
    /// # Errors
    /// [`TlsError`]; the last good certificate stays in force.
    pub fn reload(&self) -> Result<(), TlsError> {
        let config = read(&self.certificate, &self.key)?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner));
        TlsAcceptor::from(config).accept(stream).await
    }
}

/// Reads a certificate and its chain.
///
/// # Errors
/// [`TlsError`].
pub(in crate::net) fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(&read_key(path)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| TlsError::Pem {
            path: path.to_owned(),
            source,
        })?;
    match chain.is_empty() {
        true => Err(TlsError::NoCertificate(path.to_owned())),
        false => Ok(chain),
    }
}

/// Reads a key.
///
/// # Errors
/// [`TlsError`].
pub(in crate::net) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(&read_key(path)?).map_err(|source| TlsError::Pem {
        path: path.to_owned(),
        source,
    })
}

fn read(certificate: &Path, secret: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let pair = |source| TlsError::Pair {
        certificate: certificate.to_owned(),
        key: secret.to_owned(),
        source,
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(firmware_tls::provider()))
        .with_safe_default_protocol_versions()
        .map_err(pair)?
        .with_no_client_auth()
        .with_single_cert(chain(certificate)?, key(secret)?)
        .map_err(pair)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
