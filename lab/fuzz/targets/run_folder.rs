//! Fuzzes `checks/run_folder.rs`.
#![no_main]

#[path = "../checks/run_folder.rs"]
mod run_folder;

libfuzzer_sys::fuzz_target!(|data: &[u8]| run_folder::check(data));
