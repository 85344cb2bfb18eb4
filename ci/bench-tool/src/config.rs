//! `/ipxe?mac=` with more and more groups: requests a second, the slowest hundredth, memory, and how
//! long it takes to load them.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, ensure};

use crate::Bench;
use crate::cable::SERVERS;
use crate::server::Server;
use crate::table::{Better, Row, Section, median, turns};
use crate::wrk;

/// In the order of the rows: the others are compared with the first.
const GROUPS: [u32; 3] = [10, 1_000, 100_000];
const CONNECTIONS: u32 = 32;
/// Requests with any number of groups, of those with the fewest.
const MIN_KEPT: f64 = 0.8;
/// Resident memory with so many groups.
const MAX_RESIDENT: (u32, f64) = (1_000, 16.0);
/// Time limit for loading any number of groups, in seconds.
const MAX_LOAD_SECONDS: f64 = 20.0;

/// A server with its groups, and what was measured of it.
struct Loaded {
    groups: u32,
    name: String,
    address: SocketAddr,
    /// Lua script with the requests for wrk.
    script: PathBuf,
    server: Server,
    load_seconds: f64,
    runs: Vec<wrk::Run>,
}

/// Returns all rows.
pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Section> {
    let mut all = Vec::new();
    for (groups, port) in GROUPS.into_iter().zip(8081..) {
        let name = format!("{groups} groups");
        if bench.wants(&name) {
            let address = SocketAddr::from((SERVERS[0], port));
            let loaded = start(bench, groups, name, address)?;
            check_answers(address, groups)?;
            // Warms up what is not measured.
            wrk::run(address, &loaded.script, CONNECTIONS, 1)?;
            all.push(loaded);
        }
    }
    for round in 0..bench.repeats {
        for n in turns(round, all.len()) {
            let loaded = &mut all[n];
            let run = wrk::run(loaded.address, &loaded.script, CONNECTIONS, bench.seconds)?;
            eprintln!(
                "config: {}: {:.0} requests/s, p99 {:.2} ms",
                loaded.name, run.rate, run.p99_ms
            );
            loaded.runs.push(run);
        }
    }
    let rate = |loaded: &Loaded| median(&loaded.rates()).unwrap_or(0.0);
    let first = all.first().map_or(0.0, rate);
    let mut rows = Vec::new();
    for loaded in all {
        let kept = rate(&loaded) / first;
        let p99: Vec<f64> = loaded.runs.iter().map(|run| run.p99_ms).collect();
        let resident = loaded.server.resident_mib()?;
        let fits = loaded.groups != MAX_RESIDENT.0 || resident <= MAX_RESIDENT.1;
        rows.push(Row {
            values: vec![loaded.rates()],
            limit: Some(constant_answers(bench, &loaded.script)?),
            met: Some(fits && kept >= MIN_KEPT && loaded.load_seconds < MAX_LOAD_SECONDS),
            remark: format!(
                "p99 {:.2} ms, {resident:.1} MiB resident, loaded in {:.2} s, {kept:.2} × the first row",
                median(&p99).unwrap_or(0.0),
                loaded.load_seconds,
            ),
            name: loaded.name,
        });
    }
    Ok(Section {
        title: "Boot config service: `/ipxe?mac=`, requests a second".into(),
        note: format!(
            "Each request asks for another machine, over {CONNECTIONS} connections (wrk, one thread). Targets: \
             at least {MIN_KEPT} × the first row, at most {} MiB resident with {} groups, loaded within \
             {MAX_LOAD_SECONDS} s. The limit is nginx answering the same requests with a constant.",
            MAX_RESIDENT.1, MAX_RESIDENT.0
        ),
        servers: vec!["boot-server".into()],
        better: Better::More,
        target: None,
        rows,
    })
}

impl Loaded {
    fn rates(&self) -> Vec<f64> {
        self.runs.iter().map(|run| run.rate).collect()
    }
}

