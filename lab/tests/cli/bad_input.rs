//! Wrong input ends with exit 2 before any machine is started, and with one message that names the file,
//! the line, what is wrong and what would be right.

use std::fs;

use crate::support::{ScenarioCopy, Scenarios, printed};

/// Breaks a copy of `pxe-dhcp` and returns what `lab run` says of it.
fn refusal(break_it: impl FnOnce(ScenarioCopy) -> ScenarioCopy) -> String {
    let scenarios = Scenarios::new();
    break_it(scenarios.copy("pxe-dhcp", "broken"));
    let output = scenarios.lab_run().env("NO_COLOR", "1").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", printed(&output));
    assert!(output.stdout.is_empty(), "{}", printed(&output));
    assert!(
        !scenarios.artifacts().exists(),
        "a refused run leaves no artifacts"
    );
    String::from_utf8(output.stderr).unwrap()
}

/// The line of `text` in the scenario's file, from 1.
fn line_of(text: &str) -> usize {
    let file = crate::support::project_scenarios().join("pxe-dhcp/scenario.toml");
    let content = fs::read_to_string(file).unwrap();
    let index = content
        .lines()
        .position(|line| line.contains(text))
        .unwrap();
    index + 1
}

fn assert_says(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "no `{word}` in:\n{message}");
    }
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_known_one() {
    let message = refusal(|copy| copy.replace("scenario.toml", "memory_mib", "memory_mb"));
    let place = format!("scenario.toml:{}:", line_of("memory_mib"));
    assert_says(&message, &[&place, "memory_mb", "memory_mib"]);
}

#[test]
fn a_mac_that_two_nodes_have_is_named_with_both() {
    let message =
        refusal(|copy| copy.replace("scenario.toml", "52:54:00:b2:2f:86", "52:54:00:a1:9c:ae"));
    let first = format!("scenario.toml:{}:", line_of("mac = \"52:54:00:a1:9c:ae\""));
    let again = format!("scenario.toml:{}:", line_of("mac = \"52:54:00:b2:2f:86\""));
    assert_says(&message, &[&first, &again, "duplicate MAC"]);
}

#[test]
fn a_data_file_that_is_not_there_is_named() {
    let message = refusal(|copy| copy.remove("data/cloud/node1.yaml"));
    assert_says(&message, &["scenario.toml:", "node1.yaml", "cloud"]);
}

#[test]
fn a_bad_subnet_is_told_with_the_right_one() {
    let message =
        refusal(|copy| copy.replace("scenario.toml", "192.168.90.0/24", "192.168.90.7/24"));
    let place = format!("scenario.toml:{}:", line_of("192.168.90.0/24"));
    assert_says(&message, &[&place, "192.168.90.7/24", "192.168.90.0/24"]);
}

#[test]
fn a_name_that_no_scenario_has_is_exit_4() {
    let scenarios = Scenarios::new();
    scenarios.copy("pxe-dhcp", "pxe-dhcp");
    let output = scenarios.lab_run().arg("pxe-dchp").output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", printed(&output));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("did you mean `pxe-dhcp`?"),
        "{}",
        printed(&output)
    );
}

/// V24: the boot config service takes a MAC in capitals or with hyphens only as the program that it stands in for does.
#[test]
fn a_selector_of_a_mac_in_another_notation_is_refused_with_its_file() {
    for other in ["52:54:00:B2:2F:86", "52-54-00-b2-2f-86"] {
        let message = refusal(|copy| copy.replace("data/config.yaml", "52:54:00:b2:2f:86", other));
        assert_says(&message, &["config.yaml", other]);
    }
}

/// V30: what is wrong with one scenario is in nobody else's way.
#[test]
fn an_invalid_scenario_beside_others_is_told_and_the_others_are_listed() {
    let scenarios = Scenarios::new();
    scenarios.copy("pxe-dhcp", "good");
    let bad = scenarios.copy("pxe-dhcp", "bad");
    bad.replace("scenario.toml", "memory_mib", "memory_mb");
    let mut list = std::process::Command::new(assert_cmd::cargo::cargo_bin!("lab"));
    list.arg("list").arg("--scenarios").arg(scenarios.folder());
    let output = list.env("NO_COLOR", "1").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", printed(&output));
    let listed = String::from_utf8_lossy(&output.stdout);
    assert!(listed.starts_with("good "), "{}", printed(&output));
    let told = String::from_utf8_lossy(&output.stderr);
    assert_says(&told, &["bad/scenario.toml", "memory_mb"]);
    // Selected by its name, the good one gets as far as the firmware that it is not run on.
    let mut run = scenarios.lab_run();
    let output = run
        .args(["good", "--firmware", "uefi-http"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", printed(&output));
}

/// V30: numbers that make no run.
#[test]
fn a_shard_or_a_repetition_of_zero_is_refused_in_plain_words() {
    for (arguments, words) in [
        (
            ["--shard", "1/0"],
            ["invalid number of shards: 0", "1 to 4096"],
        ),
        (["--shard", "0/3"], ["invalid shard: 0/3", "must be 1 to 3"]),
        (
            ["--repeat", "0"],
            ["invalid number of repetitions", "must be at least 1"],
        ),
    ] {
        let scenarios = Scenarios::new();
        let output = scenarios.lab_run().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", printed(&output));
        assert_says(&String::from_utf8_lossy(&output.stderr), &words);
    }
}

/// V30: a part without a unit boots nothing, so that it needs no image.
#[test]
fn an_empty_shard_ends_well_and_builds_no_image() {
    let scenarios = Scenarios::new();
    scenarios.copy("pxe-dhcp", "only");
    let cache = tempfile::tempdir().unwrap();
    let empty = ["1/2", "2/2"].into_iter().find_map(|shard| {
        let mut run = scenarios.lab_run();
        // Only one of the two has the scenario, and it is refused before anything is built.
        run.args(["--firmware", "bios", "--shard", shard, "--jobs", "1"]);
        run.arg("--cache").arg(cache.path()).env("PATH", "/nowhere");
        let output = run.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        told.contains("Nothing to do: shard").then_some(output)
    });
    let output = empty.expect("an empty shard");
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!told.contains("Stand-in image"), "{}", printed(&output));
    assert!(!cache.path().join("images/stand-in").exists());
}
