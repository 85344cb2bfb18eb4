//! Tests of the open data directory: loading anew, and reasons.

use std::fs;

use super::super::snapshot::Folder;
use super::*;

const CONFIG: &str = "api_version: v1alpha1\ngroups:\n  - name: one\n    spec: s\n    require: \
                      {uuid: u}\n    metadata: {who: one}\n";

fn rack(config: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["specs/s", "cloud", "ignition"] {
        fs::create_dir_all(dir.path().join(folder)).unwrap();
    }
    fs::write(dir.path().join("config.yaml"), config).unwrap();
    let spec = r#"{"id":"s","boot":{"kernel":"/k"},"cloud_id":"c.yaml","ignition_id":""}"#;
    fs::write(dir.path().join("specs/s/spec.json"), spec).unwrap();
    let cloud = "#cloud-config\nhostname: {{.who}}\n";
    fs::write(dir.path().join("cloud/c.yaml"), cloud).unwrap();
    dir
}

fn open(
    dir: &tempfile::TempDir,
) -> (
    DataDir,
    tokio::sync::mpsc::Receiver<boot_server_events::Event>,
) {
    let (sink, events) = EventSink::channel();
    let (data_dir, problems) = DataDir::open(Source::of(dir.path()), Some(sink)).unwrap();
    assert_eq!(problems, []);
    (data_dir, events)
}

fn told(dir: &tempfile::TempDir, problems: &[Problem]) -> Vec<String> {
    let folder = dir.path().to_string_lossy();
    problems
        .iter()
        .map(|p| p.to_string().replace(&*folder, "data"))
        .collect()
}

fn cloud_config(data_dir: &DataDir) -> Result<String, Refusal> {
    let labels = Labels::from_query("uuid=u");
    let served = data_dir.snapshot().config(Folder::Cloud, &labels, "uuid=u");
    served.map(|config| config.text)
}

#[test]
fn a_request_reads_no_file_and_an_edit_counts_once_loaded() {
    let dir = rack(CONFIG);
    let (data_dir, _events) = open(&dir);
    fs::write(dir.path().join("cloud/c.yaml"), "#!/bin/sh\n").unwrap();
    assert_eq!(
        cloud_config(&data_dir).unwrap(),
        "#cloud-config\nhostname: one\n"
    );
    data_dir.reload().unwrap();
    assert_eq!(cloud_config(&data_dir).unwrap(), "#!/bin/sh\n");
}

