//! A persistent lab: brought up on a terminal, looked into, a changed cloud-config seen on a rebooted machine, faults set
//! and cleared, and ended.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use test_support::{assert_line, eventually, has_line, is};

use crate::pty::OnTerminal;
use crate::support::{DEADLINE, ScenarioCopy, Scenarios, printed, said};

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
        said(&output, arguments, code)
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
fn persistent_lab_is_used_from_a_terminal_and_from_scripts_until_ctrl_c() {
    let scenarios = Scenarios::new();
    let name = format!("stays-{}", std::process::id());
    let scenario = scenarios.copy("ipxe-chainload", &name).quick_nodes();
    let lab = Lab {
        scenarios: &scenarios,
    };
    let artifacts = scenarios.artifacts();
    let mut up = lab.command(&["up", &name, "--nodes", "1", "--artifacts"]);
    up.arg(&artifacts);
    let mut up = OnTerminal::start(&up);
    let _down = Down(&lab, name.clone());
    up.wait_for("Ctrl-C stops the lab", DEADLINE);
    assert_line(
        &up.text,
        "  lab console node1 … serial console; Ctrl-] detaches",
    );
    assert_line(
        &up.text,
        "  lab down … stop the lab and remove everything in it",
    );
    let listed = lab.says(&["ps"], 0);
    assert_line(&listed, &format!("…  {name}@bios  since …"));
    assert_line(&listed, "  node1  52:54:00:5c:01:01…");
    assert!(!has_line(&listed, "  node2 …"), "{listed}");

    commands_are_run_in_the_machine(&lab, &name);
    console_on_a_terminal_is_the_machines(&lab, &name);
    changed_cloud_config_is_seen_after_a_reboot(&lab, &name, scenario);

    let shell = lab
        .command(&["shell", "--lab", &name, "--", "ip", "-brief", "address"])
        .output()
        .unwrap();
    let inside = String::from_utf8_lossy(&shell.stdout).into_owned();
    assert_line(&inside, "… UP … 192.168.92.1/24 …");

    assert_line(&console(&lab, &name), "…<typed-by-the-test>…");
    what_it_says_can_be_read(&lab, &name);
    machines_can_be_touched(&lab, &name, scenarios.folder().parent().unwrap());
    faults_can_be_set(&lab, &name);

    up.types("\x03");
    up.wait_for("is down", DEADLINE);
    assert!(up.ends(DEADLINE).success(), "{}", up.text);
    assert!(!has_line(&lab.says(&["ps"], 0), &format!("…  {name}@…")));
    let gone = lab
        .command(&["console", "node1", "--lab", &name])
        .output()
        .unwrap();
    assert_eq!(gone.status.code(), Some(2), "{}", printed(&gone));
    nothing_is_left(&artifacts);
}

