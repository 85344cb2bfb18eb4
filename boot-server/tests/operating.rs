//! The program as its operator meets it: started, asked, reloaded, stopped.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(30);
const PROGRAM: &str = env!("CARGO_BIN_EXE_boot-server");

/// A running server; killed when the test ends, however it ends.
struct Server {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts a program, and listens to both of its streams.
    fn start(command: &mut Command) -> Server {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let out = child.stdout.take().unwrap();
        let log = child.stderr.take().unwrap();
        for stream in [Box::new(out) as Box<dyn Read + Send>, Box::new(log)] {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        Server {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    /// The next line, of either stream, with all of these.
    fn wait_for(&mut self, texts: &[&str]) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("no line with {texts:?} in:\n{}", self.seen.join("\n"));
            };
            self.seen.push(line.clone());
            if texts.iter().all(|text| line.contains(text)) {
                return line;
            }
        }
    }

    /// Returns the listen address of a service.
    fn address(&mut self, service: &str) -> SocketAddr {
        let ready = self.wait_for(&["\"event\":\"ready\""]);
        let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
        let listeners = ready["listeners"].as_array().unwrap().iter();
        let mut found =
            listeners.filter_map(|l| l.as_str()?.strip_prefix(service)?.trim().parse().ok());
        found.next().unwrap()
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    fn exit_code(mut self) -> Option<i32> {
        let status = test_support::eventually(DEADLINE, || {
            let ended = self.child.try_wait().unwrap();
            ended.ok_or_else(|| format!("it does not end:\n{}", self.seen.join("\n")))
        });
        status.code()
    }
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/http/bootcfg-rack")
}

fn get(server: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// A server of the rack, by the flags bootcfg had.
fn start(more: &[&str]) -> Server {
    let data = format!("-data-path={}", data().display());
    let mut command = Command::new(PROGRAM);
    Server::start(command.args(["-address=127.0.0.1:0", &data]).args(more))
}

#[test]
fn bootcfgs_flags_serve_its_directory_and_sigterm_ends_it_well() {
    let mut server = start(&[]);
    let address = server.address("http");
    let answer = get(address, "/boot.ipxe");
    assert!(answer.contains("#!ipxe"), "{answer}");
    server.wait_for(&["INFO", "HTTP GET /boot.ipxe -> 200"]);
    server.signal("-TERM");
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn called_by_the_name_of_matchbox_it_takes_matchboxs_variables() {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(PROGRAM);
    command
        .arg0("/usr/local/bin/matchbox")
        .env("MATCHBOX_DATA_PATH", data())
        .arg("-assets-path=")
        .env("MATCHBOX_ADDRESS", "127.0.0.1:0");
    let mut server = Server::start(&mut command);
    let address = server.address("http");
    assert!(get(address, "/healthz").ends_with("ok\n"));
}

#[test]
fn all_http_servers_share_one_thread_a_processor() {
    let mut server = start(&["--metrics-address=127.0.0.1:0"]);
    let address = server.address("metrics");
    assert!(get(address, "/metrics").starts_with("HTTP/1.1 200"));
    let tasks = std::fs::read_dir(format!("/proc/{}/task", server.child.id())).unwrap();
    let names =
        tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap());
    let workers = names.filter(|name| name == "http\n").count();
    let processors = std::thread::available_parallelism().unwrap();
    assert_eq!(workers, usize::from(processors));
}

#[test]
fn requests_are_counted() {
    let mut server = start(&["--metrics-address=127.0.0.1:0"]);
    let address = server.address("http");
    assert!(get(address, "/boot.ipxe").starts_with("HTTP/1.1 200"));
    server.wait_for(&["HTTP GET /boot.ipxe"]);
    let metrics = get(address, "/metrics");
    let line = "boot_server_http_requests_total{endpoint=\"/boot.ipxe\",status=\"200\"} 1\n";
    assert!(metrics.contains(line), "{metrics}");
    // Scrapes are about no machine.
    assert!(!metrics.contains("/metrics"), "{metrics}");
}

#[test]
fn sighup_opens_the_event_file_anew_and_reads_the_directory_again() {
    let folder = tempfile::tempdir().unwrap();
    let (events, old) = (folder.path().join("events"), folder.path().join("events.1"));
    let flag = format!("--events={}", events.display());
    let mut server = start(&[&flag]);
    wait_for_event(&mut server, &events, "\"ready\"");
    std::fs::rename(&events, &old).unwrap();
    server.signal("-HUP");
    let text = wait_for_event(&mut server, &events, "\"reloaded\"");
    assert!(text.contains("\"Ok\""), "{text}");
    assert!(std::fs::read_to_string(&old).unwrap().contains("\"ready\""));
}

/// The event file, once it has this text.
fn wait_for_event(server: &mut Server, file: &Path, wanted: &str) -> String {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        if text.contains(wanted) {
            return text;
        }
        assert!(Instant::now() < deadline, "{:?} {text}", server.seen);
        if let Ok(line) = server.lines.recv_timeout(Duration::from_millis(50)) {
            server.seen.push(line);
        }
    }
}

fn start_with_https(cert: &Path, key: &Path) -> Server {
    let flags = [
        "-web-ssl".to_owned(),
        format!("-web-cert-file={}", cert.display()),
        format!("-web-key-file={}", key.display()),
    ];
    start(&flags.each_ref().map(String::as_str))
}

#[test]
fn https_is_spoken_with_the_certificate_and_a_renewed_one_after_sighup() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
    );
    make_certificate(&cert, &key, "first.test");
    let mut server = start_with_https(&cert, &key);
    let address = server.address("http");
    assert!(fetch_tls(address, "first.test", &cert).contains("#!ipxe"));

    std::fs::write(&key, "broken").unwrap();
    server.signal("-HUP");
    server.wait_for(&["keeping the last valid certificate"]);
    assert!(fetch_tls(address, "first.test", &cert).contains("#!ipxe"));

    make_certificate(&cert, &key, "second.test");
    server.signal("-HUP");
    server.wait_for(&["reloaded: certificate"]);
    assert!(fetch_tls(address, "second.test", &cert).contains("#!ipxe"));
}

