//! Scenarios: `scenario.toml` parsed once into checked types, and selection by name.
//!
//! All mistakes in a scenario are found before a machine starts, and reported with file, line and column. In the
//! data directory only the existence of named files is checked, because its content is under test.

mod access;
mod check;
mod check_console;
mod data;
mod digest;
mod draft;
mod expect;
mod fit;
mod limits;
mod load;
mod mac;
mod model;
pub mod new;
pub(crate) mod problem;
mod program;
pub(crate) mod read;
mod replacements;
#[cfg(test)]
pub(crate) mod schema_tests;
mod secure_boot;
mod service;
#[cfg(test)]
mod tests;
mod text;
mod topology;

pub use boot_server_proto::firmware::Firmware;

pub use access::{FileMode, Owner};
pub use check_console::CheckConsole;
pub use digest::{Sha256Error, Sha256Hex};
pub use expect::{file_path, unit_name};
pub use fit::{Fit, FitError};
pub use load::{
    DataCheck, FILE_NAME, SelectError, UnknownScenario, load_all, load_named, load_valid, select,
};
pub use mac::{MacError, card_mac};
pub use model::{
    Boot, Certificate, ConfigService, Deadline, DhcpService, EfiLoader, Expect, ExpectedHashes,
    FileExpect, Image, Machines, MatchedBy, Node, PixiecoreService, ProxyDhcpService, Scenario,
    Services, Silence,
};
pub use problem::{InvalidScenario, Problem, Wrong};
pub use program::{PreparedProgram, ProgramSource, SigningKey};
pub use replacements::Replacements;
pub use secure_boot::{ForbiddenProgram, SecureBootKeys};
pub use service::{
    Part, Placeholder, Ready, ReadyWhen, Restart, Service, ServiceAddress, StopSignal, expand,
    start_order,
};
pub use topology::{
    BlockedPort, BlockedPortError, Network, Networks, Nic, Outside, RelayProgram, Router, Transport,
};
pub(crate) use topology::{VLAN_MAX, VLAN_MIN};
