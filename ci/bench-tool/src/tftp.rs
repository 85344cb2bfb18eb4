//! A file of 64 MB by TFTP: 1 and 16 clients, two block sizes, with and without windows.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use crate::Bench;
use crate::cable::SERVERS;
use crate::limits::Limits;
use crate::server::Server;
use crate::table::{Better, Row, Section};

const FILE: &str = "image";
const FILE_BYTES: usize = 64 * 1000 * 1000;
/// Clients give a server up after so long without a packet.
const PATIENCE: Duration = Duration::from_secs(10);
/// An acknowledgement is sent again after this.
const REPEAT: Duration = Duration::from_millis(500);

/// A fetch as a client asks for it.
#[derive(Clone, Copy)]
struct Ask {
    block_size: u16,
    window: u16,
    /// Waits for packets without sleeping; for a client that has a processor of its own.
    spin: bool,
}

/// All rows of the comparison.
pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Section> {
    let folder = bench.folder.path().join("tftp");
    std::fs::create_dir(&folder)?;
    let file: Vec<u8> = (0..FILE_BYTES / 4)
        .flat_map(|n| (n as u32).wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    std::fs::write(folder.join(FILE), &file)?;
    let servers = start_servers(bench, &folder)?;
    let limits = Limits::start(bench)?;
    let mut rows = Vec::new();
    for clients in [1_usize, 16] {
        for block_size in [512, 1428] {
            for window in [1, 16] {
                let name =
                    format!("{clients} client(s), blksize {block_size}, windowsize {window}");
                if !bench.wants(&name) {
                    continue;
                }
                let ask = Ask {
                    block_size,
                    window,
                    spin: clients == 1,
                };
                rows.push(row(bench, name, clients, ask, &servers, &file, &limits)?);
            }
        }
    }
    Ok(Section {
        title: "TFTP: 64 MB, megabytes a second over all clients".into(),
        note: "Our own client, which compares each byte. With windowsize 1 the physical limit is a bare UDP \
               echo's round trips times the block size, for one client; with windows it is a TCP copy of as \
               many bytes over the same cable."
            .into(),
        servers: servers.iter().map(|(name, ..)| (*name).to_owned()).collect(),
        better: Better::More,
        rows,
    })
}

fn row(
    bench: &Bench,
    name: String,
    clients: usize,
    ask: Ask,
    servers: &[(&'static str, SocketAddr, Server)],
    file: &[u8],
    limits: &Limits,
) -> anyhow::Result<Row> {
    let mut values = vec![Vec::new(); servers.len()];
    let mut remarks: Vec<String> = Vec::new();
    let mut out_of_race = vec![false; servers.len()];
    for _ in 0..bench.repeats {
        for (n, (server, address, _)) in servers.iter().enumerate() {
            if out_of_race[n] {
                continue;
            }
            match fetch_all(*address, clients, ask, file) {
                Ok(seconds) => {
                    let speed = (file.len() * clients) as f64 / 1e6 / seconds;
                    eprintln!("tftp: {name}: {server}: {speed:.1} MB/s");
                    values[n].push(speed);
                }
                // Ours has to do it; of another it is told, once.
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
            limits.round_trips_per_second(block + 4)? * f64::from(block) / 1e6
        }
        _ => limits.copy_mb_per_second(file.len() as u64, clients as u64)?,
    };
    Ok(Row {
        name,
        values,
        limit: Some(limit),
        remark: remarks.join("; "),
    })
}

/// Seconds that all clients together take.
fn fetch_all(server: SocketAddr, clients: usize, ask: Ask, file: &[u8]) -> anyhow::Result<f64> {
    let start = Instant::now();
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..clients)
            .map(|_| scope.spawn(move || fetch(server, ask, file)))
            .collect();
        all.into_iter()
            .try_for_each(|one| one.join().ok().context("a client ended early")?)
    })?;
    Ok(start.elapsed().as_secs_f64())
}

fn fetch(server: SocketAddr, ask: Ask, file: &[u8]) -> anyhow::Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    let mut request = format!("\0\u{1}{FILE}\0octet\0blksize\0{}\0", ask.block_size);
    if ask.window > 1 {
        request.push_str(&format!("windowsize\0{}\0", ask.window));
    }
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send_to(request.as_bytes(), server)?;
    let mut buffer = vec![0; 65_536];
    let (len, peer) = socket
        .recv_from(&mut buffer)
        .context("no answer to the request")?;
    socket.connect(peer)?;
    let granted = String::from_utf8_lossy(&buffer[..len]).into_owned();
    ensure!(buffer[1] == 6, "no options granted: {granted:?}");
    ensure!(
        granted.contains(&format!("blksize\0{}\0", ask.block_size)),
        "another block size: {granted:?}"
    );
    if ask.window > 1 && !granted.contains(&format!("windowsize\0{}\0", ask.window)) {
        let _ = socket.send(b"\0\x05\0\x08windows are what is measured\0");
        bail!("no windowsize");
    }
    receive(&socket, ask, file, &mut buffer)
}

