//! The `lab` program from outside, without machines: wrong input, explanations, validation, plans, hostile folders, and
//! what is refused before anything is started.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bad_input;
mod compared;
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
mod translated;
mod validated;

use std::path::Path;
use std::process::Output;

/// Returns what a program wrote to standard error, with `FOLDER` for this folder. Messages that are wrapped after a
/// path, whose length differs, are one line again.
fn shown(output: &Output, folder: impl AsRef<Path>) -> String {
    let text = String::from_utf8_lossy(&output.stderr).replace("\n  │ ", " ");
    text.replace(&folder.as_ref().display().to_string(), "FOLDER")
}
