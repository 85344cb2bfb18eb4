//! Checks inside a machine: a shell command for each expectation, and the interpretation of its answer.
//!
//! A command is one line of POSIX shell for the user on the console, `core` or root. File contents are sent as
//! base64, so that the terminal cannot change them. A check may fail only because the machine is not ready; the
//! caller repeats failed checks and records the last answer.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::evidence::Observation;
use crate::scenario::{CheckConsole, FileMode, Node};

/// Maximum length of an actual content that is shown, in characters.
const SHOWN_CHARACTERS: usize = 400;

/// Check inside a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Name of the check, unique within the node, e.g. `file /home/core/cloud content`.
    pub name: String,
    /// Shell command of the check.
    pub command: String,
    /// Literal expected value.
    pub expected: String,
    judge: Judge,
}

/// Interpretation of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judge {
    /// The answer equals the expected text.
    Text,
    /// The answer is base64 of the expected text.
    Content,
    /// The answer is the expected mode, in octal digits.
    Mode,
    /// The answer is the expected mode, as `ls -l` writes it.
    Symbolic,
    /// The answer contains the expected option as a word.
    Word,
}

impl Check {
    /// Returns the actual value, and true if it is the expected one.
    ///
    /// `status` is the command's exit status, `output` its standard output and error.
    pub fn judge(&self, status: i32, output: &str) -> (String, bool) {
        let output = without_sudos_complaints(output);
        let output = output.trim();
        // `systemctl is-active` answers "inactive" with its own exit status.
        if status != 0 && self.judge != Judge::Text {
            return (or_nothing(output, status), false);
        }
        match self.judge {
            Judge::Text => (or_nothing(output, status), output == self.expected),
            Judge::Content => match decoded(output) {
                Ok(bytes) => {
                    let holds = bytes == self.expected.as_bytes();
                    (shown(&String::from_utf8_lossy(&bytes)), holds)
                }
                Err(why) => (why.to_string(), false),
            },
            Judge::Mode => {
                let found = format!("{output:0>4}");
                let holds = found
                    .parse::<FileMode>()
                    .is_ok_and(|m| m.to_string() == self.expected);
                (found, holds)
            }
            Judge::Symbolic => {
                let mode: Option<FileMode> = octal(output).and_then(|mode| mode.parse().ok());
                let found = mode.map_or_else(|| shown(output), |mode| mode.to_string());
                let holds = found == self.expected;
                (found, holds)
            }
            // The kernel treats `a="b"` like `a=b`; Pixiecore writes the former.
            Judge::Word => {
                let holds = output
                    .split_whitespace()
                    .any(|w| w.replace('"', "") == self.expected);
                (shown(output), holds)
            }
        }
    }

    /// Returns the record of an answer.
    pub fn seen(&self, status: i32, output: &str) -> Observation {
        let (found, holds) = self.judge(status, output);
        Observation::Check {
            check: self.name.clone(),
            expected: self.expected.clone(),
            found,
            holds,
        }
    }
}

/// Removes messages of `sudo` itself, which complains before every command if no resolver knows the machine's
/// new host name.
fn without_sudos_complaints(output: &str) -> String {
    let lines = output.lines();
    let kept: Vec<&str> = lines
        .filter(|line| !line.starts_with("sudo: unable to resolve host"))
        .collect();
    kept.join("\n")
}

