//! Holds no code: the package exists for the features of its dependencies (see `Cargo.toml`).
