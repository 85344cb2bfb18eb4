//! Clients that are refused: nothing is served to them, and the log names them.

use std::sync::Arc;
use std::time::Duration;

use boot_server::net::rpc::client::ConnectError;
use boot_server_events::{BootEvent, RpcRefusalCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

use crate::messages::call;
use crate::rig::{Certificates, Rig};

const DEADLINE: Duration = Duration::from_secs(20);
const LIST: &str = "/rpcpb.Groups/GroupList";

/// Speaks TLS of one version, with or without a certificate; returns what the server sent over it.
async fn speak(
    rig: &Rig,
    certificates: &Certificates,
    client: Option<&str>,
    version: &'static SupportedProtocolVersion,
) -> Vec<u8> {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(certificates.certificate("ca")).unwrap();
    roots.add(ca).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match client {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let chain = CertificateDer::from_pem_file(certificates.certificate(name)).unwrap();
            let key = PrivateKeyDer::from_pem_file(certificates.key(name)).unwrap();
            builder.with_client_auth_cert(vec![chain], key).unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(&rig.rpc).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connected = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await;
    let Ok(mut stream) = connected else {
        return Vec::new();
    };
    let mut answer = Vec::new();
    // The server may be gone, which is what is to be seen.
    let _ = stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await;
    let mut part = [0; 64];
    if let Ok(Ok(len)) = tokio::time::timeout(DEADLINE, stream.read(&mut part)).await {
        answer.extend_from_slice(&part[..len]);
    }
    answer
}

async fn refusal(rig: &mut Rig) -> (Option<String>, RpcRefusalCode, String) {
    let event = tokio::time::timeout(DEADLINE, rig.events.recv()).await;
    match event.unwrap().unwrap().what {
        BootEvent::RpcRefused {
            who,
            subject,
            reason,
        } => {
            assert!(who.peer.unwrap().ip().is_loopback());
            (subject, reason.code, reason.to_string())
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn client_without_a_valid_certificate_is_refused_and_named() {
    let certificates = Certificates::make();
    let mut rig = Rig::start(&certificates);
    for version in [&TLS12, &TLS13] {
        for (client, code) in [
            (None, RpcRefusalCode::NoCertificate),
            (Some("client-other"), RpcRefusalCode::UnknownIssuer),
            (Some("self"), RpcRefusalCode::UnknownIssuer),
            (Some("client-expired"), RpcRefusalCode::Expired),
            (Some("client-future"), RpcRefusalCode::NotValidYet),
            (Some("client-serveronly"), RpcRefusalCode::WrongPurpose),
            (Some("server"), RpcRefusalCode::WrongPurpose),
        ] {
            let sent = speak(&rig, &certificates, client, version).await;
            assert_eq!(sent, b"", "{client:?} {version:?}");
            let (subject, found, text) = refusal(&mut rig).await;
            assert_eq!(found, code, "{client:?} {version:?}: {text}");
            let subject_of = client.map(|name| format!("CN={name}"));
            assert_eq!(subject, subject_of, "{client:?} {version:?}");
        }
        for client in ["client", "client-noeku"] {
            let sent = speak(&rig, &certificates, Some(client), version).await;
            // The server's settings come first (RFC 9113, section 3.4).
            assert_eq!(sent.get(3), Some(&4), "{client} {version:?}: {sent:?}");
        }
    }
}

#[tokio::test]
async fn client_that_is_trusted_is_named_with_its_calls() {
    let certificates = Certificates::make();
    let mut rig = Rig::start(&certificates);
    let client = rig.client(&certificates).await;
    let refused = call(&client, LIST, Vec::new()).await.unwrap_err();
    let event = rig.events.recv().await.unwrap();
    let BootEvent::RpcCall {
        subject,
        method,
        code,
        detail,
        ..
    } = event.what
    else {
        panic!("{event:?}");
    };
    assert_eq!(
        (&*subject, &*method, &*code),
        ("CN=client", "GroupList", "UNKNOWN")
    );
    assert_eq!(detail, refused.message());
}

#[tokio::test]
async fn client_that_is_refused_is_told_so_in_its_call() {
    let certificates = Certificates::make();
    let rig = Rig::start(&certificates);
    std::fs::create_dir(rig.data().join("groups")).unwrap();
    for client in ["client-other", "client-expired", "self"] {
        match rig.connect(&certificates, client, "ca").await {
            Ok(client) => assert!(call(&client, LIST, Vec::new()).await.is_err()),
            Err(error) => assert!(matches!(error, ConnectError::Connect { .. }), "{error}"),
        }
    }
    let error = rig
        .connect(&certificates, "client", "other")
        .await
        .unwrap_err();
    let address = &rig.rpc;
    assert_eq!(
        error.to_string(),
        format!("cannot connect to {address}: invalid peer certificate: UnknownIssuer")
    );
}

/// A client that says nothing holds no place that another one needs.
#[tokio::test]
async fn strangers_that_hold_connections_keep_no_client_out() {
    let certificates = Certificates::make();
    let rig = Rig::start(&certificates);
    std::fs::create_dir(rig.data().join("groups")).unwrap();
    let mut held = Vec::new();
    for _ in 0..120 {
        held.push(TcpStream::connect(&rig.rpc).await.unwrap());
    }
    let client = rig.client(&certificates).await;
    call(&client, LIST, Vec::new()).await.unwrap();
}
