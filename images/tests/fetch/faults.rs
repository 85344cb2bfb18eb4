//! Every way in which a release can be bad: one clear error each, and the cache as whole as it was.

use crate::publisher::{INITRD, KERNEL, LENGTH, Publisher, initrd, kernel};
use crate::server::Fault;
use crate::signer::Key;

const GOOD: &str = "4230.2.4";
const BAD: &str = "4459.2.1";

/// A good version in the cache, and one published since, to be spoilt.
fn publisher() -> (Publisher, String, String) {
    let publisher = Publisher::new();
    publisher.publish("stable", "amd64", GOOD);
    publisher.fetch("flatcar").unwrap();
    publisher.publish("stable", "amd64", BAD);
    let path = |name| Publisher::flatcar("stable", "amd64", BAD, name);
    (publisher, path(KERNEL), path(INITRD))
}

fn refuses(publisher: &Publisher, said: &[&str], bad: &[Vec<u8>]) {
    publisher.refuses("flatcar", said, &[GOOD], bad);
}

#[test]
fn a_file_that_was_changed_is_refused_by_its_signature() {
    let (publisher, path, _) = publisher();
    let mut changed = kernel(BAD);
    changed[LENGTH / 2] ^= 1;
    publisher.server.put(&path, changed.clone());
    refuses(
        &publisher,
        &["refused: ", &path, "bad signature"],
        &[changed],
    );
    for entry in std::fs::read_dir(publisher.store().partial()).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
        assert!(
            !text.contains(&path),
            "what was refused is not to be gone on with"
        );
    }
}

#[test]
fn a_truncated_file_is_refused_by_its_signature() {
    let (publisher, path, _) = publisher();
    let cut = kernel(BAD)[..LENGTH - 1].to_vec();
    publisher.server.put(&path, cut.clone());
    refuses(&publisher, &[&path, "changed or truncated"], &[cut]);
}

#[test]
fn a_signature_of_another_file_is_refused() {
    let (publisher, path, other) = publisher();
    let signature = publisher.server.file(&format!("{other}.sig"));
    publisher.server.put(&format!("{path}.sig"), signature);
    refuses(&publisher, &[&path, "bad signature"], &[kernel(BAD)]);
}

#[test]
fn a_signature_by_another_key_is_refused() {
    let (publisher, path, _) = publisher();
    publisher.put_signed(&path, kernel("other"), Key::Other);
    refuses(
        &publisher,
        &[&path, "signed by another key"],
        &[kernel("other")],
    );
}

#[test]
fn a_key_in_the_users_file_that_is_not_pinned_does_not_count() {
    let (publisher, path, _) = publisher();
    publisher.put_signed(&path, kernel("other"), Key::Other);
    let file = publisher.catalog_file();
    let keys = [Key::Publisher, Key::Other]
        .map(|key| std::fs::read_to_string(publisher.signer.public(key)).unwrap());
    let both = publisher.folder.path().join("both.asc");
    std::fs::write(&both, keys.concat()).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let before = publisher.signer.public(Key::Publisher);
    std::fs::write(
        &file,
        text.replace(before.to_str().unwrap(), both.to_str().unwrap()),
    )
    .unwrap();
    let catalog = images::catalog::Catalog::with_file(&file).unwrap();
    let wanted = catalog.find(&"flatcar".parse().unwrap()).unwrap();
    let now = std::time::SystemTime::now();
    let fetched = images::acquire::acquire(
        &wanted,
        &publisher.store(),
        &publisher.patience,
        now,
        &|_| {},
    );
    let error = fetched.unwrap_err().to_string();
    let fingerprint = publisher.signer.fingerprint(Key::Other);
    assert!(
        error.contains(&format!("signed by another key: {fingerprint}")),
        "{error}"
    );
    publisher.is_whole(&[GOOD], &[kernel("other")]);
}

#[test]
fn a_key_that_has_expired_is_refused_and_the_remedy_named() {
    let publisher = Publisher::new();
    for (name, bytes) in [(KERNEL, kernel("1")), (INITRD, initrd("1"))] {
        publisher.put_signed(
            &Publisher::flatcar("stable", "amd64", "1", name),
            bytes,
            Key::Expired,
        );
    }
    let (key, fingerprint) = (
        publisher.signer.public(Key::Expired),
        publisher.signer.fingerprint(Key::Expired),
    );
    let file = publisher.folder.path().join("expired.toml");
    let (url, key) = (publisher.server.url(), key.display());
    std::fs::write(
        &file,
        format!(
            "[override.flatcar]\nmirror = \"{url}/{{channel}}/{{arch}}-usr\"\nkey = \"{key}\"\n\
             fingerprints = [\"{fingerprint}\"]\n"
        ),
    )
    .unwrap();
    let catalog = images::catalog::Catalog::with_file(&file).unwrap();
    let wanted = catalog.find(&"flatcar@1".parse().unwrap()).unwrap();
    let now = std::time::SystemTime::now();
    let fetched = images::acquire::acquire(
        &wanted,
        &publisher.store(),
        &publisher.patience,
        now,
        &|_| {},
    );
    let error = fetched.unwrap_err().to_string();
    assert!(
        error.contains("signed by an expired key") && error.contains("[override.NAME]"),
        "{error}"
    );
    publisher.is_whole(&[], &[kernel("1"), initrd("1")]);
}

