//! EFI programs, as Secure Boot sees them: architecture, Authenticode signatures, SBAT, and the keys inside shim.
//!
//! Pure: [`Program::read`] parses a file, [`Trust::check`] tells if firmware, or shim, starts the program.

mod certificate;
mod edit;
mod program;
mod sbat;
mod shim;
mod signature;
#[cfg(test)]
mod tests;
mod trust;

pub use edit::{EditError, with_kept_signatures};
pub use program::{Architecture, Kind, Program, ProgramError};
pub use sbat::{Component, Level};
pub use shim::Shim;
pub use signature::{Signature, SignatureProblem};
pub use trust::{Refusal, Trust};
