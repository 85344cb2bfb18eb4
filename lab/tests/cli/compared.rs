//! `lab compare` against the recorded answers of matchbox 0.9.0, served on loopback.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use serde_json::Value;

fn recorded() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../boot-server/tests/conformance/http")
}

/// Answers of the recorded server by path and query.
fn answers() -> BTreeMap<String, (u64, String, String)> {
    let text = std::fs::read_to_string(recorded().join("matchbox-0.9.0.jsonl")).unwrap();
    let rows = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let rows = rows.filter(|row| row["method"] == "GET");
    rows.map(|row| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let answer = (
            row["status"].as_u64().unwrap(),
            text(&row["headers"]["content-type"]),
            text(&row["body"]),
        );
        (text(&row["path"]), answer)
    })
    .collect()
}

/// Serves answers on loopback until the test ends, and returns the URL.
fn serve(answers: BTreeMap<String, (u64, String, String)>) -> String {
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
            // The recorded requests have the MAC in the other notation, which answers repeat.
            let target = target.replace("52-54-00-a1-9c-ae", "52:54:00:a1:9c:ae");
            let (status, kind, body) = answers.get(&target).unwrap_or(&missing);
            let body = body.replace("mac=52:54:00:a1:9c:ae", "mac=52-54-00-a1-9c-ae");
            let head = format!("HTTP/1.0 {status} x\r\nContent-Type: {kind}\r\n\r\n{body}");
            stream.write_all(head.as_bytes()).unwrap();
        }
    });
    url
}

fn compare(url: &str, more: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("machines.csv");
    std::fs::write(
        &list,
        "name,mac\nspare,52:54:00:89:d8:10\nnode,52:54:00:a1:9c:ae\n",
    )
    .unwrap();
    Command::cargo_bin("lab")
        .unwrap()
        .args(["compare", url])
        .arg(recorded().join("matchbox-rack"))
        .arg("--machines")
        .arg(list)
        .args(["--network", "pixiecore"])
        .args(more)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn compare_with_the_recorded_server_shows_the_known_differences_only() {
    let output = compare(&serve(answers()), &[]);
    let told = text(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(100),
        "{told}{}",
        text(&output.stderr)
    );
    // Groups can select by `arch` since 0.11; Pixiecore's API was removed before 0.9.
    assert!(
        told.contains("+chain ipxe?") && told.contains("&arch=${buildarch:uristring}"),
        "{told}"
    );
    assert!(told.contains("different: 1\n"), "{told}");
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
