//! A real build of the stand-in. It takes minutes and, the first time, the network: it runs where
//! `BOOTLAB_TEST_BUILD` names a cache folder and `BOOTLAB_TEST_AGENT` a guest agent.

use std::path::PathBuf;

use images::stand_in::Release;
use images::{ImageKind, StandIn};

/// Kernel and initrd together have to be below this, in bytes.
const SIZE_LIMIT_BYTES: u64 = 64_000_000;

#[test]
#[ignore = "builds an image: needs minutes, the network, and BOOTLAB_TEST_BUILD and BOOTLAB_TEST_AGENT"]
fn a_real_build_gives_an_image_below_the_size_limit_and_is_not_repeated() {
    let folder =
        |key: &str| PathBuf::from(std::env::var_os(key).unwrap_or_else(|| panic!("{key}")));
    let stand_in = StandIn::new(
        &folder("BOOTLAB_TEST_BUILD"),
        &folder("BOOTLAB_TEST_AGENT"),
        Release::of_this_host().unwrap(),
    );
    let image = stand_in
        .build(&mut |progress| eprintln!("{progress:?}"))
        .unwrap();
    assert_eq!(image.manifest.kind, ImageKind::StandIn);
    let size: u64 = image
        .manifest
        .files
        .values()
        .map(|file| file.size_bytes)
        .sum();
    assert!(size < SIZE_LIMIT_BYTES, "{size} bytes");
    assert!(
        image.manifest.packages.contains_key("systemd"),
        "{:?}",
        image.manifest.packages
    );
    assert!(
        image.manifest.packages.contains_key("ignition"),
        "{:?}",
        image.manifest.packages
    );
    let again = stand_in
        .build(&mut |progress| panic!("built twice: {progress:?}"))
        .unwrap();
    assert_eq!(again, image);
}
