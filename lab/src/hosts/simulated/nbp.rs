//! Checks of boot programs by simulated machines. Pure.
//!
//! A simulated machine executes nothing and implements only iPXE's boot. BIOS firmware would jump into any file,
//! including text, and crash. A simulated machine refuses every file that is not recognisably a build of iPXE
//! for its firmware, with a reason. The code itself is not examined: a build of iPXE with a damaged byte is
//! accepted unless the host has the original.

use super::pe::{self, EFI_APPLICATION, X64};

/// Maximum size of a boot program that iPXE starts on BIOS: base memory from 0x7c00 to 0x9fc00 (`pxe_probe` in
/// iPXE's `src/arch/x86/image/pxe_image.c`).
const BIOS_PROGRAM_MAX: usize = 0x9fc00 - 0x7c00;
/// Minimum size of a boot program: one disk sector.
const PROGRAM_MIN: usize = 512;
/// Load address of boot programs on BIOS.
const LOAD_ADDRESS: usize = 0x7c00;
/// Instruction `pushl` of the stack mark with which iPXE's prefixes begin (`src/arch/x86/prefix/pxeprefix.S`).
const IPXE_PREFIX_MARK: &[u8] = b"\x66\x68LRET";
/// Number of bytes of the prefix that contain the mark.
const IPXE_PREFIX_LENGTH: usize = 64;
/// Header of PXELINUX after its first jump (`pxelinux.asm`).
const PXELINUX_MAGIC: &[u8] = b"\xac\xc8\x83\x29";

/// Kind of a file, as iPXE sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Image {
    /// iPXE script.
    Script,
    /// Any other file.
    Program,
}

/// Distinguishes scripts from programs.
pub(super) fn identify(file: &[u8]) -> Image {
    match file.starts_with(b"#!ipxe") {
        true => Image::Script,
        false => Image::Program,
    }
}

/// Reason why a file cannot be started as a boot program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotBootable {
    #[error("the file is empty")]
    Empty,
    #[error("the file is an iPXE script")]
    Script,
    #[error("the file is text")]
    Text,
    #[error("the file is {0}")]
    Other(&'static str),
    #[error("{0} bytes are too few for a boot program")]
    TooShort(usize),
    #[error("{0} bytes are more than the {BIOS_PROGRAM_MAX} that BIOS has memory for")]
    TooLong(usize),
    #[error("the file does not begin with a jump into itself, as boot programs for BIOS do")]
    NoJump,
    #[error("the file is not a build of iPXE, and simulated machines know no other boot program")]
    NotIpxe,
    #[error("the file is not a PE program, which UEFI firmware requires")]
    NotPe,
    #[error("the program is for machine type {0:#06x}, and the machine is x86-64 (0x8664)")]
    Machine(u16),
    #[error("the program is 32-bit PE, and x86-64 firmware requires PE32+")]
    Not64Bit,
    #[error("the program's subsystem is {0}, and firmware boots EFI applications (10)")]
    Subsystem(u16),
    #[error("the program has no entry point in its sections")]
    NoEntry,
    #[error("the file ends after {has} bytes, and the program's headers say {needs}")]
    CutOff { has: u64, needs: u64 },
}

