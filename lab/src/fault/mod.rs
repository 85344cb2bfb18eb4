//! Faults: scenarios broken in one place, each with the one right outcome.
//!
//! A fault is a folder with a `fault.toml`: the scenario it breaks, what is changed in its files, what is
//! injected while it runs, and what has to come of it: a failure at that stage with that cause ranked
//! first, or a pass where the machine has to get over it. A fault that passes when it must not, or that
//! is explained by another cause, is a failure of the lab.
//!
//! | file | job |
//! |---|---|
//! | [`model`] | what a fault is |
//! | [`read`] | `fault.toml`, every mistake told with its place |
//! | [`injection`] | `[machine]`, `[server]`, `[link]`, …: what is injected, read |
//! | [`impair`] | what becomes of a frame on an impaired link |
//! | [`hand`] | the same under faults that are set by hand while machines run |
//! | [`server`] | a boot server's configuration as the fault has it |
//! | [`overlay`] | the broken copy of the scenario that is run |
//! | [`outcome`] | what came of it against what had to |

mod hand;
mod impair;
mod injection;
mod model;
mod outcome;
mod overlay;
mod read;
pub mod server;
#[cfg(test)]
mod tests;

pub use hand::{HandFault, HandFaults};
pub use impair::{Direction, Impairment};
pub use model::{
    Barrier, Change, Edit, Expectation, Fault, Injections, Kill, Link, MachineChange, ProxyFlaw,
    Role, ServerChange, ServerPart, Station, TftpFlaw, WebFlaw,
};
pub use outcome::{Found, found};
pub use overlay::{OverlayError, Treatment, materialise};
pub use read::{FILE_NAME, load, load_all, select};
