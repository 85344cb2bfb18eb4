//! The program: matchbox's flags and variables, and `boot-server client`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::rig::Certificates;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_boot-server");

/// A server that ends with this value.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) rpc: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a server, and waits until it is ready.
pub(crate) fn start(data: &Path, command: &mut Command) -> Server {
    let mut child = command
        .arg("-address=127.0.0.1:0")
        .arg(format!("-data-path={}", data.display()))
        .arg("-assets-path=")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut ready)
        .unwrap();
    let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
    let mut listeners = ready["listeners"].as_array().unwrap().iter();
    let rpc = listeners.find_map(|listener| listener.as_str()?.strip_prefix("grpc "));
    let rpc = rpc.unwrap_or_default().to_owned();
    Server { child, rpc }
}

/// Flags of matchbox for gRPC.
pub(crate) fn flags(certificates: &Certificates) -> [String; 4] {
    [
        "-rpc-address=127.0.0.1:0".to_owned(),
        format!(
            "-cert-file={}",
            certificates.certificate("server").display()
        ),
        format!("-key-file={}", certificates.key("server").display()),
        format!("-ca-file={}", certificates.certificate("ca").display()),
    ]
}

fn client(rpc: &str, certificates: &Certificates, name: &str, words: &[&str]) -> Output {
    Command::new(PROGRAM)
        .arg("client")
        .args(words)
        .args(["--endpoints", rpc, "--ca-file"])
        .arg(certificates.certificate("ca"))
        .arg("--cert-file")
        .arg(certificates.certificate(name))
        .arg("--key-file")
        .arg(certificates.key(name))
        .output()
        .unwrap()
}

