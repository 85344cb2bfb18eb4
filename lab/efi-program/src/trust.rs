//! Decision of firmware or shim about a program.

use thiserror::Error;
use uefi_variables::Signatures;

use crate::certificate::parse;
use crate::program::Program;
use crate::sbat::Level;

/// Reason that a program is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    #[error("not signed")]
    Unsigned,
    #[error("its hash is in dbx")]
    Forbidden,
    #[error("{0}")]
    Damaged(String),
    #[error("signed by {}, which these keys do not know", .0.join(" and "))]
    UnknownSigner(Vec<String>),
    #[error("SBAT generation too old: {component},{generation} (at least {minimum})")]
    Outdated {
        component: String,
        generation: u32,
        minimum: u32,
    },
}

/// Keys and revocations of firmware, or of shim on a firmware.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Accepted certificates and hashes (`db`).
    pub accepted: Signatures,
    /// Refused certificates and hashes (`dbx`).
    pub refused: Signatures,
    /// Lowest accepted generations; firmware itself has none.
    pub level: Level,
}

impl Trust {
    /// Returns the keys by which this shim decides: its own, and those of the firmware that started it.
    #[must_use]
    pub fn of_shim(&self, shim: &Program) -> Trust {
        let mut trust = self.clone();
        if let Some(shim) = &shim.shim {
            trust.accepted.add(&shim.authorized);
            trust.refused.add(&shim.deauthorized);
            trust.level = shim.level.clone();
        }
        trust
    }

    /// Decides about a program; returns the certificate that vouches for it.
    ///
    /// # Errors
    /// [`Refusal`] if it is not started.
    pub fn check(&self, program: &Program) -> Result<String, Refusal> {
        let is_there =
            |list: &Signatures| list.hashes.iter().any(|(_, one)| *one == program.sha256);
        let refused = parse(
            self.refused
                .certificates
                .iter()
                .map(|(_, der)| der.as_slice()),
        );
        if is_there(&self.refused) {
            return Err(Refusal::Forbidden);
        }
        if let Some((old, minimum)) = self.level.outdated(&program.sbat) {
            return Err(Refusal::Outdated {
                component: old.name.clone(),
                generation: old.generation,
                minimum,
            });
        }
        if is_there(&self.accepted) {
            return Ok("its hash in db".into());
        }
        let trusted = parse(
            self.accepted
                .certificates
                .iter()
                .map(|(_, der)| der.as_slice()),
        );
        let usable = program.signatures.iter();
        let mut usable = usable.filter(|one| !one.has_any(&refused));
        if let Some(authority) = usable.find_map(|one| one.authority(&trusted)) {
            return Ok(authority);
        }
        let sound: Vec<String> = program
            .signatures
            .iter()
            .filter(|one| one.problem.is_none())
            .map(|one| format!("`{}` ({})", one.signer, one.issuer))
            .collect();
        match program.signatures.iter().find_map(|one| one.problem) {
            _ if !sound.is_empty() => Err(Refusal::UnknownSigner(sound)),
            Some(problem) => Err(Refusal::Damaged(problem.to_string())),
            None => Err(Refusal::Unsigned),
        }
    }
}
