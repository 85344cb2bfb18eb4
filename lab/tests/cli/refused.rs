//! Runs, rehearsals and persistent labs that are refused before anything is started.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::rehearsal::{rehearse, site};
use crate::shown;
use crate::support::{Scenarios, copy_all, printed};

#[test]
fn adversarial_what_does_not_fit_is_refused_before_anything_is_started() {
    let scenarios = Scenarios::new();
    scenarios.copy("ipxe-chainload", "ipxe-chainload");
    scenarios.copy("adversarial/wrong-hash", "adversarial/wrong-hash");
    let run = |arguments: &[&str]| {
        let output = scenarios
            .lab_run()
            .args(arguments)
            .env("NO_COLOR", "1")
            .output()
            .unwrap();
        (output.status.code(), shown(&output, scenarios.folder()))
    };
    let (code, said) = run(&["--adversarial", "wrong-hush"]);
    assert_eq!(code, Some(4), "{said}");
    insta::assert_snapshot!(said);
    let (code, said) = run(&["--adversarial", "--machines", "virtual"]);
    assert_eq!(code, Some(4), "{said}");
    insta::assert_snapshot!(said);
    let (code, said) = run(&["--adversarial", "--faults"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(!scenarios.artifacts().exists());
}

#[test]
fn faults_that_do_not_fit_are_refused_before_anything_is_started() {
    let scenarios = Scenarios::new();
    scenarios.copy("ipxe-chainload", "ipxe-chainload");
    let fault = scenarios.copy("faults/kernel-not-found", "faults/kernel-not-found");
    let run = |arguments: &[&str]| {
        let output = scenarios
            .lab_run()
            .args(arguments)
            .env("NO_COLOR", "1")
            .output()
            .unwrap();
        (output.status.code(), shown(&output, scenarios.folder()))
    };
    let (code, said) = run(&["--faults", "kernel-not-fond"]);
    assert_eq!(code, Some(4), "{said}");
    insta::assert_snapshot!(said);
    let (code, said) = run(&["--faults", "--machines", "virtual"]);
    assert_eq!(code, Some(4), "{said}");
    let (code, said) = run(&["--without-injection"]);
    assert_eq!(code, Some(2), "{said}");

    let fault = fault.replace(
        "fault.toml",
        "coreos_production_pxe.vmlinuz",
        "no such text",
    );
    let (code, said) = run(&["--faults"]);
    assert_eq!(code, Some(2), "{said}");
    insta::assert_snapshot!(said);
    fault.replace("fault.toml", "stage", "stge");
    let (code, said) = run(&["--faults"]);
    assert_eq!(code, Some(2), "{said}");
    insta::assert_snapshot!(said);
}

#[test]
fn where_no_machine_can_be_put_is_told() {
    let scenarios = Scenarios::new();
    scenarios.copy("pxe-dhcp", "real");
    let refused = [
        "qemu:///session",
        "qemu+tls://host/system",
        "qemu+ssh://host/session",
        "test:///default",
    ]
    .map(|uri| {
        let run = scenarios
            .lab_run()
            .args(["real", "--connect", uri])
            .env("NO_COLOR", "1")
            .output()
            .unwrap();
        assert_eq!(run.status.code(), Some(2), "{}", printed(&run));
        shown(&run, scenarios.folder())
    });
    insta::assert_snapshot!(refused.join("\n"));
}

#[test]
fn a_host_that_is_not_there_is_told() {
    let scenarios = Scenarios::new();
    scenarios.copy("pxe-dhcp", "real");
    // Nobody listens on the port of tcpmux.
    for (uri, code, why) in [
        (
            "qemu+ssh://127.0.0.1:1/system?no_tty=1",
            75,
            "cannot connect to 127.0.0.1: ",
        ),
        (
            "qemu+ssh://127.0.0.1/system?command=x",
            2,
            "unknown parameter: `command`",
        ),
    ] {
        let run = scenarios
            .lab_run()
            .args(["real", "--connect", uri])
            .env("NO_COLOR", "1")
            .output()
            .unwrap();
        assert_eq!(run.status.code(), Some(code), "{}", printed(&run));
        assert!(printed(&run).contains(why), "{}", printed(&run));
    }
}

#[test]
fn wrong_input_is_told_before_anything_is_started() {
    let site = site();
    let folder = site.path();
    fs::write(
        folder.join("proxy.conf"),
        "interface=eth0\ndhcp-range=10.0.0.0,proxy\n",
    )
    .unwrap();
    let refused = [
        &["--only", "client"][..],
        &["--network", "pxe"],
        &["--network", "proxy.conf"],
        &["--assets", "nowhere"],
        &["--memory", "64"],
        &["--changed", "main"],
    ]
    .map(|arguments| {
        let output = rehearse(folder, arguments);
        let all = printed(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {all}");
        assert!(!folder.join("runs").exists(), "{arguments:?}: {all}");
        let told = shown(&output, folder);
        // Names of bundled scenarios, and git's own message.
        let lists = [" (scenarios: ", " (fatal: "];
        lists
            .iter()
            .find_map(|list| told.split_once(list))
            .map_or(told.clone(), |(told, _)| format!("{told}\n"))
    });
    insta::assert_snapshot!(refused.join("\n"));
    let output = rehearse(folder, &["--changed", "./data"]);
    assert_eq!(output.status.code(), Some(4), "{}", printed(&output));
}

#[test]
fn more_machines_than_there_are_cannot_be_brought_up() {
    let scenarios = Scenarios::new();
    scenarios.copy("ipxe-chainload", "few");
    let up = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(["up", "few", "--nodes", "9", "--scenarios"])
        .arg(scenarios.folder())
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    assert_eq!(up.status.code(), Some(2), "{}", printed(&up));
    insta::assert_snapshot!(shown(&up, scenarios.folder()));
}

#[test]
fn a_lab_that_is_not_up_is_told() {
    let name = "no-such-lab";
    for arguments in [
        &["down", name][..],
        &["console", "no-such-node"],
        &["exec", "no-such-node", "--", "true"],
        &["reboot", "no-such-node"],
        &["ssh", "no-such-node"],
        &["screenshot", "no-such-node"],
        &["power", "off", "no-such-node"],
        &["add-node", "--lab", name],
        &["logs", "no-such-node"],
        &["status", name],
        &["events"],
        &["capture"],
        &["fault", "clear"],
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
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            told.trim_end(),
            "lab: no lab is up; `lab up SCENARIO` starts one",
            "{arguments:?}"
        );
    }
}

/// The sample repository, as its user would: outside of the checkout of `lab`.
#[test]
fn path_of_scenarios_elsewhere_is_taken_by_run_and_up() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ci/examples/repository");
    let site = tempfile::tempdir().unwrap();
    copy_all(&sample, site.path());
    let listed = [
        (
            &["run", "./netboot-tests", "--firmware", "uefi-http"][..],
            4,
        ),
        (
            &["run", "./netboot-tests/rack", "--firmware", "uefi-http"],
            4,
        ),
        (&["up", "./netboot-tests/rack", "--nodes", "9"], 2),
        (&["up", "netboot-tests/rack/", "--nodes", "9"], 2),
        (&["up", "./netboot-tests"], 4),
        (&["up", "./gone"], 4),
    ]
    .map(|(arguments, code)| {
        let output = Command::new(env!("CARGO_BIN_EXE_lab"))
            .args(arguments)
            .current_dir(site.path())
            .env_remove("LAB_SCENARIOS")
            .env("NO_COLOR", "1")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", printed(&output));
        format!("# {arguments:?}\n{}", shown(&output, site.path()))
    });
    insta::assert_snapshot!(listed.join("\n"));
}