/// Returns all checks inside a machine, in the order of `scenario.toml`'s keys.
pub fn checks(node: &Node) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut add = |name: String, command: String, expected: &str, judge| {
        checks.push(Check {
            name,
            command,
            expected: expected.to_owned(),
            judge,
        });
    };
    let expect = &node.expect;
    if let Some(hostname) = &expect.hostname {
        add(
            "hostname".into(),
            "cat /proc/sys/kernel/hostname".into(),
            hostname,
            Judge::Text,
        );
    }
    for option in &expect.kernel_options {
        add(
            format!("kernel option {option}"),
            "cat /proc/cmdline".into(),
            option,
            Judge::Word,
        );
    }
    for unit in &expect.units_active {
        let command = format!("systemctl is-active {}", quoted(unit));
        add(format!("unit {unit}"), command, "active", Judge::Text);
    }
    for file in &expect.files {
        let path = quoted(&file.path);
        let name = |what| format!("file {} {what}", file.path);
        let base64_of = match node.check_console {
            CheckConsole::Console => as_root(&format!("base64 -w0 {path}")),
            CheckConsole::SecondPort => format!("base64 -w0 {path}"),
        };
        add(name("content"), base64_of, &file.content, Judge::Content);
        let owner = file.owner.to_string();
        let mode = file.mode.to_string();
        let (owned_by, with_mode, judge) = match node.check_console {
            CheckConsole::Console => (
                as_root(&format!("stat -c %U:%G {path}")),
                as_root(&format!("stat -c %a {path}")),
                Judge::Mode,
            ),
            // The busybox of Debian's installer has no `stat`.
            CheckConsole::SecondPort => (
                format!("ls -ld {path} | awk '{{ print $3 \":\" $4 }}'"),
                format!("ls -ld {path} | cut -c 1-10"),
                Judge::Symbolic,
            ),
        };
        add(name("owner"), owned_by, &owner, Judge::Text);
        add(name("mode"), with_mode, &mode, judge);
    }
    for (question, answer) in &expect.preseed {
        let command = format!("{WITHOUT_FRONTEND}; debconf-get {}", quoted(question));
        add(format!("preseed {question}"), command, answer, Judge::Text);
    }
    checks
}

/// Forgets the debconf of the program that started the shell, so that `debconf-get` starts its own.
const WITHOUT_FRONTEND: &str =
    "unset DEBIAN_HAS_FRONTEND DEBIAN_FRONTEND DEBCONF_REDIR DEBCONF_OLD_FD_BASE";

/// Returns the octal digits of a mode that `ls -l` writes, such as `-rw-r--r--`.
fn octal(symbolic: &str) -> Option<String> {
    let bits = symbolic.strip_prefix(['-', 'd'])?.as_bytes();
    let mut digits = [0_u8; 4];
    for (index, class) in bits.chunks(3).enumerate() {
        let [read, write, execute] = class else {
            return None;
        };
        let special = 4 >> index;
        let digit = digits.get_mut(index + 1)?;
        *digit += 4 * u8::from(*read == b'r') + 2 * u8::from(*write == b'w');
        *digit += u8::from(b"xst".contains(execute));
        digits[0] += special * u8::from(b"sStT".contains(execute));
    }
    (bits.len() == 9).then(|| {
        digits
            .iter()
            .map(|digit| char::from(b'0' + digit))
            .collect()
    })
}

/// Returns the command as root. On CoreOS `core` may use `sudo` without a password; root needs none.
fn as_root(command: &str) -> String {
    format!("$([ $(id -u) = 0 ] || echo sudo -n) {command}")
}

/// Quotes a word for the shell. In single quotes only a single quote is special.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn or_nothing(output: &str, status: i32) -> String {
    if output.is_empty() {
        format!("no answer, exit status {status}")
    } else {
        shown(output)
    }
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!(
            "{}… ({} bytes)",
            text.get(..end).unwrap_or(text),
            text.len()
        ),
        None => text.to_owned(),
    }
}

/// Output of a command that is not base64.
#[derive(Debug, thiserror::Error)]
#[error("not base64 ({error}): {output}")]
struct NotBase64 {
    error: base64::DecodeError,
    /// Beginning of the output.
    output: String,
}

