//! Tests of extracting a directory from a git revision.

use super::*;
use crate::plan::testing::{directory, write};

/// git in a folder, with nothing of the host's configuration.
fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn repository() -> TempDir {
    let folder = directory(&[
        ("rack/data/config.yaml", "old\n"),
        ("rack/data/cloud/a.yaml", "a\n"),
        ("other", "o\n"),
        (".gitattributes", "a.yaml export-ignore\n"),
    ]);
    git(folder.path(), &["init", "--quiet", "--initial-branch=main"]);
    git(folder.path(), &["add", "."]);
    git(folder.path(), &["commit", "--quiet", "-m", "first"]);
    folder
}

#[test]
fn a_directory_is_taken_out_as_it_was_and_nothing_is_touched() {
    let folder = repository();
    let data = folder.path().join("rack/data");
    write(&data, "config.yaml", "new\n");
    write(&data, "staged.yaml", "s\n");
    git(folder.path(), &["add", "rack/data/staged.yaml"]);
    let before = git(folder.path(), &["status", "--porcelain"]);
    let revision = Revision::take_out(&data, "main").unwrap();
    let read = |name: &str| std::fs::read_to_string(revision.path().join(name));
    assert_eq!(read("config.yaml").unwrap(), "old\n");
    assert_eq!(
        read("cloud/a.yaml").unwrap(),
        "a\n",
        "whatever archives leave out"
    );
    assert!(read("staged.yaml").is_err());
    assert!(!revision.path().join("other").exists());
    assert_eq!(revision.commit, git(folder.path(), &["rev-parse", "main"]));
    assert_eq!(git(folder.path(), &["status", "--porcelain"]), before);
    let path = revision.path();
    drop(revision);
    assert!(!path.exists());
}

#[test]
fn the_whole_repository_may_be_the_directory() {
    let folder = repository();
    let revision = Revision::take_out(folder.path(), "HEAD").unwrap();
    assert!(revision.path().join("rack/data/cloud/a.yaml").exists());
}

#[test]
fn what_cannot_be_had_is_told_by_its_name() {
    let folder = repository();
    let refused = |dir: &Path, revision: &str| Revision::take_out(dir, revision).unwrap_err();
    for unknown in ["no-such", "--help"] {
        let error = refused(folder.path(), unknown);
        assert!(
            matches!(&error, RevisionError::NoRevision { revision, .. } if revision == unknown),
            "{error}"
        );
    }
    write(folder.path(), "later/config.yaml", "x\n");
    let told = refused(&folder.path().join("later"), "main");
    assert_eq!(
        told.to_string(),
        "directory not found: `later` in revision `main`"
    );
    let outside = tempfile::tempdir().unwrap();
    let error = refused(outside.path(), "main");
    assert!(
        matches!(&error, RevisionError::NoRepository { dir, .. } if *dir == outside.path().display().to_string()),
        "{error}"
    );
}
