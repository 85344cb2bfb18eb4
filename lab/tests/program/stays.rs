//! A lab that stays: brought up, looked into, a changed cloud-config seen on a rebooted machine, and ended.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::{Scenarios, printed};

/// `lab` on scenarios of the test's own.
struct Lab<'a> {
    scenarios: &'a Scenarios,
}

impl Lab<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
        command
            .arg("--scenarios")
            .arg(self.scenarios.folder())
            .args(arguments)
            .env("NO_COLOR", "1");
        command
    }

    fn says(&self, arguments: &[&str], code: i32) -> String {
        let output: Output = self.command(arguments).output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {}",
            printed(&output)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// Ends the lab, whatever became of the test.
struct Down<'a>(&'a Lab<'a>, String);

impl Drop for Down<'_> {
    fn drop(&mut self) {
        let _ = self.0.command(&["down", &self.1]).output();
    }
}

#[test]
fn a_changed_cloud_config_is_seen_on_a_rebooted_machine() {
    let scenarios = Scenarios::new();
    let name = format!("stays-{}", std::process::id());
    let scenario = scenarios.copy("ipxe-chainload", &name).quick("node1");
    let lab = Lab {
        scenarios: &scenarios,
    };
    let artifacts = scenarios.artifacts();
    let up = lab
        .command(&["up", &name, "--detach", "--artifacts"])
        .arg(&artifacts)
        .output()
        .unwrap();
    let _down = Down(&lab, name.clone());
    assert_eq!(up.status.code(), Some(0), "{}", printed(&up));
    let told = String::from_utf8_lossy(&up.stdout).into_owned();
    assert!(
        told.contains("lab console node1") && told.contains("lab down"),
        "{told}"
    );

    let listed = lab.says(&["ps"], 0);
    assert!(
        listed.contains(&name) && listed.contains("52:54:00:5c:01:01"),
        "{listed}"
    );
    let lab_of = ["--lab", &name];
    let exec = |code, words: &[&str]| {
        let arguments = [&["exec", "node1"], &lab_of[..], &["--"], words].concat();
        let output = lab.command(&arguments).output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(code),
            "{words:?}: {}",
            printed(&output)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(exec(0, &["hostname"]), "ipxe-chainload-one");
    assert_eq!(exec(7, &["exit_with() { return 7; }; exit_with"]), "");

    // What is changed now is what it boots with next.
    scenario.replace(
        "data/config.yaml",
        "hostname: ipxe-chainload-one",
        "hostname: changed",
    );
    let again = lab.says(&["reboot", "node1", "--lab", &name], 0);
    assert!(again.contains("is up again"), "{again}");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    // cloud-config is applied beside the login.
    while exec(0, &["hostname"]) != "changed" {
        assert!(
            std::time::Instant::now() < deadline,
            "the host name stays as it was"
        );
    }

    let shell = lab
        .command(&["shell", "--lab", &name, "--", "ip", "-brief", "address"])
        .output()
        .unwrap();
    let inside = String::from_utf8_lossy(&shell.stdout).into_owned();
    assert!(inside.contains("192.168.92.1/24"), "{}", printed(&shell));

    assert!(console(&lab, &name).contains("typed-by-the-test"));

    let down = lab.says(&["down", &name], 0);
    assert!(down.contains("is down"), "{down}");
    assert!(!lab.says(&["ps"], 0).contains(&name));
    let gone = lab
        .command(&["console", "node1", "--lab", &name])
        .output()
        .unwrap();
    assert_eq!(gone.status.code(), Some(2), "{}", printed(&gone));
    assert!(nothing_is_left(&artifacts), "processes are left");
}

/// What the console shows of a line that is typed there, until the detach key.
fn console(lab: &Lab<'_>, name: &str) -> String {
    let mut child = lab
        .command(&["console", "node1", "--lab", name])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = child.stdout.take().unwrap();
    input
        .write_all(b"printf '<%s>' typed-by-the-test\r")
        .unwrap();
    let mut shown = String::new();
    let mut buffer = [0; 1024];
    let mut has_left = false;
    while let Ok(read @ 1..) = output.read(&mut buffer) {
        shown.push_str(&String::from_utf8_lossy(&buffer[..read]));
        // The answer, not the echo of what was typed.
        if !has_left && shown.contains("<typed-by-the-test>") {
            input.write_all(b"\x1d").unwrap();
            has_left = true;
        }
    }
    assert!(child.wait().unwrap().success());
    shown
}

/// Whether no process has the folder of the run on its command line.
fn nothing_is_left(artifacts: &Path) -> bool {
    let wanted = artifacts.display().to_string();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let left = processes
            .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
            .any(|line| String::from_utf8_lossy(&line).contains(&wanted));
        if !left || std::time::Instant::now() >= deadline {
            return !left;
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_lab_that_is_not_up_is_told() {
    let name = "no-such-lab";
    for arguments in [
        &["down", name][..],
        &["console", "no-such-node"],
        &["exec", "no-such-node", "--", "true"],
        &["reboot", "no-such-node"],
        &["shell", "--lab", name],
    ] {
        let cache = tempfile::tempdir().unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_lab"))
            .arg("--cache")
            .arg(cache.path())
            .args(arguments)
            .output()
            .unwrap();
        let all = printed(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {all}");
        assert!(all.contains("no lab is up; `lab up SCENARIO`"), "{all}");
    }
}
