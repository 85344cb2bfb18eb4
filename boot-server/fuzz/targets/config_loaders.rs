//! Fuzzes `checks/config_loaders.rs`.
#![no_main]

#[path = "../checks/config_loaders.rs"]
mod config_loaders;

libfuzzer_sys::fuzz_target!(|data: &[u8]| config_loaders::check(data));