/// The output of a command in the machine, which ends with that code.
fn exec(lab: &Lab<'_>, name: &str, code: i32, words: &[&str]) -> String {
    let arguments = [&["exec", "node1", "--lab", name, "--"], words].concat();
    let output = lab.command(&arguments).output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(code),
        "{words:?}: {}",
        printed(&output)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn commands_are_run_in_the_machine(lab: &Lab<'_>, name: &str) {
    let hostname = exec(lab, name, 0, &["hostname"]);
    assert_eq!(hostname, "ipxe-chainload-one");
    let failing = ["exit_with() { return 7; }; exit_with"];
    assert_eq!(exec(lab, name, 7, &failing), "");
    let mut on_terminal =
        OnTerminal::start(&lab.command(&["exec", "node1", "--lab", name, "--", "hostname"]));
    on_terminal.wait_for("ipxe-chainload-one", DEADLINE);
    assert!(on_terminal.ends(DEADLINE).success());
}

/// Keys go to the machine, Ctrl-C too; the detach key ends, and the terminal is as before.
fn console_on_a_terminal_is_the_machines(lab: &Lab<'_>, name: &str) {
    let mut console = OnTerminal::start(&lab.command(&["console", "node1", "--lab", name]));
    let before = format!("{:?}", console.settings());
    console.wait_for("Ctrl-] detaches", DEADLINE);
    console.wait_for("$", DEADLINE);
    assert!(console.is_raw());
    console.types_until("printf '<%s>' begun; sleep 1000\r", "<begun>", DEADLINE);
    // The machine's, not ours.
    console.types_until("\x03", "$", DEADLINE);
    console.types_until("printf '<%s>' still-here\r", "<still-here>", DEADLINE);
    console.types("\x1d");
    assert!(console.ends(DEADLINE).success(), "{}", console.text);
    assert_eq!(format!("{:?}", console.settings()), before);
}

/// Changes a cloud-config while the lab is up, and expects it after the machine's next boot.
fn changed_cloud_config_is_seen_after_a_reboot(lab: &Lab<'_>, name: &str, scenario: ScenarioCopy) {
    scenario.replace(
        "data/config.yaml",
        "hostname: ipxe-chainload-one",
        "hostname: changed",
    );
    let mut reboot = OnTerminal::start(&lab.command(&["reboot", "node1", "--lab", name]));
    reboot.wait_for("is up again", DEADLINE);
    assert!(reboot.ends(DEADLINE).success());
    // cloud-config is applied beside the login.
    eventually(DEADLINE, || {
        let hostname = exec(lab, name, 0, &["hostname"]);
        is(
            hostname == "changed",
            format!("the host name is {hostname}"),
        )
    });
    // Its journal is followed on: each boot begins with the kernel's name.
    eventually(DEADLINE, || {
        let journal = lab.says(&["logs", "node1", "--lab", name, "--journal"], 0);
        let boots = journal.matches("kernel: Linux version").count();
        is(boots == 2, journal)
    });
}

/// Consoles, services, events and packets, of the boots before and after the reset.
fn what_it_says_can_be_read(lab: &Lab<'_>, name: &str) {
    let console = lab.says(&["logs", "node1", "--lab", name], 0);
    let logins = console.matches("(automatic login)").count();
    assert!(logins >= 2, "{logins} logins: {console}");
    let journal = lab.says(&["logs", "node1", "--lab", name, "--journal"], 0);
    assert_line(&journal, "… systemd-journald[…]: Journal started");
    let server = lab.says(&["logs", "boot-server", "--lab", name], 0);
    assert_line(&server, "… HTTP GET /ipxe…");
    let unknown = ["logs", "nobody", "--lab", name];
    let unknown = lab.command(&unknown).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2), "{}", printed(&unknown));
    assert_line(
        &printed(&unknown),
        "lab: no logs of `nobody` (available: boot-server, node1)",
    );

    let events = lab.says(&["events", name], 0);
    let power_ons = events.lines().filter(|line| {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        event["seen"] == "power_on"
    });
    assert_eq!(power_ons.count(), 2, "{events}");
    eventually(DEADLINE, || {
        let status = lab.says(&["status", name], 0);
        is(has_line(&status, "  node1  on   config-applied …"), status)
    });

    let packets = lab.says(&["capture", name], 0);
    assert_line(&packets, "… node1 → host … GET /ipxe?uuid=…");
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    lab.says(&["capture", name, "--write", path], 0);
    // Section header block (draft-ietf-opsawg-pcapng §4.1).
    assert!(fs::read(path).unwrap().starts_with(b"\x0a\x0d\x0d\x0a"));
    // What is sent from now on.
    let mut live = lab
        .command(&["capture", name, "--follow"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let shown = BufReader::new(live.stdout.take().unwrap());
    let (show, packets) = channel();
    std::thread::spawn(move || {
        for line in shown.lines().map_while(Result::ok) {
            let _ = show.send(line);
        }
    });
    let asked =
        "exec 3<>/dev/tcp/192.168.92.1/8080; printf 'GET /live HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3";
    let ask = ["exec", "node1", "--lab", name, "--", asked];
    // The capture begins a moment after its command.
    eventually(DEADLINE, || {
        lab.says(&ask, 0);
        let is_shown = packets
            .try_iter()
            .any(|line| has_line(&line, "… node1 → host … GET /live…"));
        is(is_shown, "the capture does not show the request")
    });
    live.kill().unwrap();
    live.wait().unwrap();
}

fn machines_can_be_touched(lab: &Lab<'_>, name: &str, folder: &Path) {
    let png = folder.join("screen.png");
    let lab_of = ["--lab", name];
    lab.says(
        &[&["screenshot", "node1", png.to_str().unwrap()], &lab_of[..]].concat(),
        0,
    );
    assert!(fs::read(&png).unwrap().starts_with(b"\x89PNG"));
    for _ in 0..2 {
        let id = lab.says(
            &[&["ssh", "node1"], &lab_of[..], &["--", "id", "-un"]].concat(),
            0,
        );
        assert_eq!(id.trim(), "core");
    }
    let virsh = ["--", "virsh", "list", "--name"];
    let domains = lab.says(&[&["shell"], &lab_of[..], &virsh[..]].concat(), 0);
    assert_line(&domains, "lab-…-node1");

    let power = |what: &str, code| {
        let mut words = vec!["power", what, "node1", "--lab", name];
        if what == "on" {
            words.extend(["--timeout", "0"]);
        }
        let output = lab.command(&words).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", printed(&output));
        printed(&output)
    };
    power("off", 0);
    assert_line(&lab.says(&["status", name], 0), "  node1  off  -");
    assert_line(&power("off", 1), "lab: node1 is already off");
    power("on", 0);
    assert_line(&power("on", 1), "lab: node1 is already on");

    let add = |words: &[&str], code| {
        let output = lab
            .command(&[&["add-node", "--timeout", "0"], &lab_of[..], words].concat())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", printed(&output));
        printed(&output)
    };
    assert_line(
        &add(&["extra", "--mac", "52:54:00:5c:01:01"], 1),
        "lab: duplicate name, UUID or MAC: already used by node1",
    );
    add(&["extra", "--mac", "52:54:00:00:00:99"], 0);
    assert_line(&lab.says(&["ps"], 0), "  extra  52:54:00:00:00:99…");
    let mac = "…52:54:00:00:00:99 DHCP…";
    eventually(DEADLINE, || {
        let log = lab.says(&["logs", "boot-server", "--lab", name], 0);
        is(
            has_line(&log, mac),
            "the machine that was added asks nobody",
        )
    });
    lab.says(&[&["power", "off", "extra"], &lab_of[..]].concat(), 0);
    let again = lab.says(&[&["reboot", "node1"], &lab_of[..]].concat(), 0);
    assert_line(&again, "node1 is up again after … s.");
}

/// Each fault is felt by the machine, and no more after it was cleared.
fn faults_can_be_set(lab: &Lab<'_>, name: &str) {
    let fault = |words: &[&str]| lab.says(&[&["fault", "--lab", name], words].concat(), 0);
    let answers = || {
        let ask = "timeout 4 bash -c \"exec 3<>/dev/tcp/192.168.92.1/8080; \
                   printf 'GET /foo HTTP/1.0\\r\\n\\r\\n' >&3; head -c 4 <&3\"";
        let output = lab
            .command(&["exec", "node1", "--lab", name, "--", ask])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).contains("HTTP")
    };
    let answered = |when: &str| eventually(DEADLINE, || is(answers(), format!("no answer {when}")));
    answered("before any fault");
    let set = [
        (&["netem", "--loss", "100%"][..], "netem: 100% lost\n"),
        (&["http-stall", "/foo"], "http-stall: /foo\n"),
    ];
    for (words, active) in set {
        assert_eq!(fault(words), active);
        assert!(!answers(), "{words:?} is not felt");
        assert_line(&fault(&["clear"]), "No active faults in … ….");
        answered(&format!("after {words:?} was cleared"));
    }
    assert_eq!(fault(&["drop-offer", "3"]), "drop-offer: the next 3\n");
    fault(&["clear"]);
}

