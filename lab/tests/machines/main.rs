//! The `lab` program from outside, with machines: faults that must turn a run red, its own end in the middle of a boot,
//! the boot server's unit under systemd, rehearsals, persistent and remote labs, every command of the guides.
//!
//! nextest runs these tests two at a time (`.config/nextest.toml`).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod adversarial;
mod again;
mod broken_on_purpose;
#[path = "../common/support.rs"]
mod common;
mod faults;
mod guides;
mod host;
mod images;
mod killed;
mod on_host;
mod out_of_space;
#[path = "../common/own_image.rs"]
mod own_image;
mod pty;
#[path = "../common/rehearsal.rs"]
mod rehearsal;
mod rehearsed;
mod remote;
mod stacks;
mod stays;
mod support;
mod systemd_unit;
mod topologies;
