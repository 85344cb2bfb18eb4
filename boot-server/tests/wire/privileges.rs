//! The server with the two rights that its service unit gives it, and nothing else: all that it does
//! works.

use std::collections::HashMap;
use std::io::BufReader;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use boot_server_proto::dhcp::{Message, MessageType, code};

use crate::beside_dnsmasq::request;
use crate::support::{
    DEADLINE, Running, SERVER, ServerSide, client, exchange, is_inside, run, wait_for_line,
};

/// CAP_NET_BIND_SERVICE (10) and CAP_NET_RAW (13).
const RIGHTS: u64 = 1 << 10 | 1 << 13;
/// An ordinary user that every Debian has.
const USER: &str = "nobody";
const USER_ID: u32 = 65534;

/// A folder in which the user may write, with the configuration of every service that one process has.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    let rack = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/http");
    let copied = Command::new("cp")
        .arg("-r")
        .arg(rack)
        .arg(folder.path().join("http"))
        .status();
    assert!(copied.unwrap().success());
    std::fs::write(folder.path().join("http/assets/hello"), "hello").unwrap();
    let text = "interface = \"srv\"\nrouter_advertisement = true\nevents = \"events\"\n\
                [dhcp]\nsubnet = \"10.91.0.0/24\"\nfirst = \"10.91.0.10\"\nlast = \"10.91.0.20\"\n\
                probe_ms = 0\nlease_file = \"leases\"\n[tftp]\n\
                [http]\nlisten = \"10.91.0.1:80\"\ndata = \"http/bootcfg-rack\"\nassets = \"http/assets\"\n";
    std::fs::write(folder.path().join("c.toml"), text).unwrap();
    std::os::unix::fs::chown(folder.path(), Some(USER_ID), Some(USER_ID)).unwrap();
    let open = Command::new("chmod")
        .args(["-R", "a+rX"])
        .arg(folder.path())
        .status();
    assert!(open.unwrap().success());
    folder
}

/// The program where every user can run it: build folders are often root's own.
fn program(folder: &Path) -> std::path::PathBuf {
    let copy = folder.join("boot-server");
    std::fs::copy(env!("CARGO_BIN_EXE_boot-server"), &copy).unwrap();
    copy
}

fn start(command: &mut Command, words: &[&str]) -> Running {
    let mut child = command.args(words).stderr(Stdio::piped()).spawn().unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    let running = Running(child);
    wait_for_line(log, "ready");
    running
}

/// Returns the kernel's status of a process: user, capabilities, and no_new_privs.
fn status(pid: u32) -> HashMap<String, String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let lines = text.lines().filter_map(|line| line.split_once(":"));
    lines
        .map(|(k, v)| (k.to_owned(), v.trim().to_owned()))
        .collect()
}

fn assert_unprivileged(pid: u32) {
    let status = status(pid);
    assert!(
        status["Uid"]
            .split_whitespace()
            .all(|id| id == USER_ID.to_string()),
        "{status:?}"
    );
    for set in ["CapEff", "CapPrm"] {
        assert_eq!(
            u64::from_str_radix(&status[set], 16).unwrap(),
            RIGHTS,
            "{set}"
        );
    }
    assert_eq!(status["NoNewPrivs"], "1");
    // Each thread has rights of its own.
    for thread in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let text = std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        assert!(text.contains(&format!("CapEff:\t{RIGHTS:016x}")), "{text}");
    }
}

