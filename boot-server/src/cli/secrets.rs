//! Keys of the server: the key ring that signs answers, and the TLS certificates of HTTP and gRPC with their keys.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::catalog::problem::{Problem, Severity};
use crate::config::{Config, RpcConfig};
use crate::net::http::{Signer, SignerError, Tls, TlsError};
use crate::net::rpc::{MutualTls, RpcFiles};

/// Environment variables of the passphrase: of this server, matchbox and bootcfg.
const PASSPHRASES: [&str; 3] = [
    "BOOT_SERVER_PASSPHRASE",
    "MATCHBOX_PASSPHRASE",
    "BOOTCFG_PASSPHRASE",
];

/// Returns the signer of `http.key_ring`, unlocked by the passphrase in the environment.
///
/// # Errors
/// See [`SignerError`].
pub(super) fn signer(config: &Config) -> Result<Option<Signer>, SignerError> {
    let open = |key_ring: &PathBuf| Signer::open(key_ring, passphrase().as_deref());
    key_ring(config).map(open).transpose()
}

/// Returns the certificate and key of `http`, if it has them.
///
/// # Errors
/// See [`TlsError`].
pub(super) fn tls(config: &Config) -> Result<Option<Tls>, TlsError> {
    let load = |(certificate, key): (&PathBuf, &PathBuf)| Tls::load(certificate, key);
    tls_pair(config).map(load).transpose()
}

/// Returns the certificate, key and authorities of `rpc`, if it is configured.
///
/// # Errors
/// See [`TlsError`].
pub(super) fn rpc_tls(config: &Config) -> Result<Option<MutualTls>, TlsError> {
    let load = |rpc: &RpcConfig| {
        MutualTls::load(RpcFiles {
            certificate: rpc.tls_certificate.clone(),
            key: rpc.tls_key.clone(),
            client_ca: rpc.client_ca.clone(),
        })
    };
    config.rpc.as_ref().map(load).transpose()
}

/// Returns the problems of all keys that keep the server from starting.
pub(super) fn problems(config: &Config) -> Vec<Problem> {
    let key_ring = key_ring(config).and_then(|path| {
        // The passphrase may be in the environment of the service alone.
        let is_elsewhere = |error: &SignerError| error.is_locked() && passphrase().is_none();
        let error = signer(config).err().filter(|error| !is_elsewhere(error))?;
        let help = "name a key ring with one secret key; its passphrase is read from BOOT_SERVER_PASSPHRASE";
        Some(problem(&[path], path, error.to_string(), help))
    });
    let tls = tls_pair(config).and_then(|(certificate, key)| {
        let error = tls(config).err()?;
        let help = "name a certificate chain and its private key, both in PEM";
        Some(problem(
            &[certificate, key],
            certificate,
            error.to_string(),
            help,
        ))
    });
    let rpc = config.rpc.as_ref().and_then(|rpc| {
        let error = rpc_tls(config).err()?;
        let help = "name the server's certificate chain, its private key and the authorities of its clients, in PEM";
        Some(problem(
            &[&rpc.tls_certificate, &rpc.tls_key, &rpc.client_ca],
            &rpc.tls_certificate,
            error.to_string(),
            help,
        ))
    });
    key_ring.into_iter().chain(tls).chain(rpc).collect()
}

/// Returns an error, or a warning if this user may not read one of the files: the service may be another user.
fn problem(files: &[&PathBuf], file: &Path, message: String, help: &str) -> Problem {
    let is_denied = |path: &&&PathBuf| {
        File::open(path).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
    };
    match files.iter().find(is_denied) {
        Some(denied) => Problem::of_file(
            Severity::Warning,
            denied,
            "not checked: permission denied",
            "run the check as root, or as the user of the service",
        ),
        None => Problem::of_file(Severity::Error, file, message, help),
    }
}

fn key_ring(config: &Config) -> Option<&PathBuf> {
    config.http.as_ref()?.key_ring.as_ref()
}

fn tls_pair(config: &Config) -> Option<(&PathBuf, &PathBuf)> {
    let http = config.http.as_ref()?;
    http.tls_certificate.as_ref().zip(http.tls_key.as_ref())
}

fn passphrase() -> Option<String> {
    PASSPHRASES.iter().find_map(|name| std::env::var(name).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(http: &str) -> Vec<Problem> {
        let text = format!("[http]\ndata = \"data\"\n{http}");
        problems(&toml::from_str(&text).unwrap())
    }

    #[test]
    fn problems_of_keys_that_cannot_be_read_keep_the_check_red() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(path("empty"), "").unwrap();
        for (http, named) in [
            (format!("key_ring = {:?}", path("missing")), "missing"),
            (format!("key_ring = {:?}", path("empty")), "empty"),
            (
                format!(
                    "tls_certificate = {:?}\ntls_key = {:?}",
                    path("empty"),
                    path("missing")
                ),
                "empty",
            ),
        ] {
            let problems = found(&http);
            let [problem] = problems.as_slice() else {
                panic!("{http}: {problems:?}");
            };
            assert_eq!(problem.severity, Severity::Error, "{http}");
            assert!(problem.path.ends_with(named), "{http}: {problem:?}");
        }
    }

    #[test]
    fn problems_of_a_server_without_keys_are_none() {
        assert_eq!(found(""), []);
    }
}
