//! A boot-config data directory and the machines it is meant for, before rollout: what is wrong with it, and
//! what each machine would get.
//!
//! | room | job |
//! |---|---|
//! | [`inventory`] | the machines, read from the operator's list or imported from what there is |
//! | [`plan`] | pure: directory × machines → what each gets; what changes between two directories |
//! | [`validate`] | everything wrong with a directory, with file, line, rule and what would be right |
//!
//! Nothing here boots or serves anything: `lab` does, with what is found here.

pub mod inventory;
pub mod outcome;
pub mod plan;
pub mod site;
pub mod validate;
