//! The keys that come with the project, looked at by GnuPG: they are those whose fingerprints the catalog pins.

use std::process::Command;

use images::catalog::Catalog;
use images::catalog::model::KeyText;
use images::verify::keys;

/// Fingerprints of the primary keys in `packets`, by GnuPG.
fn primaries(packets: &[u8]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.gpg");
    std::fs::write(&file, packets).unwrap();
    let output = Command::new("gpg")
        .arg("--homedir")
        .arg(folder.path())
        .args(["--batch", "--no-tty", "--with-colons", "--show-keys"])
        .arg(&file)
        .output()
        .expect("gpg (Debian package gnupg)");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut fingerprints = Vec::new();
    let mut is_primary = false;
    for line in text.lines() {
        let mut fields = line.split(':');
        match fields.next() {
            Some("pub") => is_primary = true,
            Some("sub") => is_primary = false,
            Some("fpr") if is_primary => fingerprints.extend(fields.nth(8).map(str::to_owned)),
            _ => {}
        }
    }
    fingerprints
}

#[test]
fn every_shipped_key_has_just_the_fingerprints_that_the_catalog_pins() {
    let catalog = Catalog::own().unwrap();
    let mut seen = Vec::new();
    for entry in catalog.entries() {
        let Some(key) = &entry.key else { continue };
        let KeyText::Shipped(name) = key.text else {
            panic!("{}: {key:?}", entry.name)
        };
        let (_, text) = keys::SHIPPED
            .iter()
            .find(|(shipped, _)| *shipped == name)
            .unwrap();
        let packets = keys::packets(text.as_bytes()).unwrap();
        assert_eq!(primaries(&packets), key.fingerprints, "{name}");
        seen.push(name);
    }
    assert_eq!(
        seen.len(),
        keys::SHIPPED.len(),
        "a key that no image needs: {seen:?}"
    );
}
