//! Address exchanges (Discover, Offer, Request, Ack) beside dnsmasq and Kea, leases kept on disk.
//!
//! perfdhcp plays a relay agent and thousands of clients. A rate counts when under 1 % of it is lost.
//! perfdhcp fills a processor near 9,600 exchanges a second, so a server's processor time for each
//! exchange is told beside the rate.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::Bench;
use crate::cable::SERVERS;
use crate::server::Server;
use crate::table::{Better, Row, Section, median};

const CLIENTS: [u32; 3] = [1_000, 10_000, 50_000];
/// Rates that are tried, from above: the first that holds counts.
const RATES: [u32; 12] = [
    16_000, 12_000, 10_000, 8_000, 6_500, 5_000, 4_000, 3_000, 2_000, 1_000, 500, 250,
];
/// Exchanges that may be lost.
const MAX_LOST: f64 = 0.01;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ours,
    Dnsmasq,
    Kea,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Ours, Kind::Dnsmasq, Kind::Kea];

    fn name(self) -> &'static str {
        match self {
            Kind::Ours => "boot-server",
            Kind::Dnsmasq => "dnsmasq",
            Kind::Kea => "kea-dhcp4",
        }
    }
}

/// What a run at one rate came to.
struct Run {
    /// Whole exchanges a second.
    rate: f64,
    /// The share of messages that were not answered.
    lost: f64,
    /// Microseconds of processor time for each exchange.
    cpu_us: f64,
}

/// Rate and processor time.
pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Vec<Section>> {
    let names: Vec<String> = Kind::ALL.map(|kind| kind.name().to_owned()).to_vec();
    let (mut rates, mut cpu) = (Vec::new(), Vec::new());
    for clients in CLIENTS {
        let name = format!("{clients} clients");
        if !bench.wants(&name) {
            continue;
        }
        let mut best = vec![Vec::new(); 3];
        let mut cost = vec![Vec::new(); 3];
        // Where the search for a rate starts: where it ended the last time, and one above.
        let mut from = [0; 3];
        for _ in 0..bench.repeats {
            for (n, kind) in Kind::ALL.into_iter().enumerate() {
                let (at, run) = highest_rate(bench, kind, clients, from[n])?;
                eprintln!(
                    "dhcp: {name}: {}: {:.0}/s, {:.1} % lost, {:.0} µs each",
                    kind.name(),
                    run.rate,
                    run.lost * 100.0,
                    run.cpu_us
                );
                from[n] = at.saturating_sub(1);
                best[n].push(run.rate);
                cost[n].push(run.cpu_us);
            }
        }
        let row = |values: Vec<Vec<f64>>| Row {
            name: name.clone(),
            values,
            limit: None,
            remark: String::new(),
        };
        rates.push(row(best));
        cpu.push(row(cost));
    }
    let flat = |rows: &[Row]| {
        let ours = |row: &Row| row.values.first().and_then(|values| median(values));
        let (first, last) = (ours(rows.first()?)?, ours(rows.last()?)?);
        Some(format!("{:.2}", last / first))
    };
    let flat = flat(&cpu).unwrap_or_else(|| "–".into());
    Ok(vec![
        Section {
            title: "DHCP: exchanges of four messages a second, under 1 % lost".into(),
            note: "perfdhcp as relay agent; leases are kept on disk by all. perfdhcp itself ends near 9,600/s on \
                   this kind of machine."
                .into(),
            servers: names.clone(),
            better: Better::More,
            rows: rates,
        },
        Section {
            title: "DHCP: the server's processor time for each exchange, µs".into(),
            note: format!(
                "Of the same runs. Less is better. Ours at the most clients is {flat} × ours at the fewest."
            ),
            servers: names,
            better: Better::Less,
            rows: cpu,
        },
    ])
}

/// The highest rate that holds, and its place among [`RATES`].
fn highest_rate(
    bench: &Bench,
    kind: Kind,
    clients: u32,
    from: usize,
) -> anyhow::Result<(usize, Run)> {
    let mut last = None;
    for (n, rate) in RATES.into_iter().enumerate().skip(from) {
        let run = run(bench, kind, clients, rate)?;
        if run.lost < MAX_LOST {
            return Ok((n, run));
        }
        last = Some((n, run));
    }
    // None held: what the lowest came to, which says enough.
    last.context("no rates")
}

