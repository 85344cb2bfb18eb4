//! Mutual TLS: the server's identity, the authorities of its clients, and the reason for which a client is refused.
//!
//! Each connection has a TLS configuration of its own, for two reasons: the subject of a certificate is known when the
//! certificate is refused, and no session of a client is resumed without another look at its certificate.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use boot_server_events::{RpcRefusal, RpcRefusalCode};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{
    self, AlertDescription, CertificateError, DigitallySignedStruct, DistinguishedName,
    RootCertStore, ServerConfig, SignatureScheme,
};
use tokio_rustls::server::TlsStream;

use super::subject::subject;
use crate::net::http::TlsError;
use crate::net::http::tls::{chain, key};

/// Files of the server's identity and of its clients' authorities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcFiles {
    /// The server's certificate and its chain.
    pub certificate: PathBuf,
    /// Key of the certificate.
    pub key: PathBuf,
    /// Authorities of clients' certificates.
    pub client_ca: PathBuf,
}

/// Identity of the gRPC server, and the authorities of its clients. Clones share both.
#[derive(Debug, Clone)]
pub struct MutualTls {
    files: RpcFiles,
    current: Arc<RwLock<Arc<Identity>>>,
}

#[derive(Debug)]
struct Identity {
    key: Arc<SingleCertAndKey>,
    clients: Arc<dyn ClientCertVerifier>,
}

/// Client with a valid certificate.
pub(super) struct Trusted {
    pub(super) stream: TlsStream<TcpStream>,
    /// Subject of the certificate.
    pub(super) subject: String,
}

/// Client that is refused.
#[derive(Debug)]
pub(super) struct Refused {
    /// Subject of the certificate, if the client sent one.
    pub(super) subject: Option<String>,
    pub(super) reason: RpcRefusal,
}

impl MutualTls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn load(files: RpcFiles) -> Result<MutualTls, TlsError> {
        let current = Arc::new(RwLock::new(Arc::new(Identity::read(&files)?)));
        Ok(MutualTls { files, current })
    }

    /// Reads the files again; connections from now on are checked by them.
    ///
    /// # Errors
    /// [`TlsError`]; what was last read stays in force.
    pub fn reload(&self) -> Result<(), TlsError> {
        let identity = Arc::new(Identity::read(&self.files)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = identity;
        Ok(())
    }

    /// Waits for a client's handshake.
    pub(super) async fn accept(&self, stream: TcpStream) -> Result<Trusted, Refused> {
        let identity = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        let seen = Arc::new(OnceLock::new());
        let config = identity.config(Arc::clone(&seen));
        let accepted = match config {
            Ok(config) => TlsAcceptor::from(Arc::new(config)).accept(stream).await,
            Err(error) => Err(io::Error::other(error)),
        };
        let subject = seen.get().cloned();
        match (accepted, subject) {
            (Ok(stream), Some(subject)) => Ok(Trusted { stream, subject }),
            // rustls asks for a certificate in each handshake; this is for the day on which that changes.
            (Ok(_), None) => Err(Refused {
                subject: None,
                reason: RpcRefusal::new(RpcRefusalCode::NoCertificate, "no certificate"),
            }),
            (Err(error), subject) => Err(Refused {
                subject,
                reason: reason(&error),
            }),
        }
    }
}

impl Identity {
    fn read(files: &RpcFiles) -> Result<Identity, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let pair = |source| TlsError::Pair {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
            source,
        };
        let (certificates, secret) = (chain(&files.certificate)?, key(&files.key)?);
        let certified = CertifiedKey::from_der(certificates, secret, &provider).map_err(pair)?;
        let roots = roots(&files.client_ca)?;
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|source| TlsError::Clients {
                path: files.client_ca.clone(),
                source,
            })?;
        Ok(Identity {
            key: Arc::new(SingleCertAndKey::from(certified)),
            clients,
        })
    }

    fn config(&self, seen: Arc<OnceLock<String>>) -> Result<ServerConfig, rustls::Error> {
        let clients = Arc::new(Naming {
            clients: Arc::clone(&self.clients),
            seen,
        });
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(clients)
            .with_cert_resolver(Arc::clone(&self.key) as Arc<_>);
        config.alpn_protocols = vec![b"h2".to_vec()];
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(config)
    }
}

/// Returns the certificates of authorities.
///
/// # Errors
/// [`TlsError`].
pub(crate) fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in chain(path)? {
        roots
            .add(certificate)
            .map_err(|source| TlsError::Authority {
                path: path.to_owned(),
                source,
            })?;
    }
    Ok(roots)
}

/// Verifies certificates as [`WebPkiClientVerifier`] does, and keeps the subject.
#[derive(Debug)]
struct Naming {
    clients: Arc<dyn ClientCertVerifier>,
    seen: Arc<OnceLock<String>>,
}

impl ClientCertVerifier for Naming {
    fn client_auth_mandatory(&self) -> bool {
        true
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.clients.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let subject = subject(end_entity).unwrap_or_else(|| "malformed certificate".to_owned());
        // A handshake has one certificate.
        let _ = self.seen.set(subject);
        self.clients
            .verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.clients.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.clients.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.clients.supported_verify_schemes()
    }
}

/// Returns the reason for a handshake that failed.
fn reason(error: &io::Error) -> RpcRefusal {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let code = match tls {
        Some(rustls::Error::NoCertificatesPresented) => RpcRefusalCode::NoCertificate,
        Some(rustls::Error::InvalidCertificate(why)) => of_certificate(why),
        Some(rustls::Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnsupportedCertificate,
        )) => RpcRefusalCode::ServerRefused,
        Some(
            rustls::Error::InvalidMessage(_)
            | rustls::Error::PeerIncompatible(_)
            | rustls::Error::NoApplicationProtocol,
        ) => RpcRefusalCode::NotTls,
        _ => RpcRefusalCode::Other,
    };
    RpcRefusal::new(code, error.to_string())
}

fn of_certificate(why: &CertificateError) -> RpcRefusalCode {
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            RpcRefusalCode::Expired
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            RpcRefusalCode::NotValidYet
        }
        CertificateError::UnknownIssuer => RpcRefusalCode::UnknownIssuer,
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            RpcRefusalCode::WrongPurpose
        }
        _ => RpcRefusalCode::BadCertificate,
    }
}

/// Returns the refusal of a client whose handshake took too long.
pub(super) fn timed_out() -> Refused {
    Refused {
        subject: None,
        reason: RpcRefusal::new(RpcRefusalCode::TimedOut, "TLS handshake timed out"),
    }
}

/// Client of a connection, in its requests.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    pub(super) subject: Arc<str>,
}