/// A machine gets an address, a loader and an asset; the lease is on disk.
fn assert_everything_is_served(folder: &Path) {
    let socket = client();
    let offered = |answers: &[Message]| !answers.is_empty();
    let discover = request(MessageType::Discover, 1);
    let offers = exchange(&socket, &discover, Ipv4Addr::BROADCAST, offered);
    assert_eq!(offers[0].boot_file, b"undionly.kpxe");
    let mut select = request(MessageType::Request, 2);
    select.options.set_addresses(code::SERVER_ID, &[SERVER]);
    let wanted = [offers[0].your_address];
    select
        .options
        .set_addresses(code::REQUESTED_ADDRESS, &wanted);
    let acks = exchange(&socket, &select, Ipv4Addr::BROADCAST, offered);
    assert_eq!(acks[0].message_type(), Ok(Some(MessageType::Ack)));
    drop(socket);
    assert!(std::fs::metadata(folder.join("leases")).unwrap().len() > 0);
    run("ip", &["addr", "add", "10.91.0.99/24", "dev", "cli"]);
    for url in [
        "http://10.91.0.1/assets/hello",
        "tftp://10.91.0.1/assets/hello",
    ] {
        let fetched = Command::new("curl")
            .args(["-sS", "--max-time", "15", url])
            .output()
            .unwrap();
        assert_eq!(
            String::from_utf8_lossy(&fetched.stdout),
            "hello",
            "{url}: {fetched:?}"
        );
    }
    assert_pool_is_shown();
    let events = std::fs::read_to_string(folder.join("events")).unwrap();
    assert!(events.contains("\"dhcp_reply\""), "{events}");
}

/// The gauges follow within two seconds.
fn assert_pool_is_shown() {
    let wanted = [
        "boot_server_pool_addresses{subnet=\"10.91.0.0/24\"} 11",
        "boot_server_leases{subnet=\"10.91.0.0/24\"} 1",
    ];
    let deadline = Instant::now() + DEADLINE;
    loop {
        let metrics = Command::new("curl")
            .args(["-sS", "--max-time", "15", "http://10.91.0.1/metrics"])
            .output();
        let metrics = String::from_utf8(metrics.unwrap().stdout).unwrap();
        if wanted
            .iter()
            .all(|line| metrics.lines().any(|other| other == *line))
        {
            return;
        }
        assert!(Instant::now() < deadline, "{metrics}");
    }
}

#[test]
fn a_server_started_as_root_keeps_two_rights_and_serves_everything() {
    if !is_inside() {
        return;
    }
    let (side, folder) = (ServerSide::new(), folder());
    let config = folder.path().join("c.toml");
    add_key_ring_of_root(folder.path(), &config);
    let program = program(folder.path());
    let mut command = side.command(program.to_str().unwrap());
    let server = start(
        &mut command,
        &["--config", config.to_str().unwrap(), "--user", USER],
    );
    assert_unprivileged(server.0.id());
    assert_everything_is_served(folder.path());
    let url = "http://10.91.0.1/boot.ipxe.asc";
    let signed = Command::new("curl")
        .args(["-sS", "--max-time", "15", url])
        .output();
    let signature = String::from_utf8(signed.unwrap().stdout).unwrap();
    assert!(
        signature.starts_with("-----BEGIN PGP SIGNATURE-----"),
        "{signature}"
    );
}

/// Signs with a key that only root can read.
fn add_key_ring_of_root(folder: &Path, config: &Path) {
    let (home, ring) = (folder.join("gnupg"), folder.join("secret.gpg"));
    std::fs::create_dir(&home).unwrap();
    let gpg = |arguments: &[&str]| {
        let run = Command::new("gpg")
            .args([
                "--batch",
                "--pinentry-mode",
                "loopback",
                "--passphrase",
                "",
                "--homedir",
            ])
            .arg(&home)
            .args(arguments)
            .output()
            .expect("gpg (package gnupg) is installed");
        assert!(run.status.success(), "{run:?}");
    };
    gpg(&[
        "--quick-generate-key",
        "Boot",
        "ed25519",
        "default",
        "never",
    ]);
    gpg(&["--output", ring.to_str().unwrap(), "--export-secret-keys"]);
    let only_root = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&ring, only_root).unwrap();
    let text = std::fs::read_to_string(config).unwrap();
    std::fs::write(config, text + "key_ring = \"secret.gpg\"\n").unwrap();
}

/// Puts something in the place of a file.
type Plant<'a> = &'a dyn Fn(&Path);

