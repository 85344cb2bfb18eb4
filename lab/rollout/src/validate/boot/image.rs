//! Kind of a kernel or initrd, by its first bytes.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Number of bytes read of a file.
const HEAD_BYTES: u64 = 4096;

/// An architecture of machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arch {
    I386,
    X86_64,
    Arm64,
    Riscv64,
}

impl Arch {
    /// Parses the label `arch`, which is iPXE's setting `buildarch`, and other common names.
    pub(super) fn of_label(label: &str) -> Option<Arch> {
        match label {
            "i386" | "i486" | "i586" | "i686" | "x86" => Some(Arch::I386),
            "x86_64" | "amd64" => Some(Arch::X86_64),
            "arm64" | "aarch64" => Some(Arch::Arm64),
            "riscv64" => Some(Arch::Riscv64),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Arch::I386 => "i386",
            Arch::X86_64 => "x86_64",
            Arch::Arm64 => "arm64",
            Arch::Riscv64 => "riscv64",
        }
    }

    /// True if a machine of this architecture runs a kernel of that one.
    pub(super) fn runs(self, kernel: Arch) -> bool {
        self == kernel || (self, kernel) == (Arch::X86_64, Arch::I386)
    }
}

/// Kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Image {
    /// A kernel that boot loaders start.
    Kernel(Option<Arch>),
    /// Something that Linux unpacks or mounts at boot.
    Initrd,
    /// Something else, by its name.
    Other(&'static str),
}

/// Looks at the first bytes of a file.
pub(super) fn of_file(path: &Path) -> io::Result<Image> {
    let mut head = Vec::new();
    File::open(path)?.take(HEAD_BYTES).read_to_end(&mut head)?;
    Ok(of_head(&head))
}

fn at(head: &[u8], offset: usize, magic: &[u8]) -> bool {
    head.get(offset..offset + magic.len()) == Some(magic)
}

fn number(head: &[u8], offset: usize) -> Option<usize> {
    let bytes: [u8; 4] = head.get(offset..offset + 4)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(bytes)).ok()
}

/// Beginnings of what Linux takes as initrd: cpio archives, what they are packed with, squashfs.
const INITRDS: &[&[u8]] = &[
    b"070701",
    b"070702",
    b"070707",
    b"\x1f\x8b",
    b"\xfd7zXZ\0",
    b"\x28\xb5\x2f\xfd",
    b"BZh",
    b"\x5d\0\0",
    b"\x02\x21\x4c\x18",
    b"\x04\x22\x4d\x18",
    b"\x89LZO",
    b"hsqs",
];

/// Beginnings of files that end up among the assets by mistake.
const OTHERS: &[(&[u8], &str)] = &[
    (b"\x7fELF", "an ELF program (vmlinux is not vmlinuz)"),
    (b"#!ipxe", "an iPXE script"),
    (b"#!", "a script"),
    (b"<", "an HTML page: the download returned a message"),
    (b"{", "JSON"),
    (b"-----BEGIN PGP", "a signature"),
    (b"\x89PGP", "a signature"),
    (b"PK\x03\x04", "a ZIP archive"),
];

fn of_head(head: &[u8]) -> Image {
    if head.is_empty() {
        return Image::Other("empty");
    }
    if at(head, 0x1fe, b"\x55\xaa") && at(head, 0x202, b"HdrS") {
        /// `xloadflags` in the header of the boot protocol, and its bit for 64-bit kernels.
        const XLOADFLAGS: usize = 0x236;
        let is_64_bit = head.get(XLOADFLAGS).is_some_and(|flags| flags & 1 == 1);
        return Image::Kernel(Some(if is_64_bit { Arch::X86_64 } else { Arch::I386 }));
    }
    if at(head, 0x38, b"ARM\x64") {
        return Image::Kernel(Some(Arch::Arm64));
    }
    if at(head, 0x38, b"RSC\x05") {
        return Image::Kernel(Some(Arch::Riscv64));
    }
    if at(head, 0, b"MZ")
        && let Some(header) = number(head, 0x3c)
        && at(head, header, b"PE\0\0")
    {
        let machine = head.get(header + 4..header + 6);
        return Image::Kernel(match machine {
            Some([0x64, 0x86]) => Some(Arch::X86_64),
            Some([0x4c, 0x01]) => Some(Arch::I386),
            Some([0x64, 0xaa]) => Some(Arch::Arm64),
            Some([0x64, 0x50]) => Some(Arch::Riscv64),
            _ => None,
        });
    }
    if INITRDS.iter().any(|magic| at(head, 0, magic)) {
        return Image::Initrd;
    }
    let known = OTHERS.iter().find(|(magic, _)| at(head, 0, magic));
    Image::Other(known.map_or("of unknown kind", |(_, what)| *what))
}

#[cfg(test)]
pub(in crate::validate) mod tests {
    use super::*;

    /// Returns the first bytes of a bzImage.
    pub(in crate::validate) fn bzimage(is_64_bit: bool) -> Vec<u8> {
        let mut head = vec![0; 1024];
        head[0x1fe..0x200].copy_from_slice(b"\x55\xaa");
        head[0x202..0x206].copy_from_slice(b"HdrS");
        head[0x236] = u8::from(is_64_bit);
        head
    }

    #[test]
    fn kernels_are_told_by_their_headers() {
        assert_eq!(of_head(&bzimage(true)), Image::Kernel(Some(Arch::X86_64)));
        assert_eq!(of_head(&bzimage(false)), Image::Kernel(Some(Arch::I386)));
        let mut arm = vec![0; 128];
        arm[0x38..0x3c].copy_from_slice(b"ARM\x64");
        assert_eq!(of_head(&arm), Image::Kernel(Some(Arch::Arm64)));
        let mut pe = vec![0; 128];
        pe[..2].copy_from_slice(b"MZ");
        pe[0x3c] = 0x40;
        pe[0x40..0x46].copy_from_slice(b"PE\0\0\x64\xaa");
        assert_eq!(of_head(&pe), Image::Kernel(Some(Arch::Arm64)));
    }

    #[test]
    fn initrds_and_mistakes_are_told_apart() {
        for head in [
            &b"070701000"[..],
            b"\x1f\x8b\x08",
            b"\xfd7zXZ\0",
            b"\x28\xb5\x2f\xfd",
            b"hsqs",
        ] {
            assert_eq!(of_head(head), Image::Initrd);
        }
        for head in [&b""[..], b"<html>", b"\x7fELF\x02", b"MZ short", b"text"] {
            assert!(matches!(of_head(head), Image::Other(_)), "{head:?}");
        }
    }
}