/// Returns the console's output for a typed line, until the detach key.
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
    let (show, chunks) = channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 1024];
        while let Ok(read @ 1..) = output.read(&mut buffer) {
            let _ = show.send(String::from_utf8_lossy(&buffer[..read]).into_owned());
        }
    });
    let mut types = |keys: &[u8]| input.write_all(keys).unwrap();
    let line = b"printf '<%s>' typed-by-the-test\r";
    types(line);
    let mut shown = String::new();
    let deadline = Instant::now() + DEADLINE;
    // The answer, not the echo of what was typed. A shell that is being logged in throws away what was typed before.
    while !shown.contains("<typed-by-the-test>") {
        assert!(Instant::now() < deadline, "{shown}");
        match chunks.recv_timeout(Duration::from_secs(5)) {
            Ok(chunk) => shown.push_str(&chunk),
            Err(_) => types(line),
        }
    }
    types(b"\x1d");
    assert!(child.wait().unwrap().success());
    shown.extend(chunks);
    shown
}

/// Waits until no process has the folder of the run on its command line.
pub(crate) fn nothing_is_left(artifacts: &Path) {
    let wanted = artifacts.display().to_string();
    eventually(DEADLINE, || {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let left: Vec<String> = processes
            .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
            .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
            .filter(|line| line.contains(&wanted))
            .collect();
        is(left.is_empty(), format!("still running: {left:#?}"))
    });
}
