//! The guides in `docs/`: every command block of them is run, in order, as its reader would, and what the guide shows of
//! the answer has to come.
//!
//! | in a guide | what is done |
//! |---|---|
//! | a block `sh` | is run by bash, in a folder with a copy of the scenarios; it has to succeed |
//! | a block `sh` after `<!-- in another terminal -->` | is run beside the others, which wait until it says that it is ready |
//! | a block `text` right after it | each line has to stand in the answer, in that order; `…` stands for anything |
//! | `<!-- test: … -->` | is run too: what a reader has and the test has not, such as a network card |
//!
//! A block of another language is not run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{copy_all, printed, project_scenarios};

/// Guides whose blocks are run.
const GUIDES: [&str; 9] = [
    "bare-metal",
    "config-service",
    "libvirt-guide",
    "migrating",
    "network-booting",
    "pixiecore",
    "topologies",
    "troubleshooting",
    "your-stack",
];

/// Before every block: what is run, and a mark in the answer.
const BLOCK_MARK: &str = "<<<block";

/// One thing to run.
#[derive(Debug, Default, PartialEq)]
struct Step {
    /// Line in the guide.
    line: usize,
    script: String,
    in_background: bool,
    shown: Vec<String>,
}

/// The steps of a guide.
fn steps(guide: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut in_background = false;
    // Whether the next block may be the answer to the last.
    let mut is_answer_next = false;
    let mut lines = guide.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let mut until = |end: &str| -> Vec<String> {
            let rest = lines.by_ref().map(|(_, line)| line.to_owned());
            rest.take_while(|line| line != end).collect()
        };
        if line == "<!-- in another terminal -->" {
            in_background = true;
        } else if let Some(first) = line.strip_prefix("<!-- test:") {
            let script = match first.strip_suffix("-->") {
                Some(only) => only.trim().to_owned(),
                None => [vec![first.to_owned()], until("-->")].concat().join("\n"),
            };
            steps.push(Step {
                line: number + 1,
                script,
                ..Step::default()
            });
        } else if line == "```sh" {
            steps.push(Step {
                line: number + 1,
                script: until("```").join("\n"),
                in_background: std::mem::take(&mut in_background),
                shown: Vec::new(),
            });
            is_answer_next = true;
        } else if line == "```text" {
            let shown = until("```");
            if let (true, Some(last)) = (is_answer_next, steps.last_mut()) {
                last.shown = shown;
            }
            is_answer_next = false;
        } else if line.starts_with("```") {
            until("```");
            is_answer_next = false;
        } else if !line.trim().is_empty() {
            is_answer_next = false;
        }
    }
    steps
}

/// The steps as one script.
fn script(steps: &[Step]) -> String {
    let mut script = String::from(
        "set -eu\nip link set lo up\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n",
    );
    for (number, step) in steps.iter().enumerate() {
        script += &format!("echo '{BLOCK_MARK} {number}>>>'\n");
        script += &match step.in_background {
            false => format!("{{\n{}\n}} 2>&1\n", step.script),
            true => format!(
                "{{\n{}\n}} >terminal-{number} 2>&1 &\n\
                 for _ in $(seq 3000); do grep -qs ready terminal-{number} && break; sleep 0.1; done\n\
                 cat terminal-{number}; grep -qs ready terminal-{number}\n",
                step.script
            ),
        };
    }
    script
}

/// The first line that is shown in the guide and does not stand in the answer.
fn missing<'s>(shown: &'s [String], answer: &str) -> Option<&'s str> {
    let mut lines = answer.lines();
    let shown = shown.iter().map(|line| line.trim_end());
    let mut wanted = shown.filter(|line| !line.is_empty() && *line != "…");
    wanted.find(|wanted| !lines.any(|line| fits(wanted, line)))
}

