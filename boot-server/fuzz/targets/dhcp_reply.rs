//! Fuzzes `checks/dhcp_reply.rs`.
#![no_main]

#[path = "../checks/dhcp_reply.rs"]
mod dhcp_reply;

libfuzzer_sys::fuzz_target!(|data: &[u8]| dhcp_reply::check(data));