fn decoded(output: &str) -> Result<Vec<u8>, NotBase64> {
    let text: String = output.split_whitespace().collect();
    STANDARD.decode(&text).map_err(|error| NotBase64 {
        error,
        output: shown(output),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::scenario::Scenario;

    const SCENARIO: &str = r#"
summary = "checks"
firmware = ["bios"]
network = { subnet = "192.168.90.0/24" }
services = { dhcp = "boot-server" }
[[node]]
name = "node1"
uuid = "16e7d8a7-bfa9-428b-9117-363341bb330b"
mac = "52:54:00:a1:9c:ae"
[node.expect]
matched_by = "uuid"
group = "node1"
hostname = "node1"
kernel_options = ["console=ttyS0"]
units_active = ["lab-node1.service"]
[[node.expect.file]]
path = "/home/core/it's"
content = "grüße\n"
owner = "core:core"
mode = "0600"
"#;

    fn check(name: &str) -> Check {
        let scenario = Scenario::parse("checks", Path::new(""), SCENARIO).unwrap();
        let all = checks(&scenario.nodes[0]);
        all.iter()
            .find(|check| check.name == name)
            .unwrap_or_else(|| panic!("{all:#?}"))
            .clone()
    }

    #[test]
    fn every_expectation_has_its_commands() {
        let scenario = Scenario::parse("checks", Path::new(""), SCENARIO).unwrap();
        let commands: Vec<String> = checks(&scenario.nodes[0])
            .into_iter()
            .map(|check| {
                format!(
                    "{}\n    {}\n    {:?}",
                    check.name, check.command, check.expected
                )
            })
            .collect();
        insta::assert_snapshot!(commands.join("\n"));
    }

    #[test]
    fn a_host_name_is_compared_whole() {
        let check = check("hostname");
        assert_eq!(check.judge(0, "node1\n"), ("node1".into(), true));
        assert!(!check.judge(0, "node11\n").1);
        assert_eq!(
            check.judge(1, ""),
            ("no answer, exit status 1".into(), false)
        );
    }

    #[test]
    fn an_option_has_to_be_a_word_of_its_own_on_the_command_line() {
        let check = check("kernel option console=ttyS0");
        assert!(check.judge(0, "BOOT_IMAGE=k console=ttyS0 quiet").1);
        assert!(check.judge(0, "console=\"ttyS0\"").1);
        assert!(!check.judge(0, "console=ttyS0,115200 myconsole=ttyS0").1);
    }

    #[test]
    fn a_unit_has_to_be_active() {
        let check = check("unit lab-node1.service");
        assert!(check.judge(0, "active").1);
        assert_eq!(check.judge(3, "activating"), ("activating".into(), false));
        assert_eq!(check.judge(3, "inactive"), ("inactive".into(), false));
    }

    #[test]
    fn content_is_compared_byte_for_byte_whatever_the_terminal_did_to_the_lines() {
        let check = check("file /home/core/it's content");
        let text = STANDARD.encode("grüße\n");
        let (front, back) = text.split_at(5);
        assert_eq!(
            check.judge(0, &format!("{front}\r\n{back}\r\n")),
            ("grüße\n".into(), true)
        );
        assert_eq!(
            check.judge(0, &STANDARD.encode("grüße")),
            ("grüße".into(), false)
        );
        assert!(!check.judge(0, "no base64!").1);
        let missing = "base64: /home/core/it's: No such file or directory";
        assert_eq!(check.judge(1, missing), (missing.into(), false));
    }

    #[test]
    fn owner_and_mode_are_compared() {
        let owner = check("file /home/core/it's owner");
        assert!(owner.judge(0, "core:core").1);
        assert_eq!(owner.judge(0, "root:root"), ("root:root".into(), false));
        let mode = check("file /home/core/it's mode");
        assert_eq!(mode.judge(0, "600"), ("0600".into(), true));
        assert_eq!(mode.judge(0, "644"), ("0644".into(), false));
        assert_eq!(mode.judge(0, "4600"), ("4600".into(), false));
    }

    #[test]
    fn checks_of_an_installer_use_what_its_busybox_has() {
        let scenario = SCENARIO
            .replace("units_active = [\"lab-node1.service\"]\n", "")
            .replace("[node.expect]", "check_console = \"ttyS1\"\n[node.expect]")
            .replace(
                "[[node.expect.file]]",
                "[node.expect.preseed]\n\"netcfg/get_domain\" = \"lab.example\"\n[[node.expect.file]]",
            );
        let scenario = Scenario::parse("checks", Path::new(""), &scenario).unwrap();
        let commands: Vec<String> = checks(&scenario.nodes[0])
            .into_iter()
            .map(|check| format!("{}\n    {}", check.name, check.command))
            .collect();
        insta::assert_snapshot!(commands.join("\n"));
    }

    #[test]
    fn octal_mode_is_that_of_ls() {
        for (symbolic, mode) in [
            ("-rw-r--r--", "0644"),
            ("-rw-------", "0600"),
            ("-rwsr-xr-t", "5755"),
            ("-rwSr-s--T", "7650"),
            ("drwxr-x---", "0750"),
        ] {
            assert_eq!(octal(symbolic).as_deref(), Some(mode), "{symbolic}");
        }
        for none in ["", "ls: /x: No such file", "-rw-r--r--+", "lrwxrwxrwx"] {
            assert_eq!(octal(none), None, "{none}");
        }
    }

    #[test]
    fn a_long_content_is_shortened_when_shown() {
        let check = check("file /home/core/it's content");
        let (found, holds) = check.judge(0, &STANDARD.encode("x".repeat(5000)));
        assert!(!holds);
        assert!(found.len() < 500, "{} bytes", found.len());
    }
}
