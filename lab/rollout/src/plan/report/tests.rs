//! Tests of the report formats of a plan.

use super::*;
use crate::plan::change::{Change, ChangeSet, Changes, Diff, Fate, compare};
use crate::plan::testing::{MACHINES, RACK, directory, inventory, snapshot};
use crate::plan::{Plan, plan};

fn planned(files: &[(&str, &str)]) -> Plan {
    let folder = directory(files);
    plan(&snapshot(folder.path()), &inventory(MACHINES))
}

/// The rack and one in which much is changed: names, an etcd member that matches no more, secrets, a unit.
fn before_and_after() -> (Plan, Plan) {
    let changed: Vec<(&str, String)> = RACK
        .iter()
        .map(|(name, text)| {
            let text = text
                .replace("52:54:00:00:00:02", "52:54:00:00:00:22")
                .replace("5OLD", "5NEW")
                .replace("a.service", "b.service")
                .replace("name: spare", "name: shelf");
            (*name, text)
        })
        .collect();
    let changed: Vec<(&str, &str)> = changed
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    (planned(RACK), planned(&changed))
}

#[test]
fn a_plan_is_a_line_for_each_machine() {
    insta::assert_snapshot!(table(&planned(RACK), Colour::Off));
}

#[test]
fn a_machine_is_shown_whole() {
    let plan = planned(RACK);
    let shown = ["node1", "w1", "spare", "lost"]
        .map(|name| show(&plan, plan.machine(name).unwrap(), Colour::Off));
    insta::assert_snapshot!(shown.join("\n=====\n"));
}

/// Machines of the example with seeds.
fn seeds() -> Plan {
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/rollout/cloud-init");
    let listed = crate::inventory::read::read(&folder.join("machines.toml")).unwrap();
    plan(&snapshot(&folder.join("data")), &listed)
}

#[test]
fn seed_of_a_machine_is_shown_whole_and_in_the_table() {
    let plan = seeds();
    let store = plan.machine("store1").unwrap();
    let shown = [table(&plan, Colour::Off), show(&plan, store, Colour::Off)];
    insta::assert_snapshot!(shown.join("\n=====\n"));
    let json: serde_json::Value =
        serde_json::from_str(&json::render_one(&plan, store).unwrap()).unwrap();
    let seed = &json["machines"][0]["seed"];
    assert_eq!(
        seed["url"],
        "http://192.168.97.1:8080/nocloud/serial=STORE-0001/"
    );
    assert_eq!(
        seed["option"],
        "ds=nocloud-net;s=http://192.168.97.1:8080/nocloud/serial=STORE-0001/"
    );
    let user_data = &seed["files"]["user-data"];
    assert_eq!(user_data["file"], "cloud/store.yaml");
    assert_eq!(user_data["request"], "/nocloud/serial=STORE-0001/user-data");
    assert_eq!(seed["files"].as_object().unwrap().len(), 4);
}

#[test]
fn changed_seed_is_a_change_of_its_file() {
    let old = seeds();
    let mut new = seeds();
    let seed = new.machines[0]
        .outcome
        .as_mut()
        .unwrap()
        .seed
        .as_mut()
        .unwrap();
    seed.files[0].served.as_mut().unwrap().text = "{}\n".into();
    let told = compare(&old, &new);
    assert_eq!(told.sets.len(), 1);
    let diffs: Vec<&str> = told.sets[0]
        .change
        .diffs
        .iter()
        .map(|diff| diff.what)
        .collect();
    assert_eq!(
        (told.sets[0].change.fate, diffs),
        (Fate::Changes, vec!["meta-data"])
    );
    let seed = new.machines[0]
        .outcome
        .as_mut()
        .unwrap()
        .seed
        .as_mut()
        .unwrap();
    seed.files[1].served = Err(boot_server_catalog::snapshot::Refusal::without_group(
        "none",
    ));
    let told = compare(&old, &new);
    assert!(told.sets[0].change.loses_config);
    assert_eq!(
        told.sets[0].change.facts,
        ["user-data: no more `cloud/store.yaml`: none"]
    );
}

#[test]
fn changes_are_told_with_those_that_stop_first() {
    let (old, new) = before_and_after();
    let told = compare(&old, &new);
    insta::assert_snapshot!(changes(&new, &told, "main", Colour::Off));
    let same = compare(&old, &old);
    let told = changes(&old, &same, "main", Colour::Off);
    assert!(told.starts_with("Against main: 6 don't change\n"), "{told}");
}

