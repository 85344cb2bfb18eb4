//! Wire formats and protocol state machines: no sockets, no clock, no files, no async.
