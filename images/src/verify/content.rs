//! Check that a file is of its declared kind. A signature does not name the file it belongs to: a server that
//! serves the initrd and its signature under the kernel's name would get through without this.

use std::io::Read;
use std::path::Path;

use thiserror::Error;

use crate::catalog::Role;

/// Offset and value of the magic in Linux's x86 boot protocol (Documentation/arch/x86/boot.rst).
const X86_MAGIC: (usize, &[u8]) = (0x202, b"HdrS");
/// Offset and value of the magic of an arm64 kernel (Documentation/arch/arm64/booting.rst).
const ARM64_MAGIC: (usize, &[u8]) = (0x38, b"ARM\x64");
/// A compressed arm64 kernel is an EFI program with this (drivers/firmware/efi/libstub/zboot-header.S).
const ZBOOT_MAGIC: (usize, &[u8]) = (4, b"zimg");
/// Magic numbers of an initrd: cpio, or cpio behind one of the kernel's decompressors (lib/decompress.c).
const INITRD_MAGIC: [&[u8]; 9] = [
    b"070701",
    b"070702",
    b"\x1f\x8b",
    b"\xfd7zXZ",
    b"\x28\xb5\x2f\xfd",
    b"\x02\x21\x4c\x18",
    b"BZh",
    b"\x5d\x00\x00",
    b"\x89LZO",
];

/// Kind of a file by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Kernel,
    Initrd,
    Neither,
}

/// A file that is something else than it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("wrong content: {} instead of {}", found.words(), expected(*role))]
pub struct WrongContent {
    role: Role,
    found: Kind,
}

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Kind::Kernel => "a kernel",
            Kind::Initrd => "an initrd",
            Kind::Neither => "neither a kernel nor an initrd",
        }
    }
}

fn expected(role: Role) -> &'static str {
    match role {
        Role::Kernel => "a kernel",
        Role::Initrd => "an initrd",
        Role::Rootfs => "a root file system in the form of an initrd",
    }
}

/// Looks at the beginning of the file at `path`.
///
/// # Errors
/// Reading it, or [`WrongContent`] inside.
pub fn check(path: &Path, role: Role) -> std::io::Result<Result<(), WrongContent>> {
    let mut head = Vec::new();
    std::fs::File::open(path)?
        .take(1024)
        .read_to_end(&mut head)?;
    Ok(check_head(&head, role))
}

/// Looks at the first bytes of a file; 1 KiB is enough.
///
/// # Errors
/// [`WrongContent`] if they are not those of the file in this role.
pub fn check_head(head: &[u8], role: Role) -> Result<(), WrongContent> {
    let found = kind(head);
    let good = match role {
        Role::Kernel => found == Kind::Kernel,
        Role::Initrd | Role::Rootfs => found == Kind::Initrd,
    };
    match good {
        true => Ok(()),
        false => Err(WrongContent { role, found }),
    }
}

fn kind(head: &[u8]) -> Kind {
    let has =
        |(at, magic): (usize, &[u8])| head.get(at..).is_some_and(|rest| rest.starts_with(magic));
    if [X86_MAGIC, ARM64_MAGIC, ZBOOT_MAGIC].into_iter().any(has) {
        Kind::Kernel
    } else if INITRD_MAGIC.iter().any(|magic| head.starts_with(magic)) {
        Kind::Initrd
    } else {
        Kind::Neither
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: usize, magic: &[u8]) -> Vec<u8> {
        let mut head = vec![0; offset];
        head.extend(magic);
        head
    }

    #[test]
    fn kernels_and_initrds_are_told_apart() {
        for (offset, magic) in [X86_MAGIC, ARM64_MAGIC, ZBOOT_MAGIC] {
            assert_eq!(kind(&at(offset, magic)), Kind::Kernel);
        }
        for magic in INITRD_MAGIC {
            assert_eq!(kind(magic), Kind::Initrd);
        }
        assert_eq!(kind(b"<html>404"), Kind::Neither);
        assert_eq!(kind(b""), Kind::Neither);
    }

    #[test]
    fn an_initrd_under_the_kernels_name_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kernel");
        std::fs::write(&path, b"\x1f\x8b...").unwrap();
        let wrong = check(&path, Role::Kernel).unwrap().unwrap_err();
        assert_eq!(
            wrong.to_string(),
            "wrong content: an initrd instead of a kernel"
        );
        assert_eq!(check(&path, Role::Initrd).unwrap(), Ok(()));
    }
}
