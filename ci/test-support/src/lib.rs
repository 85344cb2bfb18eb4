//! Mechanisms that the tests of all packages share.
//!
//! Some tests need a process of their own, in a network namespace or without a resource. Such a test starts its own
//! program again for itself alone ([`start_again`]) and runs its other half there. Both halves find the test's name
//! themselves, and the outer half fails unless exactly one test passed inside: after a rename nothing can be green
//! because nothing ran.

use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Set by `ci/test`: a test that lacks what it needs fails.
const NOTHING_SKIPPED: &str = "CI_TEST_NOTHING_SKIPPED";
/// Set for the half of a test that runs inside a network namespace of its own.
const NETWORK: &str = "TEST_SUPPORT_NETWORK_NAMESPACE";

/// Returns the name of the running test, as libtest's `--exact` takes it.
///
/// # Panics
/// When called on another thread than the test's own.
#[must_use]
pub fn test_name() -> String {
    let thread = std::thread::current();
    match thread.name() {
        // libtest runs a test on the main thread where it may use one thread only.
        Some("main") | None => exact_argument().expect("a test's own thread"),
        Some(name) => name.to_owned(),
    }
}

/// Returns the test that this program was asked to run alone (`NAME --exact` or `--exact NAME`).
fn exact_argument() -> Option<String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    arguments.iter().find(|word| *word == "--exact")?;
    arguments.into_iter().find(|word| !word.starts_with('-'))
}

/// Returns a command that runs this test alone in a new process, through the words of `through` (`unshare`, `--net`…).
///
/// # Panics
/// When the program's own path is unknown.
#[must_use]
pub fn start_again(through: &[&str]) -> Command {
    let program = std::env::current_exe().expect("the path of the test program");
    let mut command = match through {
        [] => Command::new(program),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
    };
    command.args(["--exact", &test_name(), "--nocapture"]);
    command
}

/// Runs a command of [`start_again`] to its end.
///
/// # Panics
/// When it fails, or when no test ran in it.
pub fn passes(command: &mut Command) {
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout);
    print!("{said}");
    assert!(output.status.success(), "inside: {}", output.status);
    assert!(ran_one(&output), "no test ran inside: {command:?}");
}

/// True if the output of a test program says that one test ran and passed.
#[must_use]
pub fn ran_one(output: &Output) -> bool {
    let said = String::from_utf8_lossy(&output.stdout);
    said.contains("test result: ok. 1 passed; 0 failed; 0 ignored;")
}

/// True inside a network namespace made for this test, where the rest of it runs. Outside it is false: the test has
/// then run inside, and passed.
///
/// An ordinary user becomes root of a user namespace, as far as the host lets them.
///
/// # Panics
/// When the test fails inside, or when no test ran there.
#[must_use]
pub fn is_in_network_namespace() -> bool {
    if std::env::var_os(NETWORK).is_some() {
        return true;
    }
    let mut through = vec!["unshare"];
    if !is_root() {
        through.push("--map-root-user");
    }
    through.extend(["--net", "--"]);
    passes(start_again(&through).env(NETWORK, "1"));
    false
}

/// Asks again and again until there is a value, and returns it: the one place where tests wait for what another process
/// does. Nothing is asserted about how long that takes, beyond the deadline that ends a test which would never end.
///
/// # Panics
/// When the time is over, with the last reason why there is no value yet.
pub fn eventually<T>(within: Duration, mut ask: impl FnMut() -> Result<T, String>) -> T {
    const PAUSE: Duration = Duration::from_millis(20);
    let deadline = Instant::now() + within;
    loop {
        match ask() {
            Ok(value) => return value,
            Err(reason) => assert!(Instant::now() < deadline, "after {within:?}: {reason}"),
        }
        std::thread::sleep(PAUSE);
    }
}

/// Waits for the end of a program, whose outputs may be pipes, and returns what it said.
///
/// # Panics
/// When it runs on after that time; it is killed then.
#[must_use]
pub fn ends(child: Child, within: Duration) -> Output {
    let id = child.id();
    let (told, ended) = std::sync::mpsc::channel();
    // Reading the pipes while waiting: a program stops when nobody empties them.
    std::thread::spawn(move || told.send(child.wait_with_output()));
    match ended.recv_timeout(within) {
        Ok(output) => output.expect("the program's outputs"),
        Err(_) => {
            let _ = Command::new("kill")
                .args(["-KILL", &id.to_string()])
                .status();
            let said = ended.recv().expect("the thread that waits");
            panic!("the program runs on after {within:?}: {said:?}");
        }
    }
}

/// A condition for [`eventually`]: `Err` with `reason` while it is false.
///
/// # Errors
/// While the condition is false.
pub fn is(condition: bool, reason: impl Into<String>) -> Result<(), String> {
    if condition {
        Ok(())
    } else {
        Err(reason.into())
    }
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    // Real, effective, saved, file system (proc_pid_status(5)).
    uid.and_then(|line| line.split_whitespace().nth(1)) == Some("0")
}

/// True if one line of `text` is `line`, in which each `…` stands for any text.
#[must_use]
pub fn has_line(text: &str, line: &str) -> bool {
    text.lines().any(|one| is_line(one, line))
}

/// Asserts that one line of `text` is `line`, in which each `…` stands for any text.
///
/// # Panics
/// When no line is.
pub fn assert_line(text: &str, line: &str) {
    assert!(has_line(text, line), "no line `{line}`:\n{text}");
}

fn is_line(one: &str, line: &str) -> bool {
    let Some((begin, rest)) = line.split_once('…') else {
        return one == line;
    };
    let Some(mut open) = one.strip_prefix(begin) else {
        return false;
    };
    let (middle, end) = match rest.rsplit_once('…') {
        Some((middle, end)) => (Some(middle), end),
        None => (None, rest),
    };
    for part in middle.into_iter().flat_map(|middle| middle.split('…')) {
        match open.find(part) {
            Some(at) => open = &open[at + part.len()..],
            None => return false,
        }
    }
    open.ends_with(end)
}

/// Says that this test cannot run here, and why. Call it, and return from the test.
///
/// # Panics
/// In `ci/test`, where nothing may be skipped.
pub fn skip(reason: &str) {
    assert!(
        std::env::var_os(NOTHING_SKIPPED).is_none(),
        "skipped in ci/test: {reason}"
    );
    eprintln!("skipped: {reason}");
}

/// True if a program is installed; otherwise the test is skipped ([`skip`]).
///
/// # Panics
/// In `ci/test`, when the program is missing.
#[must_use]
pub fn has_program(program: &str, package: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let is_there = found.is_ok();
    if !is_there {
        skip(&format!("no {program} (package {package})"));
    }
    is_there
}

#[cfg(test)]
mod tests {
    use super::has_line;

    #[test]
    fn has_line_needs_a_whole_line_with_any_text_where_dots_are() {
        let text = "removed network 4f2a-net\nNo leftovers on qemu:///system.\n";
        for line in [
            "No leftovers on qemu:///system.",
            "No leftovers on ….",
            "removed … 4f2a-…",
            "…network…",
            "… on …",
        ] {
            assert!(has_line(text, line), "{line}");
        }
        for line in [
            "No leftovers",
            "network…",
            "…4f2a",
            "removed … volume …",
            "…net…network…",
            "removed network 4f2a-net…net",
        ] {
            assert!(!has_line(text, line), "{line}");
        }
    }
}
