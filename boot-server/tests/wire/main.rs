//! The program itself on a network made for each test: two namespaces, a cable, a client that speaks
//! DHCP. Needs root; without it the tests say so and end.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod beside_dnsmasq;
mod floods;
mod forged;
mod hostile;
mod leases;
mod link;
mod privileges;
mod support;
