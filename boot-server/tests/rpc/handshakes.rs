//! The TLS handshakes recorded from matchbox 0.9.0 and 0.11.0 with an OpenSSL client, repeated with rustls.
//!
//! The certificates have another kind of key (ECDSA for RSA), so that suites are compared by the rest of their names. The
//! numbers of alerts are those of each TLS library: whether there is one is compared. rustls has no client for what it
//! refuses as a server (TLS 1.1, suites without forward secrecy): a ClientHello in bytes asks for that.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::ResolvesClientCert;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore, SignatureScheme};

use crate::rig::{Certificates, Rig};
use crate::vectors::recordings;

const DEADLINE: Duration = Duration::from_secs(20);

/// Handshakes that end otherwise on purpose.
const DIFFERENT: [(&str, &str); 2] = [
    ("213", "HTTP/1.1 alone is refused: gRPC is HTTP/2"),
    (
        "217",
        "ChaCha20 with an ephemeral key is accepted: matchbox lists the AES suites alone",
    ),
];

/// Outcome of a handshake, as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Handshake {
    id: String,
    about: String,
    client_options: Vec<String>,
    alert_from_server: Option<u8>,
    negotiated: Option<Negotiated>,
    alpn: Option<String>,
    client_certificate_authorities: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Negotiated {
    version: String,
    cipher: String,
}

impl Handshake {
    fn option(&self, name: &str) -> Option<&str> {
        let at = self.client_options.iter().position(|word| word == name)?;
        self.client_options.get(at + 1).map(String::as_str)
    }

    fn has(&self, word: &str) -> bool {
        self.client_options.iter().any(|option| option == word)
    }

    /// The suite that the client asks for, in OpenSSL's spelling.
    fn suite(&self) -> Option<&str> {
        self.option("-cipher").or(self.option("-ciphersuites"))
    }

    /// A ClientHello for what rustls has no client for.
    fn old_hello(&self) -> Option<Vec<u8>> {
        match self {
            _ if self.has("-tls1") => Some(hello([3, 1], &[0xc0, 0x13], false)),
            _ if self.has("-tls1_1") => Some(hello([3, 2], &[0xc0, 0x13], false)),
            // TLS_RSA_WITH_AES_128_GCM_SHA256
            _ if self.suite() == Some("AES128-GCM-SHA256") => {
                Some(hello([3, 3], &[0x00, 0x9c], true))
            }
            _ => None,
        }
    }
}

/// Returns a ClientHello (RFC 5246, section 7.4.1.2) with one suite and the extensions of its time.
fn hello(version: [u8; 2], suite: &[u8; 2], has_algorithms: bool) -> Vec<u8> {
    // Supported groups: secp256r1. Point formats: uncompressed.
    let mut extensions = vec![0, 10, 0, 4, 0, 2, 0, 23, 0, 11, 0, 2, 1, 0];
    if has_algorithms {
        // Signature algorithms: ecdsa_secp256r1_sha256, rsa_pkcs1_sha256.
        extensions.extend([0, 13, 0, 6, 0, 4, 4, 3, 4, 1]);
    }
    let mut body = version.to_vec();
    body.extend([7; 32]);
    body.extend([0, 0, 2]);
    body.extend(suite);
    body.extend([1, 0, 0, u8::try_from(extensions.len()).unwrap()]);
    body.extend(extensions);
    let length = u8::try_from(body.len()).unwrap();
    let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.extend(body);
    record
}

/// A client certificate, and the names of authorities that the server asks for.
#[derive(Debug)]
struct Asked {
    key: Option<Arc<CertifiedKey>>,
    authorities: Mutex<Vec<Vec<u8>>>,
}

impl ResolvesClientCert for Asked {
    fn resolve(&self, hints: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        *self.authorities.lock().unwrap() = hints.iter().map(|name| name.to_vec()).collect();
        self.key.clone()
    }

    fn has_certs(&self) -> bool {
        self.key.is_some()
    }
}

/// Outcome of a handshake: a connection on which the server speaks HTTP/2, or a fatal alert.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Accepted {
        version: String,
        suite: String,
        alpn: Option<String>,
    },
    Refused,
}

async fn play(
    handshake: &Handshake,
    rig: &Rig,
    certificates: &Certificates,
) -> (Outcome, Vec<Vec<u8>>) {
    let mut stream = TcpStream::connect(&rig.rpc).await.unwrap();
    if let Some(hello) = handshake.old_hello() {
        stream.write_all(&hello).await.unwrap();
        let mut answer = Vec::new();
        // The server may close with bytes unread, which is an error.
        let _ = stream.read_to_end(&mut answer).await;
        // An alert that is fatal, and no ServerHello.
        assert_eq!(answer.first(), Some(&21), "{}: {answer:?}", handshake.about);
        assert_eq!(answer.get(5), Some(&2), "{}: {answer:?}", handshake.about);
        return (Outcome::Refused, Vec::new());
    }
    let key = handshake.option("-cert").map(|file| {
        let name = file.trim_end_matches(".crt");
        let chain = CertificateDer::from_pem_file(certificates.certificate(name)).unwrap();
        let key = PrivateKeyDer::from_pem_file(certificates.key(name)).unwrap();
        let provider = ring::default_provider();
        Arc::new(CertifiedKey::from_der(vec![chain], key, &provider).unwrap())
    });
    let asked = Arc::new(Asked {
        key,
        authorities: Mutex::default(),
    });
    let config = config(handshake, certificates, Arc::clone(&asked));
    let name = ServerName::try_from("localhost").unwrap();
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let outcome = match connecting.await {
        Ok(stream) => settings(stream).await,
        Err(error) => refused(&error),
    };
    let authorities = asked.authorities.lock().unwrap().clone();
    (outcome, authorities)
}

