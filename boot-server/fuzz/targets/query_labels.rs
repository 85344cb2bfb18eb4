//! Fuzzes `checks/query_labels.rs`.
#![no_main]

#[path = "../checks/query_labels.rs"]
mod query_labels;

libfuzzer_sys::fuzz_target!(|data: &[u8]| query_labels::check(data));
