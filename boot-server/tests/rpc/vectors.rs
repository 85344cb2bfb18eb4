//! The calls recorded from matchbox 0.9.0 and 0.11.0: same status codes, same answers, same files to the byte.
//!
//! Where we answer otherwise on purpose, the recording is in [`DIFFERENT`], with its reason, which is also in
//! `docs/differences-matchbox.md`.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use boot_server_rpc::tonic::Code;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::messages::{bytes, call, decode, encode, is_content};
use crate::rig::{Certificates, Rig};

/// Reviewed difference from the reference's answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Difference {
    /// Names that lead out of the folder of their kind are refused.
    Outside,
    /// Groups in folders are refused: nothing reads them.
    GroupInFolder,
    /// Hidden files are not read, listed or written.
    Hidden,
    /// A file without a name is refused; the reference writes one in place of the folder.
    NoName,
    /// A put of nothing is refused; the reference's process ends.
    Nothing,
    /// A config that no machine could be served is refused.
    Broken,
    /// A folder is not removed as if it were a file.
    FolderRemoved,
    /// No folder is made for a name that is refused.
    FolderMade,
    /// A field of the wrong type is an error of the message; the reference's library takes it for an unknown field.
    WrongType,
    /// A directory without groups has no matching group, also for SelectGroup.
    NoGroups,
    /// The content of the request is not recorded.
    Unrecorded,
}

impl Difference {
    /// Returns the status code that is answered instead.
    fn code(self) -> &'static str {
        match self {
            Outside | GroupInFolder | Hidden | Nothing | Broken => "INVALID_ARGUMENT",
            NoName | FolderRemoved | FolderMade => "UNKNOWN",
            WrongType => "INTERNAL",
            NoGroups => "NOT_FOUND",
            Unrecorded => "OK",
        }
    }
}

use Difference::{
    Broken, FolderMade, FolderRemoved, GroupInFolder, Hidden, NoGroups, NoName, Nothing, Outside,
    Unrecorded, WrongType,
};

const DIFFERENT: [(&str, Difference); 27] = [
    ("006", Nothing),
    ("024", GroupInFolder),
    ("029", Hidden),
    ("030", Hidden),
    ("037", GroupInFolder),
    ("038", GroupInFolder),
    ("041", GroupInFolder),
    ("046", NoName),
    ("050", GroupInFolder),
    ("064", Nothing),
    ("068", Outside),
    ("106", NoName),
    ("108", Outside),
    ("109", Outside),
    ("112", Outside),
    ("113", Outside),
    ("116", FolderMade),
    ("119", NoName),
    ("123", Broken),
    ("128", NoName),
    ("130", Outside),
    ("131", Outside),
    ("133", Outside),
    ("137", FolderRemoved),
    ("142", Unrecorded),
    ("159", NoGroups),
    ("174", WrongType),
];

/// Recordings of Butane and Container Linux Configs: a put is refused where the translation is an error.
const TRANSLATED: std::ops::RangeInclusive<&str> = "095"..="103";

/// Endpoint whose answers are compared by other tests: 0.9 and 0.11 translate and rewrite configs, each differently.
const COMPARED_ELSEWHERE: &str = "/ignition";

#[derive(Debug, Deserialize)]
struct Recording {
    id: String,
    about: String,
    #[serde(default)]
    data_before: BTreeMap<String, Value>,
    #[serde(default)]
    calls: Vec<Call>,
    #[serde(default)]
    http: Vec<Http>,
}

#[derive(Debug, Deserialize)]
struct Call {
    method: String,
    request: Value,
    code: String,
    #[serde(default)]
    response: Value,
    #[serde(default)]
    files: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    client: Value,
}

#[derive(Debug, Deserialize)]
struct Http {
    path: String,
    status: u16,
    #[serde(default)]
    body: Value,
    #[serde(default)]
    lines_sorted: Option<Vec<String>>,
}

/// Returns the recordings of a kind.
pub(crate) fn recordings<T: DeserializeOwned>(file: &str, kind: &str) -> Vec<T> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/grpc");
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    let all = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.filter(|recording| recording["kind"] == kind)
        .map(|recording| serde_json::from_value(recording).unwrap())
        .collect()
}