#[test]
fn client_creates_lists_describes_and_deletes_what_the_server_serves() {
    let certificates = Certificates::make();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let server = start(&data, Command::new(PROGRAM).args(flags(&certificates)));
    let run = |words: &[&str]| {
        let output = client(&server.rpc, &certificates, "client", words);
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let ignition = file("w.ign", r#"{"ignition":{"version":"3.4.0"}}"#);
    let generic = file("script", "{{.a}}");
    let profile = file(
        "p.json",
        r#"{"id":"p","name":"Prof","ignition_id":"w.ign","generic_id":"s"}"#,
    );
    let group = file(
        "g.json",
        r#"{"id":"g","profile":"p","selector":{"zone":"b"},"metadata":{"a":1}}"#,
    );
    // Configs may come first, into an empty directory.
    run(&["ignition", "create", "-f", &ignition]);
    run(&["generic", "create", "--filename", &generic, "--name", "s"]);
    run(&["profile", "create", "--file", &profile]);
    run(&["group", "create", "-f", &group]);
    assert_eq!(
        run(&["group", "list"]),
        "ID  GROUP NAME  SELECTORS  PROFILE\ng               zone=b     p\n"
    );
    assert_eq!(
        run(&["profile", "list"]),
        "ID  PROFILE NAME  IGNITION  CLOUD  GENERIC\np   Prof          w.ign            s\n"
    );
    let written = std::fs::read_to_string(data.join("groups/g.json")).unwrap();
    assert_eq!(run(&["group", "describe", "g"]), written + "\n");
    assert!(run(&["profile", "describe", "p"]).contains("\"ignition_id\": \"w.ign\""));
    assert_eq!(
        run(&["ignition", "describe", "w.ign"]),
        r#"{"ignition":{"version":"3.4.0"}}"#
    );
    assert_eq!(run(&["generic", "describe", "s"]), "{{.a}}");
    for words in [
        ["group", "g"],
        ["profile", "p"],
        ["ignition", "w.ign"],
        ["generic", "s"],
    ] {
        run(&[words[0], "delete", words[1]]);
    }
    assert_eq!(
        run(&["group", "list"]),
        "ID  GROUP NAME  SELECTORS  PROFILE\n"
    );
    for (name, words, says) in [
        (
            "client",
            &["group", "describe", "g"][..],
            "file not found: `groups/g.json`",
        ),
        (
            "client",
            &["group", "create", "-f", "nope.json"],
            "cannot read nope.json",
        ),
        (
            "client",
            &["generic", "create", "-f", &generic, "--name", "../x"],
            "leads out of",
        ),
        ("client-other", &["group", "list"], ""),
        ("none", &["group", "list"], "none.crt"),
    ] {
        let output = client(&server.rpc, &certificates, name, words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {said}");
        assert!(
            said.contains(says) && !output.stderr.is_empty(),
            "{words:?}: {said}"
        );
    }
}

#[test]
fn variables_of_matchbox_enable_grpc_and_flags_win() {
    use std::os::unix::process::CommandExt;
    let certificates = Certificates::make();
    let data = tempfile::tempdir().unwrap();
    let mut command = Command::new(PROGRAM);
    command
        .arg0("matchbox")
        .env("MATCHBOX_RPC_ADDRESS", "127.0.0.1:0")
        .env("MATCHBOX_CERT_FILE", "no.crt")
        .env("MATCHBOX_KEY_FILE", certificates.key("server"))
        .env("MATCHBOX_CA_FILE", certificates.certificate("ca"))
        .arg(&flags(&certificates)[1]);
    let server = start(data.path(), &mut command);
    assert!(server.rpc.starts_with("127.0.0.1:"), "{}", server.rpc);
    let without = start(data.path(), &mut Command::new(PROGRAM));
    assert_eq!(without.rpc, "");
}

#[test]
fn server_without_its_certificates_does_not_start_and_names_them() {
    let certificates = Certificates::make();
    let data = tempfile::tempdir().unwrap();
    let good = flags(&certificates);
    for (changed, says) in [
        ("-cert-file=no.crt", "no.crt"),
        ("-key-file=no.key", "no.key"),
        ("-ca-file=no-ca.crt", "no-ca.crt"),
        ("-cert-file=/dev/null", "/dev/null"),
        ("-rpc-address=127.0.0.1", "missing port"),
    ] {
        let output = Command::new(PROGRAM)
            .args(&good)
            .arg("-address=127.0.0.1:0")
            .arg(format!("-data-path={}", data.path().display()))
            .arg(changed)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{changed}: {said}");
        assert!(said.contains(says), "{changed}: {said}");
    }
}

#[test]
fn directory_of_bootcfg_is_not_changed_by_grpc() {
    let certificates = Certificates::make();
    let rack = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/http/bootcfg-rack");
    let output = Command::new(PROGRAM)
        .args(flags(&certificates))
        .arg(format!("-data-path={}", rack.display()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("bootcfg"), "{said}");
}

#[test]
fn check_of_grpc_over_a_directory_of_bootcfg_says_so_once_and_of_matchbox_nothing() {
    let certificates = Certificates::make();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("boot-server.toml");
    let check = |data: &str| {
        let text = format!(
            "[http]\nlisten = \"127.0.0.1:0\"\ndata = {:?}\n\
             [rpc]\nclient_ca = {:?}\ntls_certificate = {:?}\ntls_key = {:?}\n",
            tests.join(data),
            certificates.certificate("ca"),
            certificates.certificate("server"),
            certificates.key("server"),
        );
        std::fs::write(&file, text).unwrap();
        let output = Command::new(PROGRAM)
            .args(["check", "--config"])
            .arg(&file)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), said)
    };
    let told = "unsupported: gRPC with a data directory of bootcfg";
    let (code, said) = check("examples/bootcfg-0.2");
    assert_eq!(code, Some(2), "{said}");
    assert_eq!(said.matches(told).count(), 1, "{said}");
    assert!(said.contains("migrate it, or remove [rpc]"), "{said}");
    let (code, said) = check("examples/matchbox-0.9");
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("gRPC"), "{said}");
}
