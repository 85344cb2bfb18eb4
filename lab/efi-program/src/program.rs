//! PE files: header, sections and certificate table (Microsoft's "PE Format"; Authenticode).

use authenticode::{AttributeCertificateIterator, PeTrait, authenticode_digest};
use object::pe;
use object::read::pe::{ImageNtHeaders, PeFile, PeFile32, PeFile64};
use object::{FileKind, LittleEndian, Object, ObjectSection};
use ring::digest::{Context, SHA256};
use thiserror::Error;

use crate::sbat::{self, Component};
use crate::shim::Shim;
use crate::signature::Signature;

/// Architecture of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    I386,
    X86_64,
    Arm,
    Arm64,
    RiscV64,
    /// Another `Machine` of the PE header.
    Other(u16),
}

impl Architecture {
    /// Returns the usual name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Architecture::I386 => "i386",
            Architecture::X86_64 => "x86_64",
            Architecture::Arm => "arm",
            Architecture::Arm64 => "arm64",
            Architecture::RiscV64 => "riscv64",
            Architecture::Other(_) => "another architecture",
        }
    }

    fn of_machine(machine: u16) -> Architecture {
        match machine {
            pe::IMAGE_FILE_MACHINE_I386 => Architecture::I386,
            pe::IMAGE_FILE_MACHINE_AMD64 => Architecture::X86_64,
            pe::IMAGE_FILE_MACHINE_ARM | pe::IMAGE_FILE_MACHINE_THUMB => Architecture::Arm,
            pe::IMAGE_FILE_MACHINE_ARM64 => Architecture::Arm64,
            pe::IMAGE_FILE_MACHINE_RISCV64 => Architecture::RiscV64,
            other => Architecture::Other(other),
        }
    }
}

/// Job of a program in a network boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Shim,
    Grub,
    Kernel,
    /// MokManager and fallback, which shim starts.
    ShimHelper,
    /// iPXE, a unified kernel image, or something else.
    Other,
}

impl Kind {
    /// Returns the name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Shim => "shim",
            Kind::Grub => "GRUB",
            Kind::Kernel => "kernel",
            Kind::ShimHelper => "helper of shim",
            Kind::Other => "EFI program",
        }
    }
}

/// Error of a file that is no EFI program, or a damaged one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProgramError {
    #[error("not an EFI program")]
    NotPe,
    #[error("malformed EFI program: {0}")]
    Header(String),
    #[error("malformed EFI program: a section or the certificate table is outside of the file")]
    Offset,
}

/// EFI program.
#[derive(Debug, Clone)]
pub struct Program {
    pub architecture: Architecture,
    pub kind: Kind,
    /// SHA-256 as in signatures and in `dbx`: without checksum and certificate table.
    pub sha256: [u8; 32],
    /// Signatures in their order; the firmware needs one that it accepts.
    pub signatures: Vec<Signature>,
    /// Components of the section `.sbat`; empty without one.
    pub sbat: Vec<Component>,
    /// Keys and revocations inside, if the program is shim.
    pub shim: Option<Shim>,
}

impl Program {
    /// True if the first bytes are those of a PE file.
    #[must_use]
    pub fn is_one(data: &[u8]) -> bool {
        matches!(FileKind::parse(data), Ok(FileKind::Pe32 | FileKind::Pe64))
    }

    /// Parses a file.
    ///
    /// # Errors
    /// [`ProgramError`] if it is no EFI program, or a damaged one.
    pub fn read(data: &[u8]) -> Result<Program, ProgramError> {
        let header = |error: object::Error| ProgramError::Header(error.to_string());
        match FileKind::parse(data) {
            Ok(FileKind::Pe64) => of(&PeFile64::parse(data).map_err(header)?, data),
            Ok(FileKind::Pe32) => of(&PeFile32::parse(data).map_err(header)?, data),
            _ => Err(ProgramError::NotPe),
        }
    }
}

/// SHA-256 of `ring` behind the trait that `authenticode` wants.
struct Sha256(Context);

impl digest::Update for Sha256 {
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }
}

fn of<I: ImageNtHeaders>(file: &PeFile<'_, I>, data: &[u8]) -> Result<Program, ProgramError> {
    let machine = file.nt_headers().file_header().machine.get(LittleEndian);
    let section = |name: &str| {
        let section = file.section_by_name(name)?;
        section.data().ok()
    };
    let mut hash = Sha256(Context::new(&SHA256));
    authenticode_digest(file, &mut hash).map_err(|_| ProgramError::Offset)?;
    let sha256 = hash.0.finish();
    let sha256 = <[u8; 32]>::try_from(sha256.as_ref()).unwrap_or_default();
    let sbat = section(".sbat").map(sbat::read).unwrap_or_default();
    let shim = section(".vendor_cert").map(|keys| Shim::read(keys, section(".sbatlevel")));
    let component = |name: &str| {
        let is_it = |one: &Component| one.name == name;
        sbat.iter().any(is_it)
    };
    let kind = if shim.is_some() {
        Kind::Shim
    } else if is_kernel(data) {
        Kind::Kernel
    } else if component("grub") || file.section_by_name("mods").is_some() {
        Kind::Grub
    } else if component("shim") {
        Kind::ShimHelper
    } else {
        Kind::Other
    };
    Ok(Program {
        architecture: Architecture::of_machine(machine),
        kind,
        sha256,
        signatures: signatures(file, &sha256)?,
        sbat,
        shim,
    })
}

fn signatures(file: &dyn PeTrait, sha256: &[u8; 32]) -> Result<Vec<Signature>, ProgramError> {
    let table = AttributeCertificateIterator::new(file).map_err(|_| ProgramError::Offset)?;
    let mut signatures = Vec::new();
    for entry in table.into_iter().flatten() {
        let entry = entry.map_err(|_| ProgramError::Offset)?;
        signatures.push(Signature::read(&entry, sha256));
    }
    Ok(signatures)
}

/// True for Linux: the header of x86's boot protocol (`Documentation/arch/x86/boot.rst`), or that of ARM64's `Image`.
fn is_kernel(data: &[u8]) -> bool {
    let at = |offset: usize, magic: &[u8]| data.get(offset..offset + magic.len()) == Some(magic);
    at(0x202, b"HdrS") || at(0x38, b"ARM\x64")
}
