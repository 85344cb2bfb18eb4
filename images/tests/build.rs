//! Real builds of the stand-in and of Debian with cloud-init. They take minutes and, the first time, the network: they run where
//! `BOOTLAB_TEST_BUILD` names a cache folder and `BOOTLAB_TEST_AGENT` a guest agent.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use images::built::Release;
use images::{BuiltImage, Image, ImageKind};

/// Kernel and initrd together have to be below this, in bytes.
const SIZE_LIMIT_BYTES: u64 = 64_000_000;
/// A build from nothing has to take less than this.
const TIME_LIMIT: Duration = Duration::from_secs(90);

fn folder(key: &str) -> PathBuf {
    PathBuf::from(std::env::var_os(key).unwrap_or_else(|| panic!("{key} is not set")))
}

fn stand_in(cache: &Path) -> BuiltImage {
    BuiltImage::stand_in(
        cache,
        &folder("BOOTLAB_TEST_AGENT"),
        Release::of_this_host().unwrap(),
    )
}

fn build(image: &BuiltImage) -> Image {
    image
        .build(&mut |progress| eprintln!("{progress:?}"))
        .unwrap()
}

#[test]
#[ignore = "builds an image: needs minutes, the network, and BOOTLAB_TEST_BUILD and BOOTLAB_TEST_AGENT"]
fn a_real_build_gives_an_image_below_the_size_limit_and_is_not_repeated() {
    let stand_in = stand_in(&folder("BOOTLAB_TEST_BUILD"));
    let image = build(&stand_in);
    assert_eq!(image.manifest.kind, ImageKind::StandIn);
    let sizes = image.manifest.files.values().map(|file| file.size_bytes);
    let size: u64 = sizes.sum();
    assert!(size < SIZE_LIMIT_BYTES, "{size} bytes");
    for package in ["systemd", "ignition", "openssh-server"] {
        let packages = &image.manifest.packages;
        assert!(packages.contains_key(package), "{packages:?}");
    }
    let again = stand_in
        .build(&mut |progress| panic!("built twice: {progress:?}"))
        .unwrap();
    assert_eq!(again, image);
}

#[test]
#[ignore = "builds an image: needs minutes, the network, a Debian host, and BOOTLAB_TEST_BUILD"]
fn a_real_build_of_debians_image_has_its_cloud_init() {
    let release = Release::of_this_host().unwrap();
    let image = BuiltImage::debian_cloud_init(&folder("BOOTLAB_TEST_BUILD"), release);
    let image = build(&image);
    assert_eq!(image.manifest.kind, ImageKind::DebianCloudInit);
    for package in ["systemd", "cloud-init", "openssh-server"] {
        let packages = &image.manifest.packages;
        assert!(packages.contains_key(package), "{packages:?}");
    }
}

#[test]
#[ignore = "builds two images: needs minutes, the network, and BOOTLAB_TEST_AGENT"]
fn the_same_inputs_give_the_same_bytes() {
    let caches = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [one, other] = caches
        .each_ref()
        .map(|cache| build(&stand_in(cache.path())).manifest);
    assert_eq!(
        one.packages, other.packages,
        "the archive changed meanwhile"
    );
    assert_eq!(one.files, other.files);
}

#[test]
#[ignore = "builds an image and measures: needs BOOTLAB_TEST_AGENT, the network, and a machine with nothing else to do"]
fn a_build_from_nothing_is_quick() {
    let cache = tempfile::tempdir().unwrap();
    let begin = Instant::now();
    build(&stand_in(cache.path()));
    let took = begin.elapsed();
    assert!(took < TIME_LIMIT, "{took:.1?}");
}
