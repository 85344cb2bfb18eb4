//! Wrong input ends with exit 2 before any machine is started, and with one message that names the file,
//! the line, what is wrong and what would be right.

use std::process::Command;

use crate::shown;
use crate::support::{ScenarioCopy, Scenarios, printed};

/// `lab run` on these scenarios, without colours.
fn quiet(scenarios: &Scenarios) -> Command {
    let mut command = scenarios.lab_run();
    command.env("NO_COLOR", "1");
    command
}

/// Breaks a copy of `pxe-dhcp` and returns what `lab run` says of it.
fn refusal(break_it: impl FnOnce(ScenarioCopy) -> ScenarioCopy) -> String {
    let scenarios = Scenarios::new();
    break_it(scenarios.copy("pxe-dhcp", "broken"));
    let output = quiet(&scenarios).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", printed(&output));
    assert!(output.stdout.is_empty(), "{}", printed(&output));
    assert!(
        !scenarios.artifacts().exists(),
        "a refused run leaves no artifacts"
    );
    shown(&output, scenarios.folder())
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_known_one() {
    let message = refusal(|copy| copy.replace("scenario.toml", "memory_mib", "memory_mb"));
    insta::assert_snapshot!(message);
}

#[test]
fn a_mac_that_two_nodes_have_is_named_with_both() {
    let message =
        refusal(|copy| copy.replace("scenario.toml", "52:54:00:b2:2f:86", "52:54:00:a1:9c:ae"));
    insta::assert_snapshot!(message);
}

#[test]
fn a_data_file_that_is_not_there_is_named() {
    let message = refusal(|copy| copy.remove("data/cloud/node1.yaml"));
    insta::assert_snapshot!(message);
}

#[test]
fn a_bad_subnet_is_told_with_the_right_one() {
    let message =
        refusal(|copy| copy.replace("scenario.toml", "192.168.90.0/24", "192.168.90.7/24"));
    insta::assert_snapshot!(message);
}

#[test]
fn a_name_that_no_scenario_has_is_exit_4() {
    let scenarios = Scenarios::new();
    scenarios.copy("pxe-dhcp", "pxe-dhcp");
    let output = quiet(&scenarios).arg("pxe-dchp").output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", printed(&output));
    insta::assert_snapshot!(shown(&output, scenarios.folder()));
}

/// V24: the boot config service takes a MAC in capitals or with hyphens only as the program that it stands in for does.
#[test]
fn a_selector_of_a_mac_in_another_notation_is_refused_with_its_file() {
    let mut listed = Vec::new();
    for other in ["52:54:00:B2:2F:86", "52-54-00-b2-2f-86"] {
        let message = refusal(|copy| copy.replace("data/config.yaml", "52:54:00:b2:2f:86", other));
        listed.push(message);
    }
    insta::assert_snapshot!(listed.join("\n"));
}

/// V30: what is wrong with one scenario is in nobody else's way.
#[test]
fn an_invalid_scenario_beside_others_is_told_and_the_others_are_listed() {
    let scenarios = Scenarios::new();
    scenarios.copy("pxe-dhcp", "good");
    let bad = scenarios.copy("pxe-dhcp", "bad");
    bad.replace("scenario.toml", "memory_mib", "memory_mb");
    let mut list = Command::new(assert_cmd::cargo::cargo_bin!("lab"));
    list.arg("list").arg("--scenarios").arg(scenarios.folder());
    let output = list.env("NO_COLOR", "1").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", printed(&output));
    let listed = String::from_utf8_lossy(&output.stdout);
    assert!(listed.starts_with("good "), "{}", printed(&output));
    insta::assert_snapshot!(shown(&output, scenarios.folder()));
    // Selected by its name, the good one gets as far as the firmware that it is not run on.
    let mut run = quiet(&scenarios);
    let output = run
        .args(["good", "--firmware", "uefi-http"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", printed(&output));
}

/// V30: numbers that make no run.
#[test]
fn a_shard_or_a_repetition_of_zero_is_refused_in_plain_words() {
    let refused = [["--shard", "1/0"], ["--shard", "0/3"], ["--repeat", "0"]].map(|arguments| {
        let scenarios = Scenarios::new();
        let output = quiet(&scenarios).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", printed(&output));
        shown(&output, scenarios.folder())
    });
    insta::assert_snapshot!(refused.join("\n"));
}

/// V30: a part without a unit boots nothing, so that it needs no image.
#[test]
fn an_empty_shard_ends_well_and_builds_no_image() {
    let scenarios = Scenarios::new();
    scenarios.copy("pxe-dhcp", "only");
    let cache = tempfile::tempdir().unwrap();
    let empty = ["1/2", "2/2"].into_iter().find_map(|shard| {
        let mut run = quiet(&scenarios);
        // Only one of the two has the scenario, and it is refused before anything is built.
        run.args(["--firmware", "bios", "--shard", shard, "--jobs", "1"]);
        run.arg("--cache").arg(cache.path()).env("PATH", "/nowhere");
        let output = run.output().unwrap();
        (output.status.code() == Some(0)).then_some((shard, output))
    });
    let (shard, output) = empty.expect("an empty shard");
    let told = format!("Nothing to do: shard {shard} has none of the selected scenarios.\n");
    assert_eq!(shown(&output, scenarios.folder()), told);
    assert!(!cache.path().join("images/stand-in").exists());
}
