//! `lab compare` against the recorded answers of bootcfg and matchbox, served on loopback.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use serde_json::{Value, json};

/// Status, content type and body by path and query.
type Answers = BTreeMap<String, (u64, String, String)>;

fn server_tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../boot-server")
}

fn recorded() -> PathBuf {
    server_tests().join("tests/conformance/http")
}

fn lines_of(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap();
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}

/// Answers of a recorded server.
fn answers_of(version: &str) -> Answers {
    let rows = lines_of(&recorded().join(format!("{version}.jsonl")));
    let is_plain = |row: &&Value| row["method"] == "GET" && row["status"] != 206;
    let mut answers = Answers::new();
    for row in rows.iter().filter(is_plain) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let answer = (
            row["status"].as_u64().unwrap(),
            text(&row["headers"]["content-type"]),
            text(&row["body"]),
        );
        let path = text(&row["path"]);
        // Of two notations of a MAC the first counts.
        answers.entry(known(&path)).or_insert(answer.clone());
        answers.insert(path, answer);
    }
    answers
}

fn answers() -> Answers {
    answers_of("matchbox-0.9.0")
}

/// Returns a request as its answer is found: labels without a value are no labels to groups, and a MAC has one
/// notation. `/metadata` lists all labels.
fn known(target: &str) -> String {
    let Some((path, query)) = target.split_once('?') else {
        return target.to_owned();
    };
    let is_listed = |label: &&str| path == "/metadata" || !label.ends_with('=');
    let labels = query.split('&').filter(is_listed);
    let labels = labels.map(|label| match label.strip_prefix("mac=") {
        Some(mac) => format!("mac={}", mac.replace('-', ":").to_lowercase()),
        None => label.to_owned(),
    });
    let labels: Vec<String> = labels.collect();
    format!("{path}?{}", labels.join("&"))
}

/// Serves answers on loopback until the test ends, and returns the URL.
fn serve(answers: Answers) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let request = lines.next().unwrap().unwrap();
            for line in lines.by_ref() {
                if line.unwrap().is_empty() {
                    break;
                }
            }
            let target = request.split(' ').nth(1).unwrap();
            let missing = (
                404,
                "text/plain".to_owned(),
                "404 page not found\n".to_owned(),
            );
            let answer = answers.get(target).or_else(|| answers.get(&known(target)));
            let (status, kind, body) = answer.unwrap_or(&missing);
            // Bodies repeat the query.
            let body = body.replace("=mac=52:54:00:a1:9c:ae", "=mac=52-54-00-a1-9c-ae");
            let head = format!("HTTP/1.0 {status} x\r\nContent-Type: {kind}\r\n\r\n{body}");
            stream.write_all(head.as_bytes()).unwrap();
        }
    });
    url
}

/// Compares a server with a directory for a list of machines in CSV.
fn compare_machines(url: &str, directory: &Path, machines: &str, more: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("machines.csv");
    std::fs::write(&list, machines).unwrap();
    Command::cargo_bin("lab")
        .unwrap()
        .args(["compare", url])
        .arg(directory)
        .arg("--machines")
        .arg(list)
        .args(more)
        .output()
        .unwrap()
}

const MACS: &str = "name,mac\nspare,52:54:00:89:d8:10\nnode,52:54:00:a1:9c:ae\n";

fn compare(url: &str, more: &[&str]) -> Output {
    let more = [&["--network", "pixiecore"], more].concat();
    compare_machines(url, &recorded().join("matchbox-rack"), MACS, &more)
}

