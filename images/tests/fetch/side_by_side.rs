//! Two that fetch at once, in one process and in two; and a disk that is full.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use images::acquire::acquire;
use images::catalog::Catalog;
use images::store::Store;

use crate::publisher::{INITRD, KERNEL, LENGTH, Publisher, kernel};

const VERSION: &str = "4459.2.1";

fn publisher() -> (Publisher, [String; 2]) {
    let publisher = Publisher::new();
    publisher.publish("stable", "amd64", VERSION);
    let paths = [KERNEL, INITRD].map(|name| Publisher::flatcar("stable", "amd64", VERSION, name));
    (publisher, paths)
}

#[test]
fn two_threads_that_fetch_the_same_get_it_and_it_is_fetched_once() {
    let (publisher, paths) = publisher();
    let wanted = publisher.wanted("flatcar");
    let fetch = || {
        acquire(
            &wanted,
            &publisher.store(),
            &publisher.patience,
            SystemTime::now(),
            &|_| {},
        )
    };
    let (one, two) = std::thread::scope(|scope| {
        let threads = [scope.spawn(fetch), scope.spawn(fetch)];
        let [one, two] = threads.map(|thread| thread.join().unwrap().unwrap());
        (one, two)
    });
    assert_eq!(one, two);
    for path in paths {
        assert_eq!(publisher.server.bytes_served(&path), LENGTH);
    }
    publisher.is_whole(&[VERSION], &[]);
}

/// The catalog file, for a child that fetches.
const CATALOG: &str = "BOOTLAB_TEST_CATALOG";
/// The cache, for a child that fetches.
const CACHE: &str = "BOOTLAB_TEST_CACHE";

/// Runs the child's job: fetches, and returns the result.
fn child() -> Option<String> {
    let catalog = PathBuf::from(std::env::var_os(CATALOG)?);
    let cache = PathBuf::from(std::env::var_os(CACHE)?);
    let wanted = Catalog::with_file(&catalog)
        .unwrap()
        .find(&"flatcar".parse().unwrap())
        .unwrap();
    let patience = images::fetch::Patience {
        attempts: 2,
        first_pause: std::time::Duration::from_millis(1),
        ..Default::default()
    };
    Some(
        match acquire(
            &wanted,
            &Store::new(&cache),
            &patience,
            SystemTime::now(),
            &|_| {},
        ) {
            Ok(stored) => format!("fetched {}", stored.record.version),
            Err(error) => format!("error {error}"),
        },
    )
}

/// A child of the running test that fetches, through `shell` (where `"$0" "$@"` is the child).
fn spawn(shell: &[&str], catalog: &Path, cache: &Path) -> std::process::Child {
    test_support::start_again(shell)
        .env(CATALOG, catalog)
        .env(CACHE, cache)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap()
}

fn said(child: std::process::Child) -> String {
    let output = child.wait_with_output().unwrap();
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn two_processes_that_fetch_the_same_get_it_and_it_is_fetched_once() {
    if let Some(outcome) = child() {
        println!("{outcome}");
        return;
    }
    let (publisher, paths) = publisher();
    let (catalog, cache) = (
        publisher.catalog_file(),
        publisher.folder.path().join("cache"),
    );
    let children = [0, 1, 2].map(|_| spawn(&["env"], &catalog, &cache));
    for child in children {
        let said = said(child);
        assert!(said.contains(&format!("fetched {VERSION}")), "{said}");
    }
    for path in paths {
        assert_eq!(publisher.server.bytes_served(&path), LENGTH);
    }
    publisher.is_whole(&[VERSION], &[]);
}

#[test]
fn a_full_disk_is_told_as_such_and_nothing_is_left_on_it() {
    if let Some(outcome) = child() {
        println!("{outcome}");
        return;
    }
    let (publisher, _) = publisher();
    let (catalog, cache) = (
        publisher.catalog_file(),
        publisher.folder.path().join("small"),
    );
    std::fs::create_dir(&cache).unwrap();
    // A disk of its own for the cache, in a mount namespace that ends with the child: smaller than one file.
    let mount = format!(
        "mount -t tmpfs -o size={} tmpfs '{}' && \"$0\" \"$@\"; ls -R '{}/images/store'",
        LENGTH / 2 / 4096 * 4096,
        cache.display(),
        cache.display()
    );
    let shell = [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        &mount,
    ];
    let said = said(spawn(&shell, &catalog, &cache));
    if said.contains("unshare: ") {
        // Seen where containers forbid user namespaces; there the test has to be run as root of the host.
        return test_support::skip(&format!(
            "no user namespace with a tmpfs of its own here: {said}"
        ));
    }
    assert!(
        said.contains("error ") && said.contains("No space left on device"),
        "{said}"
    );
    let (error, left) = said
        .split_once("error ")
        .unwrap()
        .1
        .split_once('\n')
        .unwrap();
    let file = error.split(':').next().unwrap().rsplit('/').next().unwrap();
    assert!(file.ends_with(".part"), "{error}");
    assert!(
        left.contains("partial:"),
        "the cache was not listed: {said}"
    );
    assert!(!left.contains(file), "what did not fit is left: {said}");
    assert!(
        !left.contains("sha256"),
        "something got into the cache: {said}"
    );
    publisher.is_whole(&[], &[kernel(VERSION)]);
}
