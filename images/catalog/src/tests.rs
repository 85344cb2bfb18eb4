//! The project's own catalog is good; each mistake in a user's is told with its place.

use super::model::{KeyText, Source};
use super::*;

fn find(text: &str) -> Result<Wanted, UnknownImage> {
    Catalog::own().unwrap().find(&text.parse().unwrap())
}

fn problem(text: &str) -> Box<Problem> {
    let mut catalog = Catalog::own().unwrap();
    catalog
        .add("mine.toml", Path::new("/etc/lab"), text)
        .unwrap_err()
}

/// An image with a good kernel and initrd, with `more` in its table.
fn image(more: &str) -> String {
    let hash = "a".repeat(64);
    format!(
        "[image.mine]\nfamily = \"flatcar\"\n{more}\n\
         [[image.mine.file]]\nrole = \"kernel\"\npath = \"vmlinuz\"\nsha256 = \"{hash}\"\n\
         [[image.mine.file]]\nrole = \"initrd\"\nurl = \"http://host/initrd\"\nsha256 = \"{hash}\"\n"
    )
}

#[test]
fn the_own_catalog_knows_every_published_channel() {
    for (name, label) in [
        ("flatcar", "flatcar:stable"),
        ("flatcar:beta", "flatcar:beta"),
        ("flatcar:alpha/arm64", "flatcar:alpha/arm64"),
        ("flatcar:lts", "flatcar:lts"),
        ("fedora-coreos:testing", "fedora-coreos:testing"),
        ("fedora-coreos:next/arm64", "fedora-coreos:next/arm64"),
        ("coreos@835.9.0", "coreos:stable"),
        ("stand-in", "stand-in"),
        ("debian-installer", "debian-installer:12"),
        ("debian-installer:13", "debian-installer:13"),
        ("debian-cloud-init", "debian-cloud-init"),
    ] {
        assert_eq!(find(name).unwrap().label(), label);
    }
    assert_eq!(find("coreos").unwrap().version, "835.9.0");
    assert_eq!(find("coreos:stable@current").unwrap().version, "current");
}

#[test]
fn what_is_not_in_the_catalog_is_named_with_what_is() {
    for (name, said) in [
        ("flatca:stable", "did you mean `flatcar`?"),
        ("flatcar:stabel", "did you mean `stable`?"),
        ("fedora-coreos:rawhide", "`stable`, `testing` or `next`"),
        ("stand-in:stable", "there is none"),
        ("coreos/arm64", "unsupported architecture arm64"),
        ("debian-installer:11", "`12` or `13`"),
    ] {
        let error = find(name).unwrap_err().to_string();
        assert!(error.contains(said), "{name}: {error}");
    }
}

#[test]
fn a_users_image_takes_its_paths_from_the_folder_of_its_file() {
    let mut catalog = Catalog::own().unwrap();
    catalog
        .add(
            "mine.toml",
            Path::new("/etc/lab"),
            &image("version = \"7\""),
        )
        .unwrap();
    let wanted = catalog.find(&"mine".parse().unwrap()).unwrap();
    assert_eq!(
        (wanted.label().as_str(), wanted.version.as_str()),
        ("mine", "7")
    );
    let Source::Files(files) = wanted.entry.source else {
        panic!()
    };
    let places: Vec<String> = files.iter().map(|file| file.location.to_string()).collect();
    assert_eq!(places, ["/etc/lab/vmlinuz", "http://host/initrd"]);
    assert_eq!(files[1].name, "initrd");
}

#[test]
fn an_image_may_say_how_much_memory_it_needs() {
    let mut catalog = Catalog::own().unwrap();
    let needs = |catalog: &Catalog, name: &str| catalog.entry(name).unwrap().memory_mib;
    assert_eq!(needs(&catalog, "fedora-coreos"), 2048);
    assert_eq!(needs(&catalog, "flatcar"), 0);
    catalog
        .add("mine.toml", Path::new("/"), &image("memory_mib = 1536"))
        .unwrap();
    assert_eq!(needs(&catalog, "mine"), 1536);
}

#[test]
fn a_mirror_and_a_newer_key_are_a_line_each() {
    let mut catalog = Catalog::own().unwrap();
    let text = "[override.coreos]\nmirror = \"http://mirror/amd64-usr/\"\n\
                [override.fedora-coreos]\nkey = \"fedora-47.asc\"\n\
                fingerprints = [\"AAAA BBBB CCCC DDDD EEEE  FFFF 0000 1111 2222 3333\"]\n";
    catalog
        .add("mine.toml", Path::new("/etc/lab"), text)
        .unwrap();
    let Source::Directory(directory) = &catalog.entry("coreos").unwrap().source else {
        panic!()
    };
    assert_eq!(directory.mirror.as_deref(), Some("http://mirror/amd64-usr"));
    let key = catalog.entry("fedora-coreos").unwrap().key.clone().unwrap();
    assert_eq!(key.text, KeyText::File("/etc/lab/fedora-47.asc".into()));
    assert_eq!(
        key.fingerprints,
        ["AAAABBBBCCCCDDDDEEEEFFFF0000111122223333"]
    );
}