/// EDK2 offers nothing better.
#[test]
fn https_is_spoken_with_firmware_that_has_no_elliptic_curves() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
    );
    make_certificate_with(&["rsa:2048"], &cert, &key, "firmware.test");
    let mut server = start_with_https(&cert, &key);
    let address = server.address("http");
    for suite in ["DHE-RSA-AES256-GCM-SHA384", "DHE-RSA-AES128-GCM-SHA256"] {
        let only = ["--tls-max", "1.2", "--ciphers", suite];
        let fetched = fetch_tls_with(&only, address, "firmware.test", &cert);
        assert!(fetched.contains("#!ipxe"), "{suite}");
    }
}

fn make_certificate(cert: &Path, key: &Path, name: &str) {
    let curve = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    make_certificate_with(&curve, cert, key, name);
}

fn make_certificate_with(kind: &[&str], cert: &Path, key: &Path, name: &str) {
    let output = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-newkey"])
        .args(kind)
        .args(["-days", "2", "-subj", &format!("/CN={name}")])
        .args(["-addext", &format!("subjectAltName=DNS:{name}")])
        .arg("-keyout")
        .arg(key)
        .arg("-out")
        .arg(cert)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn fetch_tls(server: SocketAddr, name: &str, trusted: &Path) -> String {
    fetch_tls_with(&[], server, name, trusted)
}

fn fetch_tls_with(options: &[&str], server: SocketAddr, name: &str, trusted: &Path) -> String {
    let output = Command::new("curl")
        .args(options)
        .args(["--silent", "--show-error", "--max-time", "20", "--cacert"])
        .arg(trusted)
        .args([
            "--resolve",
            &format!("{name}:{}:{}", server.port(), server.ip()),
        ])
        .arg(format!("https://{name}:{}/boot.ipxe", server.port()))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_is_wrong_with_a_command_line_is_said_with_what_is_right() {
    let data = data().display().to_string();
    for (words, environment, says) in [
        (vec![], None, "no service configured"),
        (vec!["--adress=1"], None, "--address"),
        (vec!["-rpc-address=0.0.0.0:8081"], None, "gRPC"),
        (vec!["-assets-path=/a"], None, "--data-path"),
        (
            vec![],
            Some(("MATCHBOX_RPC_ADDRESS", "0.0.0.0:8081")),
            "gRPC",
        ),
        (
            vec![],
            Some(("BOOT_SERVER_LOG_LEVEL", "loud")),
            "BOOT_SERVER_LOG_LEVEL",
        ),
        (
            vec!["--dhcp-range=10.0.0.1-10.0.0.9/24", "--data-path", &data],
            None,
            "interface",
        ),
        (vec!["pixiecore", "quick", "debian"], None, "pixiecore boot"),
        (vec!["--config=/nothing.toml"], None, "/nothing.toml"),
    ] {
        let mut command = Command::new(PROGRAM);
        command.args(&words).envs(environment);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
        assert!(said.contains(says), "{words:?} {environment:?}: {said}");
    }
}
