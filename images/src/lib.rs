//! Bootable images: what they are called, where their files are, how the stand-in is built.
