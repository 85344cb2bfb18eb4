//! Variables of EDK2's firmware, as they are stored in its flash image (`OVMF_VARS_4M.fd`), and the keys of Secure Boot.
//!
//! Pure: [`VariableStore::read`] parses an image, [`VariableStore::to_image`] returns the changed one, which a machine
//! gets as its NVRAM before the first boot.

mod keys;
mod signatures;
mod store;
mod trust;
mod vlan;

pub use keys::{KeySet, UnknownKeySet, enroll_only, forbid, set_sbat_level};
pub use signatures::{MICROSOFT, Signatures};
pub use store::{Attributes, StoreError, Variable, VariableStore};
pub use trust::trust_web_servers_of;
pub use vlan::set_vlan;
