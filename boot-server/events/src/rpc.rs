//! Calls of gRPC clients, and reasons for which a client is refused before its first call.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Kind of the reason to refuse a gRPC client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RpcRefusalCode {
    /// The client has no certificate.
    NoCertificate,
    /// The certificate is of an authority that the server does not trust.
    UnknownIssuer,
    /// The certificate is no longer valid.
    Expired,
    /// The certificate is not valid yet.
    NotValidYet,
    /// The certificate is not for clients.
    WrongPurpose,
    /// The certificate is malformed, or its signature is wrong.
    BadCertificate,
    /// The client does not trust the server's certificate.
    ServerRefused,
    /// The client speaks no TLS, or no version of it that the server has.
    NotTls,
    /// The client did not complete its handshake.
    TimedOut,
    /// Too many clients are connected.
    NoPlace,
    /// A reason that this version has no kind for.
    #[serde(other)]
    Other,
}

impl RpcRefusalCode {
    /// Name of the kind, as in events.
    pub fn name(self) -> &'static str {
        match self {
            RpcRefusalCode::NoCertificate => "no_certificate",
            RpcRefusalCode::UnknownIssuer => "unknown_issuer",
            RpcRefusalCode::Expired => "expired",
            RpcRefusalCode::NotValidYet => "not_valid_yet",
            RpcRefusalCode::WrongPurpose => "wrong_purpose",
            RpcRefusalCode::BadCertificate => "bad_certificate",
            RpcRefusalCode::ServerRefused => "server_refused",
            RpcRefusalCode::NotTls => "not_tls",
            RpcRefusalCode::TimedOut => "timed_out",
            RpcRefusalCode::NoPlace => "no_place",
            RpcRefusalCode::Other => "other",
        }
    }
}

/// Reason to refuse a gRPC client: its kind for programs, its text for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RpcRefusal {
    /// Kind of the reason.
    #[serde(rename = "reason_code")]
    pub code: RpcRefusalCode,
    #[serde(rename = "reason")]
    text: String,
}

impl RpcRefusal {
    /// A reason of this kind, in these words.
    pub fn new(code: RpcRefusalCode, text: impl Into<String>) -> RpcRefusal {
        let text = text.into();
        RpcRefusal { code, text }
    }
}

impl fmt::Display for RpcRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
