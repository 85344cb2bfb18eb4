//! Whether firmware would execute a boot program, by its first bytes. Pure.

/// What a file is to firmware.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Image {
    /// A UEFI program for this machine type (PE/COFF `Machine`).
    Uefi(u16),
    /// An iPXE script.
    Script,
    /// Anything else, which BIOS takes for code.
    Code,
}

/// x86-64 in PE/COFF.
const X64: u16 = 0x8664;

/// Reads the first bytes.
pub(super) fn identify(file: &[u8]) -> Image {
    if file.starts_with(b"#!ipxe") {
        return Image::Script;
    }
    machine(file).map_or(Image::Code, Image::Uefi)
}

/// The machine type of a PE file, found by the offset at 0x3c of its DOS header.
fn machine(file: &[u8]) -> Option<u16> {
    let offset: [u8; 4] = file.strip_prefix(b"MZ")?.get(0x3a..0x3e)?.try_into().ok()?;
    let header = file.get(usize::try_from(u32::from_le_bytes(offset)).ok()?..)?;
    let (machine, _) = header.strip_prefix(b"PE\0\0")?.split_first_chunk::<2>()?;
    Some(u16::from_le_bytes(*machine))
}

/// Whether BIOS, or iPXE on it, would execute the file.
pub(super) fn runs_on_bios(file: &[u8]) -> bool {
    identify(file) == Image::Code && !file.is_empty()
}

/// Whether x64 UEFI would.
pub(super) fn runs_on_uefi(file: &[u8]) -> bool {
    identify(file) == Image::Uefi(X64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_programs_run_only_where_they_belong() {
        let mut efi = b"MZ".to_vec();
        efi.resize(0x40, 0);
        efi[0x3c] = 0x40;
        efi.extend(b"PE\0\0\x64\x86");
        assert!(runs_on_uefi(&efi) && !runs_on_bios(&efi));
        efi[0x44] = 0x4c;
        efi[0x45] = 1;
        assert!(!runs_on_uefi(&efi), "32 bit");
        assert!(runs_on_bios(b"\xea\x05\0\xc0\x07") && !runs_on_uefi(b"\xea\x05\0\xc0\x07"));
        assert!(!runs_on_bios(b"#!ipxe\n") && !runs_on_bios(b""));
    }
}
