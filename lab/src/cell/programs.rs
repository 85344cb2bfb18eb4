//! EFI programs that a scenario prepares (`[[program]]`): copies with other signatures, served in place of the packages'
//! own. The keys are made for the attempt, by `openssl`; `sbsign` signs.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use efi_program::{EditError, with_kept_signatures};
use lab_model::scenario::{
    Image, PreparedProgram, ProgramSource, Scenario, SecureBootKeys, SigningKey,
};
use rustix::mount::mount_bind;
use thiserror::Error;

use crate::hypervisor::nvram;

/// Key of Debian's package `ovmf`, whose password is public.
const SNAKEOIL_KEY: &str = "/usr/share/ovmf/PkKek-1-snakeoil.key";
const SNAKEOIL_CERTIFICATE: &str = "/usr/share/ovmf/PkKek-1-snakeoil.pem";
const SNAKEOIL_PASSWORD: &str = "pass:snakeoil";

/// Error of a prepared program.
#[derive(Debug, Error)]
pub enum ProgramError {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("cannot change the signatures of {from}: {source}")]
    Signatures { from: String, source: EditError },
    #[error("cannot run {program}: {source}")]
    Start {
        program: &'static str,
        source: io::Error,
    },
    #[error("{program} failed: {said}")]
    Failed { program: &'static str, said: String },
    /// The programs of other releases are fetched before the cell starts.
    #[error("boot program not in the cache: {0}")]
    NotFetched(String),
    #[error("asset not found: {0} (a prepared program replaces a file that is served)")]
    NoAsset(String),
}

pub(super) fn file_error(path: &Path) -> impl FnOnce(io::Error) -> ProgramError + use<> {
    let path = path.to_owned();
    move |source| ProgramError::File { path, source }
}

/// Origins and places of prepared programs.
pub(super) struct Places<'a> {
    /// Served assets; the image's kernel is among them.
    pub(super) assets: &'a Path,
    pub(super) kernel: PathBuf,
    /// Fetched programs of other releases, by their names.
    pub(super) fetched: &'a BTreeMap<String, PathBuf>,
    /// Folder of the cell.
    pub(super) cell: &'a Path,
}

/// Returns the folder of the keys in a cell's folder.
fn keys(cell: &Path) -> PathBuf {
    cell.join("keys")
}

/// Returns the folder of the prepared programs in a cell's folder.
pub(super) fn folder(cell: &Path) -> PathBuf {
    cell.join("programs")
}

/// Makes the programs of a scenario; returns the folder that TFTP servers search first, if there is one.
///
/// # Errors
/// [`ProgramError`] if one cannot be made.
pub(super) fn prepare(
    scenario: &Scenario,
    places: &Places<'_>,
) -> Result<Option<PathBuf>, ProgramError> {
    let is_own = |keys: &Option<SecureBootKeys>| *keys == Some(SecureBootKeys::Own);
    if scenario.nodes.iter().any(|node| is_own(&node.secure_boot)) {
        let Pair { certificate, .. } = pair(places.cell, SigningKey::Own)?;
        let der = nvram::own_certificate(places.cell);
        to_der(&certificate, &der)?;
    }
    let folder = folder(places.cell);
    for program in &scenario.programs {
        let made = folder.join(&program.name);
        make(program, places, &made)?;
        if let Some(below) = program.asset() {
            let asset = places.assets.join(below);
            if !asset.is_file() {
                return Err(ProgramError::NoAsset(program.name.display().to_string()));
            }
            mount_bind(&made, &asset).map_err(|error| file_error(&asset)(error.into()))?;
        }
    }
    Ok((!scenario.programs.is_empty()).then_some(folder))
}

fn make(program: &PreparedProgram, places: &Places<'_>, made: &Path) -> Result<(), ProgramError> {
    let from = match &program.from {
        ProgramSource::Kernel => places.kernel.clone(),
        ProgramSource::File(file) => file.clone(),
        ProgramSource::Package(name) => {
            let fetched = places.fetched.get(&name.to_string());
            let fetched = fetched.ok_or_else(|| ProgramError::NotFetched(name.to_string()))?;
            fetched.clone()
        }
    };
    let mut data = fs::read(&from).map_err(file_error(&from))?;
    if let Some(issuers) = &program.keep_signatures {
        data =
            with_kept_signatures(&data, |one| issuers.contains(&one.issuer)).map_err(|source| {
                ProgramError::Signatures {
                    from: from.display().to_string(),
                    source,
                }
            })?;
    }
    if let Some(parent) = made.parent() {
        fs::create_dir_all(parent).map_err(file_error(parent))?;
    }
    fs::write(made, data).map_err(file_error(made))?;
    let Some(sign) = program.sign else {
        return Ok(());
    };
    let Pair { key, certificate } = pair(places.cell, sign)?;
    let texts = [&key, &certificate].map(|path| path.display().to_string());
    let [key, certificate] = &texts;
    let made = made.display().to_string();
    let arguments = [
        "--key",
        key,
        "--cert",
        certificate,
        "--output",
        &made,
        &made,
    ];
    run("sbsign", &arguments)
}

/// Private key and certificate, in PEM.
struct Pair {
    key: PathBuf,
    certificate: PathBuf,
}

