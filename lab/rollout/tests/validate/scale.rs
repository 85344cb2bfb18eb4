//! Thousands of files in about a second.

use std::fs;
use std::time::Instant;

use rollout::validate::{Level, Request, report, validate};

#[test]
fn thousands_of_files_are_validated_in_a_time_that_people_wait() {
    const GROUPS: usize = 1500;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    for name in ["groups", "profiles", "cloud"] {
        fs::create_dir(data.join(name)).unwrap();
    }
    for n in 0..GROUPS {
        let group = serde_json::json!({
            "id": format!("g{n}"), "profile": format!("p{n}"),
            "selector": {"mac": format!("52:54:00:{:02x}:{:02x}:01", n / 256, n % 256)},
            "metadata": {"hostname": format!("n{n}")},
        });
        let url = "http://10.0.0.1:8080/cloud?mac=${mac:hexhyp}";
        // Every profile has the same mistake, so that there is something to draw.
        let profile = serde_json::json!({
            "id": format!("p{n}"), "cloud_id": format!("c{n}.yaml"),
            "boot": {"kernel": "http://10.0.0.1/k", "args": [
                "console=ttyS0", "coreos.autologon", format!("cloud-config-url={url}")]},
        });
        let cloud = "#cloud-config\nhostname: {{.hostname}}\ncoreos:\n  units:\n    - name: a.service\n      \
                     command: start\n";
        fs::write(data.join(format!("groups/g{n}.json")), group.to_string()).unwrap();
        fs::write(
            data.join(format!("profiles/p{n}.json")),
            profile.to_string(),
        )
        .unwrap();
        fs::write(data.join(format!("cloud/c{n}.yaml")), cloud).unwrap();
    }
    let started = Instant::now();
    let report = validate(&Request {
        root: data.to_owned(),
        ..Request::default()
    });
    let text = report::text(&report);
    let took = started.elapsed();
    assert_eq!(report.count(Level::Warning), GROUPS);
    assert_eq!(
        report.count(Level::Error),
        0,
        "{}",
        &text[..2000.min(text.len())]
    );
    eprintln!("{} files in {took:?}", 3 * GROUPS);
    // A second on an idle machine; tests run beside others, and not optimised as what people run.
    assert!(took.as_secs() < 15, "{took:?}");
}
