//! Tests of the API client, and of where files come from.

use std::path::Path;
use std::time::Duration;

use boot_server_proto::mac::MacAddr;
use boot_server_proto::pixiecore::BootSpec;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_util::sync::CancellationToken;

use super::client::*;
use crate::config::FixedBoot;
use crate::net::http::{HttpServer, Tls};
use crate::net::pixiecore_api::PixiecoreApi;

const TIME: Duration = Duration::from_secs(5);

fn fixed(kernel: &str) -> FixedBoot {
    FixedBoot {
        kernel: kernel.to_owned(),
        initrd: vec!["http://h/initrd".into()],
        cmdline: "a=b".into(),
        message: String::new(),
    }
}

#[tokio::test]
async fn a_fixed_boot_is_everyones_and_its_files_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = folder.path().join("vmlinuz");
    std::fs::write(&kernel, "kernel").unwrap();
    let client = ApiClient::fixed(&fixed(kernel.to_str().unwrap())).unwrap();
    let Ok(ApiAnswer::Boot(BootSpec::Boot { kernel, initrd, .. })) =
        client.boot(MacAddr([2, 0, 0, 0, 0, 9])).await
    else {
        panic!("no boot")
    };
    assert_eq!(client.resolve(&initrd[0]).unwrap(), "http://h/initrd");
    let fetched = client
        .fetch(&client.resolve(&kernel).unwrap())
        .await
        .unwrap();
    assert_eq!(fetched.length, Some(6));
    let body = axum::body::to_bytes(fetched.body, 100).await.unwrap();
    assert_eq!(body, "kernel");
}

#[test]
fn a_kernel_that_is_not_there_is_told_at_the_start() {
    let error = ApiClient::fixed(&fixed("/nothing/vmlinuz")).unwrap_err();
    assert!(
        matches!(&error, ApiError::File { path, .. } if path == Path::new("/nothing/vmlinuz")),
        "{error}"
    );
}

#[tokio::test]
async fn an_api_cannot_name_files_of_ours() {
    let client = ApiClient::new("http://10.9.0.1:9000", TIME).unwrap();
    assert!(client.fetch("file:///etc/passwd").await.is_err());
}

#[test]
fn relative_urls_start_at_the_servers_root() {
    let client = ApiClient::new("http://10.9.0.1:9000/prefix", TIME).unwrap();
    for (url, resolved) in [
        ("/i2", "http://10.9.0.1:9000/i2"),
        ("i2?a=${b}", "http://10.9.0.1:9000/i2?a=${b}"),
        ("http://other/k", "http://other/k"),
    ] {
        assert_eq!(client.resolve(url).unwrap(), resolved);
    }
    for url in [
        "file:///etc/shadow",
        "http://h/a\nb",
        "http://h/%zz",
        "http://h/%4",
        "http://h/#%",
        "/k\t",
    ] {
        assert!(client.resolve(url).is_err(), "{url:?}");
    }
    assert!(client.resolve("http://h/%41?q=%zz").is_ok());
}

#[test]
fn an_address_that_is_no_url_of_the_web_is_refused() {
    for wrong in ["10.0.0.1:8080", "ftp://x/", "file:///x", "", "http://"] {
        assert!(ApiClient::new(wrong, TIME).is_err(), "{wrong}");
    }
}

/// A web server that only one of the two clients trusts.
#[tokio::test]
async fn a_file_behind_tls_is_fetched_when_its_server_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
    );
    make_certificate(&certificate, &key);
    let router = axum::Router::new().route("/k", axum::routing::get(|| async { "kernel" }));
    let server = HttpServer::bind("127.0.0.1:0".parse().unwrap(), router).unwrap();
    let server = server.tls(Some(Tls::load(&certificate, &key).unwrap()));
    let address = server.local_addr().unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(server.serve(stop.clone().cancelled_owned()));
    let mut trusted = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&certificate).unwrap() {
        trusted.add(certificate.unwrap()).unwrap();
    }
    let url = format!("https://{address}/k");
    let boot = fixed(&url);
    let client = ApiClient::fixed_trusting(&boot, trusted).unwrap();
    let fetched = client.fetch(&client.resolve(&url).unwrap()).await.unwrap();
    assert_eq!(fetched.length, Some(6));
    let body = axum::body::to_bytes(fetched.body, 100).await.unwrap();
    assert_eq!(body, "kernel");
    let stranger = ApiClient::fixed_trusting(&boot, RootCertStore::empty()).unwrap();
    let error = stranger.fetch(&url).await.err().unwrap();
    assert!(
        matches!(&error, ApiError::Unreachable { url: of, reason }
            if *of == url && reason.contains("certificate")),
        "{error}"
    );
    stop.cancel();
    running.await.unwrap().unwrap();
}

fn make_certificate(certificate: &Path, key: &Path) {
    let config = certificate.with_extension("cnf");
    let text = "[req]\ndistinguished_name=name\nx509_extensions=its\nprompt=no\n[name]\nCN=files\n\
                [its]\nbasicConstraints=critical,CA:FALSE\nsubjectAltName=IP:127.0.0.1\n";
    std::fs::write(&config, text).unwrap();
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"])
        .args(["-pkeyopt", "ec_paramgen_curve:P-256", "-config"])
        .arg(&config)
        .arg("-keyout")
        .arg(key)
        .arg("-out")
        .arg(certificate)
        .output()
        .expect("openssl (package openssl) is installed");
    assert!(made.status.success(), "{made:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_with_the_cause() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let client = ApiClient::new(&format!("http://{address}"), TIME).unwrap();
    let error = client.knows(MacAddr([2, 0, 0, 0, 0, 1])).await.unwrap_err();
    assert!(
        matches!(&error, Unbootable::Api(ApiError::Unreachable { reason, .. }) if reason.contains("refused")),
        "{error}"
    );
}
