//! One machine: its serial console, the shell on it, and its life from power-on to the last check.

pub mod console;
pub mod life;
pub mod machine;
pub mod picture;
pub mod progress;
pub mod shell;
