//! A boot-config data directory and the machines it is meant for, before rollout: what is wrong with it, and
//! what each machine would get.
//!
//! | room | job |
//! |---|---|
//! | [`inventory`] | the machines, read from the operator's list or imported from what there is |
//! | [`plan`] | pure: directory × machines → what each gets; what changes between two directories |
//! | [`expected`] | pure: the expected state of a machine, and the effects of its configs that cannot be checked |
//! | [`site`] | pure: where the boot config service is, by what the configs say |
//! | [`validate`] | everything wrong with a directory, with file, line, rule and what would be right |
//!
//! Nothing here boots or serves anything: `lab` does, with what is found here.

pub mod expected;
pub mod inventory;
pub mod plan;
pub mod site;
pub mod validate;