fn receive(socket: &UdpSocket, ask: Ask, file: &[u8], buffer: &mut [u8]) -> anyhow::Result<()> {
    socket.set_nonblocking(ask.spin)?;
    socket.set_read_timeout(Some(REPEAT))?;
    let block_size = usize::from(ask.block_size);
    let (mut last, mut in_window, mut offset) = (0_u16, 0, 0_usize);
    let mut progress = Instant::now();
    let mut acked = progress;
    socket.send(&ack(0))?;
    loop {
        let len = match socket.recv(buffer) {
            Ok(len) => len,
            Err(error) => {
                ensure!(
                    progress.elapsed() < PATIENCE,
                    "it fell silent at {offset}: {error}"
                );
                if acked.elapsed() >= REPEAT {
                    socket.send(&ack(last))?;
                    (in_window, acked) = (0, Instant::now());
                }
                continue;
            }
        };
        let (head, data) = buffer[..len]
            .split_at_checked(4)
            .context("a short packet")?;
        ensure!(
            head[1] == 3,
            "not data: {:?}",
            String::from_utf8_lossy(&buffer[..len])
        );
        let block = u16::from_be_bytes([head[2], head[3]]);
        if block != last.wrapping_add(1) {
            // A gap, or an old block: RFC 7440 says where to go on.
            if ask.window > 1 && in_window > 0 {
                socket.send(&ack(last))?;
                in_window = 0;
            }
            continue;
        }
        ensure!(
            file.get(offset..offset + data.len()) == Some(data),
            "other bytes at {offset}"
        );
        (last, offset, in_window) = (block, offset + data.len(), in_window + 1);
        let ended = data.len() < block_size;
        if ended || in_window == ask.window {
            socket.send(&ack(last))?;
            in_window = 0;
            progress = Instant::now();
            acked = progress;
        }
        if ended {
            ensure!(offset == file.len(), "it ended after {offset} bytes");
            return Ok(());
        }
    }
}

fn ack(block: u16) -> [u8; 4] {
    let [high, low] = block.to_be_bytes();
    [0, 4, high, low]
}

fn start_servers(
    bench: &Bench,
    folder: &Path,
) -> anyhow::Result<Vec<(&'static str, SocketAddr, Server)>> {
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

/// Whether a server answers a request for a file that is not there.
fn answers(server: SocketAddr) -> bool {
    let Ok(socket) = UdpSocket::bind("0.0.0.0:0") else {
        return false;
    };
    let patience = socket.set_read_timeout(Some(Duration::from_millis(200)));
    let asked = socket.send_to(b"\0\x01none\0octet\0", server);
    patience.is_ok() && asked.is_ok() && socket.recv(&mut [0; 600]).is_ok()
}