/// Whoever has the user's account can plant links in the user's folder and wait for the next start.
#[test]
fn a_server_started_as_root_gives_no_file_away_that_is_linked_in_the_users_folder() {
    if !is_inside() {
        return;
    }
    let (side, folder) = (ServerSide::new(), folder());
    let config = folder.path().join("c.toml");
    let program = program(folder.path());
    let target = folder.path().join("of-root");
    std::fs::write(&target, "secret").unwrap();
    let only_root = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&target, only_root).unwrap();
    let fifo = |path: &Path| run("mkfifo", &[path.to_str().unwrap()]);
    let plants: [(&str, Plant<'_>); 4] = [
        ("symbolic link", &|path| {
            std::os::unix::fs::symlink(&target, path).unwrap();
        }),
        // As root's file, or as one with two names: which of both is seen first does not matter.
        ("refused|denied", &|path| {
            std::fs::hard_link(&target, path).unwrap();
        }),
        ("not a regular file", &|path| {
            fifo(path);
            std::os::unix::fs::chown(path, Some(USER_ID), Some(USER_ID)).unwrap();
        }),
        ("chown", &|path| {
            std::fs::write(path, "").unwrap();
        }),
    ];
    for (says, plant) in plants {
        for planted in ["events", "leases", "leases.lock"] {
            let path = folder.path().join(planted);
            plant(&path);
            let mut command = side.command(program.to_str().unwrap());
            command.args(["--config", config.to_str().unwrap(), "--user", USER]);
            let said = refused(&mut command, &format!("{says}: {planted}"));
            let expected = says.split('|').any(|text| said.contains(text));
            assert!(
                expected && said.contains(planted),
                "{planted}, {says}: {said}"
            );
            // The server makes those that are not planted.
            for name in ["events", "leases", "leases.lock"] {
                let _ = std::fs::remove_file(folder.path().join(name));
            }
            let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&target).unwrap());
            assert_eq!(owner, 0, "{planted}, {says}");
            assert_eq!(std::fs::read(&target).unwrap(), b"secret");
        }
    }
}

/// Asserts that a server refuses to start, and returns its error message.
fn refused(command: &mut Command, why: &str) -> String {
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let mut running = Running(child);
    let status = test_support::eventually(DEADLINE, || {
        let ended = running.0.try_wait().unwrap();
        ended.ok_or_else(|| format!("the server started: {why}"))
    });
    assert!(!status.success());
    let mut said = String::new();
    std::io::Read::read_to_string(&mut stderr, &mut said).unwrap();
    said
}

#[test]
fn the_rights_of_the_service_unit_are_enough() {
    if !is_inside() {
        return;
    }
    let (side, folder) = (ServerSide::new(), folder());
    let config = folder.path().join("c.toml");
    let program = program(folder.path());
    let mut command = side.command("setpriv");
    command
        .args([
            "--reuid",
            USER,
            "--regid",
            "nogroup",
            "--clear-groups",
            "--no-new-privs",
        ])
        .args(["--inh-caps", "-all,+net_bind_service,+net_raw"])
        .args(["--ambient-caps", "-all,+net_bind_service,+net_raw"])
        .args(["--bounding-set", "-all,+net_bind_service,+net_raw", "--"]);
    let words = [
        program.to_str().unwrap(),
        "--config",
        config.to_str().unwrap(),
    ];
    let server = start(&mut command, &words);
    assert_unprivileged(server.0.id());
    assert_everything_is_served(folder.path());
}

#[test]
fn the_service_unit_gives_exactly_those_rights_and_systemd_takes_it() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/boot-server.service");
    let text = std::fs::read_to_string(&unit).unwrap();
    for line in [
        "AmbientCapabilities=CAP_NET_BIND_SERVICE CAP_NET_RAW",
        "CapabilityBoundingSet=CAP_NET_BIND_SERVICE CAP_NET_RAW",
    ] {
        assert!(text.lines().any(|other| other == line), "{line}");
    }
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("boot-server.service");
    // Its program is not installed here: another that is.
    let ours = env!("CARGO_BIN_EXE_boot-server");
    std::fs::write(&copy, text.replace("/usr/bin/boot-server", ours)).unwrap();
    let verify = Command::new("systemd-analyze")
        .arg("verify")
        .arg(&copy)
        .output();
    let verify = verify.expect("systemd-analyze, from Debian's package systemd, is needed");
    let said = String::from_utf8_lossy(&verify.stderr);
    let about_ours: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("boot-server.service"))
        .collect();
    assert!(about_ours.is_empty(), "{said}");
    let security = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=25"])
        .arg(&copy)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&security.stdout);
    assert!(security.status.success(), "{said}");
}