#[test]
fn a_broken_state_leaves_the_last_good_one_in_force() {
    let dir = rack(CONFIG);
    let (data_dir, mut events) = open(&dir);
    let second = CONFIG.replace("uuid: u", "uuid: second");
    fs::write(dir.path().join("config.yaml"), second).unwrap();
    data_dir.reload().unwrap();
    for (file, text, place) in [
        ("config.yaml", "groups: [", "data/config.yaml:"),
        (
            "specs/s/spec.json",
            "{\"boot\": 5}",
            "data/specs/s/spec.json:1:10",
        ),
        (
            "cloud/c.yaml",
            "#cloud-config\n{{ if }}\n",
            "data/cloud/c.yaml:2:",
        ),
    ] {
        let good = fs::read_to_string(dir.path().join(file)).unwrap();
        fs::write(dir.path().join(file), text).unwrap();
        let told = told(&dir, &data_dir.reload().unwrap_err());
        assert!(told[0].starts_with(place), "{told:?}");
        let labels = Labels::from_query("uuid=second");
        assert_eq!(data_dir.select(&labels).unwrap().group, "one");
        fs::write(dir.path().join(file), good).unwrap();
    }
    data_dir.reload().unwrap();
    let mut reloads = Vec::new();
    while let Ok(event) = events.try_recv() {
        match event.what {
            BootEvent::Reloaded { result } => reloads.push(result.is_in_force()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(reloads, [true, false, false, false, true]);
}

#[test]
fn a_missing_config_is_refused_with_its_name() {
    let dir = rack(CONFIG);
    let (data_dir, _events) = open(&dir);
    fs::remove_file(dir.path().join("cloud/c.yaml")).unwrap();
    data_dir.reload().unwrap();
    assert_eq!(
        cloud_config(&data_dir).unwrap_err(),
        Refusal {
            group: Some("one".into()),
            selectors: vec!["uuid".into()],
            reason: "group `one`: file not found: `cloud/c.yaml`".into(),
            is_over_budget: false,
        }
    );
}

#[test]
fn names_that_lead_out_of_the_directory_are_refused() {
    let dir = rack(&CONFIG.replace("spec: s", "spec: ../../etc"));
    let (data_dir, problems) = DataDir::open(Source::of(dir.path()), None).unwrap();
    assert_eq!(
        problems[0].message,
        "group `one`: refused: `specs/../../etc/spec.json` (leads outside the data directory)"
    );
    let select = data_dir.select(&Labels::from_query("uuid=u"));
    assert_eq!(
        select.unwrap_err().reason,
        "group `one`: spec `../../etc`: refused: `specs/../../etc/spec.json` (leads outside the data directory)"
    );
}

#[test]
fn a_config_that_is_a_link_out_of_the_directory_is_refused() {
    let dir = rack(CONFIG);
    fs::remove_file(dir.path().join("cloud/c.yaml")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", dir.path().join("cloud/c.yaml")).unwrap();
    let (data_dir, problems) = DataDir::open(Source::of(dir.path()), None).unwrap();
    assert_eq!(
        problems[0].message,
        "refused: `cloud/c.yaml` (leads outside the data directory)"
    );
    let refusal = cloud_config(&data_dir).unwrap_err();
    assert_eq!(
        refusal.reason,
        "group `one`: refused: `cloud/c.yaml` (leads outside the data directory)"
    );
}

#[test]
fn a_directory_with_errors_does_not_open_and_tells_all_of_them() {
    let dir = rack(&CONFIG.replace("v1alpha1", "v2"));
    fs::write(dir.path().join("specs/s/spec.json"), "{\n\"boot\": 5}").unwrap();
    let problems = DataDir::open(Source::of(dir.path()), None).unwrap_err();
    let told = told(&dir, &problems);
    assert!(told[0].starts_with("data/config.yaml:1:14:"), "{told:?}");
    assert!(told[1].starts_with("data/specs/s/spec.json:2:"), "{told:?}");
}

#[test]
fn the_layout_is_told_by_what_is_there_unless_it_is_said() {
    let dir = rack(CONFIG);
    fs::create_dir(dir.path().join("groups")).unwrap();
    let problems = DataDir::open(Source::of(dir.path()), None).unwrap_err();
    let [both] = problems.as_slice() else {
        panic!("{problems:?}")
    };
    assert_eq!(
        both.message,
        "ambiguous layout: `config.yaml` (bootcfg) beside `groups` (matchbox)"
    );
    let source = Source {
        layout: Some(Layout::Matchbox),
        ..Source::of(dir.path())
    };
    let (data_dir, _) = DataDir::open(source, None).unwrap();
    assert_eq!(data_dir.snapshot().layout, Layout::Matchbox);
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("README"), "").unwrap();
    let problems = DataDir::open(Source::of(other.path()), None).unwrap_err();
    assert_eq!(problems[0].message, "not a data directory");
}

#[test]
fn empty_directory_is_served_at_start_and_refused_at_reload() {
    let dir = tempfile::tempdir().unwrap();
    let (_, problems) = DataDir::open(Source::of(dir.path()), None).unwrap();
    assert_eq!(problems[0].rule, "no-group");
    let dir = rack(CONFIG);
    let (data_dir, _) = DataDir::open(Source::of(dir.path()), None).unwrap();
    for name in ["config.yaml", "specs", "cloud"] {
        let path = dir.path().join(name);
        let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
    }
    data_dir.reload().unwrap_err();
    assert!(!data_dir.snapshot().groups.is_empty());
}

#[test]
fn two_groups_with_the_same_requirements_are_told() {
    let twice = format!("{CONFIG}  - name: two\n    spec: s\n    require: {{uuid: u}}\n");
    let dir = rack(&twice);
    let (_, problems) = DataDir::open(Source::of(dir.path()), None).unwrap();
    assert_eq!(
        told(&dir, &problems[..1]),
        ["data/config.yaml:8:11: unreachable group: `two` requires the same labels as group `one`"]
    );
}

#[test]
fn no_request_is_dropped_or_sees_half_of_two_states() {
    let dir = rack(CONFIG);
    let (data_dir, _events) = open(&dir);
    let write = |version: usize| {
        let config = CONFIG.replace("who: one", &format!("who: v{version}"));
        fs::write(dir.path().join("config.yaml"), config).unwrap();
        let cloud = format!("#cloud-config\na: [{{{{.who}}}}, v{version}]\n");
        fs::write(dir.path().join("cloud/c.yaml"), cloud).unwrap();
        data_dir.reload().unwrap();
    };
    write(0);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut seen = std::collections::BTreeSet::new();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let text = cloud_config(&data_dir).unwrap();
                let (_, pair) = text.trim_end().split_once('[').unwrap();
                let (metadata, file) = pair.trim_end_matches(']').split_once(", ").unwrap();
                assert_eq!(metadata, file);
                seen.insert(metadata.to_owned());
            }
            seen.len()
        });
        for version in 1..200 {
            write(version);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(asking.join().unwrap() > 1);
    });
}

#[test]
fn change_that_takes_away_too_many_groups_waits_until_it_is_asked_for() {
    let two = format!("{CONFIG}  - name: two\n    spec: s\n");
    let dir = rack(&two);
    let (data_dir, _events) = open(&dir);
    let data_dir = data_dir.with_max_groups_lost(Some(40));
    fs::write(dir.path().join("config.yaml"), CONFIG).unwrap();
    let demand = |asked_for| Demand {
        settle: None,
        asked_for,
    };
    let held = data_dir.reload_as(demand(false));
    assert!(matches!(held, Reload::Refused(_)), "{held:?}");
    assert_eq!(data_dir.snapshot().groups.len(), 2);
    assert!(matches!(data_dir.reload_as(demand(true)), Reload::InForce));
    assert_eq!(data_dir.snapshot().groups.len(), 1);
}

