//! Checks of a boot-config data directory and its machines before a rollout: its problems, and the boot of each
//! machine.
//!
//! | room | job |
//! |---|---|
//! | [`inventory`] | the machines, read from the operator's list or imported from other sources |
//! | [`plan`] | pure: directory × machines → boot of each; changes between two directories |
//! | [`compare`] | pure: answers of two boot config services to the same machines, and their differences |
//! | [`expected`] | pure: the expected state of a machine, and the effects of its configs that cannot be checked |
//! | [`site`] | pure: location of the boot config service, derived from the configs |
//! | [`validate`] | all problems of a directory, with file, line, rule and remedy |
//!
//! Nothing here boots or serves anything: `lab` does, with the results.

pub mod compare;
pub mod expected;
pub mod inventory;
pub mod plan;
pub mod site;
pub mod validate;
