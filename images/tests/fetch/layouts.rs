//! Each publisher's layout, from the name of an image to files in the cache.

use images::acquire::{AcquireError, NotGood};
use images::catalog::{Family, Role};
use images::family;

use crate::publisher::{INITRD, KERNEL, LENGTH, Publisher, initrd, kernel};
use crate::signer::Key;

#[test]
fn every_channel_and_processor_of_flatcar_is_fetched_and_verified() {
    let publisher = Publisher::new();
    for (channel, arch) in [
        ("stable", "amd64"),
        ("beta", "amd64"),
        ("alpha", "arm64"),
        ("lts", "amd64"),
    ] {
        publisher.publish(channel, arch, "4459.2.1");
        let stored = publisher
            .fetch(&format!("flatcar:{channel}/{arch}"))
            .unwrap();
        let record = &stored.record;
        assert_eq!(
            (record.version.as_str(), record.family),
            ("4459.2.1", Family::Flatcar)
        );
        let fingerprint = publisher.signer.fingerprint(Key::Publisher);
        for file in &record.files {
            assert_eq!(file.signed_by.as_ref().unwrap().fingerprint, fingerprint);
            assert_eq!(file.size_bytes, LENGTH as u64);
        }
        for name in [KERNEL, images::KERNEL_FILE] {
            assert_eq!(
                std::fs::read(stored.folder.join(name)).unwrap(),
                kernel("4459.2.1")
            );
        }
        let initrd_file = stored.folder.join(images::INITRD_FILE);
        assert_eq!(std::fs::read(initrd_file).unwrap(), initrd("4459.2.1"));
        let key = publisher.wanted("flatcar").entry.key.unwrap();
        images::acquire::verify(&stored, Some(&key)).unwrap();
    }
    // Four images with the same files: each is kept once.
    assert_eq!(publisher.objects().len(), 2);
}

#[test]
fn a_version_is_fetched_by_its_number_and_current_is_the_newest() {
    let publisher = Publisher::new();
    publisher.publish("stable", "amd64", "4230.2.4");
    publisher.publish("stable", "amd64", "4459.2.1");
    assert_eq!(
        publisher.fetch("flatcar@4230.2.4").unwrap().record.version,
        "4230.2.4"
    );
    assert_eq!(
        publisher.fetch("flatcar").unwrap().record.version,
        "4459.2.1"
    );
    publisher.is_whole(&["4230.2.4", "4459.2.1"], &[]);
}

#[test]
fn an_image_that_is_there_is_not_fetched_again() {
    let publisher = Publisher::new();
    publisher.publish("stable", "amd64", "4459.2.1");
    let first = publisher.fetch("flatcar").unwrap();
    let again = publisher.fetch("flatcar").unwrap();
    assert_eq!(first, again);
    let path = Publisher::flatcar("stable", "amd64", "4459.2.1", KERNEL);
    assert_eq!(publisher.server.requests(&path).len(), 1);
}

#[test]
fn an_image_that_was_damaged_in_the_cache_is_fetched_again() {
    let publisher = Publisher::new();
    publisher.publish("stable", "amd64", "4459.2.1");
    let stored = publisher.fetch("flatcar").unwrap();
    let path = stored.folder.join(KERNEL);
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    std::fs::write(&path, vec![0; LENGTH]).unwrap();
    let error = images::acquire::verify(&stored, None).unwrap_err();
    let AcquireError::File { path, source } = &error else {
        panic!("{error}");
    };
    assert_eq!(*path, stored.folder.join(KERNEL));
    assert_eq!(source.kind(), std::io::ErrorKind::InvalidData, "{error}");
    publisher.fetch("flatcar").unwrap();
    publisher.is_whole(&["4459.2.1"], &[vec![0; LENGTH]]);
}

const COREOS: [&str; 2] = [
    "coreos_production_pxe.vmlinuz",
    "coreos_production_pxe_image.cpio.gz",
];

/// 835.9.0 as the origin documents have it, signed by a key that has expired since.
fn coreos(publisher: &Publisher, digests: bool) {
    for (name, bytes) in COREOS.into_iter().zip([kernel("835"), initrd("835")]) {
        let path = format!("/stable/amd64-usr/835.9.0/{name}");
        publisher.put_signed(&path, bytes, Key::Expired);
        let list = path.replace(".vmlinuz", "") + ".DIGESTS";
        if digests {
            let file = publisher.folder.path().join("x");
            std::fs::write(&file, publisher.server.file(&path)).unwrap();
            let hash = images::verify::digest::of_file(&file).unwrap().sha512;
            publisher.server.put(
                &list,
                format!("# MD5 HASH\nabc  {name}\n# SHA512 HASH\n{hash}  {name}\n"),
            );
        }
    }
}

