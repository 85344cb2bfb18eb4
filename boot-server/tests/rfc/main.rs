//! The DHCP server and the proxies against the documents they follow: a module each, its cases as
//! sentences. What is compared went through the wire format in both directions.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod forged;
mod hostile;
mod pxe21;
mod raspberry_pi;
mod rfc2131_3_1;
mod rfc2131_4_1;
mod rfc2131_4_3_1;
mod rfc2131_4_3_2;
mod rfc2131_4_3_3;
mod rfc2131_4_3_5;
mod rfc2132_overload;
mod rfc3004;
mod rfc3011_rfc3527;
mod rfc3046;
mod rfc3396;
mod rfc4578;
mod rfc5107;
mod rfc6607;
mod rfc6842;
mod server;
mod uefi_http_boot;
