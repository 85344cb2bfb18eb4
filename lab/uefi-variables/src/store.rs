//! Variable store in a flash image: a firmware volume with authenticated variables
//! (`MdeModulePkg/Include/Guid/VariableFormat.h` and `PiFirmwareVolume.h` of EDK2; seen with OVMF 2022.11).

use thiserror::Error;
use uuid::{Uuid, uuid};

/// GUID of a firmware volume with variables (`gEfiSystemNvDataFvGuid`).
const VOLUME: Uuid = uuid!("fff12b8d-7696-4c8b-a985-2747075b4f50");
/// GUID of a store of authenticated variables (`gEfiAuthenticatedVariableGuid`).
const AUTHENTICATED: Uuid = uuid!("aaf32c78-947b-439a-a180-2e144ec37792");
/// Length of `VARIABLE_STORE_HEADER`.
const STORE_HEADER: usize = 28;
/// Length of `AUTHENTICATED_VARIABLE_HEADER`.
const VARIABLE_HEADER: usize = 60;
/// Start of each variable.
const START: u16 = 0x55aa;
/// State of a variable that was not deleted (`VAR_ADDED`). The flash is 0xff where nothing was written.
const ADDED: u8 = 0x3f;
/// Content of flash without data.
const EMPTY: u8 = 0xff;

/// Error of a flash image or a change to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StoreError {
    #[error("not a flash image with UEFI variables")]
    NoVolume,
    #[error("unsupported variable store: it has no authenticated variables")]
    NotAuthenticated,
    #[error("truncated variable at offset {0:#x}")]
    Truncated(usize),
    #[error("no space for the variables: {needed} bytes of {capacity}")]
    Full {
        /// Bytes of all variables.
        needed: usize,
        /// Bytes of the store.
        capacity: usize,
    },
}

/// Attributes of a variable (UEFI Specification 2.10, section 8.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes(pub u32);

impl Attributes {
    /// Kept over resets, for boot services only.
    pub const BOOT: Attributes = Attributes(0x03);
    /// Kept over resets, also for the operating system.
    pub const RUNTIME: Attributes = Attributes(0x07);
    /// As [`Attributes::RUNTIME`]; changes need a signature with a time.
    pub const SIGNED: Attributes = Attributes(0x27);
}

/// A variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    pub name: String,
    pub vendor: Uuid,
    pub attributes: Attributes,
    pub data: Vec<u8>,
    /// `EFI_TIME` of the last signed change.
    time: [u8; 16],
}

impl Variable {
    /// Returns a variable that was never signed.
    #[must_use]
    pub fn new(name: &str, vendor: Uuid, attributes: Attributes, data: Vec<u8>) -> Variable {
        Variable {
            name: name.to_owned(),
            vendor,
            attributes,
            data,
            time: [0; 16],
        }
    }

    fn append_to(&self, out: &mut Vec<u8>) {
        let mut name: Vec<u8> = self
            .name
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        name.extend([0, 0]);
        out.extend(START.to_le_bytes());
        out.extend([ADDED, 0]);
        out.extend(self.attributes.0.to_le_bytes());
        // Monotonic count.
        out.extend([0; 8]);
        out.extend(self.time);
        // Index of a public key, unused with signatures that have a time.
        out.extend([0; 4]);
        for length in [name.len(), self.data.len()] {
            out.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        }
        out.extend(self.vendor.to_bytes_le());
        out.extend(name);
        out.extend(&self.data);
        out.resize(aligned(out.len()), EMPTY);
    }
}

/// Variables of a flash image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariableStore {
    image: Vec<u8>,
    /// Offset of the first variable in the image.
    start: usize,
    /// Offset of the end of the store.
    end: usize,
    variables: Vec<Variable>,
}

