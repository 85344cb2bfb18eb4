//! Fuzzes `checks/ignition_configs.rs`.
#![no_main]

#[path = "../checks/ignition_configs.rs"]
mod ignition_configs;

libfuzzer_sys::fuzz_target!(|data: &[u8]| ignition_configs::check(data));
