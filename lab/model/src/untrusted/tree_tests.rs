//! Tests of surveying and copying folders.

use std::os::unix::fs::{PermissionsExt, symlink};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;

const SMALL: Limits = Limits {
    depth: 4,
    count: 50,
    file_bytes: 100,
    total_bytes: 150,
    ..Limits::DATA
};

fn folder() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    fs::create_dir_all(data.join("cloud")).unwrap();
    fs::write(dir.path().join("secret"), "secret").unwrap();
    fs::write(data.join("cloud/a"), "a").unwrap();
    (dir, data)
}

fn survey(path: &Path, limits: Limits) -> Result<Tree, Option<Refused>> {
    Tree::survey(path, limits, |_| false).map_err(|error| {
        error
            .source
            .get_ref()
            .and_then(|why| why.downcast_ref().copied())
    })
}

#[test]
fn copy_links_inside_are_followed_and_others_left_out() {
    let (dir, data) = folder();
    symlink("cloud/a", data.join("inside")).unwrap();
    symlink("../secret", data.join("relative")).unwrap();
    symlink(dir.path().join("secret"), data.join("absolute")).unwrap();
    symlink("nowhere", data.join("dead")).unwrap();
    symlink("itself", data.join("itself")).unwrap();
    symlink("../..", data.join("cloud/around")).unwrap();
    symlink("/proc/self/root", data.join("magic")).unwrap();
    let tree = survey(&data, SMALL).unwrap();
    let to = dir.path().join("to");
    tree.copy_to(&to).unwrap();
    assert_eq!(fs::read_to_string(to.join("inside")).unwrap(), "a");
    assert!(fs::symlink_metadata(to.join("inside")).unwrap().is_file());
    assert_eq!(fs::read_dir(&to).unwrap().count(), 2);
    assert_eq!(fs::read_dir(to.join("cloud")).unwrap().count(), 1);
    assert_eq!(tree.left_out.len(), 6);
}

#[test]
fn copy_links_of_a_run_folder_are_refused() {
    let (_dir, data) = folder();
    symlink("cloud/a", data.join("inside")).unwrap();
    let limits = Limits {
        links: Links::Refused,
        ..SMALL
    };
    assert_eq!(survey(&data, limits).unwrap_err(), Some(Refused::Link));
}

#[test]
fn copy_links_around_themselves_end() {
    let (dir, data) = folder();
    for name in ["a", "b"] {
        symlink(".", data.join(name)).unwrap();
        symlink("../cloud", data.join("cloud").join(format!("{name}2"))).unwrap();
    }
    let tree = survey(&data, SMALL).unwrap();
    tree.copy_to(&dir.path().join("to")).unwrap();
    assert_eq!(tree.found.len(), 2);
}

#[test]
fn copy_special_files_are_refused_or_left_out_and_never_opened() {
    let (dir, data) = folder();
    mknodat(CWD, data.join("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    for links in [Links::Refused, Links::Beneath] {
        let limits = Limits { links, ..SMALL };
        let refused = survey(&data, limits).unwrap_err();
        assert_eq!(refused, Some(Refused::Special("FIFO")));
    }
    let beyond = Beyond::LeftOut;
    let tree = survey(&data, Limits { beyond, ..SMALL }).unwrap();
    tree.copy_to(&dir.path().join("to")).unwrap();
    assert!(!dir.path().join("to/fifo").exists());
}

#[test]
fn survey_limits_bound_depth_count_and_size() {
    let (_dir, data) = folder();
    fs::write(data.join("large"), [0; 101]).unwrap();
    let limit_bytes = SMALL.file_bytes;
    let refused = survey(&data, SMALL).unwrap_err();
    assert_eq!(refused, Some(Refused::TooLarge { limit_bytes }));
    fs::write(data.join("large"), [0; 100]).unwrap();
    fs::write(data.join("more"), [0; 51]).unwrap();
    let limit_bytes = SMALL.total_bytes;
    let refused = survey(&data, SMALL).unwrap_err();
    assert_eq!(refused, Some(Refused::TooLarge { limit_bytes }));
    fs::remove_file(data.join("large")).unwrap();
    fs::create_dir_all(data.join("1/2/3/4")).unwrap();
    assert!(survey(&data, SMALL).is_ok());
    fs::create_dir_all(data.join("1/2/3/4/5")).unwrap();
    let refused = survey(&data, SMALL).unwrap_err();
    assert_eq!(refused, Some(Refused::TooDeep { limit: 4 }));
    fs::remove_dir_all(data.join("1")).unwrap();
    for number in 0..50 {
        fs::write(data.join(format!("{number}")), "").unwrap();
    }
    let refused = survey(&data, SMALL).unwrap_err();
    assert_eq!(refused, Some(Refused::TooMany { limit: 50 }));
}

#[test]
fn copy_has_no_set_uid_bits_and_replaces_what_is_there() {
    let (dir, data) = folder();
    let program = data.join("cloud/a");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o6755)).unwrap();
    let to = dir.path().join("to");
    fs::create_dir_all(to.join("cloud")).unwrap();
    symlink(dir.path().join("secret"), to.join("cloud/a")).unwrap();
    survey(&data, SMALL).unwrap().copy_to(&to).unwrap();
    let mode = fs::symlink_metadata(to.join("cloud/a"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7000, 0, "{mode:o}");
    assert_eq!(mode & 0o100, 0o100, "{mode:o}");
    let secret = fs::read_to_string(dir.path().join("secret")).unwrap();
    assert_eq!(secret, "secret");
}
