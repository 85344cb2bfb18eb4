//! Fuzzes `checks/pixiecore_answer.rs`.
#![no_main]

#[path = "../checks/pixiecore_answer.rs"]
mod pixiecore_answer;

libfuzzer_sys::fuzz_target!(|data: &[u8]| pixiecore_answer::check(data));
