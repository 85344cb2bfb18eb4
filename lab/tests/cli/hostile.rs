//! Run folders of strangers: every command that reads one ends, says what is wrong, tells nothing of files outside,
//! writes nothing outside, and prints no control characters.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lab::persistent::{HostScope, PersistentLab, Registry};
use lab_model::evidence::saved::CAPTURES_FOLDER;
use serde_json::{Value, json};

use crate::explained::save_attempt;
use crate::support::printed;

/// Nothing that is printed or copied may have this.
const SECRET: &str = "host-secret-4711";

/// Seconds after which a command counts as hanging.
const HANGS_AFTER: &str = "60";

const UNIT: &str = "ipxe-chainload@uefi";

/// A folder around a run folder: `run/`, and beside it what nobody may read or write.
struct Stage {
    dir: tempfile::TempDir,
}

impl Stage {
    /// A good run of one attempt.
    fn new() -> Stage {
        let dir = tempfile::tempdir().unwrap();
        let stage = Stage { dir };
        save_attempt(&stage.attempt());
        let node = stage.attempt().join("nodes/node1");
        fs::create_dir_all(&node).unwrap();
        fs::write(node.join("console.log"), "booting\n").unwrap();
        fs::create_dir_all(stage.attempt().join(CAPTURES_FOLDER)).unwrap();
        let verdict = json!({"verdict": "infra", "why": "nothing"});
        let nodes = json!([{"name": "node1", "verdict": verdict, "seconds": 1.0}]);
        let run = json!({
            "run_id": "4f2a11", "started": "2026-01-01T00:00:00Z", "seconds": 1.0, "accelerator": "TCG",
            "units": [{
                "scenario": "ipxe-chainload", "firmware": "uefi", "image": "stand-in", "nodes": nodes,
                "attempts": [{"number": 1, "artifacts": format!("{UNIT}/attempt-1"), "nodes": nodes}],
            }],
        });
        stage.write_run(&run);
        fs::write(stage.path("secret"), SECRET).unwrap();
        fs::create_dir(stage.path("secrets")).unwrap();
        fs::write(stage.path("secrets").join(SECRET), SECRET).unwrap();
        fs::write(stage.path("secrets/explain.txt"), SECRET).unwrap();
        fs::write(stage.path("secrets/console.log"), SECRET).unwrap();
        fs::create_dir_all(stage.path("victim/x")).unwrap();
        fs::write(stage.path("victim/x/file"), "theirs").unwrap();
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self) -> PathBuf {
        self.path("run")
    }

    fn attempt(&self) -> PathBuf {
        self.run().join(UNIT).join("attempt-1")
    }

    fn write_run(&self, run: &Value) {
        fs::write(self.run().join("run.json"), run.to_string()).unwrap();
    }

    fn edit_run(&self, edit: impl FnOnce(&mut Value)) {
        let text = fs::read_to_string(self.run().join("run.json")).unwrap();
        let mut run = serde_json::from_str(&text).unwrap();
        edit(&mut run);
        self.write_run(&run);
    }

    /// Puts a link to `target` at the place of a file or folder of the attempt.
    fn link(&self, at: &str, target: &str) {
        self.remove(at);
        symlink(self.path(target), self.attempt().join(at)).unwrap();
    }

