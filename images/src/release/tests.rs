//! URLs are the publishers', and what they publish is read or refused with a reason.

use serde_json::Value;

use super::*;
use crate::catalog::Catalog;

fn wanted(name: &str) -> Wanted {
    Catalog::own()
        .unwrap()
        .find(&name.parse().unwrap())
        .unwrap()
}

fn mirrored(name: &str, mirror: &str) -> Wanted {
    let mut catalog = Catalog::own().unwrap();
    let name = name.parse::<crate::catalog::ImageName>().unwrap();
    catalog.set_mirror(&name.name, mirror);
    catalog.find(&name).unwrap()
}

fn urls(release: &Release) -> Vec<String> {
    let each = release.files.iter().flat_map(|file| {
        let signature = file.signature.iter().map(ToString::to_string);
        std::iter::once(file.location.to_string()).chain(signature)
    });
    each.collect()
}

fn known(wanted: &Wanted) -> Release {
    match plan(wanted).unwrap() {
        Plan::Known(release) => release,
        Plan::Ask(url) => panic!("asks {url}"),
    }
}

fn asks(wanted: &Wanted) -> String {
    match plan(wanted).unwrap() {
        Plan::Ask(url) => url,
        Plan::Known(release) => panic!("knows {release:?}"),
    }
}

#[test]
fn flatcars_urls_are_those_of_its_documentation() {
    assert_eq!(
        asks(&wanted("flatcar")),
        "https://stable.release.flatcar-linux.net/amd64-usr/current/version.txt"
    );
    assert_eq!(
        asks(&wanted("flatcar:lts/arm64@current-2024")),
        "https://lts.release.flatcar-linux.net/arm64-usr/current-2024/version.txt"
    );
    let base = "https://beta.release.flatcar-linux.net/amd64-usr/4459.1.0";
    assert_eq!(
        urls(&known(&wanted("flatcar:beta@4459.1.0"))),
        [
            format!("{base}/flatcar_production_pxe.vmlinuz"),
            format!("{base}/flatcar_production_pxe.vmlinuz.sig"),
            format!("{base}/flatcar_production_pxe_image.cpio.gz"),
            format!("{base}/flatcar_production_pxe_image.cpio.gz.sig"),
        ]
    );
}

#[test]
fn the_version_of_current_is_read_from_version_txt() {
    let wanted = wanted("flatcar:stable");
    let url = asks(&wanted);
    let text = "FLATCAR_BUILD=4459\nFLATCAR_VERSION=4459.2.1\nFLATCAR_VERSION_ID=4459.2.1\n";
    let release = read(&wanted, &url, text).unwrap();
    assert_eq!(release.version, "4459.2.1");
    assert!(
        urls(&release).iter().all(|url| url.contains("/4459.2.1/")),
        "{release:?}"
    );
}

#[test]
fn a_version_that_is_none_is_refused() {
    let wanted = wanted("flatcar:stable");
    for text in [
        "",
        "<html>",
        "FLATCAR_VERSION=",
        "FLATCAR_VERSION=../../etc",
        "FLATCAR_VERSION=current",
    ] {
        let error = read(&wanted, "http://x/version.txt", text)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(
                "malformed version file http://x/version.txt: no line `FLATCAR_VERSION=VERSION`"
            ),
            "{error}"
        );
    }
}

#[test]
fn coreos_needs_a_mirror_and_says_so() {
    let error = plan(&wanted("coreos@835.9.0")).unwrap_err();
    assert_eq!(error, ReleaseError::NeedsMirror("coreos".into()));
    assert!(error.to_string().contains("--mirror URL"), "{error}");
    let release = known(&mirrored("coreos@835.9.0", "http://mirror/amd64-usr/"));
    assert_eq!(
        urls(&release).first().map(String::as_str),
        Some("http://mirror/amd64-usr/835.9.0/coreos_production_pxe.vmlinuz")
    );
    assert_eq!(
        release.files[0].digests_url.as_deref(),
        Some("http://mirror/amd64-usr/835.9.0/coreos_production_pxe.DIGESTS")
    );
    let current = mirrored("coreos:beta@current", "http://mirror/{channel}/{arch}-usr");
    assert_eq!(
        asks(&current),
        "http://mirror/beta/amd64-usr/current/version.txt"
    );
}

const BASE: &str =
    "https://builds.coreos.fedoraproject.org/prod/streams/stable/builds/44.20261101.3.0/x86_64";

fn artifact(name: &str) -> Value {
    serde_json::json!({
        "location": format!("{BASE}/fedora-coreos-44.20261101.3.0-live-{name}"),
        "signature": format!("{BASE}/fedora-coreos-44.20261101.3.0-live-{name}.sig"),
        "sha256": "AB".repeat(32),
    })
}

/// Returns metadata in the form of <https://builds.coreos.fedoraproject.org/streams/stable.json>.
fn metadata() -> Value {
    let pxe = serde_json::json!({
        "kernel": artifact("kernel.x86_64"),
        "initramfs": artifact("initramfs.x86_64.img"),
        "rootfs": artifact("rootfs.x86_64.img"),
    });
    serde_json::json!({
        "stream": "stable",
        "metadata": {"last-modified": "2026-11-10T00:00:00Z"},
        "architectures": {"x86_64": {
            "artifacts": {"metal": {"release": "44.20261101.3.0", "formats": {"pxe": pxe}}},
            "images": {},
        }},
    })
}

