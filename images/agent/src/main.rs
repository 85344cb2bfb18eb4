//! The `guest-agent` program of the stand-in image.

fn main() {}
