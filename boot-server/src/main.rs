//! The `boot-server` program: see `boot_server::cli`.

fn main() {}