#[test]
fn a_streams_kernel_initramfs_and_rootfs_are_read() {
    let wanted = wanted("fedora-coreos");
    let url = asks(&wanted);
    assert_eq!(
        url,
        "https://builds.coreos.fedoraproject.org/streams/stable.json"
    );
    let release = read(&wanted, &url, &metadata().to_string()).unwrap();
    assert_eq!(release.version, "44.20261101.3.0");
    let roles: Vec<Role> = release.files.iter().map(|file| file.role).collect();
    assert_eq!(roles, [Role::Kernel, Role::Initrd, Role::Rootfs]);
    assert_eq!(
        release.files[2].name,
        "fedora-coreos-44.20261101.3.0-live-rootfs.x86_64.img"
    );
    assert_eq!(release.files[0].digests.sha256, Some("ab".repeat(32)));
}

#[test]
fn a_version_of_a_stream_is_read_from_its_release_json() {
    let wanted = wanted("fedora-coreos@44.20261101.3.0");
    let url = asks(&wanted);
    assert_eq!(
        url,
        format!("{}/release.json", BASE.trim_end_matches("/x86_64"))
    );
    let pxe = metadata()["architectures"]["x86_64"]["artifacts"]["metal"]["formats"]["pxe"].take();
    let text = serde_json::json!({
        "release": "44.20261101.3.0",
        "stream": "stable",
        "architectures": {"x86_64": {"media": {"metal": {"artifacts": {"pxe": pxe}}}}},
    });
    assert_eq!(
        read(&wanted, &url, &text.to_string()).unwrap().files.len(),
        3
    );
    let mut other = text.clone();
    other["release"] = "44.20261101.3.1".into();
    let what = InvalidMetadata::OtherVersion {
        version: "44.20261101.3.1".into(),
        asked: "44.20261101.3.0".into(),
    };
    let error = read(&wanted, &url, &other.to_string()).unwrap_err();
    assert_eq!(error, ReleaseError::Metadata { url, what });
}

#[test]
fn a_mirror_stands_instead_of_the_publishers_host_only() {
    let wanted = mirrored("fedora-coreos", "http://mirror/fcos");
    assert_eq!(asks(&wanted), "http://mirror/fcos/streams/stable.json");
    let mut text = metadata();
    let pxe = &mut text["architectures"]["x86_64"]["artifacts"]["metal"]["formats"]["pxe"];
    pxe["rootfs"]["location"] = "https://elsewhere.example/rootfs.img".into();
    let release = read(&wanted, "x", &text.to_string()).unwrap();
    let first = release.files[0].location.to_string();
    assert!(
        first.starts_with("http://mirror/fcos/prod/streams/"),
        "{first}"
    );
    assert_eq!(
        release.files[2].location.to_string(),
        "https://elsewhere.example/rootfs.img"
    );
}

#[test]
fn malformed_metadata_are_told_by_the_place_in_them() {
    let wanted = wanted("fedora-coreos");
    let pxe = "/architectures/x86_64/artifacts/metal/formats/pxe";
    let change = |pointer: &str, value: Option<Value>| {
        let mut text = metadata();
        match (text.pointer_mut(pointer), value) {
            (Some(place), Some(value)) => *place = value,
            (Some(place), None) => *place = Value::Null,
            (None, _) => panic!("{pointer}"),
        }
        text.to_string()
    };
    let in_pxe = |rest: &str, value: Value| change(&format!("{pxe}/{rest}"), Some(value));
    for (text, said) in [
        ("<html>".to_owned(), "not JSON"),
        ("{}".to_owned(), "missing stream"),
        (
            change("/stream", Some("next".into())),
            "wrong stream: `next` instead of `stable`",
        ),
        (
            change("/architectures", None),
            "missing architectures.x86_64",
        ),
        (
            change(pxe, None),
            "missing architectures.x86_64.artifacts.metal.formats.pxe.kernel",
        ),
        (
            in_pxe("kernel/location", 7.into()),
            "pxe.kernel.location is not a string",
        ),
        (
            in_pxe("kernel/location", "ftp://x/k".into()),
            "invalid URL `ftp://x/k`",
        ),
        (
            in_pxe("rootfs/location", "https://x/".into()),
            "does not end in a file name",
        ),
        (
            in_pxe("initramfs/sha256", "12".into()),
            "pxe.initramfs.sha256: invalid SHA-256 `12`",
        ),
        (
            in_pxe("initramfs/signature", Value::Null),
            "pxe.initramfs.signature is not a string",
        ),
    ] {
        let error = read(&wanted, "http://x/stable.json", &text)
            .unwrap_err()
            .to_string();
        assert!(error.contains(said), "{error}");
        assert!(error.contains("http://x/stable.json"), "{error}");
    }
}

#[test]
fn the_stand_in_is_not_published() {
    let error = plan(&wanted("stand-in")).unwrap_err();
    assert_eq!(error, ReleaseError::NotPublished("stand-in".into()));
}