fn config(handshake: &Handshake, certificates: &Certificates, asked: Arc<Asked>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(certificates.certificate("ca")).unwrap();
    roots.add(ca).unwrap();
    let mut provider: CryptoProvider = ring::default_provider();
    if let Some(suite) = handshake.suite() {
        let wanted = plain(suite);
        let is_13 = handshake.has("-tls1_3");
        provider.cipher_suites.retain(|found| {
            let name = format!("{:?}", found.suite());
            name.starts_with("TLS13") == is_13 && plain(&name) == wanted
        });
        assert!(!provider.cipher_suites.is_empty(), "{suite}");
    }
    let version = match handshake.has("-tls1_2") {
        true => &TLS12,
        false => &TLS13,
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_cert_resolver(asked);
    let alpn = handshake.option("-alpn").unwrap_or_default();
    let alpn = alpn.split(',').filter(|name| !name.is_empty());
    config.alpn_protocols = alpn.map(|name| name.as_bytes().to_vec()).collect();
    config
}

/// Returns the letters of a suite's name that OpenSSL and rustls share, without the kind of key.
fn plain(suite: &str) -> String {
    let suite = suite.replace("TLS13", "TLS").replace("_WITH", "");
    let name = suite.trim_start_matches("TLS_").replace(['-', '_'], "");
    let name = name.replace("ECDHERSA", "").replace("ECDHEECDSA", "");
    // OpenSSL leaves the hash of ChaCha20's suite out in TLS 1.2.
    name.trim_end_matches("SHA256").to_owned()
}

/// Waits for the server's settings, which come first (RFC 9113, section 3.4), or for its alert: a client of TLS 1.3
/// has finished before the server has looked at its certificate.
async fn settings(mut stream: TlsStream<TcpStream>) -> Outcome {
    // The server may be gone already.
    let _ = stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await;
    let mut head = [0; 9];
    let reading = stream.read_exact(&mut head);
    match tokio::time::timeout(DEADLINE, reading).await.unwrap() {
        Ok(_) => assert_eq!(head[3], 4, "{head:?}"),
        Err(error) => return refused(&error),
    }
    let (_, connection) = stream.get_ref();
    let suite = connection.negotiated_cipher_suite().unwrap().suite();
    let version = format!("{:?}", connection.protocol_version().unwrap());
    let alpn = connection.alpn_protocol();
    Outcome::Accepted {
        version: version.replace('_', "."),
        suite: plain(&format!("{suite:?}")),
        alpn: alpn.map(|name| String::from_utf8(name.to_vec()).unwrap()),
    }
}

fn refused(error: &io::Error) -> Outcome {
    let tls = error.get_ref();
    let tls = tls.and_then(|inner| inner.downcast_ref::<rustls::Error>());
    assert!(
        matches!(tls, Some(rustls::Error::AlertReceived(_))),
        "{error}"
    );
    Outcome::Refused
}

/// Returns the outcome that was recorded.
fn recorded(handshake: &Handshake) -> Outcome {
    match (&handshake.negotiated, handshake.alert_from_server) {
        (Some(negotiated), None) => Outcome::Accepted {
            version: negotiated.version.clone(),
            suite: plain(&negotiated.cipher),
            alpn: handshake.alpn.clone(),
        },
        _ => Outcome::Refused,
    }
}

fn is_alike(found: &Outcome, handshake: &Handshake) -> bool {
    match (found, recorded(handshake)) {
        (
            Outcome::Accepted { version, alpn, .. },
            Outcome::Accepted {
                version: recorded_version,
                alpn: recorded_alpn,
                ..
            },
        ) if handshake.suite().is_none() => {
            // The suite that is taken of several is the libraries' choice.
            *version == recorded_version && *alpn == recorded_alpn
        }
        (found, recorded) => *found == recorded,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_end_as_with_matchbox_but_for_the_named_differences() {
    let certificates = Certificates::make();
    let rig = Rig::start(&certificates);
    let mut compared = 0;
    for file in ["matchbox-0.9.0.jsonl", "matchbox-0.11.0.jsonl"] {
        for handshake in recordings::<Handshake>(file, "tls-handshake") {
            let (found, authorities) = play(&handshake, &rig, &certificates).await;
            let number = handshake.id.rsplit('-').next().unwrap();
            let known = DIFFERENT.iter().find(|(id, _)| *id == number);
            let shown = format!("{} {}: {found:?}", handshake.id, handshake.about);
            assert_eq!(is_alike(&found, &handshake), known.is_none(), "{shown}");
            // The server names the authority of its clients, where it comes to that.
            let wanted = handshake.client_certificate_authorities.len();
            if handshake.old_hello().is_none() && known.is_none() {
                assert_eq!(authorities.len(), wanted, "{shown}");
                let name = b"Quay test CA";
                let is_named = |der: &Vec<u8>| der.windows(name.len()).any(|part| part == name);
                assert!(authorities.iter().all(is_named), "{shown}: {authorities:?}");
            }
            compared += 1;
        }
    }
    assert_eq!(compared, 50);
}