#[test]
fn groups_stay_in_force_when_their_folder_is_gone_until_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("groups/one.json", r#"{"id": "one", "profile": "p"}"#);
    write("profiles/p.json", r#"{"id": "p"}"#);
    let (data_dir, _warnings) = DataDir::open(Source::of(dir.path()), None).unwrap();
    let demand = |asked_for| Demand {
        settle: None,
        asked_for,
    };
    fs::remove_dir_all(dir.path().join("groups")).unwrap();
    let held = data_dir.reload_as(demand(false));
    assert!(matches!(held, Reload::Refused(_)), "{held:?}");
    assert_eq!(data_dir.snapshot().groups.len(), 1);
    assert!(matches!(data_dir.reload_as(demand(true)), Reload::InForce));
    assert!(data_dir.snapshot().groups.is_empty());
    // The last group of a folder that is there is taken away by its own file.
    write("groups/one.json", r#"{"id": "one", "profile": "p"}"#);
    write("profiles/p.json", r#"{"id": "p"}"#);
    assert!(matches!(data_dir.reload_as(demand(false)), Reload::InForce));
    fs::remove_file(dir.path().join("groups/one.json")).unwrap();
    assert!(matches!(data_dir.reload_as(demand(false)), Reload::InForce));
    assert!(data_dir.snapshot().groups.is_empty());
}

/// Templates of which each executes the one before twice: two to the power of `count` in all.
fn doubling(count: usize, bottom: &str) -> String {
    let define =
        |number: usize, body: String| format!("{{{{define \"t{number}\"}}}}{body}{{{{end}}}}");
    let call = |number: usize| format!("{{{{template \"t{number}\" .}}}}");
    let doubled = (1..=count).map(|number| define(number, call(number - 1).repeat(2)));
    let templates: String = doubled.collect();
    format!(
        "#cloud-config\n{}{templates}{}",
        define(0, bottom.to_owned()),
        call(count)
    )
}

/// The three templates of finding H4, and others of their kind.
#[test]
fn h4_templates_over_budget_leave_the_last_good_state_in_force() {
    let ranges = format!(
        "#cloud-config\n{}{}",
        "{{range $.l}}".repeat(9),
        "{{end}}".repeat(9)
    );
    for text in [
        doubling(24, &"x".repeat(1024)),
        doubling(30, ""),
        ranges,
        "#cloud-config\n{{define \"a\"}}{{template \"a\"}}{{end}}\n{{template \"a\"}}".to_owned(),
        "#cloud-config\n{{$x := \"x\"}}{{range .l}}{{range $.l}}{{$x = print $x $x}}{{end}}{{end}}"
            .to_owned(),
    ] {
        let dir = rack(&CONFIG.replace("who: one", "who: one, l: [1, 2, 3, 4, 5, 6, 7, 8]"));
        let (data_dir, _events) = open(&dir);
        fs::write(dir.path().join("cloud/c.yaml"), &text).unwrap();
        let told = told(&dir, &data_dir.reload().unwrap_err());
        assert!(told[0].starts_with("data/cloud/c.yaml:"), "{told:?}");
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(
            cloud_config(&data_dir).unwrap(),
            "#cloud-config\nhostname: one\n"
        );
        // At start there is no state that could stay: it is an error as any other.
        let problems = DataDir::open(Source::of(dir.path()), None).unwrap_err();
        assert!(
            problems
                .iter()
                .any(|p| p.severity == Severity::Error && p.line.is_some())
        );
    }
}

#[test]
fn h4_else_if_2500_times_is_served() {
    let dir = rack(CONFIG);
    let arms = "{{else if false}}b".repeat(2_500);
    let text = format!(
        "#cloud-config\nhostname: {{{{if false}}}}a{arms}{{{{else}}}}{{{{.who}}}}{{{{end}}}}\n"
    );
    fs::write(dir.path().join("cloud/c.yaml"), text).unwrap();
    let (data_dir, _events) = open(&dir);
    assert_eq!(
        cloud_config(&data_dir).unwrap(),
        "#cloud-config\nhostname: one\n"
    );
}

#[test]
fn p8_printf_of_a_wrong_type_is_a_warning() {
    let dir = rack(&CONFIG.replace("who: one", "who: one, mem: big"));
    let text = "#cloud-config\nhostname: {{.who}}\n# {{printf \"%.0f\" .mem}}\n";
    fs::write(dir.path().join("cloud/c.yaml"), text).unwrap();
    let (_, problems) = DataDir::open(Source::of(dir.path()), None).unwrap();
    let told = told(&dir, &problems);
    assert!(told[0].starts_with("data/cloud/c.yaml:3:"), "{told:?}");
    assert!(told[0].contains("%!f(string=)"), "{told:?}");
}