    fn fifo(&self, at: &str) {
        self.remove(at);
        let (fifo, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
        let path = self.attempt().join(at);
        rustix::fs::mknodat(rustix::fs::CWD, path, fifo, mode, 0).unwrap();
    }

    fn remove(&self, at: &str) {
        let path = self.attempt().join(at);
        let _ = fs::remove_dir_all(&path);
        let _ = fs::remove_file(&path);
    }

    /// Notes the attempt as a lab that is up, held by this test.
    fn note(&self) {
        let own = std::process::id();
        let stat = fs::read_to_string("/proc/self/stat").unwrap();
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let born: u64 = fields.split_whitespace().nth(19).unwrap().parse().unwrap();
        let alive: PersistentLab = serde_json::from_value(json!({
            "run_id": "4f2a11", "unit": UNIT, "since": "2026-01-01T00:00:00Z",
            "kept": {"holder": own, "init": own}, "born_ticks": born, "realm": HostScope::own(),
            "artifacts": self.attempt(), "data": self.attempt().join("data"), "host": "192.168.92.1",
            "http_port": 8080, "nodes": [{
                "name": "node1", "domain": "lab-4f2a11-node1", "mac": "52:54:00:5c:02:01",
                "uuid": "16e7d8a7-bfa9-428b-9117-363341bb330b", "address": null, "verdict": "pass",
            }],
        }))
        .unwrap();
        Registry::new(&self.path("cache")).add(&alive).unwrap();
    }
}

/// Changes to a good run folder, by name.
type Change = fn(&Stage);

const CORPUS: &[(&str, Change)] = &[
    ("good", |_| {}),
    ("link to a file", |s| s.link("leak.txt", "secret")),
    ("link at verdict.json", |s| s.link("verdict.json", "secret")),
    ("link at attempt.json", |s| s.link("attempt.json", "secret")),
    ("link at scenario", |s| {
        s.link("scenario.resolved.toml", "secret")
    }),
    ("link at evidence", |s| s.link("evidence.jsonl", "secret")),
    ("link at afterwards", |s| {
        s.link("afterwards.jsonl", "secret")
    }),
    ("link at nets", |s| s.link("nets", "secrets")),
    ("link at a capture", |s| s.link("nets/net.pcapng", "secret")),
    ("link at data", |s| s.link("data", "secrets")),
    ("link in data", |s| s.link("data/cloud/leak.yaml", "secret")),
    ("link at nodes", |s| s.link("nodes", "secrets")),
    ("link at a node", |s| s.link("nodes/node1", "secrets")),
    ("link at console", |s| {
        s.link("nodes/node1/console.log", "secret")
    }),
    ("link at explanation", |s| s.link("explain.txt", "secret")),
    ("link at domain", |s| {
        s.link("nodes/node1/domain.xml", "secret")
    }),
    ("link to itself", |s| {
        symlink(".", s.attempt().join("loop")).unwrap();
    }),
    ("link at the attempt", |s| {
        fs::remove_dir_all(s.attempt()).unwrap();
        symlink(s.path("secrets"), s.attempt()).unwrap();
    }),
    ("link at the unit", |s| {
        fs::remove_dir_all(s.run().join(UNIT)).unwrap();
        symlink(s.path("secrets"), s.run().join(UNIT)).unwrap();
    }),
    ("link at run.json", |s| {
        fs::remove_file(s.run().join("run.json")).unwrap();
        symlink(s.path("secret"), s.run().join("run.json")).unwrap();
    }),
    ("links at reports", |s| {
        for name in ["index.html", "junit.xml"] {
            symlink(s.path("victim/x/file"), s.run().join(name)).unwrap();
        }
    }),
    ("FIFO", |s| s.fifo("fifo")),
    ("FIFO at attempt.json", |s| s.fifo("attempt.json")),
    ("FIFO at evidence", |s| s.fifo("evidence.jsonl")),
    ("FIFO at a capture", |s| s.fifo("nets/net.pcapng.gz")),
    ("FIFO at console", |s| s.fifo("nodes/node1/console.log")),
    ("FIFO in data", |s| s.fifo("data/config.yaml")),
    ("FIFO at explanation", |s| s.fifo("explain.txt")),
    ("FIFO at run.json", |s| {
        fs::remove_file(s.run().join("run.json")).unwrap();
        s.fifo("../../run.json");
    }),
    ("endless file", |s| {
        let file = fs::File::create(s.attempt().join("evidence.jsonl")).unwrap();
        file.set_len(1 << 40).unwrap();
    }),
    ("endless run.json", |s| {
        let file = fs::File::create(s.run().join("run.json")).unwrap();
        file.set_len(1 << 40).unwrap();
    }),
    ("deep folders", |s| {
        let mut path = s.attempt();
        for _ in 0..200 {
            path.push("d");
        }
        fs::create_dir_all(path).unwrap();
    }),
    ("scenario leads out", |s| {
        s.edit_run(|run| run["units"][0]["scenario"] = json!("../../victim/x"))
    }),
    ("scenario is absolute", |s| {
        let victim = s.path("victim/x").display().to_string();
        fs::rename(s.path("victim/x"), s.path("victim/x@uefi")).unwrap();
        s.edit_run(|run| run["units"][0]["scenario"] = json!(victim));
    }),
    ("scenario has escapes", |s| {
        s.edit_run(|run| run["units"][0]["scenario"] = json!("\u{1b}[2Jx"))
    }),
    ("node leads out", |s| {
        s.edit_run(|run| run["units"][0]["nodes"][0]["name"] = json!("../../../../secrets"));
    }),
    ("artifacts lead out", |s| {
        s.edit_run(|run| run["units"][0]["attempts"][0]["artifacts"] = json!("../secrets"));
    }),
    ("artifacts are absolute", |s| {
        let secrets = s.path("secrets").display().to_string();
        s.edit_run(|run| run["units"][0]["attempts"][0]["artifacts"] = json!(secrets));
    }),
    ("4 billion shards", |s| {
        s.edit_run(|run| run["shard"] = json!("1/4294967295"))
    }),
    ("no shard", |s| {
        s.edit_run(|run| run["shard"] = json!("1/0\u{1b}[2J"))
    }),
    ("negative time", |s| {
        s.edit_run(|run| run["seconds"] = json!(-1.0))
    }),
    ("endless time", |s| {
        s.edit_run(|run| run["units"][0]["nodes"][0]["seconds"] = json!(1e300))
    }),
    ("verdict has escapes", |s| {
        s.edit_run(|run| {
            let why = "\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}\rforged";
            let verdict = json!({"verdict": "infra", "why": why});
            run["units"][0]["nodes"][0]["verdict"] = verdict;
            run["accelerator"] = json!(format!("TCG\u{1b}[2J\nforged {why}"));
            run["units"][0]["image"] = json!(why);
        });
    }),
    ("explanation has escapes", |s| {
        fs::write(s.attempt().join("explain.txt"), "\u{1b}[2Jgone\u{9b}31m").unwrap();
    }),
    ("evidence has escapes", |s| {
        let text = "{\"at_us\":1,\"node\":\"node1\",\"seen\":\"\u{1b}[2J\u{9b}1m\"}\n";
        fs::write(s.attempt().join("evidence.jsonl"), text).unwrap();
    }),
    ("evidence is not text", |s| {
        fs::write(s.attempt().join("evidence.jsonl"), b"\x1b[2J\xff\xfe\n").unwrap();
    }),
    ("console line has escapes", |s| {
        let line = "{\"at_us\":1,\"node\":\"node1\",\"seen\":\"power_on\"}\n\
                    {\"at_us\":2,\"node\":\"node1\",\"seen\":\"console\",\"line\":\"Kernel panic - not syncing: \
                    \\u001b[2J\\u009b1m\"}\n";
        fs::write(s.attempt().join("evidence.jsonl"), line).unwrap();
    }),
    ("scenario file has escapes", |s| {
        fs::write(
            s.attempt().join("scenario.resolved.toml"),
            "\u{1b}[2J = \u{9b}1m",
        )
        .unwrap();
    }),
    ("file name has escapes", |s| {
        fs::write(s.attempt().join("\u{1b}[2Jname"), "x").unwrap();
        symlink("/", s.attempt().join("\u{1b}[3Jlink")).unwrap();
    }),
];

fn lab(stage: &Stage, arguments: &[&str]) -> Output {
    let mut command = Command::new("timeout");
    command
        .args(["--signal=KILL", HANGS_AFTER])
        .arg(assert_cmd::cargo::cargo_bin!("lab"))
        .arg("--cache")
        .arg(stage.path("cache"))
        .args(arguments)
        .current_dir(stage.dir.path());
    command.output().unwrap()
}

/// The files below a folder with what is in them; links as they are.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let about = fs::symlink_metadata(&path).unwrap();
        if about.is_dir() {
            found.extend(files(&path));
        } else if about.is_file() && about.len() < 1 << 20 {
            found.insert(path.clone(), fs::read(&path).unwrap());
        } else {
            found.insert(path, Vec::new());
        }
    }
    found
}

