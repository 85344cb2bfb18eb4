//! `/ipxe?mac=` with more and more groups: requests a second, the slowest hundredth, memory.

use std::fmt::Write;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, bail};

use crate::Bench;
use crate::cable::SERVERS;
use crate::server::Server;
use crate::table::{Better, Row, Section, median};

const GROUPS: [u32; 3] = [10, 1_000, 100_000];
const CONNECTIONS: u32 = 32;

/// All rows.
pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Section> {
    let mut rows = Vec::new();
    let mut first = None;
    for groups in GROUPS {
        let name = format!("{groups} groups");
        if !bench.wants(&name) {
            continue;
        }
        let (address, server) = start(bench, groups)?;
        let script = bench.folder.path().join("ask.lua");
        std::fs::write(&script, lua(groups))?;
        let (mut rates, mut p99) = (Vec::new(), Vec::new());
        for _ in 0..bench.repeats {
            let (rate, slowest) = ask(bench, address, &script)?;
            eprintln!("config: {name}: {rate:.0} requests/s, p99 {slowest:.2} ms");
            rates.push(rate);
            p99.push(slowest);
        }
        let rate = median(&rates).unwrap_or(0.0);
        let first = *first.get_or_insert(rate);
        rows.push(Row {
            name,
            values: vec![rates],
            limit: None,
            remark: format!(
                "p99 {:.2} ms, {:.1} MiB resident, {:.2} × the first row",
                median(&p99).unwrap_or(0.0),
                server.resident_mib()?,
                rate / first
            ),
        });
    }
    Ok(Section {
        title: "Boot config service: `/ipxe?mac=`, requests a second".into(),
        note: format!(
            "Each request asks for another machine, over {CONNECTIONS} connections (wrk). The load generator \
             shares the processors."
        ),
        servers: vec!["boot-server".into()],
        better: Better::More,
        rows,
    })
}

fn start(bench: &Bench, groups: u32) -> anyhow::Result<(SocketAddr, Server)> {
    let address = SocketAddr::from((SERVERS[0], 8081));
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
    let text =
        format!("events = \"/dev/null\"\n[http]\nlisten = \"{address}\"\ndata = {folder:?}\n");
    std::fs::write(&config, text)?;
    let mut command = bench.cable.command(&bench.boot_server);
    command.arg("--config").arg(&config);
    let mut server = Server::start(command, &folder, "boot-server")?;
    server.wait_for_port(address)?;
    Ok((address, server))
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

/// Requests a second and the 99th percentile in milliseconds.
fn ask(bench: &Bench, address: SocketAddr, script: &std::path::Path) -> anyhow::Result<(f64, f64)> {
    let output = Command::new("wrk")
        .args([
            "-t1",
            &format!("-c{CONNECTIONS}"),
            &format!("-d{}s", bench.seconds),
            "--latency",
        ])
        .arg("-s")
        .arg(script)
        .arg(format!("http://{address}/"))
        .output()
        .context("wrk")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() || text.contains("Non-2xx") {
        bail!(
            "wrk: {}\n{text}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let after = |word: &str| {
        let line = text
            .lines()
            .find(|line| line.trim_start().starts_with(word));
        let value = line.and_then(|line| line.split_whitespace().last());
        value
            .map(str::to_owned)
            .with_context(|| format!("wrk told no `{word}`:\n{text}"))
    };
    Ok((
        after("Requests/sec:")?.parse()?,
        milliseconds(&after("99%")?)?,
    ))
}

/// Reads wrk's times: `812.00us`, `1.35ms`, `1.02s`.
fn milliseconds(text: &str) -> anyhow::Result<f64> {
    for (unit, factor) in [("us", 0.001), ("ms", 1.0), ("s", 1000.0)] {
        if let Some(number) = text.strip_suffix(unit) {
            return Ok(number.parse::<f64>()? * factor);
        }
    }
    bail!("`{text}` is no time")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_all_sizes_are_milliseconds() {
        let read = |text| milliseconds(text).map_err(|error| error.to_string());
        assert_eq!(read("812.00us"), Ok(0.812));
        assert_eq!(read("1.35ms"), Ok(1.35));
        assert_eq!(read("1.02s"), Ok(1020.0));
        assert!(read("fast").is_err());
    }

    #[test]
    fn each_machine_has_a_mac_of_its_own() {
        assert_eq!(mac(0x0102_0304, "-"), "52-54-01-02-03-04");
    }
}