/// Returns a key; makes it at the first call.
fn pair(cell: &Path, sign: SigningKey) -> Result<Pair, ProgramError> {
    let folder = keys(cell);
    fs::create_dir_all(&folder).map_err(file_error(&folder))?;
    let name = match sign {
        SigningKey::Own => "own",
        SigningKey::Snakeoil => "snakeoil",
        SigningKey::Stranger => "stranger",
    };
    let key = folder.join(format!("{name}.key"));
    let certificate = match sign {
        SigningKey::Snakeoil => PathBuf::from(SNAKEOIL_CERTIFICATE),
        SigningKey::Own | SigningKey::Stranger => folder.join(format!("{name}.pem")),
    };
    if !key.is_file() {
        let out = key.display().to_string();
        match sign {
            SigningKey::Snakeoil => {
                let decrypt = [
                    "rsa",
                    "-in",
                    SNAKEOIL_KEY,
                    "-passin",
                    SNAKEOIL_PASSWORD,
                    "-out",
                    &out,
                ];
                run("openssl", &decrypt)?;
            }
            SigningKey::Own | SigningKey::Stranger => {
                let subject = format!("/CN=Key `{name}` of a run of the lab/");
                self_signed(&subject, &[], &key, &certificate)?;
            }
        }
    }
    Ok(Pair { key, certificate })
}

/// Makes an RSA key and a certificate that it signs itself, in PEM; `extensions` are arguments of `openssl req`.
///
/// # Errors
/// [`ProgramError`] if `openssl` fails.
pub(super) fn self_signed(
    subject: &str,
    extensions: &[&str],
    key: &Path,
    certificate: &Path,
) -> Result<(), ProgramError> {
    let (key, certificate) = (key.display().to_string(), certificate.display().to_string());
    let request = [
        "req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-sha256", "-days", "3650",
    ];
    let named = ["-subj", subject, "-keyout", &key, "-out", &certificate];
    run("openssl", &[&request[..], &named, extensions].concat())
}

/// Writes a certificate in PEM as DER.
///
/// # Errors
/// [`ProgramError`] if `openssl` fails.
pub(super) fn to_der(certificate: &Path, der: &Path) -> Result<(), ProgramError> {
    let (certificate, der) = (certificate.display().to_string(), der.display().to_string());
    let arguments = ["x509", "-in", &certificate, "-outform", "der", "-out", &der];
    run("openssl", &arguments)
}

/// Runs a program.
///
/// # Errors
/// [`ProgramError`] if it cannot be started, or fails.
pub(super) fn run(program: &'static str, arguments: &[&str]) -> Result<(), ProgramError> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|source| ProgramError::Start { program, source })?;
    match output.status.success() {
        true => Ok(()),
        false => Err(ProgramError::Failed {
            program,
            said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        }),
    }
}

/// Returns the image's kernel among the assets.
pub(super) fn kernel(image: &Path) -> PathBuf {
    image.join(Image::KERNEL)
}

#[cfg(test)]
mod tests {
    use efi_program::{Kind, Program, Refusal, Trust};
    use uefi_variables::{KeySet, MICROSOFT, Signatures};

    use super::*;

    const SHIM: &str = "/usr/lib/shim/shimx64.efi.signed";

    fn made(keep_signatures: Option<&[&str]>, sign: Option<SigningKey>) -> (Program, Trust) {
        let folder = tempfile::tempdir().unwrap();
        let program = PreparedProgram {
            name: "secureboot/bootx64.efi".into(),
            from: ProgramSource::File(SHIM.into()),
            keep_signatures: keep_signatures
                .map(|list| list.iter().map(|one| (*one).into()).collect()),
            sign,
        };
        let places = Places {
            assets: folder.path(),
            kernel: PathBuf::new(),
            fetched: &BTreeMap::new(),
            cell: folder.path(),
        };
        let out = folder.path().join("out/bootx64.efi");
        make(&program, &places, &out).unwrap();
        let mut own = Signatures::default();
        if let Some(sign) = sign {
            let Pair { certificate, .. } = pair(folder.path(), sign).unwrap();
            let der = folder.path().join("der");
            to_der(&certificate, &der).unwrap();
            own = Signatures::of_certificates(MICROSOFT, &[&fs::read(der).unwrap()]);
        }
        let trust = Trust {
            accepted: own,
            ..Trust::default()
        };
        (Program::read(&fs::read(out).unwrap()).unwrap(), trust)
    }

    fn microsoft(keys: KeySet) -> Trust {
        Trust {
            accepted: keys.db(),
            ..Trust::default()
        }
    }

    #[test]
    fn make_with_a_key_adds_a_signature_to_those_that_are_kept() {
        for sign in [SigningKey::Own, SigningKey::Snakeoil, SigningKey::Stranger] {
            let (program, keys) = made(Some(&[]), Some(sign));
            assert_eq!((program.kind, program.signatures.len()), (Kind::Shim, 1));
            assert!(keys.check(&program).is_ok(), "{sign:?}");
            assert!(
                microsoft(KeySet::Microsoft2011And2023)
                    .check(&program)
                    .is_err()
            );
        }
        let (program, keys) = made(None, Some(SigningKey::Own));
        assert_eq!(program.signatures.len(), 3);
        assert!(keys.check(&program).is_ok());
        assert!(microsoft(KeySet::Microsoft2023).check(&program).is_ok());
    }

    #[test]
    fn make_without_signatures_gives_an_unsigned_program() {
        let (program, _) = made(Some(&["Nobody"]), None);
        let refused = microsoft(KeySet::Microsoft2011).check(&program);
        assert_eq!(refused, Err(Refusal::Unsigned));
    }
}
