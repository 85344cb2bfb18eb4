//! stub
pub mod checks;