#[test]
fn coreos_835_9_0_is_fetched_from_a_mirror_though_its_key_has_expired() {
    for digests in [true, false] {
        let publisher = Publisher::new();
        coreos(&publisher, digests);
        let stored = publisher.fetch("coreos").unwrap();
        assert_eq!(stored.record.version, "835.9.0");
        for file in &stored.record.files {
            assert_eq!(file.digest_checked, digests);
            assert!(file.signed_by.as_ref().unwrap().key_had_expired);
        }
    }
}

#[test]
fn a_file_that_is_not_as_its_digests_say_is_refused() {
    let publisher = Publisher::new();
    coreos(&publisher, true);
    let list = "/stable/amd64-usr/835.9.0/coreos_production_pxe.DIGESTS";
    publisher
        .server
        .put(list, format!("{}  {}\n", "ab".repeat(64), COREOS[0]));
    let file = publisher.folder.path().join("x");
    std::fs::write(&file, kernel("835")).unwrap();
    let sha512 = images::verify::digest::of_file(&file).unwrap().sha512;
    let folder = "SERVER/stable/amd64-usr/835.9.0";
    let published = "ab".repeat(64);
    let message = format!(
        "refused: {folder}/coreos_production_pxe.vmlinuz (SHA-512 mismatch: {sha512} ({LENGTH} bytes), but \
         {folder}/coreos_production_pxe.DIGESTS has {published})"
    );
    publisher.refuses("coreos", &message, &[], &[kernel("835")]);
    publisher.server.put(list, "nothing of it\n");
    publisher.refuses(
        "coreos",
        "missing hash: SERVER/stable/amd64-usr/835.9.0/coreos_production_pxe.DIGESTS has no SHA-256 or SHA-512 of \
         coreos_production_pxe.vmlinuz",
        &[],
        &[],
    );
}

/// Fedora CoreOS's stream metadata, with the publisher's own URLs.
fn fcos(publisher: &Publisher, sha256_of_rootfs: Option<&str>) -> [String; 3] {
    let base = "/prod/streams/stable/builds/44.20261101.3.0/x86_64";
    let mut pxe = serde_json::Map::new();
    let names = [
        ("kernel", "kernel.x86_64"),
        ("initramfs", "initramfs.x86_64.img"),
        ("rootfs", "rootfs.x86_64.img"),
    ];
    let paths = names.map(|(key, name)| {
        let path = format!("{base}/fedora-coreos-44.20261101.3.0-live-{name}");
        let bytes = if key == "kernel" {
            kernel(key)
        } else {
            initrd(key)
        };
        let file = publisher.folder.path().join("x");
        std::fs::write(&file, &bytes).unwrap();
        let hash = images::verify::digest::of_file(&file).unwrap().sha256;
        let hash = sha256_of_rootfs
            .filter(|_| key == "rootfs")
            .unwrap_or(&hash);
        publisher.put_signed(&format!("/fcos{path}"), bytes, Key::Publisher);
        let location = format!("https://builds.coreos.fedoraproject.org{path}");
        pxe.insert(
            key.into(),
            serde_json::json!({
                "location": location, "signature": format!("{location}.sig"), "sha256": hash,
            }),
        );
        format!("/fcos{path}")
    });
    let metal = serde_json::json!({"release": "44.20261101.3.0", "formats": {"pxe": pxe}});
    let stream = serde_json::json!({
        "stream": "stable",
        "architectures": {"x86_64": {"artifacts": {"metal": metal}}},
    });
    publisher
        .server
        .put("/fcos/streams/stable.json", stream.to_string());
    paths
}

#[test]
fn fedora_coreos_is_fetched_by_its_stream_metadata() {
    let publisher = Publisher::new();
    let [_, _, rootfs] = fcos(&publisher, None);
    let stored = publisher.fetch("fedora-coreos").unwrap();
    let roles: Vec<Role> = stored.record.files.iter().map(|file| file.role).collect();
    assert_eq!(roles, [Role::Kernel, Role::Initrd, Role::Rootfs]);
    assert!(
        stored
            .record
            .files
            .iter()
            .all(|file| file.digest_checked && file.signed_by.is_some())
    );
    let name = &stored.record.file(Role::Rootfs).unwrap().name;
    assert!(rootfs.ends_with(name.as_str()));
    let options = family::extra_options(
        &stored.record.kernel_options,
        Some(&format!("http://s/{name}")),
    );
    assert_eq!(options[0], "ignition.platform.id=metal");
}

