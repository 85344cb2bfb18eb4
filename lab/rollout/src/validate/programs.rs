//! EFI programs among the assets and in the data directory: signers, SBAT and architecture, without a boot.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use efi_program::{Program, ProgramError};
use serde::Serialize;

/// Depth of folders that are searched.
const DEPTH: usize = 8;
/// Number of files that are looked at.
const FILES: usize = 20_000;
/// Largest program: kernels with an initrd inside have some hundred MiB.
const LARGEST: u64 = 1 << 30;

/// EFI program, as reports show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EfiProgram {
    pub file: String,
    /// "shim", "GRUB", "kernel", "helper of shim" or "EFI program".
    pub kind: &'static str,
    pub architecture: &'static str,
    /// SHA-256 as in signatures and in `dbx`, in hex.
    pub sha256: String,
    pub signatures: Vec<EfiSignature>,
    /// Components with their generation: `grub,5`.
    pub sbat: Vec<String>,
    /// Certificates inside of shim, by whose keys it starts programs.
    pub vendors: Vec<String>,
    /// Defect of the file, about which nothing else is known then.
    pub error: Option<String>,
}

/// Signature of an EFI program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EfiSignature {
    pub signer: String,
    /// Issuer of the signer's certificate.
    pub authority: String,
    /// Defect, with which no firmware accepts the signature.
    pub problem: Option<String>,
}

impl EfiProgram {
    fn of(file: &Path, read: &Result<Program, ProgramError>) -> EfiProgram {
        let file = file.display().to_string();
        match read {
            Ok(program) => EfiProgram {
                file,
                kind: program.kind.name(),
                architecture: program.architecture.name(),
                sha256: hex::encode(program.sha256),
                signatures: program
                    .signatures
                    .iter()
                    .map(|one| EfiSignature {
                        signer: one.signer.clone(),
                        authority: one.issuer.clone(),
                        problem: one.problem.map(|problem| problem.to_string()),
                    })
                    .collect(),
                sbat: program
                    .sbat
                    .iter()
                    .map(|one| format!("{},{}", one.name, one.generation))
                    .collect(),
                vendors: program
                    .shim
                    .as_ref()
                    .map_or_else(Vec::new, |shim| shim.vendors()),
                error: None,
            },
            Err(error) => EfiProgram {
                file,
                kind: "EFI program",
                architecture: "unknown",
                sha256: String::new(),
                signatures: Vec::new(),
                sbat: Vec::new(),
                vendors: Vec::new(),
                error: Some(error.to_string()),
            },
        }
    }
}

impl fmt::Display for EfiProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(error) = &self.error {
            return write!(f, "{}: {error}", self.file);
        }
        write!(
            f,
            "{}: {} for {}; ",
            self.file, self.kind, self.architecture
        )?;
        let signers: Vec<String> = self
            .signatures
            .iter()
            .map(|one| {
                let problem = one.problem.as_ref();
                let problem = problem.map_or_else(String::new, |why| format!(", invalid: {why}"));
                format!("`{}` (CA `{}`{problem})", one.signer, one.authority)
            })
            .collect();
        match signers.is_empty() {
            true => write!(f, "not signed")?,
            false => write!(f, "signed by {}", signers.join(" and "))?,
        }
        match self.sbat.is_empty() {
            true => write!(f, "; no SBAT")?,
            false => write!(f, "; SBAT {}", self.sbat.join(" "))?,
        }
        if !self.vendors.is_empty() {
            write!(f, "; starts programs of `{}`", self.vendors.join("`, `"))?;
        }
        Ok(())
    }
}

/// EFI programs by their canonical paths.
#[derive(Debug, Default)]
pub(super) struct Programs(BTreeMap<PathBuf, Result<Program, ProgramError>>);

impl Programs {
    /// Finds the programs in these folders; what cannot be read is reported by other rules.
    pub(super) fn find(folders: &[&Path]) -> Programs {
        let mut programs = Programs::default();
        let mut left = FILES;
        for folder in folders {
            programs.search(folder, DEPTH, &mut left);
        }
        programs
    }

    fn search(&mut self, folder: &Path, depth: usize, left: &mut usize) {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        for entry in entries {
            let Some(fewer) = left.checked_sub(1) else {
                return;
            };
            *left = fewer;
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth > 0 => self.search(&path, depth - 1, left),
                Ok(kind) if !kind.is_dir() => {
                    self.read(&path);
                }
                _ => {}
            }
        }
    }

    /// Reads a file unless it was read before; `None` if it is no EFI program.
    pub(super) fn read(&mut self, path: &Path) -> Option<&Result<Program, ProgramError>> {
        let path = fs::canonicalize(path).ok()?;
        if !self.0.contains_key(&path) {
            let data = contents(&path)?;
            self.0.insert(path.clone(), Program::read(&data));
        }
        self.0.get(&path)
    }

    /// Returns the program in a file that was found.
    pub(super) fn get(&self, path: &Path) -> Option<&Result<Program, ProgramError>> {
        self.0.get(&fs::canonicalize(path).ok()?)
    }

    /// Returns the programs that could be read, with their files.
    pub(super) fn sound(&self) -> impl Iterator<Item = (&Path, &Program)> {
        let read = self.0.iter();
        read.filter_map(|(path, program)| Some((path.as_path(), program.as_ref().ok()?)))
    }

    /// Returns the programs for reports.
    pub(super) fn describe(&self) -> Vec<EfiProgram> {
        let all = self.0.iter();
        all.map(|(path, read)| EfiProgram::of(path, read)).collect()
    }
}

/// Returns the contents of a file that begins as an EFI program does.
fn contents(path: &Path) -> Option<Vec<u8>> {
    const MAGIC: &[u8; 2] = b"MZ";
    let mut file = File::open(path).ok()?;
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() || metadata.len() > LARGEST {
        return None;
    }
    let mut data = vec![0; MAGIC.len()];
    file.read_exact(&mut data).ok()?;
    if data != MAGIC {
        return None;
    }
    file.read_to_end(&mut data).ok()?;
    Program::is_one(&data).then_some(data)
}
