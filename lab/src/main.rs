//! The `lab` program: see `lab::cli`.

fn main() {}
