//! Fuzzes `checks/lease_file.rs`.
#![no_main]

#[path = "../checks/lease_file.rs"]
mod lease_file;

libfuzzer_sys::fuzz_target!(|data: &[u8]| lease_file::check(data));
