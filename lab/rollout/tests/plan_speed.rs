//! A plan of 10,000 machines by 1,000 groups, from files to text. `--release --nocapture` shows the times that
//! `docs/rollout.md` tells; the bound here only catches what grows with machines times groups.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use boot_server_catalog::load::Source;
use boot_server_catalog::snapshot::Snapshot;
use rollout::inventory::read;
use rollout::plan::change::{Fate, compare};
use rollout::plan::plan;
use rollout::plan::report::{self, Colour};

const MACHINES: usize = 10_000;
const GROUPS: usize = 1_000;
const SPECS: usize = 50;
/// Some fifty times what it takes; trying each group for each machine takes longer.
const BOUND: Duration = Duration::from_secs(60);

fn uuid(number: usize) -> String {
    format!("16e7d8a7-bfa9-428b-9117-{number:012x}")
}

fn mac(number: usize) -> String {
    format!(
        "52:54:{:02x}:{:02x}:{:02x}:01",
        number >> 16,
        number >> 8 & 255,
        number & 255
    )
}

/// Groups for single machines by UUID and by MAC, and for racks.
fn config() -> String {
    let mut text = "api_version: v1alpha1\ngroups:\n".to_owned();
    for number in 0..GROUPS - 1 {
        let require = match number % 3 {
            0 => format!("uuid: {}", uuid(number)),
            1 => format!("mac: '{}'", mac(number)),
            _ => format!("rack: r{number}"),
        };
        writeln!(
            text,
            "- name: g{number}\n  spec: s{}\n  require:\n    {require}\n  metadata:\n    name: n{number}",
            number % SPECS
        )
        .unwrap();
    }
    text + "- name: default\n  spec: s0\n  metadata:\n    name: any\n"
}

fn write_directory(folder: &Path, unit: &str) {
    let write = |name: String, text: String| {
        let file = folder.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    };
    write("config.yaml".into(), config());
    for spec in 0..SPECS {
        let boot = r#"{"kernel": "/assets/coreos/k", "initrd": ["/assets/coreos/i"], "cmdline": {
            "console": "ttyS0", "coreos.first_boot": "1",
            "coreos.config.url": "http://h:8080/ignition?uuid=${uuid}&mac=${net0/mac:hexhyp}&rack=${x}",
            "cloud-config-url": "http://h:8080/cloud?uuid=${uuid}&mac=${net0/mac:hexhyp}"}}"#;
        write(
            format!("specs/s{spec}/spec.json"),
            format!(
                r#"{{"id": "s{spec}", "boot": {boot}, "cloud_id": "c{spec}.yaml", "ignition_id": "i{spec}.yaml"}}"#
            ),
        );
        let units: String = (0..20)
            .map(|n| format!("    - name: {unit}{n}.service\n      command: start\n      content: |\n        [Service]\n        ExecStart=/usr/bin/true {{{{.name}}}}\n"))
            .collect();
        write(
            format!("cloud/c{spec}.yaml"),
            format!("#cloud-config\nhostname: {{{{.name}}}}\ncoreos:\n  units:\n{units}"),
        );
        let units: String = (0..20)
            .map(|n| format!("    - name: {unit}{n}.service\n      enable: true\n"))
            .collect();
        write(
            format!("ignition/i{spec}.yaml"),
            format!("ignition_version: 1\nsystemd:\n  units:\n{units}"),
        );
    }
}

fn machines() -> String {
    let mut text = String::new();
    for number in 0..MACHINES {
        writeln!(
            text,
            "[[machines]]\nname = \"m{number}\"\nmac = \"{}\"\nuuid = \"{}\"\nlabels = {{ rack = \"r{}\" }}\n",
            mac(number),
            uuid(number),
            number % GROUPS
        )
        .unwrap();
    }
    text
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let made = work();
    println!("{what}: {:.3} s", start.elapsed().as_secs_f64());
    made
}

#[test]
fn ten_thousand_machines_by_a_thousand_groups_are_planned_in_no_time() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    write_directory(&old, "a");
    write_directory(&new, "b");
    let list = folder.path().join("machines.toml");
    std::fs::write(&list, machines()).unwrap();
    let start = Instant::now();
    let inventory = timed("read the list", || read::read(&list).unwrap());
    let (snapshot, problems) = timed("load the directory", || Snapshot::load(&Source::of(&new)));
    assert_eq!(problems, []);
    let planned = timed("plan", || plan(&snapshot, &inventory));
    let text = timed("table", || report::table(&planned, Colour::Off));
    timed("json", || report::json::render(&planned, None).unwrap());
    println!("all of a plan: {:.3} s", start.elapsed().as_secs_f64());
    let (before, _) = Snapshot::load(&Source::of(&old));
    let before = timed("plan of before", || plan(&before, &inventory));
    let changes = timed("compare", || compare(&before, &planned));
    timed("markdown", || {
        report::markdown::render(&planned, Some((&changes, "old")))
    });
    println!("all with --against: {:.3} s", start.elapsed().as_secs_f64());
    assert_eq!(
        text.lines().filter(|line| line.starts_with('m')).count(),
        MACHINES + 1
    );
    assert_eq!(changes.count(Fate::Changes), MACHINES);
    assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
}