/// True if a line is the one that is shown, with any number of spaces between words.
fn fits(shown: &str, line: &str) -> bool {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = plain(line);
    let shown = plain(shown);
    let parts: Vec<&str> = shown.split('…').map(str::trim).collect();
    let [first, middle @ .., last] = parts.as_slice() else {
        return line == shown;
    };
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    for part in middle {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

/// Runs a guide.
fn follow(name: &str) {
    if !rustix::process::geteuid().is_root() {
        eprintln!("guides are run by root only: some set up a network card");
        return;
    }
    let path = docs().join(format!("{name}.md"));
    let guide = fs::read_to_string(&path).unwrap();
    let steps = steps(&guide);
    assert!(!steps.is_empty(), "{name}.md has nothing to run");
    let folder = tempfile::tempdir().unwrap();
    copy_all(&project_scenarios(), &folder.path().join("scenarios"));
    let programs = folder.path().join("ci");
    fs::create_dir(&programs).unwrap();
    let lab = assert_cmd::cargo::cargo_bin!("lab");
    let beside = lab.with_file_name("boot-server");
    std::os::unix::fs::symlink(lab, programs.join("lab")).unwrap();
    std::os::unix::fs::symlink(beside, programs.join("boot-server")).unwrap();
    let file = folder.path().join("guide.sh");
    fs::write(&file, script(&steps)).unwrap();
    let path_of_programs = format!(
        "{}:{}",
        programs.display(),
        std::env::var("PATH").unwrap_or_default()
    );
    // A network of its own: what a guide sets up there goes with it.
    let output = Command::new("unshare")
        .args([
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ])
        .args(["timeout", "500", "bash"])
        .arg(&file)
        .env("PATH", path_of_programs)
        .env("NO_COLOR", "1")
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let answers: Vec<&str> = said.split(BLOCK_MARK).skip(1).collect();
    for (number, step) in steps.iter().enumerate() {
        let place = format!("{name}.md, line {}", step.line);
        let answer = answers.get(number).copied().unwrap_or_default();
        let (_, answer) = answer.split_once(">>>\n").unwrap_or_default();
        let is_last = number + 1 == answers.len();
        assert!(
            number < answers.len() && (!is_last || output.status.success()),
            "{place}: {}\n{}\n{answer}",
            output.status,
            step.script,
        );
        if let Some(line) = missing(&step.shown, answer) {
            panic!("{place}: `{line}` is shown and did not come:\n{answer}");
        }
    }
    assert!(output.status.success(), "{}", printed(&output));
}

macro_rules! guides {
    ($($name:ident: $file:expr;)*) => {
        $(#[test] fn $name() { follow($file); })*
    };
}

guides! {
    bare_metal: "bare-metal";
    config_service: "config-service";
    libvirt_guide: "libvirt-guide";
    migrating: "migrating";
    network_booting: "network-booting";
    pixiecore: "pixiecore";
    topologies: "topologies";
    troubleshooting: "troubleshooting";
    your_stack: "your-stack";
}

#[test]
fn every_document_with_commands_for_a_reader_is_run_or_named_here() {
    // Their commands are shown in passing; what they do is tested elsewhere.
    let elsewhere = [
        "adversarial",
        "boot-server",
        "boot-server-catalog",
        "boot-server-dhcp",
        "boot-server-speed",
        "benchmarks",
        "ci",
        "cloud-init",
        "debian-installer",
        "faults",
        "images",
        "matrix",
        "rollout",
        "rules",
        "secure-boot",
        "stand-in",
        "terraform",
    ];
    for entry in fs::read_dir(docs()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|kind| kind != "md") {
            continue;
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let has_commands = fs::read_to_string(&path).unwrap().contains("```sh");
        let is_known = GUIDES.contains(&name.as_str()) || elsewhere.contains(&name.as_str());
        assert!(
            !has_commands || is_known,
            "{name}.md has commands that nobody runs"
        );
    }
}

#[test]
fn a_guide_is_read_as_a_reader_would() {
    let guide = "Do this:\n```sh\necho one\n```\n\n```text\none\n```\n\
                 <!-- in another terminal -->\n```sh\nserve\n```\nor\n```toml\na = 1\n```\n\
                 <!-- test: ip link -->\n<!-- test:\nmore\n-->\n```text\nno answer\n```\n";
    let steps = steps(guide);
    let scripts: Vec<&str> = steps.iter().map(|step| step.script.trim()).collect();
    assert_eq!(scripts, ["echo one", "serve", "ip link", "more"]);
    assert_eq!(steps[0].shown, ["one"]);
    assert!(steps[1].in_background && steps[1].shown.is_empty());
    assert!(steps[3].shown.is_empty());
}

#[test]
fn what_is_shown_has_to_come_in_its_order() {
    let shown = |text: &str| -> Vec<String> { text.lines().map(str::to_owned).collect() };
    let answer = "node1  pass  30.9 s\nnode2  pass 12 s\nend";
    assert_eq!(missing(&shown("node1 pass …\n…\nend"), answer), None);
    assert_eq!(missing(&shown("node1 … s"), answer), None);
    assert_eq!(missing(&shown("node1 pass"), answer), Some("node1 pass"));
    assert_eq!(missing(&shown("end\nnode1 …"), answer), Some("node1 …"));
    assert_eq!(missing(&shown("node3 …"), answer), Some("node3 …"));
}
