//! Published schemas are up to date and accept the files that they describe.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use boon::{Compiler, Schemas};
use boot_server::event_sink::EventSink;
use boot_server_events::{BootEvent, DhcpRole, Event, IgnoreCode, IgnoreReason, Served, Who};
use boot_server_proto::dhcp::MessageType;
use lab_model::diagnosis::{Cause, Finding, Proof};
use lab_model::evidence::disturbance::Disturbance;
use lab_model::evidence::packet::{Content, Endpoint, Protocol};
use lab_model::evidence::simulated::{Loaded, Report};
use lab_model::evidence::{GaveUp, Observation, OutputStream};
use lab_model::scenario::{DataCheck, Firmware, load_all};
use lab_report::sample_run;
use serde::Serialize;
use serde_json::Value;

use super::*;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Returns the schema of this name.
pub(crate) fn find(name: &str) -> Value {
    let schema = SCHEMAS.into_iter().find(|schema| schema.name == name);
    schema.unwrap().schema().to_value()
}

/// Validates a value by the schema of this name.
pub(crate) fn is_valid(name: &str, value: &Value) -> Result<(), String> {
    let url = "http://localhost/schema.json";
    let mut schemas = Schemas::new();
    let mut compiler = Compiler::new();
    compiler.add_resource(url, find(name)).unwrap();
    let index = compiler.compile(url, &mut schemas).unwrap();
    let result = schemas.validate(value, index);
    result.map_err(|error| format!("{error:#}"))
}

#[track_caller]
fn assert_valid(name: &str, value: impl Serialize) -> Value {
    let value = serde_json::to_value(value).unwrap();
    assert_eq!(is_valid(name, &value), Ok(()), "{value:#}");
    value
}

/// Returns the files of this name below a folder of the project.
fn files(folder: &str, is_wanted: fn(&str) -> bool) -> Vec<PathBuf> {
    let mut folders = vec![root().join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else if entry.file_name().to_str().is_some_and(is_wanted) {
                found.push(entry.path());
            }
        }
    }
    found
}

#[track_caller]
fn assert_files_valid(name: &str, files: &[PathBuf]) {
    for file in files {
        let text = fs::read_to_string(file).unwrap();
        let extension = file.extension().and_then(|extension| extension.to_str());
        let value: Value = match extension {
            Some("toml") => toml::from_str(&text).unwrap(),
            Some("yaml") => serde_saphyr::from_str(&text).unwrap(),
            _ => serde_json::from_str(&text).unwrap(),
        };
        assert_eq!(is_valid(name, &value), Ok(()), "{}", file.display());
    }
}

/// Rewrites the files instead with `UPDATE_SCHEMAS=1`.
#[test]
fn published_schemas_are_those_of_the_types() {
    let folder = root().join("docs/schemas");
    for schema in SCHEMAS {
        let file = folder.join(format!("{}.schema.json", schema.name));
        let text = schema.text();
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            fs::write(&file, &text).unwrap();
        }
        let published = fs::read_to_string(&file).unwrap_or_default();
        assert!(
            published == text,
            "docs/schemas/{}.schema.json is out of date; UPDATE_SCHEMAS=1 rewrites it",
            schema.name
        );
    }
    let published = fs::read_dir(folder).unwrap();
    let is_schema = |name: &str| name.ends_with(".schema.json");
    let names = published.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| is_schema(name)).count(), SCHEMAS.len());
}

#[test]
fn bundled_scenarios_are_valid_as_written_and_as_resolved() {
    let written = files("scenarios", |name| name == "scenario.toml");
    assert!(written.len() >= 8);
    assert_files_valid("scenario", &written);
    for scenario in load_all(&root().join("scenarios"), DataCheck::Strict).unwrap() {
        let resolved: Value = toml::from_str(&scenario.to_toml().unwrap()).unwrap();
        assert_valid("scenario", resolved);
    }
}

#[test]
fn bundled_faults_and_adversarial_cases_are_valid() {
    for (folder, is_wanted) in [
        (
            "scenarios/faults",
            (|name| name == "fault.toml") as fn(&str) -> bool,
        ),
        ("scenarios/adversarial", |name| name == "case.toml"),
    ] {
        let written = files(folder, is_wanted);
        assert!(written.len() >= 8, "{folder}: {written:?}");
        assert_files_valid("fault", &written);
    }
}

#[test]
fn configs_of_the_boot_server_are_valid_and_unknown_keys_are_not() {
    let configs = files("boot-server", |name| name == "boot-server.toml");
    assert!(configs.len() >= 6);
    assert_files_valid("boot-server", &configs);
    for (config, is_right) in [
        ("log.level = \"warning\"", true),
        ("log.level = \"loud\"", false),
        ("unheard_of = 1", false),
        ("http = { data = \"data\", unheard_of = 1 }", false),
        ("dhcp = { first = \"10.0.0.1\" }", false),
    ] {
        let is_read = toml::from_str::<Config>(config).is_ok();
        let value: Value = toml::from_str(config).unwrap();
        let is_valid = is_valid("boot-server", &value).is_ok();
        assert_eq!((is_read, is_valid), (is_right, is_right), "{config}");
    }
}

