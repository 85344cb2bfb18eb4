//! The `lab` program from outside, without machines: wrong input, explanations, validation, plans, hostile folders, and
//! what is refused before anything is started.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bad_input;
mod doctor;
mod explained;
mod hostile;
mod images;
mod made_new;
mod manual;
#[path = "../common/own_image.rs"]
mod own_image;
mod planned;
mod refused;
#[path = "../common/rehearsal.rs"]
mod rehearsal;
#[path = "../common/support.rs"]
mod support;
mod validated;
