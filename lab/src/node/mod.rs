//! One machine: its serial console, the shell on it, and its life from power-on to the last check.

pub mod console;
pub mod life;
mod picture;
pub mod progress;
pub mod shell;
