//! Recorded runs of programs: starts of matchbox with its flags and variables, and bootcmd against a server.
//!
//! Messages have other words; compared are success or failure, the files afterwards, and what the answers contain.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde::Deserialize;
use serde_json::Value;

use crate::program::{PROGRAM, Server, flags, start};
use crate::rig::Certificates;
use crate::vectors::{is_tree, recordings, write};

const VERSIONS: [&str; 2] = ["matchbox-0.9.0.jsonl", "matchbox-0.11.0.jsonl"];

#[derive(Debug, Deserialize)]
struct Start {
    id: String,
    about: String,
    args: Vec<String>,
    environment: BTreeMap<String, String>,
    exit: Value,
}

/// Starts the program as it was started; returns its gRPC listener if it is ready, or what it says at its end.
fn play_start(recorded: &Start, folder: &Path) -> Result<Option<String>, Output> {
    let args = recorded.args.iter().map(|argument| {
        // Port 0 stands for a port that is free.
        argument
            .replace("127.0.0.1:HTTP", "127.0.0.1:0")
            .replace("127.0.0.1:RPC", "127.0.0.1:0")
    });
    let environment = recorded.environment.iter();
    let environment = environment.map(|(name, value)| (name, value.replace("RPC", "0")));
    let mut child = Command::new(PROGRAM)
        .arg0("matchbox")
        .args(args)
        .envs(environment)
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    if recorded.exit != "runs" {
        return Err(child.wait_with_output().unwrap());
    }
    let mut ready = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut ready).unwrap();
    let running = Server {
        child,
        rpc: String::new(),
    };
    let ready: Value = serde_json::from_str(&ready).unwrap();
    let mut listeners = ready["listeners"].as_array().unwrap().iter();
    let rpc = listeners.find_map(|listener| listener.as_str()?.strip_prefix("grpc "));
    drop(running);
    Ok(rpc.map(str::to_owned))
}

#[test]
fn starts_of_matchbox_succeed_and_fail_alike() {
    let certificates = Certificates::make();
    let folder = certificates.folder();
    std::fs::create_dir(folder.join("data")).unwrap();
    std::fs::write(folder.join("log"), "no certificate\n").unwrap();
    let mut compared = 0;
    for recorded in VERSIONS
        .iter()
        .flat_map(|file| recordings::<Start>(file, "start"))
    {
        let shown = format!("{} {}", recorded.id, recorded.about);
        match play_start(&recorded, folder) {
            Ok(rpc) => {
                let has_flag = recorded
                    .args
                    .iter()
                    .any(|arg| arg.starts_with("-rpc-address"));
                let has_rpc = has_flag || recorded.environment.contains_key("MATCHBOX_RPC_ADDRESS");
                assert_eq!(rpc.is_some(), has_rpc, "{shown}");
            }
            Err(output) => {
                assert_eq!(
                    output.status.success(),
                    recorded.exit == 0,
                    "{shown}: {output:?}"
                );
                let said = match output.status.success() {
                    true => &output.stdout,
                    false => &output.stderr,
                };
                assert!(!said.is_empty(), "{shown}");
                // A missing file is named.
                let said = String::from_utf8_lossy(said);
                for missing in recorded
                    .args
                    .iter()
                    .filter_map(|arg| arg.split_once("=no."))
                {
                    assert!(
                        said.contains(&format!("no.{}", missing.1)),
                        "{shown}: {said}"
                    );
                }
            }
        }
        compared += 1;
    }
    assert_eq!(compared, 28);
}

/// Runs of bootcmd that end otherwise on purpose.
const DIFFERENT: [(&str, usize, &str); 8] = [
    ("225", 0, "a refusal of the server is an error"),
    ("225", 1, "a refusal of the server is an error"),
    ("227", 0, "an object that is not there is an error"),
    ("227", 1, "an object that is not there is an error"),
    ("228", 0, "bootcmd crashes on a profile without `boot`"),
    ("235", 1, "an argument too many is an error"),
    ("235", 2, "an unknown command is an error"),
    ("235", 4, "`instance` is an unknown command"),
];

#[derive(Debug, Deserialize)]
struct Bootcmd {
    id: String,
    about: String,
    data_before: BTreeMap<String, Value>,
    input_files: BTreeMap<String, Value>,
    runs: Vec<Run>,
}

#[derive(Debug, Deserialize)]
struct Run {
    args: Vec<String>,
    connection: Vec<String>,
    exit: Value,
    stdout: String,
    files: BTreeMap<String, Value>,
}

/// True if an answer has everything of a recorded table, whose last columns and spaces are bootcmd's own.
fn has_all(answer: &str, table: &str) -> bool {
    let is_known = |cell: &&str| {
        // Selectors and lists are written as Go's values: their words are compared.
        cell.split(|char: char| !char.is_alphanumeric() && !"./-=".contains(char))
            .filter(|word| !word.is_empty() && !["map", "string", "nil"].contains(word))
            .all(|word| answer.contains(word))
    };
    table
        .lines()
        .skip(1)
        .flat_map(|line| line.split('\t'))
        .all(|cell| is_known(&cell))
}

fn play_run(recorded: &Run, rpc: &str, certificates: &Certificates) -> Output {
    let connection = recorded.connection.iter();
    let connection = connection.map(|word| word.replace("127.0.0.1:RPC", rpc));
    Command::new(PROGRAM)
        .arg("client")
        .args(&recorded.args)
        .args(connection)
        .current_dir(certificates.folder())
        .output()
        .unwrap()
}

#[test]
fn runs_of_bootcmd_end_alike_but_for_the_named_differences() {
    let certificates = Certificates::make();
    let mut compared = 0;
    for recorded in VERSIONS
        .iter()
        .flat_map(|file| recordings::<Bootcmd>(file, "bootcmd"))
    {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        write(data, &recorded.data_before);
        write(certificates.folder(), &recorded.input_files);
        let server = start(data, Command::new(PROGRAM).args(flags(&certificates)));
        let number = recorded.id.rsplit('-').next().unwrap();
        for (at, run) in recorded.runs.iter().enumerate() {
            let output = play_run(run, &server.rpc, &certificates);
            let shown = format!(
                "{} {} {:?}: {output:?}",
                recorded.id, recorded.about, run.args
            );
            let known = DIFFERENT
                .iter()
                .find(|(id, run, _)| (*id, *run) == (number, at));
            let is_alike = output.status.success() == (run.exit == 0);
            assert_eq!(is_alike, known.is_none(), "{shown}");
            assert!(is_tree(data, &run.files), "{shown}");
            let answer = String::from_utf8(output.stdout).unwrap();
            if output.status.success() {
                assert!(has_all(&answer, &run.stdout), "{shown}");
            } else {
                assert!(!output.stderr.is_empty(), "{shown}");
            }
            compared += 1;
        }
    }
    assert!(compared > 40, "{compared}");
}
