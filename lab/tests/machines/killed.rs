//! The end of `lab` in the middle of a boot: SIGKILL leaves nothing behind, Ctrl-C ends with a table.

use std::fs;
use std::io::BufRead;
use std::path::Path;
use std::process::{Child, Stdio};

use test_support::{assert_line, ends, eventually, has_line, is};

use crate::support::{DEADLINE, Scenarios, printed};

/// Waits until a machine of the run writes on its console; returns the run's id.
fn wait_for_a_machine(scenarios: &Scenarios, lab: &mut Child) -> String {
    let latest = scenarios.artifacts().join("latest");
    eventually(DEADLINE, || {
        assert!(lab.try_wait().unwrap().is_none(), "lab ended early");
        let booting = glob_nodes(&latest)
            .iter()
            .any(|node| fs::metadata(node.join("console.log")).is_ok_and(|meta| meta.len() > 0));
        is(booting, "no machine started")
    });
    let target = fs::read_link(&latest).unwrap();
    let name = target.to_string_lossy().into_owned();
    name.rsplit('-').next().unwrap().to_owned()
}

fn glob_nodes(run: &Path) -> Vec<std::path::PathBuf> {
    let mut nodes = Vec::new();
    for unit in fs::read_dir(run).into_iter().flatten().flatten() {
        let folder = unit.path().join("attempt-1/nodes");
        nodes.extend(
            fs::read_dir(folder)
                .into_iter()
                .flatten()
                .flatten()
                .map(|e| e.path()),
        );
    }
    nodes
}

/// Processes whose command line has `word`; processes in other PID namespaces included.
fn processes_with(word: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(command) = fs::read(entry.path().join("cmdline")) else {
            continue;
        };
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        if command.contains(word) {
            found.push(command);
        }
    }
    found
}

fn interfaces() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir("/sys/class/net")
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn mounts() -> String {
    fs::read_to_string("/proc/self/mounts").unwrap()
}

fn booting(scenarios: &Scenarios) -> Child {
    scenarios.copy("ipxe-chainload", "killed").quick("node1");
    scenarios
        .lab_run()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn sigkill_in_the_middle_of_a_boot_leaves_nothing() {
    let scenarios = Scenarios::new();
    let (interfaces_before, mounts_before) = (interfaces(), mounts());
    let mut lab = booting(&scenarios);
    let run_id = wait_for_a_machine(&scenarios, &mut lab);
    let domain = format!("lab-{run_id}-node1");
    let server = format!("--config {}", scenarios.artifacts().display());
    assert!(
        !processes_with(&domain).is_empty(),
        "the machine's process can't be seen, so its absence would prove nothing"
    );
    assert!(
        !processes_with(&server).is_empty(),
        "the boot server's process can't be seen, so its absence would prove nothing"
    );

    lab.kill().unwrap();
    lab.wait().unwrap();

    eventually(DEADLINE, || {
        let mut left = processes_with(&domain);
        left.extend(processes_with(&server));
        is(left.is_empty(), format!("still running: {left:#?}"))
    });
    assert_eq!(interfaces(), interfaces_before);
    assert_eq!(mounts(), mounts_before);
}

#[test]
fn ctrl_c_ends_with_a_table_of_what_was_seen_and_exit_130() {
    let scenarios = Scenarios::new();
    let mut lab = booting(&scenarios);
    let run_id = wait_for_a_machine(&scenarios, &mut lab);
    let pid = rustix::process::Pid::from_child(&lab);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = ends(lab, DEADLINE);
    assert_eq!(output.status.code(), Some(130), "{}", printed(&output));
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(
        has_line(&table, "killed@bios … interrupted…"),
        "{}",
        printed(&output)
    );
    let left = processes_with(&format!("lab-{run_id}-"));
    assert!(left.is_empty(), "still running: {left:#?}");
}

/// V18: simulated machines suffice, because none is switched on yet.
#[test]
fn ctrl_c_while_a_cell_is_set_up_is_interrupted_and_leaves_nothing() {
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::TERM] {
        let scenarios = Scenarios::new();
        scenarios
            .copy("ipxe-chainload", "early")
            .quick("node1")
            .edit_toml(|scenario| {
                scenario.insert("machines".into(), "simulated".into());
            });
        let mut lab = scenarios
            .lab_run()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The cell's first process is started then; its libvirtd takes seconds.
        let log = scenarios
            .artifacts()
            .join("latest/early@bios/attempt-1/cell.log");
        eventually(DEADLINE, || {
            assert!(lab.try_wait().unwrap().is_none(), "lab ended early");
            is(log.exists(), "no cell in time")
        });
        rustix::process::kill_process(rustix::process::Pid::from_child(&lab), signal).unwrap();
        let output = ends(lab, DEADLINE);
        let text = printed(&output);
        assert_eq!(output.status.code(), Some(130), "{text}");
        let table = String::from_utf8_lossy(&output.stdout);
        assert_line(&table, "early@bios … interrupted…");
        let left = processes_with(&scenarios.artifacts().display().to_string());
        assert!(left.is_empty(), "still running: {left:#?}");
    }
}

#[test]
fn what_lab_up_brought_up_goes_with_it_unless_it_was_detached() {
    let scenarios = Scenarios::new();
    let name = format!("tied-{}", std::process::id());
    scenarios
        .copy("ipxe-chainload", &name)
        .quick("node1")
        .up_early();
    let lab = |arguments: &[&str]| {
        let mut lab = std::process::Command::new(env!("CARGO_BIN_EXE_lab"));
        lab.arg("--scenarios").arg(scenarios.folder());
        lab.args(arguments).stdin(Stdio::null());
        lab
    };
    let listed = || {
        let output = lab(&["ps"]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let mut up = lab(&["up", &name, "--quiet", "--artifacts"]);
    up.arg(scenarios.artifacts())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut up = up.spawn().unwrap();
    let told = std::io::BufReader::new(up.stdout.take().unwrap()).lines();
    assert!(
        told.map_while(Result::ok)
            .any(|line| line == "Ctrl-C stops the lab (--detach keeps it running)."),
        "it did not come up"
    );
    assert_line(&listed(), &format!("…  {name}@bios  since …"));
    let run = fs::read_link(scenarios.artifacts().join("latest")).unwrap();
    let run = run.to_string_lossy().into_owned();
    let domain = format!("lab-{}-node1", run.rsplit('-').next().unwrap());
    assert!(!processes_with(&domain).is_empty());

    up.kill().unwrap();
    up.wait().unwrap();
    eventually(DEADLINE, || {
        let is_gone = processes_with(&domain).is_empty()
            && !has_line(&listed(), &format!("…  {name}@bios  since …"));
        is(is_gone, format!("the lab is up still: {}", listed()))
    });
}