#[test]
fn each_mistake_is_told_with_line_column_and_what_would_be_right() {
    let hash = "a".repeat(64);
    let first = "[image.mine]\nfamily = \"flatcar\"\n[[image.mine.file]]\nrole = \"kernel\"\n";
    let cases: Vec<(String, (usize, usize), &str, &str)> = vec![
        (image("famly = 1"), (3, 1), "unknown field `famly`", "docs/images.md"),
        (image("family = \"x\""), (3, 1), "duplicate key", "docs/images.md"),
        ("[image.a]\n".into(), (1, 1), "missing field `family`", "docs/images.md"),
        ("[image".into(), (1, 7), "unclosed table", "docs/images.md"),
        (image("layout = \"stram\""), (3, 10), "unknown layout `stram`", "did you mean `stream`?"),
        ("[image.a]\nfamily = \"flatcra\"\n".into(), (2, 10), "unknown value `flatcra`", "did you mean `flatcar`?"),
        ("[image.flatcar]\nfamily = \"flatcar\"\n".into(), (1, 8), "duplicate image `flatcar`", "[override.flatcar]"),
        ("[override.flatca]\nmirror = \"http://x\"\n".into(), (1, 11), "unknown image `flatca`", "did you mean `flatcar`?"),
        ("[override.flatcar]\nmirror = \"ftp://x\"\n".into(), (2, 10), "invalid URL", "https:// or http://"),
        (image("key = \"k.asc\""), (1, 8), "missing `fingerprints`", "40 hex digits"),
        (image("key = \"k\"\nfingerprints = [\"0593B34A\"]"), (4, 17), "invalid fingerprint", "too short"),
        (image("memory_mib = 2"), (3, 14), "invalid `memory_mib`: 2", "memory_mib = 2048"),
        (image("channels = [\"../x\"]"), (3, 13), "for a channel", "start with a letter"),
        (first.into(), (3, 1), "exactly one of `url` and `path`", "either"),
        (format!("{first}path = \"x\"\n"), (3, 1), "missing hash or signature of `x`", "sha256"),
        (format!("{first}path = \"x\"\nsha256 = \"abc\"\n"), (6, 10), "invalid hash", "64 hex digits"),
        (format!("{first}path = \"x\"\nsignature = \"x.sig\"\n"), (6, 13), "missing signing key", "fingerprints"),
        (format!("{first}path = \"x\"\nsha256 = \"{hash}\"\n"), (1, 8), "missing initrd", "role = \"initrd\""),
        ("[image.a]\nfamily = \"coreos\"\nlayout = \"release-directory\"\nurl = \"http://x/{file}\"\n".into(),
         (4, 7), "missing {version}", "{version}"),
        (image("layout = \"package\""), (1, 8), "missing `package`", "netboot-amd64"),
        (image("layout = \"package\"\npackage = \"a b\""), (4, 11), "invalid package name `a b`", "netboot-amd64"),
        (image("layout = \"package\"\npackage = \"a\""), (1, 8), "missing `channels`", "[\"12\", \"13\"]"),
        (image("layout = \"package\"\npackage = \"a\"\nchannels = [\"11\"]"), (5, 13), "unknown Debian release `11`", "`12` or `13`"),
        (image("layout = \"package\"\npackage = \"a\"\nchannels = [\"12\"]"), (10, 1), "missing or invalid `path`", "path of the file in the package"),
    ];
    for (text, place, what, help) in cases {
        let found = problem(&text);
        let said = found.to_string();
        assert_eq!(found.place(), Some(place), "{text}\n{said}");
        assert!(
            said.starts_with(&format!("mine.toml:{}:{}: ", place.0, place.1)),
            "{said}"
        );
        assert!(said.contains(what), "{text}\n{said}");
        assert!(found.help().contains(help), "{text}\n{}", found.help());
    }
}

#[test]
fn a_local_file_without_a_hash_is_told_the_hash_that_it_has() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("vmlinuz"), "abc").unwrap();
    let text = "[image.mine]\nfamily = \"flatcar\"\n[[image.mine.file]]\nrole = \"kernel\"\npath = \"vmlinuz\"\n";
    let mut catalog = Catalog::own().unwrap();
    let found = catalog.add("mine.toml", folder.path(), text).unwrap_err();
    // SHA-256 of "abc", FIPS 180-2 appendix B.1.
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert!(found.help().contains(hash), "{}", found.help());
}
