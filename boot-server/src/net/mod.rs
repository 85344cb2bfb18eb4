//! Sockets, supervision and shutdown: bytes come in here, decisions are made in other rooms.

pub mod http;
pub mod neighbours;
pub mod pixiecore;
pub mod pixiecore_api;