fn run(bench: &Bench, kind: Kind, clients: u32, rate: u32) -> anyhow::Result<Run> {
    let folder = tempfile::tempdir_in(bench.folder.path())?;
    let server = start(bench, kind, folder.path())?;
    let before = server.cpu_seconds()?;
    let output = Command::new("perfdhcp")
        .args([
            "-4",
            "-l",
            "cli",
            "-r",
            &rate.to_string(),
            "-R",
            &clients.to_string(),
        ])
        .args(["-p", &bench.seconds.to_string(), "-W", "500000", "-u"])
        .arg(SERVERS[0].to_string())
        .stdin(Stdio::null())
        .output()
        .context("perfdhcp")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let counts = Counts::parse(&text).with_context(|| {
        format!(
            "perfdhcp: {}\n{text}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )
    })?;
    if counts.acks == 0 {
        bail!("{} answers nothing: {}", kind.name(), server.last_words());
    }
    let cpu = server.cpu_seconds()? - before;
    Ok(Run {
        rate: counts.acks as f64 / bench.seconds as f64,
        lost: 1.0 - counts.acks as f64 / counts.discovers as f64,
        cpu_us: cpu * 1e6 / counts.acks as f64,
    })
}

/// perfdhcp's counts of messages.
#[derive(Debug, PartialEq, Eq)]
struct Counts {
    discovers: u64,
    acks: u64,
}

impl Counts {
    fn parse(text: &str) -> anyhow::Result<Counts> {
        let counts = |word: &str| -> anyhow::Result<Vec<u64>> {
            let lines = text.lines().filter_map(|line| line.strip_prefix(word));
            let numbers = lines.map(|rest| Ok(rest.trim().parse::<u64>()?));
            numbers.collect()
        };
        let (sent, received) = (counts("sent packets:")?, counts("received packets:")?);
        let ([discovers, _], [_, acks]) = (&sent[..], &received[..]) else {
            bail!("no counts of two exchanges");
        };
        Ok(Counts {
            discovers: *discovers,
            acks: *acks,
        })
    }
}

fn start(bench: &Bench, kind: Kind, folder: &Path) -> anyhow::Result<Server> {
    let address = SERVERS[0];
    let (command, ready) = match kind {
        Kind::Ours => {
            let config = folder.join("boot-server.toml");
            let leases = folder.join("leases");
            let text = format!(
                "interface = \"srv\"\naddress = \"{address}\"\nevents = \"/dev/null\"\n\
                 [boot]\nscript_url = \"http://{address}/boot.ipxe\"\n[dhcp]\n\
                 subnet = \"10.77.0.0/16\"\nfirst = \"10.77.1.0\"\nlast = \"10.77.254.255\"\n\
                 lease_file = {leases:?}\nprobe_ms = 0\n"
            );
            std::fs::write(&config, text)?;
            let mut command = bench.cable.command(&bench.boot_server);
            command.env("BOOT_SERVER_LOG", "warn");
            command.arg("--config").arg(&config);
            (command, None)
        }
        Kind::Dnsmasq => {
            let mut command = bench.cable.command("dnsmasq");
            command.args([
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                "--port=0",
                "--interface=srv",
                "--bind-dynamic",
                "--user=root",
                "--pid-file=",
                "--log-facility=-",
                "--quiet-dhcp",
                "--no-ping",
                "--dhcp-authoritative",
                "--dhcp-lease-max=200000",
                "--dhcp-range=10.77.1.0,10.77.254.255,255.255.0.0,1h",
                &format!("--dhcp-leasefile={}", folder.join("leases").display()),
            ]);
            (command, Some("DHCP, IP range"))
        }
        Kind::Kea => {
            let config = folder.join("kea.json");
            let leases = folder.join("leases.csv");
            let text = format!(
                r#"{{"Dhcp4":{{"interfaces-config":{{"interfaces":["srv/{address}"],"dhcp-socket-type":"udp"}},
                "lease-database":{{"type":"memfile","persist":true,"lfc-interval":0,"name":{leases:?}}},
                "valid-lifetime":3600,
                "subnet4":[{{"subnet":"10.77.0.0/16","pools":[{{"pool":"10.77.1.0-10.77.254.255"}}]}}],
                "loggers":[{{"name":"kea-dhcp4","severity":"INFO","output_options":[{{"output":"stdout"}}]}},
                {{"name":"kea-dhcp4.leases","severity":"WARN"}},{{"name":"kea-dhcp4.packets","severity":"WARN"}}]}}}}"#
            );
            std::fs::write(&config, text)?;
            let mut command = bench.cable.command("kea-dhcp4");
            command
                .env("KEA_PIDFILE_DIR", folder)
                .env("KEA_LOCKFILE_DIR", folder);
            command.arg("-c").arg(&config);
            (command, Some("DHCP4_STARTED"))
        }
    };
    let mut server = Server::start(command, folder, kind.name())?;
    let events = folder.join("boot-server.log");
    server.wait_until(|log| match ready {
        Some(word) => log.contains(word),
        // Our own says it in its log at the level `info`: its socket is what shows here.
        None => events.exists() && bound(&bench.cable),
    })?;
    Ok(server)
}

/// Whether port 67 is bound at the far end.
fn bound(cable: &crate::cable::Cable) -> bool {
    let listed = cable
        .command("ss")
        .args(["-Hlnu", "sport", "=", ":67"])
        .output();
    listed.is_ok_and(|listed| !listed.stdout.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn perfdhcps_counts_are_read() {
        let text = "***Rate statistics***\nRate: 100 4-way exchanges/second\n\n\
                    ***Statistics for: DISCOVER-OFFER***\nsent packets: 200\nreceived packets: 198\n\
                    drops: 2\n\n***Statistics for: REQUEST-ACK***\nsent packets: 198\n\
                    received packets: 197\ndrops: 1\n";
        assert_eq!(
            Counts::parse(text).unwrap(),
            Counts {
                discovers: 200,
                acks: 197
            }
        );
        assert!(Counts::parse("sent packets: 1\n").is_err());
    }
}
