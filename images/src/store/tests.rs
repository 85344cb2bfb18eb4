//! The store keeps what is used, and clears the rest without harm to what is shared.

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::gc::Limits;
use super::*;
use crate::catalog::{Architecture, Catalog, Family, Role};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn silent(_: Progress<'_>) {}

/// An image of a kernel and an initrd with these contents, used `days` days ago.
fn put(store: &Store, version: &str, contents: [&str; 2], days: u32) -> Stored {
    let mut files = Vec::new();
    for (role, content) in [Role::Kernel, Role::Initrd].into_iter().zip(contents) {
        std::fs::create_dir_all(store.partial()).unwrap();
        let path = store.partial().join("x");
        std::fs::write(&path, content).unwrap();
        let hashes = digest::of_file(&path).unwrap();
        store.insert(&path, &hashes.sha256).unwrap();
        let file = StoredFile {
            role,
            name: format!("flatcar_{}", role.name()),
            size_bytes: hashes.size_bytes,
            sha256: hashes.sha256,
            from: "http://host/".into(),
            digest_checked: true,
            signed_by: None,
            is_packaged: false,
        };
        files.push(Verified {
            file,
            signature: None,
        });
    }
    let record = Record {
        name: "flatcar".into(),
        label: "flatcar:stable".into(),
        channel: "stable".into(),
        architecture: Architecture::Amd64,
        version: version.into(),
        family: Family::Flatcar,
        kernel_options: Vec::new(),
        fetched_at: 1_000_000 - u64::from(days),
        files: files.iter().map(|verified| verified.file.clone()).collect(),
    };
    let versions = store.versions("flatcar", "stable", "amd64");
    let lock = versions.lock(&mut silent).unwrap();
    let stored = store.install(&versions, &lock, record, &files).unwrap();
    used(&stored.folder.join(USED_FILE), days);
    stored
}

fn used(path: &Path, days: u32) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - DAY * days).unwrap();
}

fn versions(store: &Store) -> Vec<String> {
    store
        .list()
        .into_iter()
        .map(|stored| stored.record.version)
        .collect()
}

fn objects(store: &Store) -> usize {
    std::fs::read_dir(store.folder.join("sha256"))
        .unwrap()
        .count()
}

fn clear(store: &Store, limits: Limits) -> gc::Cleared {
    store
        .clear(limits, SystemTime::now(), &[], &[], &mut silent)
        .unwrap()
}

#[test]
fn an_image_has_its_files_under_its_own_names_and_coreos_ones() {
    let cache = tempfile::tempdir().unwrap();
    let store = Store::new(cache.path());
    let stored = put(&store, "1.0.0", ["kernel", "initrd"], 0);
    for name in ["flatcar_kernel", crate::KERNEL_FILE] {
        assert_eq!(std::fs::read(stored.folder.join(name)).unwrap(), b"kernel");
    }
    assert_eq!(
        std::fs::read(stored.folder.join(crate::INITRD_FILE)).unwrap(),
        b"initrd"
    );
    assert_eq!(objects(&store), 2);
}

#[test]
fn current_is_the_version_fetched_last_and_others_are_found_by_name() {
    let cache = tempfile::tempdir().unwrap();
    let store = Store::new(cache.path());
    put(&store, "2.0.0", ["k2", "i2"], 1);
    put(&store, "1.9.0", ["k1", "i1"], 0);
    let find = |name: &str| {
        let wanted = Catalog::own()
            .unwrap()
            .find(&name.parse().unwrap())
            .unwrap();
        store.find(&wanted).map(|stored| stored.record.version)
    };
    assert_eq!(find("flatcar:stable").as_deref(), Some("1.9.0"));
    assert_eq!(find("flatcar:stable@2.0.0").as_deref(), Some("2.0.0"));
    assert_eq!(find("flatcar:beta"), None);
    assert_eq!(find("flatcar:stable/arm64"), None);
}

#[test]
fn what_was_not_used_for_long_goes_and_shared_files_stay() {
    let cache = tempfile::tempdir().unwrap();
    let store = Store::new(cache.path());
    put(&store, "1.0.0", ["shared", "old initrd"], 40);
    let kept = put(&store, "2.0.0", ["shared", "initrd"], 10);
    assert_eq!(objects(&store), 3);
    let limits = Limits {
        older_than: Some(DAY * 30),
        at_most_bytes: None,
    };
    let cleared = clear(&store, limits);
    assert_eq!(versions(&store), ["2.0.0"]);
    assert_eq!(cleared.freed_bytes, "old initrd".len() as u64);
    assert_eq!(objects(&store), 2);
    assert!(kept.damaged().unwrap().is_empty());
}

