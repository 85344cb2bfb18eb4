//! A test that starts itself again.

use test_support::{passes, ran_one, start_again, test_name};

const INSIDE: &str = "TEST_SUPPORT_INSIDE";

#[test]
fn name_of_the_running_test_is_found() {
    assert_eq!(test_name(), "name_of_the_running_test_is_found");
}

#[test]
fn test_started_again_runs_once() {
    if std::env::var_os(INSIDE).is_some() {
        return;
    }
    passes(start_again(&["env"]).env(INSIDE, "1"));
}

#[test]
fn name_that_no_test_has_is_not_taken_for_a_pass() {
    let program = std::env::current_exe().unwrap();
    let mut command = std::process::Command::new(program);
    let output = command.args(["--exact", "renamed", "--nocapture"]).output();
    let output = output.unwrap();
    // libtest itself finds nothing wrong with it.
    assert!(output.status.success());
    assert!(!ran_one(&output));
}

#[test]
#[should_panic(expected = "inside: exit status")]
fn failure_inside_is_one_outside() {
    if std::env::var_os(INSIDE).is_some() {
        std::process::exit(7);
    }
    passes(start_again(&["env"]).env(INSIDE, "1"));
}

#[test]
fn only_thread_of_a_test_program_is_enough() {
    if std::env::var_os(INSIDE).is_some() {
        assert_eq!(test_name(), "only_thread_of_a_test_program_is_enough");
        return;
    }
    let mut command = start_again(&["env"]);
    passes(command.arg("--test-threads=1").env(INSIDE, "1"));
}