impl VariableStore {
    /// Parses a flash image.
    ///
    /// # Errors
    /// [`StoreError`] if it is no image with authenticated variables.
    pub fn read(image: &[u8]) -> Result<VariableStore, StoreError> {
        let volume = image.get(16..32).ok_or(StoreError::NoVolume)?;
        if volume != VOLUME.to_bytes_le() || image.get(40..44) != Some(&b"_FVH"[..]) {
            return Err(StoreError::NoVolume);
        }
        let store = usize::from(u16_at(image, 48).ok_or(StoreError::NoVolume)?);
        let format = image.get(store..store + 16).ok_or(StoreError::NoVolume)?;
        if format != AUTHENTICATED.to_bytes_le() {
            return Err(StoreError::NotAuthenticated);
        }
        let size = length_at(image, store + 16).ok_or(StoreError::NoVolume)?;
        let end = store.checked_add(size).ok_or(StoreError::NoVolume)?;
        let start = store + STORE_HEADER;
        if end > image.len() || start > end {
            return Err(StoreError::NoVolume);
        }
        let mut variables = Vec::new();
        let mut at = start;
        while u16_at(image, at) == Some(START) && at < end {
            let (variable, length) =
                variable(&image[..end], at).ok_or(StoreError::Truncated(at))?;
            variables.extend(variable);
            at = aligned(at + length);
        }
        Ok(VariableStore {
            image: image.to_vec(),
            start,
            end,
            variables,
        })
    }

    /// Returns the variables.
    #[must_use]
    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// Returns the variable of this name.
    #[must_use]
    pub fn get(&self, name: &str, vendor: Uuid) -> Option<&Variable> {
        let mut variables = self.variables.iter();
        variables.find(|variable| variable.name == name && variable.vendor == vendor)
    }

    /// Sets a variable, and replaces the one of its name.
    pub fn set(&mut self, variable: Variable) {
        let same =
            |other: &&mut Variable| other.name == variable.name && other.vendor == variable.vendor;
        match self.variables.iter_mut().find(same) {
            // The firmware accepts a signed change only if it is later than the last one.
            Some(other) => {
                let time = other.time;
                *other = Variable { time, ..variable };
            }
            None => self.variables.push(variable),
        }
    }

    /// Removes a variable.
    pub fn remove(&mut self, name: &str, vendor: Uuid) {
        self.variables
            .retain(|variable| variable.name != name || variable.vendor != vendor);
    }

    /// Returns the flash image with these variables.
    ///
    /// # Errors
    /// [`StoreError::Full`] if they need more space than the image has.
    pub fn to_image(&self) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::new();
        for variable in &self.variables {
            variable.append_to(&mut bytes);
        }
        let capacity = self.end - self.start;
        if bytes.len() > capacity {
            return Err(StoreError::Full {
                needed: bytes.len(),
                capacity,
            });
        }
        bytes.resize(capacity, EMPTY);
        let mut image = self.image.clone();
        image.splice(self.start..self.end, bytes);
        Ok(image)
    }
}

/// Parses the variable at this offset; returns it unless it was deleted, and its length.
fn variable(store: &[u8], at: usize) -> Option<(Option<Variable>, usize)> {
    let header = store.get(at..at.checked_add(VARIABLE_HEADER)?)?;
    let name_length = length_at(header, 36)?;
    let data_length = length_at(header, 40)?;
    let name_end = VARIABLE_HEADER.checked_add(name_length)?;
    let length = name_end.checked_add(data_length)?;
    let whole = store.get(at..at.checked_add(length)?)?;
    let units: Vec<u16> = whole
        .get(VARIABLE_HEADER..name_end)?
        .chunks_exact(2)
        .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
        .take_while(|unit| *unit != 0)
        .collect();
    let variable = Variable {
        name: String::from_utf16_lossy(&units),
        vendor: Uuid::from_bytes_le(header.get(44..60)?.try_into().ok()?),
        attributes: Attributes(u32::from_le_bytes(header.get(4..8)?.try_into().ok()?)),
        data: whole.get(name_end..)?.to_vec(),
        time: header.get(16..32)?.try_into().ok()?,
    };
    let is_there = header.get(2) == Some(&ADDED);
    Some((is_there.then_some(variable), length))
}

/// Variables start at multiples of four bytes.
fn aligned(offset: usize) -> usize {
    offset.next_multiple_of(4)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let two = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_le_bytes(two.try_into().ok()?))
}

fn length_at(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    usize::try_from(u32::from_le_bytes(four.try_into().ok()?)).ok()
}