#[test]
fn what_is_too_much_goes_from_the_one_not_used_for_longest_and_shared_files_count_once() {
    let cache = tempfile::tempdir().unwrap();
    let store = Store::new(cache.path());
    let [shared, first, second, third] = ["s", "1", "2", "3"].map(|text| text.repeat(100_000));
    put(&store, "1.0.0", [&shared, &first], 3);
    put(&store, "2.0.0", [&shared, &second], 2);
    put(&store, "3.0.0", [&shared, &third], 1);
    let limits = Limits {
        older_than: None,
        at_most_bytes: Some(350_000),
    };
    let cleared = clear(&store, limits);
    assert_eq!(versions(&store), ["2.0.0", "3.0.0"]);
    assert!(
        (300_000..310_000).contains(&cleared.kept_bytes),
        "{cleared:?}"
    );
    assert_eq!(cleared.freed_bytes, 100_000);
}

#[test]
fn what_a_lab_serves_stays_until_its_last_process_is_gone() {
    let cache = tempfile::tempdir().unwrap();
    let store = Store::new(cache.path());
    let served = put(&store, "1.0.0", ["k1", "i1"], 400);
    put(&store, "2.0.0", ["k2", "i2"], 300);
    let built = cache.path().join("built");
    std::fs::create_dir_all(built.join("served")).unwrap();
    let everything = Limits {
        older_than: Some(Duration::ZERO),
        at_most_bytes: Some(0),
    };
    let clear = || {
        let built = std::slice::from_ref(&built);
        store
            .clear(everything, SystemTime::now(), built, &[], &mut silent)
            .unwrap()
    };
    let holds = [served.folder.clone(), built.join("served")].map(|folder| Hold::of(&folder));
    let holds: Vec<Hold> = holds.into_iter().map(Result::unwrap).collect();
    // What is started now holds it too, whatever becomes of us.
    let mut lab = std::process::Command::new("cat")
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(holds);
    let cleared = clear();
    assert_eq!(versions(&store), ["1.0.0"]);
    assert_eq!(cleared.held.len(), 2, "{cleared:?}");
    assert!(built.join("served").exists() && served.damaged().unwrap().is_empty());
    drop(lab.stdin.take());
    lab.wait().unwrap();
    let cleared = clear();
    assert!(cleared.held.is_empty(), "{cleared:?}");
    assert!(versions(&store).is_empty() && !built.join("served").exists());
}

#[test]
fn without_limits_only_what_nobody_has_goes() {
    let cache = tempfile::tempdir().unwrap();
    let store = Store::new(cache.path());
    put(&store, "1.0.0", ["k1", "i1"], 400);
    let path = store.partial().join("orphan");
    std::fs::write(&path, "orphan").unwrap();
    store.insert(&path, "0123").unwrap();
    let cleared = clear(&store, Limits::default());
    assert_eq!((versions(&store).len(), cleared.freed_bytes), (1, 6));
    assert!(!store.object("0123").exists());
}

#[test]
fn a_built_image_in_use_stays_whatever_its_age() {
    let cache = tempfile::tempdir().unwrap();
    let store = Store::new(cache.path());
    let built = cache.path().join("images/stand-in");
    for name in ["in-use", "old"] {
        std::fs::create_dir_all(built.join(name)).unwrap();
        std::fs::write(built.join(name).join(USED_FILE), "x").unwrap();
        used(&built.join(name).join(USED_FILE), 100);
    }
    let limits = Limits {
        older_than: Some(DAY),
        at_most_bytes: Some(0),
    };
    let now = SystemTime::now();
    store
        .clear(
            limits,
            now,
            std::slice::from_ref(&built),
            &[built.join("in-use")],
            &mut silent,
        )
        .unwrap();
    assert!(built.join("in-use").exists() && !built.join("old").exists());
}

#[test]
fn clearing_waits_for_who_fetches() {
    let cache = tempfile::tempdir().unwrap();
    let store = Store::new(cache.path());
    let using = store.using(&mut silent).unwrap();
    let (said, heard) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let clearing = scope.spawn(|| {
            let mut waiting =
                |progress: Progress<'_>| said.send(progress == Progress::Waiting).unwrap();
            store
                .clear(Limits::default(), SystemTime::now(), &[], &[], &mut waiting)
                .is_ok()
        });
        assert!(heard.recv_timeout(Duration::from_secs(20)).unwrap());
        assert!(!clearing.is_finished());
        drop(using);
        assert!(clearing.join().unwrap());
    });
}

#[test]
fn a_file_that_was_changed_in_the_cache_is_found() {
    let cache = tempfile::tempdir().unwrap();
    let store = Store::new(cache.path());
    let stored = put(&store, "1.0.0", ["kernel", "initrd"], 0);
    let path = stored.folder.join("flatcar_kernel");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    std::fs::write(&path, "kernal").unwrap();
    let damaged = stored.damaged().unwrap();
    assert_eq!(damaged.len(), 1);
    assert_eq!(damaged[0].0, "flatcar_kernel");
    std::fs::write(&path, "kern").unwrap();
    assert!(
        store.list().is_empty(),
        "an image with a file cut short is none"
    );
}
