//! One machine: its serial console, the shell on it, and its life from power-on to the last check.

pub mod console;
pub mod context;
pub mod framing;
pub mod life;
pub mod machine;
mod outlook;
pub mod picture;
pub mod progress;
pub mod shell;
mod units;
