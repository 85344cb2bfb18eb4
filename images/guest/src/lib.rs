//! Applies a cloud-config to a machine as coreos-cloudinit 1.14 does: the stand-in image's share in
//! being believable as CoreOS.
//!
//! One direction: `cmdline → fetch → userdata → config → apply → system`. `apply` decides what is
//! done and in which order; `system` is every call that leaves the process; `report` is what the
//! serial console is told. `ignition` only reads: it says what Ignition's binary does not.

pub mod apply;
pub mod cmdline;
pub mod config;
pub mod fetch;
pub mod ignition;
pub mod report;
pub mod system;
pub mod userdata;
