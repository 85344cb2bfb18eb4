//! Certificates for a boot config service with HTTPS (`[services] https`). An authority is made for the attempt; machines
//! trust it by a variable of their firmware and by a further initrd. Keys are RSA: EDK2 has no elliptic curves, and iPXE 1.21
//! verifies no other signatures.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use lab_model::scenario::Certificate;

use super::programs::{ProgramError, file_error, run, self_signed, to_der};

/// Name of the initrd with the authority's certificate, below the assets.
const INITRD: &str = "authority.cpio";
/// Place of authorities in the initramfs, where Go's programs, such as Ignition, look first.
const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";
/// Address that no machine requests, of RFC 5737.
const OTHER_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// Certificate of the service, and its key, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

fn folder(cell: &Path) -> PathBuf {
    cell.join("https")
}

/// Returns the certificate of the authority that machines trust, in DER, in a cell's folder.
pub(super) fn authority(cell: &Path) -> PathBuf {
    folder(cell).join("authority.der")
}

/// Returns the service's identity in a cell's folder.
pub(super) fn identity(cell: &Path) -> Identity {
    identity_in(&folder(cell))
}

fn identity_in(folder: &Path) -> Identity {
    Identity {
        certificate: folder.join("server.pem"),
        key: folder.join("server.key"),
    }
}

/// Makes the authority, the service's certificate, and the initrd.
///
/// # Errors
/// [`ProgramError`] if `openssl` or `cpio` fails, or a file cannot be written.
pub(super) fn prepare(
    kind: Certificate,
    host: Ipv4Addr,
    assets: &Path,
    cell: &Path,
) -> Result<(), ProgramError> {
    let folder = folder(cell);
    fs::create_dir_all(&folder).map_err(file_error(&folder))?;
    let trusted = Authority::make(&folder, "authority")?;
    let issuer = match kind {
        Certificate::UnknownAuthority => Authority::make(&folder, "unknown")?,
        Certificate::Valid | Certificate::Expired | Certificate::OtherAddress => trusted.clone(),
    };
    issue(&issuer, kind, host, &folder)?;
    to_der(&trusted.certificate, &authority(cell))?;
    initrd(&trusted.certificate, assets, &folder)
}

/// Authority that issues certificates.
#[derive(Debug, Clone)]
struct Authority {
    certificate: PathBuf,
    key: PathBuf,
}

impl Authority {
    fn make(folder: &Path, name: &str) -> Result<Authority, ProgramError> {
        let made = Authority {
            certificate: folder.join(format!("{name}.pem")),
            key: folder.join(format!("{name}.key")),
        };
        let subject = format!("/CN=Authority `{name}` of a run of the lab/");
        let extensions = ["-addext", "keyUsage=critical,keyCertSign"];
        self_signed(&subject, &extensions, &made.key, &made.certificate)?;
        Ok(made)
    }
}

/// Makes the service's certificate.
fn issue(
    issuer: &Authority,
    kind: Certificate,
    host: Ipv4Addr,
    folder: &Path,
) -> Result<(), ProgramError> {
    let address = match kind {
        Certificate::OtherAddress => OTHER_ADDRESS,
        Certificate::Valid | Certificate::Expired | Certificate::UnknownAuthority => host,
    };
    let days = match kind {
        // It ended a day ago.
        Certificate::Expired => "-1",
        Certificate::Valid | Certificate::OtherAddress | Certificate::UnknownAuthority => "3650",
    };
    let extensions = folder.join("server.cnf");
    let lines = format!(
        "subjectAltName=IP:{address}\nextendedKeyUsage=serverAuth\nbasicConstraints=critical,CA:FALSE\n\
         keyUsage=critical,digitalSignature,keyEncipherment\n"
    );
    fs::write(&extensions, lines).map_err(file_error(&extensions))?;
    let Identity { certificate, key } = identity_in(folder);
    let request = folder.join("server.csr");
    let [certificate, key, request] = [&certificate, &key, &request].map(|path| text(path));
    let subject = format!("/CN={address}/");
    run(
        "openssl",
        &[
            "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", &subject, "-keyout", &key,
            "-out", &request,
        ],
    )?;
    let [authority, signing_key] = [&issuer.certificate, &issuer.key].map(|path| text(path));
    let extensions = text(&extensions);
    let issue = ["x509", "-req", "-sha256", "-CAcreateserial", "-days", days];
    let content = [
        "-in",
        &request,
        "-CA",
        &authority,
        "-CAkey",
        &signing_key,
        "-extfile",
        &extensions,
        "-out",
        &certificate,
    ];
    run("openssl", &[&issue[..], &content[..]].concat())
}

/// Makes an initrd with the authority's certificate.
fn initrd(certificate: &Path, assets: &Path, folder: &Path) -> Result<(), ProgramError> {
    let root = folder.join("initrd");
    let bundle = root.join(BUNDLE);
    if let Some(parent) = bundle.parent() {
        fs::create_dir_all(parent).map_err(file_error(parent))?;
    }
    fs::copy(certificate, &bundle).map_err(file_error(&bundle))?;
    let names = bundle.ancestors().take_while(|path| *path != root);
    let mut names: Vec<String> = names
        .filter_map(|path| path.strip_prefix(&root).ok().map(text))
        .collect();
    names.reverse();
    let list = folder.join("initrd.list");
    fs::write(&list, names.join("\n") + "\n").map_err(file_error(&list))?;
    // `cpio` reads the names from its standard input.
    let script = "cd \"$1\" && cpio --quiet --create --format=newc --owner=0:0 <\"$2\" >\"$3\"";
    let [root, list, made] = [&root, &list, &assets.join(INITRD)].map(|path| text(path));
    run("sh", &["-c", script, "sh", &root, &list, &made])
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Exit status and output of `openssl verify` for the certificate that was made.
    fn verified(kind: Certificate) -> (bool, String) {
        let cell = tempfile::tempdir().unwrap();
        let host = Ipv4Addr::new(192, 168, 98, 1);
        prepare(kind, host, cell.path(), cell.path()).unwrap();
        let size = fs::metadata(cell.path().join(INITRD)).unwrap().len();
        assert!((1000..10_000).contains(&size), "{size}");
        let output = Command::new("openssl")
            .args(["verify", "-verify_ip", "192.168.98.1", "-CAfile"])
            .arg(folder(cell.path()).join("authority.pem"))
            .arg(identity(cell.path()).certificate)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), told)
    }

    #[test]
    fn prepare_makes_certificates_with_one_defect_each() {
        let (is_valid, told) = verified(Certificate::Valid);
        assert!(is_valid, "{told}");
        for (kind, number) in [
            (Certificate::Expired, "error 10 at 0 depth"),
            (Certificate::OtherAddress, "error 64 at 0 depth"),
            (Certificate::UnknownAuthority, "error 20 at 0 depth"),
        ] {
            let (is_valid, told) = verified(kind);
            assert!(!is_valid && told.contains(number), "{kind:?}: {told}");
        }
    }
}
