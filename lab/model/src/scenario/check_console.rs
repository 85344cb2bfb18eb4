//! `check_console` of a node: the serial port with the shell that executes the checks.

use serde::Serialize;

use super::draft::Draft;
use super::problem::{Located, Source, Wrong};

/// Serial port with the shell that executes the checks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub enum CheckConsole {
    /// The console: a user is logged in there, and systemd runs.
    #[default]
    #[serde(rename = "ttyS0")]
    Console,
    /// A second port: the machine's config opens a shell there. The console belongs to an installer.
    #[serde(rename = "ttyS1")]
    SecondPort,
}

impl CheckConsole {
    pub(super) const ALL: [(&'static str, CheckConsole); 2] = [
        ("ttyS0", CheckConsole::Console),
        ("ttyS1", CheckConsole::SecondPort),
    ];

    /// True for the console.
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde passes a reference to `skip_serializing_if`"
    )]
    pub(super) fn is_console(&self) -> bool {
        *self == CheckConsole::Console
    }
}

/// Adds expectations to `source` that an installer cannot meet, and those that only an installer can.
pub(super) fn check(draft: &Draft, source: &Source) {
    for node in &draft.nodes {
        let Some(expect) = &node.expect else { continue };
        let second = node
            .check_console
            .as_ref()
            .filter(|port| port.value == CheckConsole::SecondPort);
        let refuse = |units: &Located<()>, port: &Located<CheckConsole>| {
            source.clash(
                (units.at.clone(), "expected here"),
                (port.at.clone(), "no systemd here"),
                Wrong::new(
                    "unsupported expectation: `units_active` with `check_console = \"ttyS1\"`",
                    "an installer has no systemd; expect files, `hostname`, `kernel_options` or `[node.expect.preseed]`",
                ),
            );
        };
        if let (Some(units), Some(port)) = (&expect.has_units, second) {
            refuse(units, port);
        }
        if let (Some(preseed), None) = (&expect.preseed, second) {
            source.wrong(
                preseed.at.clone(),
                "asked with debconf-get",
                Wrong::new(
                    "unsupported expectation: `[node.expect.preseed]` without `check_console = \"ttyS1\"`",
                    "add `check_console = \"ttyS1\"` to the node, and let its preseed open a shell there (docs/debian-installer.md)",
                ),
            );
        }
        if let Some(file) = &expect.generic_config
            && !draft.has_own_config()
        {
            source.wrong(
                file.at.clone(),
                "served by nobody in the lab",
                Wrong::new(
                    "unsupported expectation: `generic_config` without the lab's boot config service",
                    "remove the key, or write `config = \"boot-server\"` in `[services]`",
                ),
            );
        }
    }
}
