//! 64 MB by TFTP: 1 and 16 clients, two block sizes, with and without windows.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;

use crate::Bench;
use crate::cable::SERVERS;
use crate::limits::Limits;
use crate::server::Server;
use crate::table::{Better, Row, Section, turns};
use crate::tftp_client::{Ask, fetch_all};

const WHOLE: &str = "image";
/// Name of the file that each of many clients fetches block by block, where the whole file would take minutes.
const PART: &str = "part";
/// Number of concurrent clients.
const MANY: usize = 16;
const WHOLE_BYTES: usize = 64 * 1000 * 1000;
const PART_BYTES: usize = 16 * 1000 * 1000;

type Servers = Vec<(&'static str, SocketAddr, Server)>;

/// Returns all rows of the comparison.
pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Section> {
    let folder = bench.folder.path().join("tftp");
    std::fs::create_dir(&folder)?;
    let whole: Vec<u8> = (0..WHOLE_BYTES / 4)
        .flat_map(|n| (n as u32).wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let part = &whole[..PART_BYTES];
    std::fs::write(folder.join(WHOLE), &whole)?;
    std::fs::write(folder.join(PART), part)?;
    let servers = start_servers(bench, &folder)?;
    let limits = Limits::start(bench)?;
    let mut rows = Vec::new();
    for clients in [1, MANY] {
        for block_size in [512, 1428] {
            for window in [1, 16] {
                let name =
                    format!("{clients} client(s), blksize {block_size}, windowsize {window}");
                if !bench.wants(&name) {
                    continue;
                }
                let (file, bytes) = match (clients, window) {
                    (MANY, 1) => (PART, part),
                    _ => (WHOLE, &whole[..]),
                };
                let ask = Ask {
                    file,
                    bytes,
                    block_size,
                    window,
                    spin: clients == 1,
                };
                let short = Ask {
                    file: PART,
                    bytes: part,
                    ..ask
                };
                rows.push(row(bench, name, clients, [short, ask], &servers, &limits)?);
            }
        }
    }
    Ok(Section {
        title: "TFTP: 64 MB, megabytes a second over all clients".into(),
        note: format!(
            "Our own client, which compares each byte. With windowsize 1 {MANY} clients fetch {} MB each, else \
             each fetches 64. With windowsize 1 the physical limit is the round trips of a \
             bare UDP echo with as many clients, times the block size; with windows it is a TCP copy of as many \
             bytes over the same cable.",
            PART_BYTES / 1_000_000
        ),
        servers: servers
            .iter()
            .map(|(name, ..)| (*name).to_owned())
            .collect(),
        better: Better::More,
        target: Some(1.0),
        rows,
    })
}

/// A row; a round of `short` warms up for those of `ask`.
fn row(
    bench: &Bench,
    name: String,
    clients: usize,
    [short, ask]: [Ask<'_>; 2],
    servers: &Servers,
    limits: &Limits,
) -> anyhow::Result<Row> {
    let mut values = vec![Vec::new(); servers.len()];
    let mut remarks: Vec<String> = Vec::new();
    let mut out_of_race = vec![false; servers.len()];
    for round in 0..=bench.repeats {
        let asked = if round == 0 { short } else { ask };
        for n in turns(round, servers.len()) {
            let (server, address, _) = &servers[n];
            if out_of_race[n] {
                continue;
            }
            match fetch_all(*address, clients, asked) {
                Ok(seconds) if round > 0 => {
                    let speed = (ask.bytes.len() * clients) as f64 / 1e6 / seconds;
                    eprintln!("tftp: {name}: {server}: {speed:.1} MB/s");
                    values[n].push(speed);
                }
                Ok(_) => {}
                // A failure of boot-server is an error; a failure of another server is reported once.
                Err(error) if n > 0 => {
                    out_of_race[n] = true;
                    values[n].clear();
                    remarks.push(format!("{server}: {error}"));
                }
                Err(error) => return Err(error.context(format!("{server}: {name}"))),
            }
        }
    }
    let limit = match ask.window {
        1 => {
            let block = u32::from(ask.block_size);
            let round_trips = match clients {
                1 => limits.round_trips_per_second(block + 4)?,
                _ => limits.round_trips_of_many(block + 4, u32::try_from(clients)?)?,
            };
            round_trips * f64::from(block) / 1e6
        }
        _ => limits.copy_mb_per_second(ask.bytes.len() as u64, clients as u64)?,
    };
    Ok(Row {
        name,
        values,
        limit: Some(limit),
        remark: remarks.join("; "),
        ..Row::default()
    })
}

fn start_servers(bench: &Bench, folder: &Path) -> anyhow::Result<Servers> {
    let port = |address: Ipv4Addr| SocketAddr::from((address, 69));
    let [ours, dnsmasq, hpa, atftpd] = SERVERS;
    let config = bench.folder.path().join("tftp.toml");
    std::fs::write(
        &config,
        format!(
            "interface = \"srv\"\naddress = \"{ours}\"\nevents = \"/dev/null\"\n\
             [tftp]\nroots = [{folder:?}]\n"
        ),
    )?;
    let root = folder.to_str().context("a folder with a plain name")?;
    let mut commands: Vec<(&'static str, Ipv4Addr, Command)> = Vec::new();
    let mut command = bench.cable.command(&bench.boot_server);
    command.arg("--config").arg(&config);
    commands.push(("boot-server", ours, command));
    let mut command = bench.cable.command("dnsmasq");
    command.args([
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--port=0",
        "--enable-tftp",
        "--bind-interfaces",
        "--user=root",
        "--pid-file=",
        "--tftp-max=100",
        "--log-facility=/dev/null",
        &format!("--tftp-root={root}"),
        &format!("--listen-address={dnsmasq}"),
    ]);
    commands.push(("dnsmasq", dnsmasq, command));
    let mut command = bench.cable.command("in.tftpd");
    command.args([
        "-L",
        "--user",
        "root",
        "--address",
        &format!("{hpa}:69"),
        "--secure",
        root,
    ]);
    commands.push(("tftpd-hpa", hpa, command));
    let mut command = bench.cable.command(bench.peers.join("usr/sbin/atftpd"));
    command.args(["--daemon", "--no-fork", "--user", "root", "--group", "root"]);
    command.args([
        "--logfile",
        "/dev/null",
        "--verbose=0",
        "--maxthread",
        "100",
    ]);
    command.args(["--bind-address", &atftpd.to_string(), "--port", "69", root]);
    commands.push(("atftpd", atftpd, command));
    let mut servers = Vec::new();
    for (name, address, command) in commands {
        let mut server = Server::start(command, bench.folder.path(), name)?;
        server
            .wait_until(|_| answers(port(address)))
            .with_context(|| name)?;
        servers.push((name, port(address), server));
    }
    Ok(servers)
}

/// True if a server answers a request for a missing file.
fn answers(server: SocketAddr) -> bool {
    let Ok(socket) = UdpSocket::bind("0.0.0.0:0") else {
        return false;
    };
    let patience = socket.set_read_timeout(Some(Duration::from_millis(200)));
    let asked = socket.send_to(b"\0\x01none\0octet\0", server);
    patience.is_ok() && asked.is_ok() && socket.recv(&mut [0; 600]).is_ok()
}
