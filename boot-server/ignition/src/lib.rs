//! Butane and Container Linux Configs → Ignition configs, as `butane` and matchbox translate them.
//!
//! Texts and local files go in; an Ignition config and findings with their places come out. Which configs are refused,
//! and the bytes of those that are not, are those of Butane v0.29.0 and of the Container Linux Config Transpiler
//! v0.9.0; `tests/` compares both with recorded results.
//!
//! Left to others: templates, HTTP, and the choice between raw and translated configs.

mod butane;
mod check;
mod clc;
mod finding;
mod go;
mod path;
mod reason;
mod render;
mod schema;
mod value;
mod yaml;

pub use butane::{InvalidHeader, Options, Output, Refusal, Translation, translate_butane};
pub use clc::{ClcRefusal, ClcTranslation, InvalidVersion, translate_clc};
pub use finding::{Finding, Reason, Severity};
pub use go::dataurl::Invalid as InvalidDataUrl;
pub use go::unit::Invalid as InvalidUnit;
pub use path::{Path, Step};
pub use render::indented;
pub use yaml::{InvalidYaml, Place};
pub use yaml::{Mismatch, MismatchProblem};

/// Longest text of a config, in bytes.
pub const MAX_TEXT: usize = 4 << 20;

/// Decodes the data of a data URL, as Ignition does.
///
/// # Errors
/// The text is not a data URL.
pub fn decode_data_url(url: &str) -> Result<Vec<u8>, InvalidDataUrl> {
    go::dataurl::decode(url)
}