/// First bytes of files that are not boot programs, with their kinds.
const OTHERS: [(&[u8], &str); 12] = [
    (b"MZ", "a program for UEFI or DOS"),
    (b"\x7fELF", "an ELF program"),
    (b"\x1f\x8b", "compressed with gzip"),
    (b"\xfd7zXZ", "compressed with xz"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
    (b"BZh", "compressed with bzip2"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"070701", "a cpio archive"),
    (b"hsqs", "a squashfs"),
    (b"%PDF", "a PDF document"),
    (b"\x55\xaa", "an option ROM"),
    (b"\x89PNG", "a picture"),
];

/// Checks a file that iPXE on BIOS is about to start.
pub(super) fn check_bios(file: &[u8]) -> Result<(), NotBootable> {
    plausible(file)?;
    if is_bzimage(file) {
        return bzimage(file);
    }
    if let Some((_, what)) = OTHERS.iter().find(|(magic, _)| file.starts_with(magic)) {
        return Err(NotBootable::Other(what));
    }
    if file.len() > BIOS_PROGRAM_MAX {
        return Err(NotBootable::TooLong(file.len()));
    }
    if file.get(8..12) == Some(PXELINUX_MAGIC) {
        return Err(NotBootable::NotIpxe);
    }
    if !jumps_into_itself(file) {
        return Err(NotBootable::NoJump);
    }
    let prefix = file.get(..IPXE_PREFIX_LENGTH).unwrap_or_default();
    let mut windows = prefix.windows(IPXE_PREFIX_MARK.len());
    match windows.any(|window| window == IPXE_PREFIX_MARK) {
        true => Ok(()),
        false => Err(NotBootable::NotIpxe),
    }
}

/// Checks a file that x86-64 UEFI firmware, or iPXE on it, is about to start.
pub(super) fn check_uefi(file: &[u8]) -> Result<(), NotBootable> {
    plausible(file)?;
    let program = efi_program(file)?;
    if program.subsystem != EFI_APPLICATION {
        return Err(NotBootable::Subsystem(program.subsystem));
    }
    // iPXE's user agent, banner and build name are not compressed in its EFI programs.
    match file.windows(4).any(|window| window == b"iPXE") {
        true => Ok(()),
        false => Err(NotBootable::NotIpxe),
    }
}

/// Returns the headers of a program that x86-64 firmware accepts: complete, and for its architecture.
pub(super) fn efi_program(file: &[u8]) -> Result<pe::Pe, NotBootable> {
    let program = pe::read(file).ok_or(NotBootable::NotPe)?;
    let has = u64::try_from(file.len()).unwrap_or(u64::MAX);
    match program {
        _ if program.machine != X64 => Err(NotBootable::Machine(program.machine)),
        _ if !program.is_64_bit => Err(NotBootable::Not64Bit),
        _ if program.needs > has => Err(NotBootable::CutOff {
            has,
            needs: program.needs,
        }),
        _ if !program.has_entry => Err(NotBootable::NoEntry),
        whole => Ok(whole),
    }
}

/// Rejects files that are no program for any firmware.
fn plausible(file: &[u8]) -> Result<(), NotBootable> {
    if file.is_empty() {
        return Err(NotBootable::Empty);
    }
    if identify(file) == Image::Script {
        return Err(NotBootable::Script);
    }
    if is_text(file) {
        return Err(NotBootable::Text);
    }
    match file.len() < PROGRAM_MIN {
        true => Err(NotBootable::TooShort(file.len())),
        false => Ok(()),
    }
}

/// True if the first kilobyte is printable: UTF-8 without control characters other than white space.
fn is_text(file: &[u8]) -> bool {
    let head = file.get(..file.len().min(1024)).unwrap_or_default();
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // A character cut in half by the limit.
        Err(error) if error.error_len().is_none() => {
            let whole = head.get(..error.valid_up_to()).unwrap_or_default();
            std::str::from_utf8(whole).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.chars().any(|c| c.is_control() && !c.is_whitespace())
}

/// True if the first instruction is a jump to a place inside the program.
fn jumps_into_itself(file: &[u8]) -> bool {
    let target = match *file {
        // ljmp offset, segment
        [0xea, o1, o2, s1, s2, ..] => {
            let segment = usize::from(u16::from_le_bytes([s1, s2]));
            let offset = usize::from(u16::from_le_bytes([o1, o2]));
            (segment * 16 + offset).checked_sub(LOAD_ADDRESS)
        }
        // jmp near
        [0xe9, o1, o2, ..] => Some(3 + usize::from(u16::from_le_bytes([o1, o2]))),
        // jmp short
        [0xeb, offset, ..] => Some(2 + usize::from(offset)),
        _ => None,
    };
    target.is_some_and(|target| (2..file.len()).contains(&target))
}

/// True if the file has the header of a Linux kernel for BIOS (Linux's `Documentation/arch/x86/boot.rst`).
pub(super) fn is_bzimage(file: &[u8]) -> bool {
    file.get(0x1fe..0x200) == Some(b"\x55\xaa") && file.get(0x202..0x206) == Some(b"HdrS")
}

/// Returns the size of a bzImage according to its headers, rounded up to a paragraph of 16 bytes.
pub(super) fn bzimage_length(file: &[u8]) -> Option<u64> {
    let sectors = match *file.get(0x1f1)? {
        0 => 4,
        sectors => u64::from(sectors),
    };
    let paragraphs = u64::from(pe::u32_at(file, 0x1f4)?);
    Some((sectors + 1) * 512 + paragraphs * 16)
}

/// Checks that a bzImage given as boot program is a complete iPXE (`ipxe.lkrn`).
fn bzimage(file: &[u8]) -> Result<(), NotBootable> {
    // Linux has an EFI stub or a boot sector here; iPXE's prefix begins with its header.
    if file.get(..16) != Some(&[0; 16]) {
        return Err(NotBootable::Other("a Linux kernel, not a boot program"));
    }
    let has = u64::try_from(file.len()).unwrap_or(u64::MAX);
    match bzimage_length(file) {
        Some(needs) if has.next_multiple_of(16) < needs => Err(NotBootable::CutOff { has, needs }),
        Some(_) => Ok(()),
        None => Err(NotBootable::TooShort(file.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::pe::tests::application;
    use super::*;

    /// Debian's package `ipxe`, which the lab needs and `ci/setup.sh` installs.
    fn installed(name: &str) -> Vec<u8> {
        std::fs::read(name).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    const BIOS_PROGRAMS: [&str; 4] = [
        "/usr/lib/ipxe/undionly.kpxe",
        "/usr/lib/ipxe/undionly.kkpxe",
        "/usr/lib/ipxe/ipxe.pxe",
        "/usr/lib/ipxe/ipxe.lkrn",
    ];
    const UEFI_PROGRAMS: [&str; 2] = ["/usr/lib/ipxe/ipxe.efi", "/usr/lib/ipxe/snponly.efi"];

    #[test]
    fn check_debians_ipxe_runs_on_its_own_firmware_only() {
        for name in BIOS_PROGRAMS {
            assert_eq!(check_bios(&installed(name)), Ok(()), "{name}");
            assert_eq!(
                check_uefi(&installed(name)),
                Err(NotBootable::NotPe),
                "{name}"
            );
        }
        for name in UEFI_PROGRAMS {
            assert_eq!(check_uefi(&installed(name)), Ok(()), "{name}");
            let told = check_bios(&installed(name)).unwrap_err();
            assert!(matches!(told, NotBootable::Other(_)), "{name}: {told}");
        }
    }

    /// V4, first: a text.
    #[test]
    fn check_text_is_refused_on_both() {
        let texts = [
            "this is not a boot program\n".repeat(100),
            "<html><body>404</body></html>".repeat(30),
            "ünïcödé ".repeat(300),
            "x".into(),
        ];
        for text in texts {
            assert_eq!(check_bios(text.as_bytes()), Err(NotBootable::Text));
            assert_eq!(check_uefi(text.as_bytes()), Err(NotBootable::Text));
        }
        assert_eq!(check_bios(b""), Err(NotBootable::Empty));
        assert_eq!(check_bios(b"#!ipxe\nboot\n"), Err(NotBootable::Script));
    }

    /// V4, second: random bytes.
    #[test]
    fn check_random_bytes_are_refused_on_both() {
        // xorshift64: the same bytes in every run.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for length in [1, 100, 512, 4096, 74_213] {
            for first in 0..=255_u8 {
                let mut file: Vec<u8> = std::iter::repeat_with(|| {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    (state >> 32) as u8
                })
                .take(length)
                .collect();
                file[0] = first;
                assert!(check_bios(&file).is_err(), "{length} bytes from {first:#x}");
                assert!(check_uefi(&file).is_err(), "{length} bytes from {first:#x}");
            }
        }
        assert!(check_bios(&vec![0; 4096]).is_err());
        assert!(check_uefi(&vec![0; 4096]).is_err());
    }

    #[test]
    fn check_other_files_are_refused_on_bios() {
        for (magic, _) in OTHERS {
            let mut file = magic.to_vec();
            file.resize(4096, 0x90);
            file[64] = 0xff;
            assert!(matches!(check_bios(&file), Err(NotBootable::Other(_))));
        }
        let pxelinux = installed("/usr/lib/PXELINUX/pxelinux.0");
        assert_eq!(check_bios(&pxelinux), Err(NotBootable::NotIpxe));
        let mut long = installed("/usr/lib/ipxe/undionly.kpxe");
        long.resize(BIOS_PROGRAM_MAX + 1, 0);
        assert_eq!(check_bios(&long), Err(NotBootable::TooLong(long.len())));
    }

    #[test]
    fn check_programs_cut_off_are_refused() {
        for name in UEFI_PROGRAMS {
            let file = installed(name);
            for length in [512, 1000, file.len() / 2, file.len() - 1] {
                assert!(check_uefi(&file[..length]).is_err(), "{name}: {length}");
            }
        }
        let lkrn = installed("/usr/lib/ipxe/ipxe.lkrn");
        let cut = check_bios(&lkrn[..lkrn.len() / 2]).unwrap_err();
        assert!(matches!(cut, NotBootable::CutOff { .. }), "{cut}");
    }

    #[test]
    fn check_uefi_another_machine_or_kind_is_refused() {
        let changed = |at: usize, bytes: &[u8]| {
            let mut file = application(b"iPXE");
            file[at..at + bytes.len()].copy_from_slice(bytes);
            check_uefi(&file)
        };
        assert_eq!(check_uefi(&application(b"iPXE")), Ok(()));
        assert_eq!(check_uefi(&application(b"GRUB")), Err(NotBootable::NotIpxe));
        assert_eq!(changed(0x44, &[0x4c, 1]), Err(NotBootable::Machine(0x14c)));
        assert_eq!(
            changed(0x44, &[0x64, 0xaa]),
            Err(NotBootable::Machine(0xaa64))
        );
        assert_eq!(changed(0x58, &[0x0b, 1]), Err(NotBootable::Not64Bit));
        assert_eq!(changed(0x58 + 68, &[3, 0]), Err(NotBootable::Subsystem(3)));
        assert_eq!(changed(0x58 + 16, &[0, 0, 9]), Err(NotBootable::NoEntry));
    }
}
