//! Changes to a program's certificate table, which is not part of the hash: the other signatures stay valid.

use thiserror::Error;

use crate::program::{Program, ProgramError};
use crate::signature::Signature;

/// Error of a change.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EditError {
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error("unsupported EFI program: its certificate table is not at the end")]
    NotAtEnd,
}

/// Offset of the PE header's offset.
const LFANEW: usize = 0x3c;
/// Length of the PE signature and the file header, which are before the optional header.
const FILE_HEADER: usize = 24;
/// `Magic` of the optional header of 64-bit programs.
const PE32_PLUS: u16 = 0x20b;
/// Index of the certificate table among the data directories.
const SECURITY: usize = 4;
/// Alignment of entries of the table.
const ALIGNMENT: usize = 8;

/// Returns the program with those of its signatures that `is_kept` is true for.
///
/// # Errors
/// [`EditError`] if the file is no EFI program, or its signatures are not at its end.
pub fn with_kept_signatures(
    data: &[u8],
    is_kept: impl Fn(&Signature) -> bool,
) -> Result<Vec<u8>, EditError> {
    let program = Program::read(data)?;
    let directory = directory(data).ok_or(ProgramError::Offset)?;
    let number = |at: usize| {
        let four = data.get(at..at + 4)?;
        Some(u32::from_le_bytes(four.try_into().ok()?) as usize)
    };
    let start = number(directory).ok_or(ProgramError::Offset)?;
    let size = number(directory + 4).ok_or(ProgramError::Offset)?;
    if size == 0 {
        return Ok(data.to_vec());
    }
    if start.checked_add(size) != Some(data.len()) {
        return Err(EditError::NotAtEnd);
    }
    let mut out = data.get(..start).ok_or(ProgramError::Offset)?.to_vec();
    let mut at = start;
    for signature in &program.signatures {
        let length = number(at).ok_or(ProgramError::Offset)?;
        let end = (at + length.next_multiple_of(ALIGNMENT)).min(data.len());
        if is_kept(signature) {
            out.extend(data.get(at..end).ok_or(ProgramError::Offset)?);
        }
        at = end;
    }
    let left = out.len() - start;
    let offset = if left == 0 { 0 } else { start };
    for (at, value) in [(directory, offset), (directory + 4, left)] {
        let value = u32::try_from(value).map_err(|_| ProgramError::Offset)?;
        let place = out.get_mut(at..at + 4).ok_or(ProgramError::Offset)?;
        place.copy_from_slice(&value.to_le_bytes());
    }
    Ok(out)
}

/// Returns the offset of the data directory that tells offset and size of the certificate table.
fn directory(data: &[u8]) -> Option<usize> {
    let four = data.get(LFANEW..LFANEW + 4)?;
    let header = usize::try_from(u32::from_le_bytes(four.try_into().ok()?)).ok()?;
    let optional = header.checked_add(FILE_HEADER)?;
    let two = data.get(optional..optional.checked_add(2)?)?;
    let directories = match u16::from_le_bytes(two.try_into().ok()?) {
        PE32_PLUS => 112,
        _ => 96,
    };
    optional.checked_add(directories + SECURITY * 8)
}
