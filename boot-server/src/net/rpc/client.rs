//! Connection of a gRPC client with a certificate: for `boot-server client`, and for tests.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use boot_server_rpc::tonic::body::Body;
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::http::uri::{InvalidUri, Uri};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{InvalidDnsNameError, ServerName};
use tokio_rustls::rustls::{self, ClientConfig};
use tower::Service;

use super::tls::roots;
use crate::net::http::TlsError;
use crate::net::http::tls::{chain, key};

/// Time limit for the connection and its handshake.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// Server to call, and the files by which both sides trust each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Host and port, e.g. `boot.example:8081`.
    pub address: String,
    /// Authorities of the server's certificate.
    pub ca: PathBuf,
    /// The client's certificate and its chain.
    pub certificate: PathBuf,
    /// Key of the certificate.
    pub key: PathBuf,
}

/// Reasons that a server cannot be called.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// An address without host or port.
    #[error("invalid endpoint: {0} (write HOST:PORT, e.g. 127.0.0.1:8081)")]
    Endpoint(String),
    /// A host that no certificate can be for.
    #[error("invalid host: {host} ({source})")]
    Host {
        /// The host, as given.
        host: String,
        /// The rule that it breaks.
        source: InvalidDnsNameError,
    },
    /// An address that cannot be in a URL.
    #[error("invalid endpoint: {address} ({source})")]
    Uri {
        /// The address, as given.
        address: String,
        /// The rule that it breaks.
        source: InvalidUri,
    },
    /// A certificate or key.
    #[error(transparent)]
    Files(#[from] TlsError),
    /// A key that does not belong to the certificate.
    #[error("{certificate} with the key {key}: {source}")]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Error of the TLS library.
        source: rustls::Error,
    },
    /// No server, or one that is not trusted.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Host and port.
        address: String,
        /// Error of the kernel or the TLS library.
        source: io::Error,
    },
    /// A server that speaks no HTTP/2.
    #[error("cannot connect to {address}: {source}")]
    Http {
        /// Host and port.
        address: String,
        /// Error of the HTTP library.
        source: hyper::Error,
    },
}

/// Open connection, for the generated stubs. Clones share it.
#[derive(Debug, Clone)]
pub struct Channel {
    sender: SendRequest<Body>,
}

/// Connects to a server. Returns the connection and the origin that the stubs need.
///
/// # Errors
/// [`ConnectError`]. A server that refuses the client's certificate may tell so only in the first call (TLS 1.3).
pub async fn connect(endpoint: &Endpoint) -> Result<(Channel, Uri), ConnectError> {
    let address = &endpoint.address;
    let (host, _) = address
        .rsplit_once(':')
        .filter(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        .ok_or_else(|| ConnectError::Endpoint(address.clone()))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned()).map_err(|source| ConnectError::Host {
        host: host.to_owned(),
        source,
    })?;
    let origin = format!("https://{address}");
    let origin = origin.parse().map_err(|source| ConnectError::Uri {
        address: address.clone(),
        source,
    })?;
    let connector = TlsConnector::from(Arc::new(config(endpoint)?));
    let connecting = async {
        let stream = TcpStream::connect(address.as_str()).await?;
        stream.set_nodelay(true)?;
        connector.connect(name, stream).await
    };
    let connected = tokio::time::timeout(CONNECT_TIME, connecting).await;
    let stream = connected
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(|source| ConnectError::Connect {
            address: address.clone(),
            source,
        })?;
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (sender, connection) = handshake.map_err(|source| ConnectError::Http {
        address: address.clone(),
        source,
    })?;
    // Its error is that of the calls, too.
    tokio::spawn(connection);
    Ok((Channel { sender }, origin))
}

fn config(endpoint: &Endpoint) -> Result<ClientConfig, ConnectError> {
    let pair = |source| ConnectError::Pair {
        certificate: endpoint.certificate.clone(),
        key: endpoint.key.clone(),
        source,
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(pair)?
        .with_root_certificates(roots(&endpoint.ca)?)
        .with_client_auth_cert(chain(&endpoint.certificate)?, key(&endpoint.key)?)
        .map_err(pair)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Incoming>, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.sender.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.sender.send_request(request))
    }
}