/// Files below a folder, and the folders that are empty.
pub(crate) fn tree(root: &Path) -> BTreeMap<String, Option<Vec<u8>>> {
    fn add(root: &Path, folder: &Path, found: &mut BTreeMap<String, Option<Vec<u8>>>) {
        let entries: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
        let name = |path: &Path| {
            path.strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        };
        if entries.is_empty() && folder != root {
            found.insert(name(folder) + "/", None);
        }
        for entry in entries {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => add(root, &path, found),
                false => drop(found.insert(name(&path), Some(std::fs::read(&path).unwrap()))),
            }
        }
    }
    let mut found = BTreeMap::new();
    add(root, root, &mut found);
    found
}

pub(crate) fn write(root: &Path, files: &BTreeMap<String, Value>) {
    for (file, content) in files {
        let path = root.join(file);
        if file.ends_with('/') {
            std::fs::create_dir_all(&path).unwrap();
            continue;
        }
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes(content).unwrap()).unwrap();
    }
}

pub(crate) fn is_tree(root: &Path, recorded: &BTreeMap<String, Value>) -> bool {
    let found = tree(root);
    found.len() == recorded.len()
        && recorded
            .iter()
            .all(|(file, content)| match found.get(file) {
                Some(Some(bytes)) => is_content(bytes, content),
                Some(None) => content.is_null(),
                None => false,
            })
}

/// True if a response is the recorded one.
fn is_response(got: &Value, recorded: &Value) -> bool {
    match (got, recorded) {
        (Value::Object(got), Value::Object(wanted)) => {
            got.len() == wanted.len()
                && wanted.iter().all(|(key, wanted)| {
                    let got = got.get(key);
                    got.is_some_and(|got| is_response(got, wanted))
                })
        }
        (Value::String(text), Value::Object(_)) => is_content(text.as_bytes(), recorded),
        _ => got == recorded,
    }
}

/// Makes the calls of a recording; returns what was answered, and the first thing that differs.
async fn play(recording: &Recording, certificates: &Certificates) -> (String, Option<String>) {
    let rig = Rig::start(certificates);
    write(&rig.data(), &recording.data_before);
    // A directory with broken files is not served; its last state stays in force.
    let _ = rig.data_dir.reload();
    let client = rig.client(certificates).await;
    let mut told = format!("{} {}\n", recording.id, recording.about);
    let mut differs = None;
    let mut note = |text: String| differs = differs.take().or(Some(text));
    for made in &recording.calls {
        let request = encode(&made.method, &made.request);
        let answer = call(&client, &made.method, request).await;
        let (code, message, response) = match &answer {
            Ok(message) => (Code::Ok, "", decode(&made.method, message)),
            Err(status) => (status.code(), status.message(), Value::Null),
        };
        let code = code_name(code);
        let name = made.method.rsplit('/').next().unwrap();
        let message: String = message.chars().take(160).collect();
        told.push_str(&format!("  {name} -> {code} {message}\n"));
        if code != made.code {
            note(format!("{name}: {code} {message}, recorded {}", made.code));
        }
        if !is_response(&response, &made.response) {
            note(format!("{name}: {response}, recorded {}", made.response));
        }
        let recorded = made.files.as_ref().unwrap();
        if !is_tree(&rig.data(), recorded) {
            note(format!(
                "{name}: {:?}, recorded {recorded:?}",
                tree(&rig.data()).keys()
            ));
        }
    }
    let beside = std::fs::read_dir(rig.outside()).unwrap().count();
    assert_eq!(
        beside, 1,
        "{}: a file beside the data directory",
        recording.id
    );
    let mut asked = recording.http.iter();
    if let Some(text) = asked.find_map(|asked| compare_http(rig.http, asked)) {
        note(text);
    }
    (told, differs)
}

