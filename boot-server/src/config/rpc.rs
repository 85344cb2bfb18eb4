//! `[rpc]`: matchbox's gRPC API.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[rpc]`: matchbox's gRPC API, for clients with a certificate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RpcConfig {
    /// Address and port, e.g. `172.17.0.2:8081`.
    pub listen: SocketAddr,
    /// A PEM file with the server's certificate and its chain.
    pub tls_certificate: PathBuf,
    /// The PEM file with the certificate's key.
    pub tls_key: PathBuf,
    /// A PEM file with the certificates of the authorities whose clients may call.
    pub client_ca: PathBuf,
}

impl Default for RpcConfig {
    /// matchbox's paths.
    fn default() -> Self {
        RpcConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 8081)),
            tls_certificate: PathBuf::from("/etc/matchbox/server.crt"),
            tls_key: PathBuf::from("/etc/matchbox/server.key"),
            client_ca: PathBuf::from("/etc/matchbox/ca.crt"),
        }
    }
}
