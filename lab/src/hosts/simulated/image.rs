//! Checks of kernels and initrds that a simulated machine makes before it would start the kernel. Pure.
//!
//! Kind, architecture and length are checked as far as the file itself contains them. Nothing is unpacked.

use images::catalog::Role;
use images::verify::content;

use super::nbp::{self, NotBootable};

/// Reason why a file is not a valid kernel or initrd.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotAnImage {
    #[error("{0}")]
    Content(#[from] content::WrongContent),
    #[error("the kernel has no EFI stub for x86-64: {0}")]
    NoStub(NotBootable),
    #[error("the kernel is not for x86")]
    Architecture,
    #[error("the file ends after {has} bytes, and its headers say {needs}")]
    CutOff { has: u64, needs: u64 },
    #[error("the {0} ends in the middle")]
    Unfinished(&'static str),
}

/// Number of bytes that determine the kind of a file.
const HEAD: usize = 1024;

/// Checks a file that a script loads as kernel.
pub(super) fn check_kernel(file: &[u8], is_uefi: bool) -> Result<(), NotAnImage> {
    content::check_head(head(file), Role::Kernel)?;
    if is_uefi {
        nbp::efi_program(file).map_err(NotAnImage::NoStub)?;
        return Ok(());
    }
    if !nbp::is_bzimage(file) {
        return Err(NotAnImage::Architecture);
    }
    let has = u64::try_from(file.len()).unwrap_or(u64::MAX);
    match nbp::bzimage_length(file) {
        Some(needs) if has.next_multiple_of(16) < needs => Err(NotAnImage::CutOff { has, needs }),
        _ => Ok(()),
    }
}

/// Checks a file that a script loads as initrd, and returns its kind.
pub(super) fn check_initrd(file: &[u8]) -> Result<&'static str, NotAnImage> {
    content::check_head(head(file), Role::Initrd)?;
    let whole = |kind, is_whole| match is_whole {
        true => Ok(kind),
        false => Err(NotAnImage::Unfinished(kind)),
    };
    if file.starts_with(b"07070") {
        return whole("cpio archive", cpio_is_whole(file));
    }
    if file.starts_with(b"\xfd7zXZ") {
        // Stream footer; zeros may follow (The .xz File Format, sections 2.1.2 and 2.2).
        let last = file.iter().rposition(|byte| *byte != 0);
        let footer = last.and_then(|last| file.get(..=last));
        return whole(
            "xz stream",
            footer.is_some_and(|file| file.ends_with(b"YZ")),
        );
    }
    Ok(match file {
        [0x1f, 0x8b, ..] => "gzip stream",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "zstd stream",
        _ => "compressed archive",
    })
}

fn head(file: &[u8]) -> &[u8] {
    file.get(..file.len().min(HEAD)).unwrap_or_default()
}

/// True if the first archive of the file has its trailer (cpio format `newc`). Data after it, such as the real
/// initrd behind microcode, is ignored.
fn cpio_is_whole(file: &[u8]) -> bool {
    let mut rest = file;
    // An entry takes at least 110 bytes, so that the loop ends.
    loop {
        let Some(entry) = cpio_entry(rest) else {
            return false;
        };
        let (name, length) = entry;
        if name == b"TRAILER!!!" {
            return true;
        }
        match rest.get(length..) {
            Some(next) => rest = next,
            None => return false,
        }
    }
}

/// Returns name and length, including padding, of the first entry.
fn cpio_entry(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let header = bytes.get(..110)?;
    if !header.starts_with(b"07070") {
        return None;
    }
    let number = |index: usize| {
        let digits = header.get(6 + index * 8..)?.get(..8)?;
        usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let (data, name) = (number(6)?, number(11)?);
    let text = bytes.get(110..)?.get(..name)?;
    let start = (110 + name).next_multiple_of(4);
    let length = (start + data).next_multiple_of(4);
    Some((text.strip_suffix(b"\0")?, length))
}

#[cfg(test)]
mod tests {
    use super::super::pe::tests::application;
    use super::*;

    fn bzimage(length: usize) -> Vec<u8> {
        let mut file = vec![0x90; length];
        file[0x1f1] = 1;
        let paragraphs = u32::try_from((length - 1024) / 16).unwrap();
        file[0x1f4..0x1f8].copy_from_slice(&paragraphs.to_le_bytes());
        file[0x1fe..0x200].copy_from_slice(b"\x55\xaa");
        file[0x202..0x206].copy_from_slice(b"HdrS");
        file
    }

    fn cpio(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut file = Vec::new();
        for (name, data) in entries.iter().chain(&[("TRAILER!!!", &b""[..])]) {
            let zeros = "00000000";
            let (data_length, name_length) = (data.len(), name.len() + 1);
            file.extend(
                format!(
                    "070701{}{data_length:08x}{}{name_length:08x}{zeros}",
                    zeros.repeat(6),
                    zeros.repeat(4)
                )
                .bytes(),
            );
            file.extend(name.bytes());
            file.push(0);
            file.resize(file.len().next_multiple_of(4), 0);
            file.extend(*data);
            file.resize(file.len().next_multiple_of(4), 0);
        }
        file
    }

    #[test]
    fn check_kernel_whole_bzimage_runs_on_bios_and_a_cut_one_does_not() {
        let whole = bzimage(8192);
        assert_eq!(check_kernel(&whole, false), Ok(()));
        let cut = check_kernel(&whole[..4096], false);
        assert!(
            matches!(
                cut,
                Err(NotAnImage::CutOff {
                    has: 4096,
                    needs: 8192
                })
            ),
            "{cut:?}"
        );
        // Without an EFI stub.
        assert!(matches!(
            check_kernel(&whole, true),
            Err(NotAnImage::NoStub(_))
        ));
    }

    #[test]
    fn check_kernel_something_else_is_refused() {
        for file in [&b""[..], b"<html>", b"\x1f\x8b\x08", &application(b"")] {
            assert!(check_kernel(file, false).is_err());
            assert!(check_kernel(file, true).is_err());
        }
    }

    #[test]
    fn check_initrd_archives_are_whole_or_refused() {
        let whole = cpio(&[("init", b"#!/bin/sh\n"), ("etc/issue", b"x")]);
        assert_eq!(check_initrd(&whole), Ok("cpio archive"));
        for length in [6, 110, 120, 140, whole.len() - 130] {
            let cut = check_initrd(&whole[..length]);
            assert_eq!(cut, Err(NotAnImage::Unfinished("cpio archive")), "{length}");
        }
        assert_eq!(check_initrd(b"\xfd7zXZ\0data..YZ\0\0\0\0"), Ok("xz stream"));
        assert!(check_initrd(b"\xfd7zXZ\0data").is_err());
        assert_eq!(check_initrd(b"\x1f\x8b\x08data"), Ok("gzip stream"));
        for file in [
            &b""[..],
            b"404 page not found\n",
            b"\x7fELF",
            &bzimage(2048),
        ] {
            assert!(check_initrd(file).is_err());
        }
    }
}
