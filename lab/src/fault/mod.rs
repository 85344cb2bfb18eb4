//! Faults: scenarios broken on purpose in one place, each with its one correct outcome.
//!
//! A fault is a folder with a `fault.toml`: the scenario it breaks, the changes of its files, the injections
//! while it runs, and the expected outcome: a failure at a given stage with a given cause ranked first, or a
//! pass if the machine must recover. A fault with any other outcome is a failure of the lab.
//!
//! | file | job |
//! |---|---|
//! | [`model`] | types of a fault |
//! | [`read`] | parser of `fault.toml`; reports every mistake with its location |
//! | [`injection`] | parser of `[machine]`, `[server]`, `[link]`, … |
//! | [`impair`] | fate of a frame on an impaired link |
//! | [`live_fault`] | live faults, injected while machines run |
//! | [`server`] | boot server configuration changed by a fault |
//! | [`overlay`] | broken copy of the scenario |
//! | [`outcome`] | comparison of the outcome with the expected one |

mod impair;
mod injection;
mod live_fault;
mod model;
mod outcome;
mod overlay;
mod read;
pub mod server;
#[cfg(test)]
mod tests;

pub use impair::{Direction, Impairment};
pub use live_fault::{LiveFault, LiveFaults};
pub use model::{
    Barrier, Change, Edit, Expectation, Fault, Injections, Kill, Link, MachineChange, ProxyFlaw,
    Role, ServerChange, ServerPart, Station, TftpFlaw, WebFlaw,
};
pub use outcome::{Found, found};
pub use overlay::{OverlayError, Treatment, materialise};
pub use read::{FILE_NAME, load, load_all, select};
