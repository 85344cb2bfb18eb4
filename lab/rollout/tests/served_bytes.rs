//! A plan is what the server serves: every machine of the example directories asks boot-server over a socket, and
//! each answer is, to the byte, what was planned.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use boot_server::catalog::data_dir::{DataDir, Source};
use boot_server::event_sink::EventSink;
use boot_server::net::http::{HttpServer, router};
use boot_server::net::neighbours::Neighbours;
use boot_server_proto::firmware::Firmware;
use rollout::inventory::{Inventory, Machine, import, read};
use rollout::plan::{Asked, Document, plan};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Status and body of an answer.
async fn get(server: SocketAddr, target: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(server).await.unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

fn served(document: &Document) -> (u16, String) {
    (200, document.text.to_string())
}

fn refused(reason: &str) -> (u16, String) {
    (404, format!("404 page not found\n{reason}\n"))
}

/// The machines of the groups, on each firmware in turn, and some that only a default is for.
fn machines(catalog: &DataDir) -> Inventory {
    let mut inventory = import::of_snapshot(&catalog.snapshot()).inventory;
    for (number, machine) in inventory.machines.iter_mut().enumerate() {
        let firmware = Firmware::ALL.into_iter().cycle().nth(number);
        machine.firmware = firmware.unwrap_or_default();
    }
    let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    inventory.machines.extend([
        Machine {
            name: "unknown".into(),
            macs: vec!["52:54:00:99:99:99".into()],
            ..Machine::default()
        },
        Machine {
            name: "odd".into(),
            macs: vec!["52:54:00:99:99:98".into()],
            serial: Some("S 1+2&3;4%5".into()),
            hostname: Some("h1".into()),
            firmware: Firmware::UefiHttp,
            labels: [label("region", "a b&c=d"), label("domain", "lab.example")].into(),
            ..Machine::default()
        },
        Machine {
            name: "s1".into(),
            uuid: Some("16e7d8a7-bfa9-428b-9117-363341bb330b".into()),
            serial: Some("S1".into()),
            labels: [label("os", "installed")].into(),
            ..Machine::default()
        },
    ]);
    inventory
}

/// Numbers of compared answers.
struct Answers {
    served: usize,
    refused: usize,
    /// Those to requests for files of NoCloud seeds.
    seed_files: usize,
}

/// Asks the server everything that is planned for a directory.
async fn compare(directory: &Path, list: Option<&Path>) -> Answers {
    let (catalog, _) = DataDir::open(Source::of(directory), None).unwrap();
    let inventory = match list {
        Some(list) => read::read(list).unwrap(),
        None => machines(&catalog),
    };
    let planned = plan(&catalog.snapshot(), &inventory);
    if let Some(list) = list {
        let failing: Vec<_> = planned.failing().collect();
        assert!(failing.is_empty(), "{}: {failing:?}", list.display());
    }
    let address = serve(catalog);
    let (mut served_count, mut refused_count, mut seed_count) = (0, 0, 0);
    for machine in &planned.machines {
        let mut wanted: Vec<(&str, (u16, String))> = Vec::new();
        match &machine.outcome {
            Err(why) => wanted.push((&machine.request, refused(&why.reason))),
            Ok(booted) => {
                assert_eq!(booted.script.request, machine.request);
                wanted.push((&machine.request, served(&booted.script)));
                for config in &booted.configs {
                    let answer = match &config.served {
                        Ok(document) => served(document),
                        Err(refusal) => refused(&refusal.reason),
                    };
                    wanted.push((&config.request, answer));
                }
                for planned in booted.seed.iter().flat_map(|seed| &seed.files) {
                    let answer = match &planned.served {
                        Ok(document) => served(document),
                        Err(refusal) => refused(&refusal.reason),
                    };
                    seed_count += 1;
                    wanted.push((&planned.request, answer));
                }
            }
        }
        for (target, wanted) in wanted {
            match wanted.0 {
                200 => served_count += 1,
                _ => refused_count += 1,
            }
            let got = get(address, target).await;
            assert_eq!(
                got,
                wanted,
                "{}: {} {target}",
                directory.display(),
                machine.name
            );
        }
    }
    Answers {
        served: served_count,
        refused: refused_count,
        seed_files: seed_count,
    }
}

#[tokio::test]
async fn every_planned_byte_is_what_the_server_serves() {
    let recorded = repository().join("boot-server/tests/conformance/http");
    let folders = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap();
        let folders = entries.map(|entry| entry.unwrap().path());
        folders.filter(|path| path.join("data").is_dir()).collect()
    };
    let scenarios = folders(&repository().join("scenarios"));
    let racks = folders(&repository().join("scenarios/rollout"));
    assert!(
        scenarios.len() >= 4 && racks.len() >= 6,
        "{scenarios:?} {racks:?}"
    );
    let (mut served, mut refused, mut seed_files) = (0, 0, 0);
    let mut count = |more: Answers| {
        served += more.served;
        refused += more.refused;
        seed_files += more.seed_files;
    };
    for rack in ["bootcfg-rack", "matchbox-rack"] {
        count(compare(&recorded.join(rack), None).await);
    }
    for folder in &scenarios {
        count(compare(&folder.join("data"), None).await);
    }
    for folder in &racks {
        let list = ["toml", "yaml", "json", "csv"]
            .map(|extension| folder.join("machines").with_extension(extension))
            .into_iter()
            .find(|list| list.exists());
        assert!(list.is_some(), "{} has no list", folder.display());
        count(compare(&folder.join("data"), list.as_deref()).await);
        count(compare(&folder.join("data"), None).await);
    }
    assert!(
        served >= 100 && refused >= 5 && seed_files >= 32,
        "{served} served, {refused} refused, {seed_files} files of seeds"
    );
}

/// Serves a directory until the test ends.
fn serve(catalog: DataDir) -> SocketAddr {
    let (sink, events) = EventSink::channel();
    let router = router(
        Arc::new(catalog),
        None::<PathBuf>,
        Neighbours::default(),
        sink,
    );
    let server = HttpServer::bind(([127, 0, 0, 1], 0).into(), router).unwrap();
    let address = server.local_addr().unwrap();
    tokio::spawn(async move {
        // Somebody may listen as long as it serves.
        let _events = events;
        server.serve(std::future::pending()).await
    });
    address
}

/// The first script is the server's own: filled in by hand, it is what machines are planned to ask.
#[tokio::test]
async fn a_machine_asks_what_the_first_script_of_the_server_says() {
    let directory = repository().join("scenarios/ipxe-chainload/data");
    let (catalog, _) = DataDir::open(Source::of(directory), None).unwrap();
    let inventory = machines(&catalog);
    let planned = plan(&catalog.snapshot(), &inventory);
    let address = serve(catalog);
    let (_, script) = get(address, "/boot.ipxe?platform=pcbios").await;
    let url = script
        .lines()
        .nth(1)
        .unwrap()
        .strip_prefix("chain ")
        .unwrap();
    let mac = "52-54-00-99-99-99";
    let filled = url
        .replace("${net0/mac:hexhyp}", mac)
        .replace("${uuid}", "")
        .replace("${domain}", "")
        .replace("${hostname}", "")
        .replace("${serial}", "")
        .replace("${buildarch:uristring}", "");
    assert_eq!(
        planned.machine("unknown").unwrap().request,
        format!("/{filled}")
    );
    assert!(planned.machines.iter().any(|machine| {
        let booted = machine.outcome.as_ref().ok();
        let configs = booted.iter().flat_map(|booted| &booted.configs);
        configs
            .into_iter()
            .any(|config| config.asked == Asked::ByKernelOption)
    }));
}
