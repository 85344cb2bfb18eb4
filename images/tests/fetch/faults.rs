//! Every way in which a release can be bad: one clear error each, and the cache as whole as it was.

use images::acquire::{AcquireError, NotGood};
use images::fetch::FetchError;
use images::verify::signature::{Refusal, SignatureError};

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

fn refuses(publisher: &Publisher, message: &str, bad: &[Vec<u8>]) {
    publisher.refuses("flatcar", message, &[GOOD], bad);
}

/// Message about a file with an invalid signature.
fn bad_signature(path: &str) -> String {
    format!(
        "refused: SERVER{path} (bad signature: the file or its signature was changed or truncated)"
    )
}

/// Fault of a file's signature; of two files that are fetched at once, either is refused first.
fn signature_fault(error: &AcquireError) -> &Refusal {
    match error {
        AcquireError::NotGood {
            why: NotGood::Signature(SignatureError::Refused(refusal)),
            ..
        } => refusal,
        other => panic!("{other}"),
    }
}

/// Id of a key that gpgv does not have: the last 16 digits of its fingerprint.
fn key_id(fingerprint: &str) -> &str {
    &fingerprint[fingerprint.len() - 16..]
}

#[test]
fn a_file_that_was_changed_is_refused_by_its_signature() {
    let (publisher, path, _) = publisher();
    let mut changed = kernel(BAD);
    changed[LENGTH / 2] ^= 1;
    publisher.server.put(&path, changed.clone());
    refuses(&publisher, &bad_signature(&path), &[changed]);
    for entry in std::fs::read_dir(publisher.store().partial()).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
        assert!(!text.contains(&path), "a refused download must not resume");
    }
}

#[test]
fn a_truncated_file_is_refused_by_its_signature() {
    let (publisher, path, _) = publisher();
    let cut = kernel(BAD)[..LENGTH - 1].to_vec();
    publisher.server.put(&path, cut.clone());
    refuses(&publisher, &bad_signature(&path), &[cut]);
}

#[test]
fn a_signature_of_another_file_is_refused() {
    let (publisher, path, other) = publisher();
    let signature = publisher.server.file(&format!("{other}.sig"));
    publisher.server.put(&format!("{path}.sig"), signature);
    refuses(&publisher, &bad_signature(&path), &[kernel(BAD)]);
}

