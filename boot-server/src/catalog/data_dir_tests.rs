//! Tests of the open data directory: reading anew, and reasons.

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

fn open(dir: &tempfile::TempDir) -> (DataDir, tokio::sync::mpsc::Receiver<crate::event::Event>) {
    let (sink, events) = EventSink::channel();
    let (data_dir, problems) = DataDir::open(dir.path(), None, Some(sink)).unwrap();
    assert_eq!(problems, []);
    (data_dir, events)
}

#[test]
fn an_edited_config_counts_at_the_next_request() {
    let dir = rack(CONFIG);
    let (data_dir, _events) = open(&dir);
    let labels = Labels::from_query("uuid=u");
    let before = data_dir.cloud_config(&labels).unwrap();
    assert_eq!(before.text, "#cloud-config\nhostname: one\n");
    fs::write(dir.path().join("cloud/c.yaml"), "#!/bin/sh\n").unwrap();
    assert_eq!(data_dir.cloud_config(&labels).unwrap().text, "#!/bin/sh\n");
}

#[test]
fn changed_groups_count_and_broken_ones_leave_the_last_good_in_force() {
    let dir = rack(CONFIG);
    let (data_dir, mut events) = open(&dir);
    let labels = Labels::from_query("uuid=second");
    assert_eq!(data_dir.group(&labels).unwrap_err().group, None);
    let second = CONFIG.replace("uuid: u", "uuid: second");
    fs::write(dir.path().join("config.yaml"), second).unwrap();
    assert_eq!(data_dir.group(&labels).unwrap().name, "one");
    fs::write(dir.path().join("config.yaml"), "groups: [").unwrap();
    assert_eq!(data_dir.group(&labels).unwrap().name, "one");
    assert_eq!(data_dir.group(&labels).unwrap().name, "one");
    let mut reloads = Vec::new();
    while let Ok(event) = events.try_recv() {
        match event.what {
            BootEvent::Reloaded { result } => reloads.push(result.is_ok()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(reloads, [true, false]);
}

#[test]
fn a_missing_config_is_refused_with_its_name() {
    let dir = rack(CONFIG);
    let (data_dir, _events) = open(&dir);
    fs::remove_file(dir.path().join("cloud/c.yaml")).unwrap();
    let refusal = data_dir.cloud_config(&Labels::from_query("uuid=u"));
    assert_eq!(
        refusal.unwrap_err(),
        Refusal {
            group: Some("one".into()),
            reason: "group `one`: there is no file `cloud/c.yaml`".into()
        }
    );
}

#[test]
fn names_that_lead_out_of_the_directory_are_refused() {
    let dir = rack(&CONFIG.replace("spec: s", "spec: ../../etc"));
    let Err(refusal) = read_inside(dir.path(), "cloud/../../secret") else {
        panic!("was read")
    };
    assert!(refusal.contains("leads out"), "{refusal}");
    let (data_dir, problems) = DataDir::open(dir.path(), None, None).unwrap();
    assert!(problems[0].message.contains("leads out"), "{problems:?}");
    let select = data_dir.select(&Labels::from_query("uuid=u"));
    assert!(select.unwrap_err().contains("leads out"));
}

#[test]
fn a_directory_with_errors_does_not_open_and_tells_all_of_them() {
    let dir = rack(&CONFIG.replace("v1alpha1", "v2"));
    fs::write(dir.path().join("specs/s/spec.json"), "{\n\"boot\": 5}").unwrap();
    let problems = DataDir::open(dir.path(), None, None).unwrap_err();
    let told: Vec<String> = problems
        .iter()
        .map(|p| {
            p.to_string()
                .replace(&*dir.path().to_string_lossy(), "data")
        })
        .collect();
    assert!(told[0].starts_with("data/config.yaml:1:14:"), "{told:?}");
    assert!(told[1].starts_with("data/specs/s/spec.json:2:"), "{told:?}");
}
