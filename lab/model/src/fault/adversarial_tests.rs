//! `case.toml` of adversarial cases: the keys that faults don't use, and what is wrong with them.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::evidence::{Observation, Record};

const GOOD: &str = r#"summary = "Others ask in the machine's name"
scenario = "ipxe-chainload"
firmware = "bios"
nodes = ["node1"]
machines = "simulated"

[expect]
verdict = "pass"
shown = ["asked by 192.168.92.200 in node1's name"]

[[rewrite]]
replace = "core@node1"
with = "evil@node1"

[[rewrite]]
toward = "servers"
replace = "node1"
with = "node2"

[[station]]
role = "requests"
address = "192.168.92.200"
urls = ["http://192.168.92.1:8080/boot.ipxe", "tftp://192.168.92.1/undionly.kpxe"]

[[station]]
role = "machine"
address = "192.168.92.201"
mac = "52-54-00-5C-01-01"
uuid = "1f6c0b52-64de-4c0a-8f1b-a2d35e7c4d11"

[[station]]
role = "answers"
address = "192.168.92.202"
status = 302
location = "http://192.168.92.1:8080/"

[[station]]
role = "dhcp-server"
address = "192.168.92.203"
first = "192.168.92.100"
last = "192.168.92.110"
boot_file = "http://192.168.92.1:8080/boot.ipxe"
next_server = "192.168.92.1"
"#;

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios")
}

fn parsed(text: &str) -> Result<Fault, String> {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("mine");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("case.toml"), text).unwrap();
    load(Collection::Adversarial, &dir).map_err(|error| {
        let told = super::tests::rendered(&error);
        told.replace(&folder.path().display().to_string(), "FOLDER")
    })
}

#[test]
fn load_a_good_case_is_read_whole() {
    let case = parsed(GOOD).unwrap();
    assert_eq!(case.full_name(), "adversarial/mine");
    assert_eq!(case.shown, ["asked by 192.168.92.200 in node1's name"]);
    let [answer, request] = case.injections.rewrites.as_slice() else {
        panic!("{:?}", case.injections.rewrites);
    };
    assert_eq!(answer.direction, Direction::In);
    assert_eq!(request.direction, Direction::Out);
    assert!(case.injections.have_a_link());
    let [requests, machine, answers, dhcp] = case.injections.stations.as_slice() else {
        panic!("{:?}", case.injections.stations);
    };
    assert!(matches!(&requests.role, Role::Requests { urls } if urls.len() == 2));
    assert_eq!(requests.mac().as_deref(), Some("02:00:c0:a8:5c:c8"));
    assert_eq!(machine.mac().as_deref(), Some("52:54:00:5c:01:01"));
    assert!(matches!(&answers.role, Role::Answers(answer) if answer.status == 302));
    assert!(matches!(
        &dhcp.role,
        Role::DhcpServer {
            boot_file: Some(_),
            next_server: Some(_),
            ..
        }
    ));
}

#[test]
fn load_mistakes_are_refused_with_their_place() {
    let mistakes = [
        ("with = \"evil@node1\"", "with = \"evil@node10\""),
        ("replace = \"core@node1\"", "replace = \"\""),
        ("toward = \"servers\"", "toward = \"server\""),
        ("\"tftp://", "\"ftp://"),
        ("urls = [", "url = ["),
        ("52-54-00-5C-01-01", "52-54-00-5C-01"),
        ("uuid = \"1f6c0b52", "uuid = \"1f6c0b5"),
        ("status = 302", "status = 30"),
        ("shown = [\"asked", "shown = [\"\", \"asked"),
        ("role = \"answers\"", "role = \"answer\""),
    ];
    let listed = mistakes.map(|(from, to)| {
        assert!(GOOD.contains(from), "nothing to change: {from}");
        let told = parsed(&GOOD.replacen(from, to, 1)).expect_err(from);
        format!("# {from} → {to}\n{}\n", told.trim_end())
    });
    insta::assert_snapshot!(listed.join("\n"));
}

#[test]
fn load_a_case_that_attacks_nothing_is_refused_by_its_own_name() {
    let (head, _) = GOOD.split_once("[[rewrite]]").unwrap();
    let told = parsed(head).unwrap_err();
    insta::assert_snapshot!(told);
    let none = load(Collection::Adversarial, &scenarios().join("faults/delay"));
    let told = none.unwrap_err().problems[0].to_string();
    assert!(told.contains("case.toml"), "{told}");
}

#[test]
fn select_takes_names_as_reports_have_them() {
    let case = parsed(GOOD).unwrap();
    let select = |name: &str| {
        let names = [name.to_owned()];
        select(Collection::Adversarial, vec![case.clone()], &names)
    };
    assert_eq!(select("adversarial/mine").unwrap().len(), 1);
    let told = select("fault/mine").unwrap_err();
    assert_eq!(told.collection, Collection::Adversarial, "{told}");
}

#[test]
fn materialise_every_case_of_the_project_fits_its_scenario() {
    let root = scenarios().join("adversarial");
    let cases = load_all(Collection::Adversarial, &root).unwrap();
    let folders = fs::read_dir(&root).unwrap().count();
    assert_eq!(cases.len(), folders, "a folder without a case.toml");
    let folder = tempfile::tempdir().unwrap();
    for case in cases {
        for (treatment, word) in [
            (Treatment::Broken, "broken"),
            (Treatment::Control, "control"),
        ] {
            let place = folder.path().join(&case.name).join(word);
            fs::create_dir_all(&place).unwrap();
            let made = materialise(&case, &scenarios(), &place, treatment);
            assert!(made.is_ok(), "{}", made.unwrap_err());
        }
    }
}

#[test]
fn is_shown_finds_a_text_of_a_record_and_no_other() {
    let line = "a \"quoted\" line".to_owned();
    let records = [Record {
        at_us: 1,
        node: None,
        seen: Observation::Console { line },
    }];
    assert!(is_shown("a \"quoted\" line", &records, &[]));
    assert!(!is_shown("another line", &records, &[]));
}
