//! Reactions to failures: retries, kept cells, reports of leftovers.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use test_support::{ends, eventually, has_line, is};

use crate::support::{DEADLINE, ScenarioCopy, Scenarios, printed};

const KERNEL: &str = "coreos_production_pxe.vmlinuz";
const SPEC: &str = "data/specs/node1/spec.json";

/// A scenario whose only machine does not find its kernel, which is seen within seconds.
fn without_kernel(scenarios: &Scenarios, name: &str) -> ScenarioCopy {
    let copy = scenarios.copy("ipxe-chainload", name).quick("node1");
    copy.replace(SPEC, KERNEL, "gone.vmlinuz")
}

/// For what the lab does whatever boots: seconds instead of a minute.
fn simulated(scenario: &mut toml::Table) {
    scenario.insert("machines".into(), "simulated".into());
}

fn lab(scenarios: &Scenarios, arguments: &[&str]) -> Command {
    let mut command = scenarios.lab_run();
    command
        .args(["--unchecked-data", "--accel", "tcg"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run_json(scenarios: &Scenarios) -> Value {
    let path = scenarios.artifacts().join("latest/run.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Waits until `ready` holds, while the lab runs.
fn wait_for(lab: &mut Child, what: &str, mut ready: impl FnMut() -> bool) {
    eventually(DEADLINE, || {
        let is_ready = ready();
        assert!(
            is_ready || lab.try_wait().unwrap().is_none(),
            "lab ended before {what}"
        );
        is(is_ready, format!("no {what}"))
    });
}

fn attempt(scenarios: &Scenarios, unit: &str, number: usize) -> PathBuf {
    let unit = scenarios.artifacts().join("latest").join(unit);
    unit.join(format!("attempt-{number}"))
}

#[test]
fn a_machine_that_passes_only_when_tried_again_is_flaky() {
    let scenarios = Scenarios::new();
    let copy = without_kernel(&scenarios, "mended").edit_toml(simulated);
    let spec = copy.toml().with_file_name(SPEC);
    let failed = attempt(&scenarios, "mended@bios", 1).join("verdict.json");
    // It is mended after the first attempt, but nobody knows during which one.
    let mut run = lab(&scenarios, &["--retries", "100", "--flaky-result", "fail"])
        .spawn()
        .unwrap();
    wait_for(&mut run, "failure", || failed.exists());
    let broken = fs::read_to_string(&spec).unwrap();
    fs::write(&spec, broken.replace("gone.vmlinuz", KERNEL)).unwrap();
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(101), "{}", printed(&output));

    let unit = &run_json(&scenarios)["units"][0];
    assert_eq!(unit["nodes"][0]["verdict"]["verdict"], "flaky", "{unit:#}");
    let attempts = unit["attempts"].as_array().unwrap();
    let [failed @ .., passed] = attempts.as_slice() else {
        panic!("{unit:#}")
    };
    let first = &failed.first().unwrap()["nodes"][0]["verdict"];
    assert_eq!(first["stage"], "kernel", "{unit:#}");
    assert_eq!(passed["nodes"][0]["verdict"]["verdict"], "pass", "{unit:#}");
    for number in 1..=attempts.len() {
        let folder = attempt(&scenarios, "mended@bios", number);
        assert!(folder.join("verdict.json").exists(), "{}", folder.display());
    }
    let junit = fs::read_to_string(scenarios.artifacts().join("latest/junit.xml")).unwrap();
    assert_eq!(
        junit.matches("<flakyFailure ").count(),
        attempts.len() - 1,
        "{junit}"
    );
}

#[test]
fn after_a_failure_nothing_more_is_started_where_that_was_asked_for() {
    let scenarios = Scenarios::new();
    for name in ["a", "b", "c"] {
        without_kernel(&scenarios, name).edit_toml(simulated);
    }
    // One machine at a time is one cell and the next in advance: the third is not begun.
    let output = lab(
        &scenarios,
        &["--fail-fast", "--jobs", "1", "--retries", "1"],
    )
    .output()
    .unwrap();
    assert_eq!(output.status.code(), Some(100), "{}", printed(&output));
    let run = run_json(&scenarios);
    let verdict = |index: usize| run["units"][index]["nodes"][0]["verdict"]["verdict"].clone();
    assert_eq!(verdict(0), "fail", "{run:#}");
    assert_eq!(verdict(2), "skipped", "{run:#}");
    assert_eq!(run["units"][0]["attempts"].as_array().unwrap().len(), 2);
    assert!(!scenarios.artifacts().join("latest/c@bios").exists());
}

#[test]
fn a_kept_cell_lives_on_until_its_holder_is_killed() {
    let scenarios = Scenarios::new();
    without_kernel(&scenarios, "kept");
    let output = lab(&scenarios, &["--keep", "failed"]).output().unwrap();
    assert_eq!(output.status.code(), Some(100), "{}", printed(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let number_after = |words: &str| -> String {
        let (_, rest) = said
            .split_once(words)
            .unwrap_or_else(|| panic!("no `{words}`: {said}"));
        rest.chars().take_while(char::is_ascii_digit).collect()
    };
    let (init, holder) = (
        number_after("nsenter --target "),
        number_after("kill -KILL "),
    );
    let inside = |script: &str| {
        let enter = ["--target", &init, "--all", "sh", "-c", script];
        Command::new("nsenter").args(enter).output().unwrap()
    };
    let seen = inside("ip -brief link; cat /proc/[0-9]*/cmdline | tr '\\0' ' '");
    let kill = || {
        Command::new("kill")
            .args(["-KILL", &holder])
            .status()
            .unwrap()
    };
    let text = printed(&seen);
    let alive =
        text.contains("lab-") && text.contains("qemu-system") && text.contains("boot-server");
    let console = said_on_console(Path::new(&format!(
        "/proc/{init}/root/run/lab/node1.console"
    )));
    assert!(kill().success());
    assert!(alive, "{text}");
    assert!(console > 0, "the console is held by somebody");
    eventually(DEADLINE, || {
        let is_gone = !PathBuf::from(format!("/proc/{init}")).exists();
        is(is_gone, "the cell outlives its holder")
    });
}

/// Connects to a console, presses Enter, returns how many bytes came at first. QEMU serves one
/// client at a time: another one is let in by the kernel and hears nothing.
fn said_on_console(socket: &Path) -> usize {
    let mut console = UnixStream::connect(socket).unwrap();
    console.set_read_timeout(Some(DEADLINE)).unwrap();
    console.write_all(b"\r").unwrap();
    console.read(&mut [0; 256]).unwrap_or(0)
}

#[test]
fn a_process_that_stays_in_a_cells_network_is_told_as_left_behind() {
    let scenarios = Scenarios::new();
    scenarios
        .copy("ipxe-chainload", "haunted")
        .quick_nodes()
        .edit_toml(simulated);
    // Simulated machines are through in seconds: whoever comes too late to stay behind tries again.
    eventually(DEADLINE, || {
        let mut run = lab(&scenarios, &[]).spawn().unwrap();
        let ghost = eventually(DEADLINE, || match boot_server_of(&scenarios) {
            Some(server) => {
                let mut enter = Command::new("nsenter");
                enter.args(["--target", &server, "--net", "sleep", "3000"]);
                Ok(Some(enter.spawn().unwrap()))
            }
            None if run.try_wait().unwrap().is_some() => Ok(None),
            None => Err("no boot server".into()),
        });
        let output = run.wait_with_output().unwrap();
        if let Some(mut ghost) = ghost {
            ghost.kill().unwrap();
            ghost.wait().unwrap();
        }
        let said = printed(&output);
        let is_told = output.status.code() == Some(102)
            && has_line(&said, "  left behind: process … (sleep 3000)");
        is(is_told, said)
    });
}

/// Process id of the boot server of a run on these scenarios.
fn boot_server_of(scenarios: &Scenarios) -> Option<String> {
    let artifacts = fs::canonicalize(scenarios.artifacts()).ok()?;
    let servers = fs::read_dir("/proc").unwrap().flatten().filter(|entry| {
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).into_owned();
        command.contains(&artifacts.display().to_string()) && command.contains("server/config.toml")
    });
    let mut names = servers.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.next()
}

#[test]
fn machines_that_stay_leave_their_processors_to_the_next_ones() {
    let scenarios = Scenarios::new();
    scenarios.copy("ipxe-chainload", "many").edit_toml(|toml| {
        toml.insert("firmware".into(), vec!["bios"].into());
        simulated(toml);
    });
    let run = lab(&scenarios, &["--keep", "always", "--jobs", "1"])
        .spawn()
        .unwrap();
    // Machines that wait for each other would do so for ever.
    let output = ends(run, DEADLINE);
    let said = printed(&output);
    let (_, holder) = said.split_once("keeps running (processes ").unwrap();
    let holder: String = holder.chars().take_while(char::is_ascii_digit).collect();
    let killed = Command::new("kill").args(["-KILL", &holder]).output();
    assert!(killed.unwrap().status.success());
    assert_eq!(output.status.code(), Some(0), "{said}");
}