fn check(name: &str, command: &str, output: &Output) {
    let all = format!("{name}: {command}: {}", printed(output));
    assert!(
        matches!(output.status.code(), Some(0..=2 | 75 | 100)),
        "{all}"
    );
    for text in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(text);
        let is_unsafe =
            |letter: char| letter.is_control() && letter != '\n' || letter == '\u{202e}';
        assert!(!text.contains(is_unsafe), "{all:?}");
        assert!(!text.contains(SECRET), "{all}");
    }
}

#[test]
fn a_hostile_run_folder_reads_and_writes_nothing_outside_and_prints_no_escapes() {
    for (name, change) in CORPUS {
        let stage = Stage::new();
        change(&stage);
        stage.note();
        let outside = || [files(&stage.path("victim")), files(&stage.path("secrets"))];
        let before = outside();
        let run = stage.run().display().to_string();
        let has_text = name.contains("escapes") || name.contains("evidence");
        let usual = [
            &["explain", &run][..],
            &["status"],
            &["logs"],
            &["capture", "--write", "capture.pcapng"],
            &["report", "merge", &run, "--artifacts", "merged"],
            &["report", "html", &run],
        ];
        let of_text = [&["explain", &run, "--json"][..], &["events"], &["capture"]];
        let of_text = of_text.into_iter().filter(|_| has_text);
        for arguments in usual.into_iter().chain(of_text) {
            let output = lab(&stage, arguments);
            check(name, &arguments.join(" "), &output);
            let good = *name == "good" && !arguments.contains(&"capture");
            assert!(
                !good || matches!(output.status.code(), Some(0 | 75)),
                "{}",
                printed(&output)
            );
        }
        assert_eq!(before, outside(), "{name}: something outside was changed");
        let written = files(&stage.path("merged")).into_iter();
        let written = written
            .chain(files(&stage.run()))
            .chain(files(&stage.path("capture.pcapng")));
        for (path, bytes) in written {
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains(SECRET), "{name}: {}", path.display());
        }
    }
}
