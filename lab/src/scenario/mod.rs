//! Scenarios: `scenario.toml` read once into checked types, and which of them to run.
//!
//! Everything wrong with a scenario is found here, before a machine is started, and told with
//! file, line and column. The boot config service's own data directory is only looked at for what
//! the scenario names in it: what is served from it is under test.

mod access;
mod check;
mod data;
mod digest;
mod draft;
mod expect;
mod fit;
mod load;
mod mac;
mod model;
pub mod new;
pub(crate) mod problem;
pub(crate) mod read;
#[cfg(test)]
mod tests;

pub use access::{FileMode, Owner};
pub use digest::{Sha256Error, Sha256Hex};
pub(crate) use expect::{file_path, unit_name};
pub use fit::{Fit, FitError};
pub use load::{
    DataCheck, FILE_NAME, SelectError, UnknownScenario, load_all, load_named, load_valid, select,
};
pub use mac::{MacAddr, MacError};
pub use model::{
    Boot, Deadline, DhcpService, Expect, ExpectedHashes, FileExpect, Firmware, Image, Machines,
    MatchedBy, Network, Node, PixiecoreService, ProxyDhcpService, Scenario, Services, Silence,
};
pub use problem::{InvalidScenario, Problem};
