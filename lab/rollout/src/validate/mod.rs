//! Everything wrong with a data directory.
