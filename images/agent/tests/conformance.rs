//! The agent against what coreos-cloudinit 1.14 did with the same user-data, as recorded in
//! `conformance/apply.jsonl`: outside calls in order, exit code, and every file changed with its
//! mode, owner and content.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod recorder;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use guest_agent::apply::{Machine, apply_user_data};
use guest_agent::config::Substitutions;
use recorder::Recorder;
use serde::Deserialize;

/// One recorded case.
#[derive(Debug, Deserialize)]
struct Case {
    case: String,
    user_data: String,
    env: BTreeMap<String, String>,
    exit: i32,
    calls: Vec<String>,
    changed: BTreeMap<String, Changed>,
}

/// What became of a path.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Changed {
    mode: String,
    uid: u32,
    gid: u32,
    content: Option<String>,
    link: Option<String>,
    #[serde(default)]
    dir: bool,
}

fn cases() -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/apply.jsonl");
    fs::read_to_string(path)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The differences we mean, each with its reason. Everything else has to be the same.
fn argued(mut case: Case) -> Case {
    match case.case.as_str() {
        // The reference leaves its temporary file beside the target when chown fails. Nobody can
        // want that file; ours is taken away.
        "file-owner-unknown" => {
            case.changed
                .remove("/opt/cloudinit-temp<random>")
                .expect("recorded leftover");
        }
        // The same transient unit, asked for through systemd-run instead of D-Bus; the recorder
        // writes down unit and command line, which have to be the recorded ones.
        "script" => {
            let call = case.calls.first_mut().expect("a recorded call");
            let script = "/var/lib/coreos-cloudinit/scripts/<random>";
            assert!(
                call.contains(&format!("['/bin/bash', '{script}']")),
                "{call}"
            );
            *call = format!(
                "systemd1.StartTransientUnit [coreos-cloudinit-<random>.service /bin/bash {script}]"
            );
        }
        _ => {}
    }
    case
}

/// The root that the reference was run on, as far as the cases meet it.
fn lay_out(root: &Path) {
    for folder in [
        "etc/coreos",
        "etc/systemd/system",
        "opt",
        "run",
        "var/lib",
        "usr/share/coreos",
    ] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::write(
        root.join("usr/share/coreos/update.conf"),
        "GROUP=stable\nSERVER=http://default/\n",
    )
    .unwrap();
    fs::write(root.join("etc/existing"), "old").unwrap();
    fs::set_permissions(root.join("etc/existing"), fs::Permissions::from_mode(0o600)).unwrap();
}

/// Everything under `root`, with owners as the recorder knows them.
fn walk(root: &Path, recorder: &Recorder) -> BTreeMap<String, Changed> {
    fn inner(
        root: &Path,
        folder: &Path,
        recorder: &Recorder,
        found: &mut BTreeMap<String, Changed>,
    ) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let (uid, gid) = recorder
                .owners
                .borrow()
                .get(&meta.ino())
                .copied()
                .unwrap_or((0, 0));
            let link = meta.is_symlink().then(|| fs::read_link(&path).unwrap());
            found.insert(
                format!("/{}", path.strip_prefix(root).unwrap().display()),
                Changed {
                    mode: format!("0o{:o}", meta.mode() & 0o7777),
                    uid,
                    gid,
                    content: meta.is_file().then(|| fs::read_to_string(&path).unwrap()),
                    link: link.map(|link| link.display().to_string()),
                    dir: meta.is_dir(),
                },
            );
            if meta.is_dir() {
                inner(root, &path, recorder, found);
            }
        }
    }
    let mut found = BTreeMap::new();
    inner(root, root, recorder, &mut found);
    found
}

/// What is wrong with the agent's doing in this case; nothing when all is as recorded.
fn compare(case: &Case) -> Vec<String> {
    let root = tempfile::tempdir().unwrap();
    lay_out(root.path());
    let recorder = Recorder::default();
    let before = walk(root.path(), &recorder);
    let mut said = Vec::new();
    let outcome = apply_user_data(
        &case.user_data,
        &mut Machine {
            root: root.path(),
            substitutions: Substitutions::from_lookup(|key| case.env.get(key).cloned()),
            system: &recorder,
            say: &mut |line| said.push(line.to_owned()),
        },
    );
    let mut changed = walk(root.path(), &recorder);
    changed.retain(|path, now| before.get(path) != Some(now));

    let mut wrong = Vec::new();
    if i32::from(outcome.is_err()) != case.exit {
        wrong.push(format!("exit code: {outcome:?} instead of {}", case.exit));
    }
    if recorder.calls() != case.calls {
        wrong.push(format!(
            "calls:\n  {:?}\ninstead of\n  {:?}",
            recorder.calls(),
            case.calls
        ));
    }
    if changed != case.changed {
        wrong.push(format!(
            "files:\n  {changed:?}\ninstead of\n  {:?}",
            case.changed
        ));
    }
    if !wrong.is_empty() {
        wrong.push(format!("said: {said:#?}"));
    }
    wrong
}

#[test]
fn every_recorded_case_has_the_same_calls_exit_code_and_files() {
    let cases = cases();
    assert_eq!(cases.len(), 60);
    let mut report = String::new();
    for case in cases.into_iter().map(argued) {
        let wrong = compare(&case);
        if !wrong.is_empty() {
            report.push_str(&format!("## {}\n{}\n", case.case, wrong.join("\n")));
        }
    }
    assert!(report.is_empty(), "{report}");
}

#[test]
fn a_case_with_another_mode_is_noticed() {
    let mut case = cases()
        .into_iter()
        .find(|case| case.case == "file-parents")
        .unwrap();
    case.changed.get_mut("/opt/deep/er/a").unwrap().mode = "0o640".to_owned();
    assert!(!compare(&case).is_empty());
}
