//! Hosts of a cell, as programs in network namespaces of each test, without a cell: routers and DHCP relays between a
//! rack and the real boot server.

#![cfg(feature = "cells")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod routed;
mod trunked;