fn compare_http(server: SocketAddr, asked: &Http) -> Option<String> {
    if asked.path.starts_with(COMPARED_ELSEWHERE) {
        return None;
    }
    let mut stream = TcpStream::connect(server).unwrap();
    let head = format!("GET {} HTTP/1.0\r\nHost: x\r\n\r\n", asked.path);
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let (head, body) = answer.split_at(end + 4);
    let status: u16 = std::str::from_utf8(&head[9..12]).unwrap().parse().unwrap();
    let same = match (&asked.lines_sorted, status) {
        _ if status != asked.status => false,
        (_, 404) => true,
        (Some(lines), _) => {
            let mut got: Vec<&str> = std::str::from_utf8(body).unwrap().lines().collect();
            got.sort_unstable();
            let mut wanted: Vec<&str> = lines.iter().map(String::as_str).collect();
            wanted.sort_unstable();
            got == wanted
        }
        (None, _) => is_content(body, &asked.body),
    };
    let shown = String::from_utf8_lossy(body);
    (!same).then(|| format!("{}: {status} {shown}, recorded {asked:?}", asked.path))
}

/// Returns the number of a recording, which is the same for both versions.
fn number(recording: &Recording) -> &str {
    recording.id.rsplit('-').next().unwrap()
}

fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::NotFound => "NOT_FOUND",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        other => panic!("{other:?}"),
    }
}

async fn compare(file: &str) {
    let certificates = Certificates::make();
    let recordings: Vec<Recording> = recordings(file, "calls");
    assert_eq!(recordings.len(), 143);
    let mut failures = Vec::new();
    for recording in &recordings {
        let known = DIFFERENT.iter().find(|(id, _)| *id == number(recording));
        if let Some((_, Unrecorded)) = known {
            continue;
        }
        let (told, differs) = play(recording, &certificates).await;
        match (known, differs) {
            (None, Some(_))
                if TRANSLATED.contains(&number(recording))
                    && told.contains(&format!("IgnitionPut -> {} ", Broken.code())) => {}
            (None, Some(how)) => failures.push(format!("{told}{how}\n")),
            (Some(_), None) => failures.push(format!("{told}no longer differs\n")),
            (Some((_, why)), Some(_)) if !told.contains(&format!("-> {} ", why.code())) => {
                failures.push(format!("{told}differs, but not by {why:?}\n"));
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
    }
    let list = failures.join("\n");
    assert!(failures.is_empty(), "{} differ:\n{list}", failures.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_matchbox_0_9_are_answered_alike_but_for_the_named_differences() {
    compare("matchbox-0.9.0.jsonl").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_matchbox_0_11_are_answered_alike_but_for_the_named_differences() {
    compare("matchbox-0.11.0.jsonl").await;
}

/// Makes a recorded call with the recorded certificate.
async fn call_with(made: &Call, rig: &Rig, certificates: &Certificates) -> &'static str {
    let text = |key: &str| made.client[key].as_str().unwrap();
    if made.client["plain"] == true {
        let mut stream = TcpStream::connect(&rig.rpc).unwrap();
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .unwrap();
        let mut answer = Vec::new();
        // It may also be closed with unread bytes, which is an error.
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.len() < 20, "{answer:?}");
        return "UNAVAILABLE";
    }
    let port = rig.rpc.rsplit(':').next().unwrap();
    let address = format!("{}:{port}", text("server_name"));
    let endpoint = certificates.endpoint(&address, text("certificate"), text("ca"));
    let Ok(client) = boot_server::net::rpc::client::connect(&endpoint).await else {
        return "UNAVAILABLE";
    };
    std::fs::create_dir_all(rig.data().join("groups")).unwrap();
    match call(&client, &made.method, Vec::new()).await {
        Ok(_) => "OK",
        // The connection broke off: what that is called depends on the client's library.
        Err(status) if status.message().contains("folder") => panic!("{status}"),
        Err(_) => "UNAVAILABLE",
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_matchbox_are_trusted_and_refused_alike() {
    let certificates = Certificates::make();
    let mut compared = 0;
    for file in ["matchbox-0.9.0.jsonl", "matchbox-0.11.0.jsonl"] {
        for recording in recordings::<Recording>(file, "tls") {
            // The name is not looked up, and is the client's to check.
            if recording.about == "wrong server name" {
                continue;
            }
            let rig = Rig::start(&certificates);
            for made in &recording.calls {
                let code = call_with(made, &rig, &certificates).await;
                assert_eq!(code, made.code, "{} {}", recording.id, recording.about);
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 20);
}