#[test]
fn lists_of_machines_are_valid() {
    let lists = files("scenarios/rollout", |name| {
        name.starts_with("machines.") && !name.ends_with(".csv")
    });
    assert!(lists.len() >= 5);
    assert_files_valid("machines", &lists);
}

#[test]
fn runs_with_every_verdict_are_valid() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = sample_run::run(folder.path());
    let finding = Finding {
        cause: Cause::NoDhcpServer,
        sentence: "No server answered.".into(),
        evidence: vec![Proof {
            at_us: Some(5),
            frame: None,
            service: Some("kea".into()),
            text: "discover".into(),
        }],
        remedy: "Start one.".into(),
        weight: 95,
    };
    run.units[0].attempts[0].nodes[0].findings.push(finding);
    let written = assert_valid("run", &run);
    assert!(written["units"][0]["attempts"][0]["nodes"][0]["findings"][0]["cause"].is_string());
    for unit in &run.units {
        for attempt in &unit.attempts {
            let verdict = AttemptVerdict {
                scenario: &unit.scenario,
                firmware: Firmware::Bios,
                image: &unit.image,
                attempt,
            };
            assert_valid("verdict", verdict);
        }
    }
    let mut wrong = written;
    wrong["units"][0]["nodes"][0]["verdict"]["verdict"] = "good".into();
    assert!(is_valid("run", &wrong).is_err());
}

fn server_events() -> Vec<BootEvent> {
    let who = || Who {
        peer: Some(([10, 0, 0, 2], 68).into()),
        ..Who::default()
    };
    vec![
        BootEvent::Ready {
            listeners: vec!["dhcp 0.0.0.0:67".into()],
        },
        BootEvent::DhcpReply {
            who: who(),
            xid: 7,
            message: MessageType::Offer,
            role: DhcpRole::Dhcp,
            address: Some(Ipv4Addr::LOCALHOST),
            next_server: None,
            boot_file: None,
            step: "iPXE".into(),
        },
        BootEvent::DhcpIgnored {
            who: who(),
            reason: IgnoreReason::new(IgnoreCode::Policy, "not for us"),
        },
        BootEvent::HttpRequest {
            who: who(),
            method: "GET".into(),
            path: "/ignition".into(),
            query: String::new(),
            status: 200,
            user_agent: String::new(),
            bytes: 5,
            length: Some(5),
            group: None,
            selectors: Some(vec!["uuid".into()]),
            sha256: None,
            detail: Served::new("node1.ign", Some("node1.ign".into())),
            millis: 1,
        },
        BootEvent::Reloaded {
            result: boot_server_events::ReloadOutcome::Refused("no groups".into()),
        },
    ]
}

#[test]
fn events_of_the_boot_server_are_valid() {
    let (sink, mut events) = EventSink::channel();
    for event in server_events() {
        sink.emit(event);
    }
    let events: Vec<Event> = std::iter::from_fn(|| events.try_recv().ok()).collect();
    assert_eq!(events.len(), server_events().len());
    for event in events {
        let mut written = assert_valid("server-events", event);
        written["event"] = "unheard_of".into();
        assert!(is_valid("server-events", &written).is_err());
    }
}

#[test]
fn records_are_valid_as_evidence_and_as_events_of_a_run() {
    let loaded = || Loaded {
        name: "vmlinuz".into(),
        bytes: 5,
        sha256: "0".repeat(64),
    };
    let text = || String::from("text");
    let mut seen = vec![
        Observation::PowerOn,
        Observation::Reset,
        Observation::ShellReady,
        Observation::PowerOff { reason: text() },
        Observation::Console { line: text() },
        Observation::ServiceLine {
            service: text(),
            stream: OutputStream::Stderr,
            line: text(),
        },
        Observation::ServiceKilled {
            service: text(),
            detail: text(),
        },
        Observation::ServiceLeft {
            service: text(),
            what: text(),
        },
        Observation::Captured {
            network: text(),
            frames: 5,
            dropped: 0,
        },
        Observation::Arrived {
            protocol: Protocol::Http,
            name: text(),
            from: Endpoint::default(),
            start_us: 5,
            bytes: 4,
            content: Content {
                sha256: "0".repeat(64),
                text: Some(text()),
            },
        },
        Observation::WouldStart(Report {
            kernel: loaded(),
            initrds: vec![loaded()],
            options: Some(vec![text()]),
        }),
        Observation::ConsoleDisturbed {
            check: text(),
            disturbance: Disturbance::Checksum,
            tries: 3,
        },
        Observation::Units {
            failed: vec![text()],
            without_program: vec![text()],
            starting: Vec::new(),
        },
        Observation::GaveUp {
            reason: GaveUp::Deadline { seconds: 300 },
        },
    ];
    seen.extend(server_events().into_iter().map(|what| Observation::Server {
        service: "boot-server".into(),
        entry: Box::new(Event { at_us: 5, what }),
    }));
    for seen in seen {
        let record = Record {
            at_us: 5,
            node: Some("node1".into()),
            seen,
        };
        let line = Line {
            unit: "pxe-dhcp@bios",
            record: &record,
        };
        assert_valid("events", line);
        let mut written = assert_valid("evidence", &record);
        written["seen"] = "unheard_of".into();
        assert!(is_valid("evidence", &written).is_err());
    }
}
