//! Another host's libvirt (`--connect qemu+ssh://…`): the lab itself goes there.
//!
//! The boot server has to be on the machines' own network, and so has whatever sees their packets. So nothing is steered
//! from afar: the programs, the scenarios and the image are brought to that host over SSH, `lab` runs there on its
//! `qemu:///system`, and the artifacts come back. What can be done with a lab is done there, too.
//!
//! ```text
//! ~/.cache/bootlab/remote/programs/<digest>/   lab, boot-server, guest-agent
//!                         images/<digest>/     kernel, initrd, …
//!                         visits/<run id>/     visit.json, scenarios/, runs/, cache/: goes when the lab is down
//! ```

mod host;
mod parcel;
pub mod receive;
mod session;
mod visit;

pub use host::Host;
pub use parcel::{Parcel, ParcelError};
pub(crate) use session::quoted;
pub use session::{RemoteError, Session};
pub use visit::{GivenImage, Place, RemoteLab, Visit, remove_dead};
