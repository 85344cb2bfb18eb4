//! Remote runs (`--connect qemu+ssh://…`): `lab` itself is copied to the other host and runs there.
//!
//! The boot server and the packet capture must be on the machines' own network, so a lab cannot be controlled
//! from afar. The programs, scenarios and image are copied to the host over SSH, `lab` runs there on
//! `qemu:///system`, and the artifacts are copied back. Commands for such a lab also run there.
//!
//! ```text
//! ~/.cache/bootlab/remote/programs/<digest>/   lab, boot-server, guest-agent
//!                         images/<digest>/     kernel, initrd, …
//!                         visits/<run id>/     visit.json, scenarios/, runs/, cache/: goes when the lab is down
//! ```

mod bundle;
mod host;
pub mod receive;
mod run;
mod session;

pub use bundle::{Bundle, BundleError};
pub use host::Host;
pub use run::{GivenImage, Place, RemoteLab, RemoteRun, remove_dead};
pub(crate) use session::quoted;
pub use session::{RemoteError, Session};
