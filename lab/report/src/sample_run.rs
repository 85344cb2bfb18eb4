//! Runs with every kind of verdict, with their files, for tests of reports.

use std::fs;
use std::path::{Path, PathBuf};

use lab_model::scenario::{Firmware, Image, Machines};
use lab_model::timeline::StageName;
use lab_model::verdict::NodeVerdict;

use super::{AttemptSummary, NodeSummary, RunSummary, UnitSummary};

/// Text that means something in XML, Markdown, HTML, GitHub's commands and terminals.
pub const HOSTILE: &str = "\x1b[31m</testcase>]]> <script>alert(1)</script> | ``` </details>\u{8} %0A::error::x\r\nnext, line: 2%";

/// A failure with hostile words.
pub fn fail() -> NodeVerdict {
    NodeVerdict::Fail {
        stage: StageName::CloudConfig,
        waited_for: "a cloud-config".into(),
        why: HOSTILE.into(),
        missing: Vec::new(),
    }
}

fn node(name: &str, verdict: NodeVerdict) -> NodeSummary {
    NodeSummary {
        name: name.into(),
        verdict,
        findings: Vec::new(),
        not_proven: Vec::new(),
        seconds: Some(41.25),
    }
}

/// A run in this folder whose nodes have every verdict, in the scenario `pxe-dhcp`; node2's explanation
/// and consoles are there.
pub fn run(folder: &Path) -> RunSummary {
    let attempt = |number: u32, nodes: &[NodeSummary]| {
        let artifacts = PathBuf::from(format!("pxe-dhcp@bios/attempt-{number}"));
        for node in nodes {
            let files = folder.join(&artifacts).join("nodes").join(&node.name);
            fs::create_dir_all(&files).expect("a folder");
            if matches!(node.verdict, NodeVerdict::Fail { .. }) {
                fs::write(files.join("explain.txt"), format!("explained: {HOSTILE}"))
                    .expect("a file");
            }
            let lines = format!("line of {} {HOSTILE}\r\n", node.name).repeat(300);
            fs::write(files.join("console.log"), lines).expect("a file");
        }
        AttemptSummary {
            number,
            artifacts,
            nodes: nodes.to_vec(),
        }
    };
    let infra = NodeVerdict::Infra {
        why: "libvirtd did not start".into(),
    };
    let first = [
        node("node1", NodeVerdict::Pass),
        node("node2", fail()),
        node("node3", fail()),
    ];
    let second = [
        node("node1", NodeVerdict::Pass),
        node("node2", fail()),
        node("node3", NodeVerdict::Pass),
    ];
    let flaky = NodeVerdict::Flaky {
        attempts: 2,
        first: "cloud-config: nothing came".into(),
    };
    let skipped = NodeVerdict::Skipped {
        reason: "the run ends at the first failure".into(),
    };
    let leaked = NodeVerdict::Leaked {
        what: "a process".into(),
    };
    let unit = |firmware, nodes: Vec<NodeSummary>, attempts| UnitSummary {
        scenario: "pxe-dhcp".into(),
        firmware,
        repetition: None,
        machines: Machines::Virtual,
        image: Image::STAND_IN.into(),
        nodes,
        attempts,
    };
    let all = vec![
        node("node1", NodeVerdict::Pass),
        node("node2", fail()),
        node("node3", flaky),
    ];
    let others = vec![
        node("node4", infra),
        node("node5", skipped),
        node("node6", leaked),
        node("node7", NodeVerdict::Interrupted),
    ];
    RunSummary {
        run_id: "3f9a2c".into(),
        started: "2026-11-24T15:12:00Z".into(),
        seconds: 318.2,
        processor_seconds: Some(602.5),
        accelerator: "TCG: there is no /dev/kvm".into(),
        shard: None,
        whole: None,
        flaky_fails: false,
        rehearsal: None,
        units: vec![
            unit(
                Firmware::Bios,
                all,
                vec![attempt(1, &first), attempt(2, &second)],
            ),
            unit(Firmware::Uefi, others, Vec::new()),
        ],
        folder: folder.to_owned(),
    }
}