#[test]
fn colours_are_only_where_they_are_wanted() {
    let (old, new) = before_and_after();
    let told = compare(&old, &new);
    let coloured = changes(&new, &told, "main", Colour::On);
    assert!(
        coloured.contains("\u{1b}[31mnode2: stops matching\u{1b}[0m"),
        "who stops is red: {coloured:?}"
    );
    for text in [
        changes(&new, &told, "main", Colour::Off),
        table(&new, Colour::Off),
        show(&new, &new.machines[0], Colour::Off),
        markdown::render(&new, Some((&told, "main"))),
    ] {
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
}

#[test]
fn a_pull_request_gets_what_changes_without_secrets() {
    let (old, new) = before_and_after();
    let text = markdown::render(&new, Some((&compare(&old, &new), "main")));
    insta::assert_snapshot!(text);
    assert!(!text.contains("AAAAC3NzaC1lZDI1NTE5"), "{text}");
    insta::assert_snapshot!(markdown::render(&new, None));
}

#[test]
fn programs_get_json() {
    let (old, new) = before_and_after();
    let told = compare(&old, &new);
    insta::assert_snapshot!(json::render(&new, Some((&told, "main"))).unwrap());
    let one = json::render_one(&new, new.machine("node1").unwrap()).unwrap();
    let one: serde_json::Value = serde_json::from_str(&one).unwrap();
    let script = new.machine("node1").unwrap().outcome.as_ref().unwrap();
    assert_eq!(one["machines"][0]["script"]["text"], *script.script.text);
}

fn set(name: String, diff: String) -> ChangeSet {
    ChangeSet {
        change: Change {
            fate: Fate::Changes,
            loses_config: false,
            facts: vec![format!("group: `{name}` → `<b>|x`")],
            diffs: vec![Diff {
                what: "cloud-config",
                text: diff.as_str().into(),
                redacted: diff.into(),
            }],
        },
        machines: vec![name],
    }
}

#[test]
fn a_comment_has_no_more_characters_than_it_may_and_says_what_was_cut() {
    let plan = planned(RACK);
    let diff = "+ä🦀 a line of a diff\n".repeat(40);
    let changes = Changes {
        sets: (0..200)
            .map(|n| set(format!("m{n}"), format!("{diff}{n}\n")))
            .collect(),
        same: 0,
    };
    let text = markdown::render(&plan, Some((&changes, "main")));
    assert!(
        text.chars().count() <= markdown::MAX_CHARS,
        "{}",
        text.chars().count()
    );
    assert!(text.chars().count() > markdown::MAX_CHARS / 2);
    let shown = text.matches("<details>").count();
    let left_out = format!("Changes of {} machines are left out:", 200 - shown);
    assert!(text.contains(&left_out), "{left_out}");
    assert_eq!(shown, text.matches("</details>").count());
    let long = Changes {
        sets: vec![set("m".into(), "+x\n".repeat(100_000))],
        same: 0,
    };
    let text = markdown::render(&plan, Some((&long, "main")));
    assert!(text.chars().count() <= markdown::MAX_CHARS);
    assert!(
        text.contains("96000 more lines of this diff are left out."),
        "{}",
        text.len()
    );
}

#[test]
fn ten_thousand_machines_fit_a_comment() {
    let list: String = (0..10_000)
        .map(|n| {
            format!(
                "- {{name: m{n}, mac: '52:54:00:00:{:02x}:{:02x}'}}\n",
                n / 256,
                n % 256
            )
        })
        .collect();
    let folder = directory(RACK);
    let plan = plan(
        &snapshot(folder.path()),
        &inventory(&format!("machines:\n{list}")),
    );
    let text = markdown::render(&plan, None);
    assert!(text.chars().count() <= markdown::MAX_CHARS);
    let is_of_a_machine = |line: &str| line.starts_with("| m") || line.starts_with("> - `m");
    let rest = text.lines().filter(|line| !is_of_a_machine(line));
    insta::assert_snapshot!(rest.collect::<Vec<&str>>().join("\n"));
}

#[test]
fn nothing_that_is_served_ends_a_fence_or_becomes_markup() {
    let plan = planned(RACK);
    let diff = "+```\n+</details><script>\n+`````\n";
    let changes = Changes {
        sets: vec![set("m".into(), diff.into())],
        same: 0,
    };
    let text = markdown::render(&plan, Some((&changes, "main")));
    assert!(text.contains("``````diff\n+```\n"), "{text}");
    assert!(text.contains("- group: 'm' → '&lt;b&gt;\\|x'\n"), "{text}");
}