#[test]
fn a_file_that_is_not_as_the_stream_metadata_say_is_refused_and_the_rest_is_reused() {
    let publisher = Publisher::new();
    let [kernel_path, _, rootfs_path] = fcos(&publisher, Some(&"cd".repeat(32)));
    let file = publisher.folder.path().join("x");
    std::fs::write(&file, initrd("rootfs")).unwrap();
    let sha256 = images::verify::digest::of_file(&file).unwrap().sha256;
    let published = "cd".repeat(32);
    let message = format!(
        "refused: SERVER{rootfs_path} (SHA-256 mismatch: {sha256} ({LENGTH} bytes), but the published release has \
         {published})"
    );
    publisher.refuses("fedora-coreos", &message, &[], &[initrd("rootfs")]);
    // What was fetched and found good beside it is not lost.
    let before = publisher.server.requests(&kernel_path).len();
    let had_kernel = publisher
        .objects()
        .iter()
        .any(|(_, bytes)| *bytes == kernel("kernel"));
    fcos(&publisher, None);
    publisher.fetch("fedora-coreos").unwrap();
    let after = publisher.server.requests(&kernel_path).len();
    assert_eq!(after - before, usize::from(!had_kernel));
}

#[test]
fn malformed_stream_metadata_are_refused_by_the_place_in_them() {
    let publisher = Publisher::new();
    publisher
        .server
        .put("/fcos/streams/stable.json", "{\"stream\": \"stable\"}");
    let message = "the stream metadata at SERVER/fcos/streams/stable.json: missing architectures";
    publisher.refuses("fedora-coreos", message, &[], &[]);
    publisher
        .server
        .put("/fcos/streams/stable.json", vec![b' '; 9 << 20]);
    publisher.refuses(
        "fedora-coreos",
        "SERVER/fcos/streams/stable.json: response too large (limit 8388608 bytes)",
        &[],
        &[],
    );
}

#[test]
fn a_users_own_files_are_taken_by_their_hashes() {
    let publisher = Publisher::new();
    let folder = publisher.folder.path();
    std::fs::write(folder.join(KERNEL), kernel("mine")).unwrap();
    publisher.server.put("/initrd.gz", initrd("mine"));
    std::fs::write(folder.join("x"), initrd("mine")).unwrap();
    let hash = |name: &str| images::verify::digest::of_file(&folder.join(name)).unwrap();
    let text = format!(
        "[image.mine]\nfamily = \"flatcar\"\nversion = \"7\"\n\
         [[image.mine.file]]\nrole = \"kernel\"\npath = \"{KERNEL}\"\nsha256 = \"{}\"\n\
         [[image.mine.file]]\nrole = \"initrd\"\nname = \"{INITRD}\"\nurl = \"{}/initrd.gz\"\nsha512 = \"{}\"\n",
        hash(KERNEL).sha256,
        publisher.server.url(),
        hash("x").sha512,
    );
    let path = folder.join("mine.toml");
    std::fs::write(&path, text).unwrap();
    let fetch = || {
        let catalog = images::catalog::Catalog::with_file(&path).unwrap();
        let wanted = catalog.find(&"mine".parse().unwrap()).unwrap();
        let now = std::time::SystemTime::now();
        images::acquire::acquire(
            &wanted,
            &publisher.store(),
            &publisher.patience,
            now,
            &|_| {},
        )
    };
    let stored = fetch().unwrap();
    let published = hash(KERNEL).sha256;
    assert_eq!(
        std::fs::read(stored.folder.join(images::KERNEL_FILE)).unwrap(),
        kernel("mine")
    );
    // Another file under the same name: the hash is no longer right, and what was fetched stays.
    std::fs::write(folder.join(KERNEL), kernel("other")).unwrap();
    std::fs::remove_dir_all(publisher.folder.path().join("cache")).unwrap();
    let error = fetch().unwrap_err();
    let AcquireError::NotGood {
        from,
        why: NotGood::Digest(why),
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(*from, folder.join(KERNEL).display().to_string());
    assert_eq!(why.algorithm, "SHA-256");
    assert_eq!(why.expected, published);
    publisher.is_whole(&[], &[kernel("other")]);
}
