//! DHCP services: port 67 as server or proxy, port 4011 as boot service.
//!
//! `request ← server ← role ← service ← start`; `leases`, `limit`, `outage`, `probe`, `socket` and `tell` are
//! leaves.

mod leases;
mod limit;
mod outage;
mod probe;
mod request;
mod role;
mod server;
mod service;
mod socket;
mod start;
mod tell;
