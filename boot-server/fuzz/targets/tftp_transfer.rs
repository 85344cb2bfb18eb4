//! Fuzzes `checks/tftp_transfer.rs`.
#![no_main]

#[path = "../checks/tftp_transfer.rs"]
mod tftp_transfer;

libfuzzer_sys::fuzz_target!(|data: &[u8]| tftp_transfer::check(data));
