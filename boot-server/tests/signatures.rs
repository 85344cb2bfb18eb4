//! Signatures of answers, verified by GnuPG and by the library, made with keys of GnuPG's own.
//!
//! GnuPG has to be there (packages `gnupg` and `gpgv`): without it these tests fail.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use boot_server::catalog::data_dir::{DataDir, Source};
use boot_server::event_sink::EventSink;
use boot_server::net::http::{Signer, SignerError, signing_router};
use boot_server::net::neighbours::Neighbours;
use pgp::composed::{Deserializable, DetachedSignature, SignedPublicKey};
use tower::ServiceExt;

const PASSPHRASE: &str = "correct horse";
const MACHINE: &str = "mac=52-54-00-a1-9c-ae&os=installed";

/// GnuPG with a home of its own, and one key in it.
struct Gpg {
    home: tempfile::TempDir,
}

impl Gpg {
    fn new(algorithm: &str, passphrase: &str) -> Gpg {
        let gpg = Gpg {
            home: tempfile::tempdir().unwrap(),
        };
        let user = "Boot Server <boot@example.invalid>";
        gpg.run(&[
            "--passphrase",
            passphrase,
            "--quick-generate-key",
            user,
            algorithm,
            "default",
            "never",
        ]);
        gpg.run(&["--output", &gpg.path("public.gpg"), "--export"]);
        for (armor, file) in [("--armor", "secret.asc"), ("--no-armor", "secret.gpg")] {
            let file = gpg.path(file);
            gpg.run(&[
                "--passphrase",
                passphrase,
                armor,
                "--output",
                &file,
                "--export-secret-keys",
            ]);
        }
        gpg
    }

    fn path(&self, file: &str) -> String {
        self.home.path().join(file).to_str().unwrap().to_owned()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let output = Command::new("gpg")
            .args(["--batch", "--pinentry-mode", "loopback", "--homedir"])
            .arg(self.home.path())
            .args(arguments)
            .output()
            .expect("gpg (package gnupg) is installed");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
        output
    }

    /// Has gpgv, which shares nothing with us, verify a signature.
    fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        std::fs::write(self.path("text"), text).unwrap();
        std::fs::write(self.path("signature"), signature).unwrap();
        let output = Command::new("gpgv")
            .args(["--keyring", &self.path("public.gpg")])
            .args([self.path("signature"), self.path("text")])
            .output()
            .expect("gpgv (package gpgv) is installed");
        output.status.success()
    }

    fn signer(&self, file: &str, passphrase: Option<&str>) -> Result<Signer, SignerError> {
        Signer::open(Path::new(&self.path(file)), passphrase)
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let mut kill = Command::new("gpgconf");
        let _ = kill
            .arg("--homedir")
            .arg(self.home.path())
            .args(["--kill", "all"])
            .output();
    }
}

fn service(rack: &str, signer: Signer) -> Router {
    let racks = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/http");
    let (catalog, _) = DataDir::open(Source::of(racks.join(rack)), None).unwrap();
    let (sink, _) = EventSink::channel();
    let assets = Some(racks.join("assets"));
    let signer = Arc::new(signer);
    signing_router(
        Arc::new(catalog),
        assets,
        Neighbours::default(),
        sink,
        Some(&signer),
    )
}

async fn get(service: &Router, path: &str) -> (StatusCode, Vec<u8>) {
    let request = Request::builder().uri(path).body(Body::empty()).unwrap();
    let response = service.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX)
        .await
        .unwrap();
    (status, body.to_vec())
}

#[tokio::test]
async fn every_signed_endpoint_is_verified_by_gpgv_in_both_forms() {
    let gpg = Gpg::new("ed25519", PASSPHRASE);
    let signer = gpg.signer("secret.asc", Some(PASSPHRASE)).unwrap();
    let service = service("matchbox-rack", signer);
    for path in [
        "/boot.ipxe",
        "/boot.ipxe.0",
        "/ipxe",
        "/grub",
        "/cloud",
        "/ignition",
        "/metadata",
    ] {
        for ending in ["asc", "sig"] {
            let (_, text) = get(&service, &format!("{path}?{MACHINE}")).await;
            // What is signed has the query that it was asked with.
            let (status, signature) = get(&service, &format!("{path}.{ending}?{MACHINE}")).await;
            assert_eq!(status, StatusCode::OK, "{path}.{ending}");
            assert!(gpg.verify(&text, &signature), "{path}.{ending}");
            let mut other = text.clone();
            other.push(b'x');
            assert!(
                !gpg.verify(&other, &signature),
                "{path}.{ending} of another text"
            );
        }
    }
    let (_, text) = get(&service, "/pixiecore/v1/boot/52:54:00:a1:9c:ae").await;
    let (_, signature) = get(&service, "/pixiecore/v1/boot.asc/52:54:00:a1:9c:ae").await;
    assert!(gpg.verify(&text, &signature));
}

#[tokio::test]
async fn an_rsa_key_in_a_binary_ring_without_passphrase_signs_too() {
    let gpg = Gpg::new("rsa2048", "");
    let service = service("bootcfg-rack", gpg.signer("secret.gpg", None).unwrap());
    let (_, text) = get(&service, "/boot.ipxe").await;
    let (_, signature) = get(&service, "/boot.ipxe.asc").await;
    assert!(gpg.verify(&text, &signature));
    let public = std::fs::read(gpg.path("public.gpg")).unwrap();
    let key = SignedPublicKey::from_bytes(&public[..]).unwrap();
    let (signature, _) = DetachedSignature::from_armor_single(&signature[..]).unwrap();
    signature.verify(&key, &text).unwrap();
    assert!(signature.verify(&key, b"another text").is_err());
}

#[tokio::test]
async fn an_error_is_answered_as_it_is_with_its_reason() {
    let gpg = Gpg::new("ed25519", "");
    let service = service("matchbox-rack", gpg.signer("secret.gpg", None).unwrap());
    let (status, body) = get(&service, "/ipxe.asc?uuid=dangling").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let body = String::from_utf8(body).unwrap();
    assert!(body.contains("profiles/nope.json"), "{body}");
    let (status, _) = get(&service, "/assets/readme.txt.asc").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[test]
fn a_wrong_passphrase_and_a_ring_without_a_key_are_told() {
    let gpg = Gpg::new("ed25519", PASSPHRASE);
    let error = gpg.signer("secret.asc", Some("wrong")).unwrap_err();
    assert!(matches!(error, SignerError::Passphrase { .. }), "{error}");
    let error = gpg.signer("public.gpg", None).unwrap_err();
    assert!(
        matches!(
            error,
            SignerError::Count { .. } | SignerError::KeyRing { .. }
        ),
        "{error}"
    );
    let error = gpg.signer("none.gpg", None).unwrap_err();
    assert!(error.to_string().contains("none.gpg"), "{error}");
}
