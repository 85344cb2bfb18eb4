//! Code shared by the tests that start machines, in addition to `common`.

use std::fs;
use std::process::Output;
use std::time::Duration;

use serde_json::Value;

pub(crate) use crate::common::{ScenarioCopy, Scenarios, copy_all, printed, project_scenarios};

/// Time after which a test that waits for something fails. All of it takes seconds on an idle machine; on a loaded one
/// nobody knows, and nextest ends a test after ten minutes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(300);

impl Scenarios {
    /// The verdict of the only node of `unit`, as written into `run.json`.
    pub(crate) fn verdict(&self, unit: &str) -> Value {
        let path = self
            .artifacts()
            .join("latest")
            .join(unit)
            .join("attempt-1/verdict.json");
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let verdict: Value = serde_json::from_str(&text).unwrap();
        let nodes = verdict["nodes"].as_array().unwrap();
        assert_eq!(nodes.len(), 1, "{text}");
        nodes[0]["verdict"].clone()
    }
}

impl ScenarioCopy {
    /// Lets `lab up` wait ten seconds for its machines, which is too short for most: the lab is up then, and they boot on.
    pub(crate) fn up_early(self) -> ScenarioCopy {
        self.edit_toml(|scenario| {
            let deadline = toml::Table::from_iter([("boot_seconds".to_owned(), 10.into())]);
            scenario.insert("deadline".into(), deadline.into());
        })
    }
}

/// Asserts that `lab up` brought its lab up, whether or not its machines were through in time.
pub(crate) fn is_up(output: &Output) {
    let code = output.status.code();
    assert!(matches!(code, Some(0 | 100)), "{}", printed(output));
}

/// Returns the output of a program, which must have ended with this code.
pub(crate) fn said(output: &Output, arguments: &[&str], code: i32) -> String {
    assert_eq!(
        output.status.code(),
        Some(code),
        "{arguments:?}: {}",
        printed(output)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