/// Requires an exit code and texts of the report.
#[track_caller]
fn assert_told(output: &Output, code: i32, parts: &[&str]) {
    let told = text(&output.stdout);
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{told}{errors}");
    for part in parts {
        assert!(
            told.contains(part) || errors.contains(part),
            "{part}\n{told}{errors}"
        );
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn compare_with_recorded_0_9_finds_documented_differences_only() {
    // Groups can select by `arch` since 0.11; Pixiecore's API was removed before 0.9.
    let parts = [
        "Compared as matchbox-0.9,",
        "Documented: the first script sends other labels (1 answers, such as GET /boot.ipxe)\n",
        "/pixiecore/v1/boot: answered here for 1 requests, and for none there\n",
        "different: 0\n",
    ];
    assert_told(&compare(&serve(answers()), &[]), 0, &parts);
    // In 0.11 the label is no difference that is documented.
    let output = compare(&serve(answers()), &["--from", "matchbox-0.11"]);
    assert_told(&output, 100, &["+chain ipxe?", "different: 1\n"]);
}

#[test]
fn compare_with_recorded_0_6_knows_its_initrds_and_pixiecore() {
    let url = serve(answers_of("matchbox-0.6.1"));
    let parts = [
        "Documented: the first script sends other labels",
        "Documented: a line for each initrd here, all on one there (1 answers, such as GET /ipxe?mac=52-54-00-a1-9c-ae)\n",
        "Documented: the kernel command line is in `cmdline` too here (1 answers",
        "different: 0\n",
    ];
    assert_told(&compare(&url, &["--from", "matchbox-0.6"]), 0, &parts);
    // As 0.9 they are differences.
    assert_told(&compare(&url, &[]), 100, &["\n-initrd /i1 /i2 \n"]);
}

#[test]
fn compare_with_recorded_bootcfg_0_2_is_chosen_by_the_layout() {
    let url = serve(answers_of("bootcfg-0.2.0"));
    let rack = recorded().join("bootcfg-rack");
    let parts = [
        "Compared as bootcfg-0.2,",
        "Documented: a line for each initrd here, all on one there (1 answers",
        "different: 0\n",
    ];
    let machines = "name,mac\nnode2,52:54:00:89:d8:10\n";
    let output = compare_machines(&url, &rack, machines, &["--network", "pixiecore"]);
    assert_told(&output, 0, &parts);
    // The names of `/metadata` are those of all labels, which were not recorded for these requests.
    let machines = "name,uuid\nnode1,16e7d8a7-bfa9-428b-9117-363341bb330b\n";
    let output = compare_machines(&url, &rack, machines, &[]);
    let parts = [
        "/metadata: answered here for 1 requests, and for none there\n",
        "different: 0\n",
    ];
    assert_told(&output, 0, &parts);
    // A changed unit is a difference.
    let mut changed = answers_of("bootcfg-0.2.0");
    let request = "/ignition?uuid=16e7d8a7-bfa9-428b-9117-363341bb330b";
    let config = changed.get_mut(request).unwrap();
    config.2 = config.2.replace("Hello node1", "Hello node2");
    let output = compare_machines(&serve(changed), &rack, machines, &[]);
    assert_told(&output, 100, &["node1: JSON differs", "different: 1\n"]);
}

/// Writes a directory with a profile and a group for each Butane config that 0.11 answered with 200, and returns the
/// list of machines and the recorded answers.
fn butane(directory: &Path) -> (String, Answers) {
    let (mut machines, mut answers) = ("name,mac\n".to_owned(), Answers::new());
    for folder in ["groups", "profiles", "ignition"] {
        std::fs::create_dir(directory.join(folder)).unwrap();
    }
    let write = |file: String, text: &str| std::fs::write(directory.join(file), text).unwrap();
    let files = ["configs.jsonl", "version-matrix.jsonl"];
    let recorded = server_tests().join("ignition/tests/butane");
    let vectors = files.iter().flat_map(|file| lines_of(&recorded.join(file)));
    let accepted = vectors.filter(|vector| {
        let class = vector["class"].as_str().unwrap();
        class.starts_with("accepted") && vector["matchbox-0.11.0"]["status"] == 200
    });
    for (number, vector) in accepted.enumerate() {
        let id = vector["id"].as_str().unwrap();
        let mac = format!("52:54:00:00:{:02x}:{:02x}", number / 256, number % 256);
        let group = json!({"id": id, "profile": id, "selector": {"mac": mac}});
        write(format!("groups/{id}.json"), &group.to_string());
        let profile =
            json!({"id": id, "ignition_id": format!("{id}.yaml"), "boot": {"kernel": "/k"}});
        write(format!("profiles/{id}.json"), &profile.to_string());
        write(
            format!("ignition/{id}.yaml"),
            vector["config"].as_str().unwrap(),
        );
        machines.push_str(&format!("{id},{mac}\n"));
        let body = vector["matchbox-0.11.0"]["body"]
            .as_str()
            .unwrap()
            .to_owned();
        let answer = (200, "application/json".to_owned(), body);
        answers.insert(format!("/ignition?mac={mac}"), answer);
    }
    (machines, answers)
}

#[test]
fn compare_with_recorded_0_11_is_chosen_by_butane_configs() {
    let directory = tempfile::tempdir().unwrap();
    let (machines, mut answers) = butane(directory.path());
    assert!(answers.len() > 100, "{}", answers.len());
    let network = ["--network", "pixiecore"];
    let compare = |answers| {
        let url = serve(answers);
        compare_machines(&url, directory.path(), &machines, &network)
    };
    let parts = [
        "Compared as matchbox-0.11,",
        "Documented: served here; refused, or an empty config, there",
        "different: 0\n",
    ];
    assert_told(&compare(answers.clone()), 0, &parts);
    let config = answers.get_mut("/ignition?mac=52:54:00:00:00:00").unwrap();
    config.2 = json!({"ignition": {"version": "3.4.0"}, "passwd": {}}).to_string();
    assert_told(&compare(answers), 100, &["JSON differs", "different: 1\n"]);
}

#[test]
fn compare_without_differences_is_exit_0_and_a_changed_config_is_shown() {
    let mut answers = answers();
    // The one intended difference.
    answers.remove("/boot.ipxe");
    let output = compare(&serve(answers.clone()), &[]);
    let told = text(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{told}{}",
        text(&output.stderr)
    );
    assert!(told.contains("different: 0\n"), "{told}");
    let script = answers.get_mut("/ipxe?mac=52:54:00:a1:9c:ae").unwrap();
    script.2 = script.2.replace("kernel ", "kernel --old ");
    let output = compare(&serve(answers), &[]);
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(100), "{told}");
    assert!(
        told.contains("node: text differs") && told.contains("\n-kernel --old "),
        "{told}"
    );
}

#[test]
fn compare_with_a_server_that_is_not_there_is_exit_75() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let output = compare(&url, &[]);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(75), "{told}");
    assert!(
        told.contains("cannot reach the server at URL: GET /boot.ipxe"),
        "{told}"
    );
}

#[test]
fn compare_with_wrong_input_is_exit_2() {
    let output = compare("https://127.0.0.1:1", &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("HTTPS is unsupported"));
}