#[test]
fn an_initrd_served_as_the_kernel_with_its_own_signature_is_refused() {
    let (publisher, path, _) = publisher();
    publisher.put_signed(&path, initrd("swapped"), Key::Publisher);
    let said = [
        path.as_str(),
        "wrong content: an initrd instead of a kernel",
    ];
    refuses(&publisher, &said, &[initrd("swapped")]);
}

#[test]
fn kernel_and_initrd_that_were_swapped_without_their_signatures_are_refused() {
    let (publisher, path, other) = publisher();
    publisher.server.put(&path, initrd(BAD));
    publisher.server.put(&other, kernel(BAD));
    refuses(&publisher, &["bad signature"], &[initrd(BAD), kernel(BAD)]);
}

#[test]
fn a_signature_that_is_none_or_missing_is_refused() {
    let (publisher, path, _) = publisher();
    let signature = format!("{path}.sig");
    publisher.server.put(&signature, "<html>not found</html>");
    refuses(&publisher, &[&path, "no OpenPGP signature"], &[kernel(BAD)]);
    publisher.server.put(&signature, vec![0; 70_000]);
    refuses(
        &publisher,
        &[&signature, "too large (limit 65536 bytes)"],
        &[],
    );
    publisher.server.remove(&signature);
    refuses(&publisher, &[&signature, "404"], &[kernel(BAD)]);
}

#[test]
fn a_channel_or_version_that_is_not_there_is_told_as_such() {
    let (publisher, _, _) = publisher();
    let said = ["version not found: 1.2.3 of flatcar:stable", "404"];
    publisher.refuses("flatcar@1.2.3", &said, &[GOOD], &[]);
    let said = [
        "version not found: current of flatcar:beta",
        "version.txt",
        "404",
    ];
    publisher.refuses("flatcar:beta", &said, &[GOOD], &[]);
    let version = Publisher::flatcar("stable", "amd64", "current", "version.txt");
    publisher
        .server
        .put(&version, "FLATCAR_VERSION=../../../escape\n");
    publisher.refuses(
        "flatcar",
        &["no line `FLATCAR_VERSION=VERSION`"],
        &[GOOD],
        &[],
    );
}

#[test]
fn a_server_in_trouble_is_given_up_after_as_many_attempts_as_are_allowed() {
    let (publisher, path, _) = publisher();
    publisher.server.fail_always(&path, Fault::Status(503));
    let said = [
        path.as_str(),
        "gave up after 4 attempts",
        "the server answers 503",
    ];
    refuses(&publisher, &said, &[]);
    assert_eq!(publisher.server.requests(&path).len(), 4);
    publisher.server.heal(&path);
    publisher.fetch("flatcar").unwrap();
    publisher.is_whole(&[GOOD, BAD], &[]);
}

#[test]
fn a_mirror_that_cannot_be_reached_is_named() {
    let (publisher, _, _) = publisher();
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut catalog = images::catalog::Catalog::own().unwrap();
    catalog.set_mirror("flatcar", &format!("http://127.0.0.1:{port}/"));
    let wanted = catalog.find(&"flatcar".parse().unwrap()).unwrap();
    let now = std::time::SystemTime::now();
    let fetched = images::acquire::acquire(
        &wanted,
        &publisher.store(),
        &publisher.patience,
        now,
        &|_| {},
    );
    let error = fetched.unwrap_err().to_string();
    assert!(
        error.contains(&format!("127.0.0.1:{port}/current/version.txt")),
        "{error}"
    );
    assert!(
        error.contains("gave up after 4 attempts") && error.contains("refused"),
        "{error}"
    );
    publisher.is_whole(&[GOOD], &[]);
}

#[test]
fn the_publishers_own_keys_refuse_what_the_tests_sign() {
    let (publisher, path, _) = publisher();
    let mut catalog = images::catalog::Catalog::own().unwrap();
    catalog.set_mirror(
        "flatcar",
        &format!("{}/{{channel}}/{{arch}}-usr", publisher.server.url()),
    );
    let wanted = catalog.find(&"flatcar".parse().unwrap()).unwrap();
    let now = std::time::SystemTime::now();
    let fetched = images::acquire::acquire(
        &wanted,
        &publisher.store(),
        &publisher.patience,
        now,
        &|_| {},
    );
    let error = fetched.unwrap_err().to_string();
    assert!(error.contains("signed by another key"), "{path}: {error}");
    publisher.is_whole(&[GOOD], &[kernel(BAD)]);
}