#[test]
fn a_signature_by_another_key_is_refused() {
    let (publisher, path, _) = publisher();
    publisher.put_signed(&path, kernel("other"), Key::Other);
    let fingerprint = publisher.signer.fingerprint(Key::Other);
    let key = key_id(&fingerprint);
    let message = format!("refused: SERVER{path} (signed by another key: {key})");
    refuses(&publisher, &message, &[kernel("other")]);
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
    let fingerprint = publisher.signer.fingerprint(Key::Other);
    assert_eq!(
        publisher.message(&fetched.unwrap_err()),
        format!("refused: SERVER{path} (signed by another key: {fingerprint})")
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
    let error = fetched.unwrap_err();
    let refusal = signature_fault(&error);
    let Refusal::ExpiredKey { key, at } = refusal else {
        panic!("{refusal}");
    };
    assert_eq!(*key, fingerprint);
    let remedy = "name a newer key (`key` in [override.NAME], docs/images.md)";
    assert_eq!(
        refusal.to_string(),
        format!("signed by an expired key ({key}, expired {at} seconds after 1970); {remedy}")
    );
    publisher.is_whole(&[], &[kernel("1"), initrd("1")]);
}

#[test]
fn an_initrd_served_as_the_kernel_with_its_own_signature_is_refused() {
    let (publisher, path, _) = publisher();
    publisher.put_signed(&path, initrd("swapped"), Key::Publisher);
    let message = format!("refused: SERVER{path} (wrong content: an initrd instead of a kernel)");
    refuses(&publisher, &message, &[initrd("swapped")]);
}

#[test]
fn kernel_and_initrd_that_were_swapped_without_their_signatures_are_refused() {
    let (publisher, path, other) = publisher();
    publisher.server.put(&path, initrd(BAD));
    publisher.server.put(&other, kernel(BAD));
    let error = publisher.refused("flatcar", &[GOOD], &[initrd(BAD), kernel(BAD)]);
    assert_eq!(*signature_fault(&error), Refusal::Bad);
}

#[test]
fn a_signature_that_is_none_or_missing_is_refused() {
    let (publisher, path, _) = publisher();
    let signature = format!("{path}.sig");
    publisher.server.put(&signature, "<html>not found</html>");
    let message =
        format!("refused: SERVER{path} (no OpenPGP signature found in the signature file)");
    refuses(&publisher, &message, &[kernel(BAD)]);
    publisher.server.put(&signature, vec![0; 70_000]);
    let message = format!("SERVER{signature}: response too large (limit 65536 bytes)");
    refuses(&publisher, &message, &[]);
    publisher.server.remove(&signature);
    let message = format!(
        "version not found: {BAD} of flatcar:stable (SERVER{signature}: the server answers 404 Not Found)"
    );
    refuses(&publisher, &message, &[kernel(BAD)]);
}

#[test]
fn a_channel_or_version_that_is_not_there_is_told_as_such() {
    let (publisher, _, _) = publisher();
    let error = publisher.refused("flatcar@1.2.3", &[GOOD], &[]);
    let messages = [KERNEL, INITRD].map(|name| {
        let path = Publisher::flatcar("stable", "amd64", "1.2.3", name);
        format!(
            "version not found: 1.2.3 of flatcar:stable (SERVER{path}.sig: the server answers 404 Not Found)"
        )
    });
    let message = publisher.message(&error);
    assert!(messages.contains(&message), "{message}");
    publisher.refuses(
        "flatcar:beta",
        "version not found: current of flatcar:beta (SERVER/beta/amd64-usr/current/version.txt: the server answers \
         404 Not Found)",
        &[GOOD],
        &[],
    );
    let version = Publisher::flatcar("stable", "amd64", "current", "version.txt");
    publisher
        .server
        .put(&version, "FLATCAR_VERSION=../../../escape\n");
    publisher.refuses(
        "flatcar",
        "malformed version file SERVER/stable/amd64-usr/current/version.txt: no line `FLATCAR_VERSION=VERSION` \
         (starts with \"FLATCAR_VERSION=../../../escape\\n\")",
        &[GOOD],
        &[],
    );
}

#[test]
fn a_server_in_trouble_is_given_up_after_as_many_attempts_as_are_allowed() {
    let (publisher, path, _) = publisher();
    publisher.server.fail_always(&path, Fault::Status(503));
    let message = format!(
        "SERVER{path}: gave up after 4 attempts with 0 bytes fetched; last error: the server answers 503 Service \
         Unavailable"
    );
    refuses(&publisher, &message, &[]);
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
    let error = fetched.unwrap_err();
    let AcquireError::Fetch(FetchError::GaveUp {
        url, attempts, why, ..
    }) = &error
    else {
        panic!("{error}");
    };
    assert_eq!(*url, format!("http://127.0.0.1:{port}/current/version.txt"));
    assert_eq!(*attempts, 4);
    // The operating system's words.
    assert!(why.contains("Connection refused"), "{why}");
    publisher.is_whole(&[GOOD], &[]);
}

#[test]
fn the_publishers_own_keys_refuse_what_the_tests_sign() {
    let (publisher, _, _) = publisher();
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
    let error = fetched.unwrap_err();
    let fingerprint = publisher.signer.fingerprint(Key::Publisher);
    let other = Refusal::OtherKey(key_id(&fingerprint).into());
    assert_eq!(*signature_fault(&error), other);
    publisher.is_whole(&[GOOD], &[kernel(BAD)]);
}
