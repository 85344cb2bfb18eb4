//! Faults and adversarial cases: scenarios broken or attacked on purpose in one place, each with its one correct outcome.
//!
//! A fault is a folder with a `fault.toml`, an adversarial case one with a `case.toml`: the scenario it breaks, the changes of its files, the injections
//! while it runs, and the expected outcome: a failure at a given stage with a given cause ranked first, or a
//! pass if the machine must recover. A fault with any other outcome is a failure of the lab.
//!
//! | file | job |
//! |---|---|
//! | [`model`] | types of a fault |
//! | [`read`] | parser of `fault.toml` and `case.toml`; reports every mistake with its location |
//! | [`written`] | keys of both files, for their JSON schema |
//! | [`injection`] | parser of `[machine]`, `[server]`, `[link]`, … |
//! | [`impair`] | fate of a frame on an impaired link |
//! | [`rewrite`] | bytes that a relay changes in a frame |
//! | [`live_fault`] | live faults, injected while machines run |
//! | [`overlay`] | broken copy of the scenario |
//! | [`outcome`] | comparison of the outcome with the expected one |

#[cfg(test)]
mod adversarial_tests;
mod impair;
mod injection;
mod live_fault;
mod model;
mod outcome;
mod overlay;
mod read;
mod rewrite;
#[cfg(test)]
mod schema_tests;
#[cfg(test)]
mod tests;
pub mod written;

pub use impair::Impairment;
pub use live_fault::{LiveFault, LiveFaults};
pub use model::{
    Barrier, CannedAnswer, Change, Collection, Direction, Edit, Expectation, Fault, Injections,
    Kill, Link, MachineChange, Moment, ProxyFlaw, RelayFlaw, Rewrite, Role, RouterChange,
    ServerChange, ServerPart, Station, SwitchChange, TftpFlaw, WebFlaw,
};
pub use outcome::{Found, found, is_shown};
pub use overlay::{OverlayError, Treatment, materialise};
pub use read::{UnknownFault, load, load_all, select};
pub use rewrite::rewrite;