fn start(bench: &Bench, groups: u32, name: String, address: SocketAddr) -> anyhow::Result<Loaded> {
    let folder = bench.folder.path().join(format!("groups-{groups}"));
    let spec = folder.join("specs/machine");
    std::fs::create_dir_all(&spec)?;
    std::fs::write(
        spec.join("spec.json"),
        r#"{"id":"machine","boot":{"kernel":"/assets/vmlinuz","initrd":["/assets/initrd"],
            "cmdline":{"cloud-config-url":"http://x/cloud?mac=${net0/mac:hexhyp}","console":"ttyS0"}}}"#,
    )?;
    let mut text = String::from("api_version: v1alpha1\ngroups:\n");
    for n in 0..groups {
        let mac = mac(n, ":");
        writeln!(
            text,
            "  - name: machine{n}\n    spec: machine\n    require:\n      mac: {mac}"
        )?;
    }
    std::fs::write(folder.join("config.yaml"), text)?;
    let config = folder.join("boot-server.toml");
    let text = format!(
        "events = \"/dev/null\"\n[log]\nlevel = \"warn\"\n[http]\nlisten = \"{address}\"\ndata = {folder:?}\n"
    );
    std::fs::write(&config, text)?;
    let mut command = bench.cable.command(&bench.boot_server);
    command.arg("--config").arg(&config);
    let began = Instant::now();
    let mut server = Server::start(command, &folder, "boot-server")?;
    server.wait_for_port(address)?;
    let load_seconds = began.elapsed().as_secs_f64();
    let script = folder.join("ask.lua");
    std::fs::write(&script, lua(groups))?;
    Ok(Loaded {
        groups,
        name,
        address,
        script,
        server,
        load_seconds,
        runs: Vec::new(),
    })
}

/// The first and the last machine get their script, one that is in no group gets none.
fn check_answers(address: SocketAddr, groups: u32) -> anyhow::Result<()> {
    for n in [0, groups - 1] {
        let answer = get(address, n)?;
        let right =
            answer.starts_with("HTTP/1.1 200 ") && answer.contains("kernel /assets/vmlinuz");
        ensure!(right, "machine {n} of {groups} got:\n{answer}");
    }
    let answer = get(address, groups)?;
    ensure!(
        answer.starts_with("HTTP/1.1 404 "),
        "a machine of no group got:\n{answer}"
    );
    Ok(())
}

fn get(address: SocketAddr, machine: u32) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    let mac = mac(machine, "-");
    write!(
        stream,
        "GET /ipxe?mac={mac} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .context("reading a script")?;
    Ok(answer)
}

/// Requests a second of a server that answers anything with the same few bytes.
fn constant_answers(bench: &Bench, script: &Path) -> anyhow::Result<f64> {
    let address = SocketAddr::from((SERVERS[1], 8081));
    let folder = bench.folder.path();
    let text = crate::http::nginx_config(
        folder,
        &format!("listen {address}; return 200 '{}';", "x".repeat(200)),
    );
    let config = folder.join("constant.conf");
    std::fs::write(&config, text)?;
    let mut command = bench.cable.command("nginx");
    command.arg("-c").arg(&config);
    let mut server = Server::start(command, folder, "nginx")?;
    server.wait_for_port(address)?;
    wrk::run(address, script, CONNECTIONS, 1)?;
    Ok(wrk::run(address, script, CONNECTIONS, bench.seconds)?.rate)
}

fn mac(n: u32, between: &str) -> String {
    let [a, b, c, d] = n.to_be_bytes();
    [0x52, 0x54, a, b, c, d]
        .map(|byte| format!("{byte:02x}"))
        .join(between)
}

/// Asks for every machine in turn, by strides so that neighbours in the file are not neighbours here.
fn lua(groups: u32) -> String {
    format!(
        "local n = 0\nrequest = function()\n  n = (n + 7919) % {groups}\n  return wrk.format('GET', \
         string.format('/ipxe?mac=52-54-%02x-%02x-%02x-%02x', math.floor(n / 16777216) % 256, \
         math.floor(n / 65536) % 256, math.floor(n / 256) % 256, n % 256))\nend\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_machine_has_a_mac_of_its_own() {
        assert_eq!(mac(0x0102_0304, "-"), "52-54-01-02-03-04");
    }
}
