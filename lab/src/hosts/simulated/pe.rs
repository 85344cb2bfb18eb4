//! PE/COFF headers, as UEFI firmware reads them before it starts a program (UEFI Specification 2.10, section
//! 2.1.1; Microsoft's PE format). Pure.

/// Value of the field `Machine` for x86-64.
pub(super) const X64: u16 = 0x8664;
/// Value of the field `Subsystem` for an EFI application.
pub(super) const EFI_APPLICATION: u16 = 10;
/// Value of the field `Magic` of the optional header for PE32+.
const PE32_PLUS: u16 = 0x20b;
/// Maximum number of sections; firmware has no limit, linkers write fewer than 20.
const SECTIONS_MAX: u16 = 96;

/// Headers of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pe {
    /// Value of the field `Machine`.
    pub(super) machine: u16,
    /// True if the optional header is that of PE32+.
    pub(super) is_64_bit: bool,
    /// Value of the field `Subsystem`.
    pub(super) subsystem: u16,
    /// Number of bytes that headers and sections occupy in the file.
    pub(super) needs: u64,
    /// True if the entry point is inside a section.
    pub(super) has_entry: bool,
}

/// Parses the headers; `None` if the file has no DOS and PE signature, or is truncated.
pub(super) fn read(file: &[u8]) -> Option<Pe> {
    file.strip_prefix(b"MZ")?;
    let header = usize::try_from(u32_at(file, 0x3c)?).ok()?;
    let coff = file.get(header..)?.strip_prefix(b"PE\0\0")?;
    let machine = u16_at(coff, 0)?;
    let sections = u16_at(coff, 2)?.min(SECTIONS_MAX);
    let optional_length = usize::from(u16_at(coff, 16)?);
    let optional = coff.get(20..)?.get(..optional_length)?;
    let entry = u64::from(u32_at(optional, 16)?);
    let mut needs = u64::from(u32_at(optional, 60)?);
    let mut has_entry = false;
    let table = coff.get(20 + optional_length..)?;
    for number in 0..usize::from(sections) {
        let section = table.get(number * 40..)?.get(..40)?;
        let [size, start, raw_size, raw_start] =
            [8, 12, 16, 20].map(|at| u32_at(section, at).map(u64::from));
        let (start, raw_size, raw_start) = (start?, raw_size?, raw_start?);
        has_entry |= (start..start + size?.max(raw_size)).contains(&entry);
        // Sections without data in the file, e.g. `.bss`, have an offset as well.
        if raw_size > 0 {
            needs = needs.max(raw_start + raw_size);
        }
    }
    Some(Pe {
        machine,
        is_64_bit: u16_at(optional, 0)? == PE32_PLUS,
        subsystem: u16_at(optional, 68)?,
        needs,
        has_entry,
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes: [u8; 2] = bytes.get(at..)?.get(..2)?.try_into().ok()?;
    Some(u16::from_le_bytes(bytes))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes: [u8; 4] = bytes.get(at..)?.get(..4)?.try_into().ok()?;
    Some(u32::from_le_bytes(bytes))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A whole x64 EFI application with one section of 512 bytes that contains `text`.
    pub(in crate::hosts::simulated) fn application(text: &[u8]) -> Vec<u8> {
        let mut file = vec![0; 0x40];
        file[..2].copy_from_slice(b"MZ");
        file[0x3c] = 0x40;
        file.extend(b"PE\0\0");
        let mut coff = vec![0; 20];
        coff[..2].copy_from_slice(&X64.to_le_bytes());
        coff[2] = 1;
        coff[16] = 112;
        let mut optional = vec![0; 112];
        optional[..2].copy_from_slice(&PE32_PLUS.to_le_bytes());
        optional[16..20].copy_from_slice(&0x1000_u32.to_le_bytes());
        optional[60..64].copy_from_slice(&0x200_u32.to_le_bytes());
        optional[68..70].copy_from_slice(&EFI_APPLICATION.to_le_bytes());
        let mut section = vec![0; 40];
        section[..5].copy_from_slice(b".text");
        for (at, value) in [(8, 0x200_u32), (12, 0x1000), (16, 0x200), (20, 0x200)] {
            section[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        for part in [coff, optional, section] {
            file.extend(part);
        }
        file.resize(0x200, 0);
        file.extend(text);
        file.resize(0x400, 0);
        file
    }

    #[test]
    fn read_application_tells_machine_subsystem_and_length() {
        let file = application(b"");
        let pe = read(&file).unwrap();
        assert_eq!((pe.machine, pe.subsystem), (X64, EFI_APPLICATION));
        assert!(pe.is_64_bit && pe.has_entry);
        assert_eq!(pe.needs, file.len() as u64);
    }

    #[test]
    fn read_cut_or_foreign_headers_is_none() {
        let file = application(b"");
        for length in 0..0x40 + 4 + 20 + 112 + 40 {
            assert_eq!(read(&file[..length]), None, "{length} bytes");
        }
        assert_eq!(read(b"\x7fELF"), None);
    }
}
