//! TFTP as its RFCs have it, section by section, asked of the running program: each test starts it in
//! a network namespace of its own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod clients;
mod rfc1350;
mod rfc2347;
mod rfc2348;
mod rfc2349;
mod rfc7440;
mod support;
