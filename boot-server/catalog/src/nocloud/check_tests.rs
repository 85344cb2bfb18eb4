//! Checks and explanations of directories whose machines boot with cloud-init.

use std::fs;

use crate::Labels;
use crate::check::check;
use crate::explain::explain;
use crate::load::Source;
use crate::snapshot::Snapshot;

fn directory(user_data: &str, option: &str) -> tempfile::TempDir {
    let data = tempfile::tempdir().unwrap();
    let boot = serde_json::json!({"kernel": "http://h/k", "args": [option]});
    let profile = serde_json::json!({"id": "p", "cloud_id": "one", "boot": boot});
    let group = r#"{"id": "g", "profile": "p", "selector": {"rack": "7"}}"#;
    for (file, text) in [
        ("groups/g.json", group),
        ("profiles/p.json", &profile.to_string()),
        ("cloud/one", user_data),
    ] {
        let path = data.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    data
}

const SEED: &str = "ds=nocloud;s=http://h/nocloud/rack=7/";

fn problems(user_data: &str, option: &str) -> Vec<String> {
    let data = directory(user_data, option);
    let problems = check(&Source::of(data.path()), None);
    problems.iter().map(|one| one.message.clone()).collect()
}

#[test]
fn check_of_user_data_is_cloud_inits_where_the_kernel_option_names_a_seed() {
    for text in [
        "Content-Type: text/cloud-config\n\na: 1\n",
        "## template: jinja\n#cloud-config\nfqdn: {{ v1.local_hostname }}\n",
        "#cloud-config\na: 1\n",
    ] {
        assert_eq!(problems(text, SEED), [""; 0], "{text}");
    }
    let unknown = problems("a: 1\n", SEED);
    assert!(unknown[0].contains("unknown user-data type"), "{unknown:?}");
    let other = problems(
        "Content-Type: text/x\n",
        "cloud-config-url=http://h/cloud?rack=7",
    );
    assert!(other[0].contains("unknown cloud-config type"), "{other:?}");
}

#[test]
fn explanation_names_the_seeds_files_of_machines_that_have_one() {
    let told = |option: &str| {
        let data = directory("#cloud-config\na: 1\n", option);
        let (snapshot, _) = Snapshot::load(&Source::of(data.path()));
        let explanation = explain(&snapshot, &Labels::from_query("rack=7"), "rack=7");
        serde_json::to_value(&explanation).unwrap()["served"].clone()
    };
    let served = told(SEED);
    assert_eq!(served["/nocloud/user-data"]["file"], "cloud/one");
    assert_eq!(served["/nocloud/meta-data"]["file"], "meta-data");
    assert_eq!(told("quiet")["/nocloud/user-data"], serde_json::Value::Null);
}
