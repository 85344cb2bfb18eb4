//! A file of 64 MB by HTTP, over 1 and 32 connections, beside nginx with sendfile.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, ensure};

use crate::Bench;
use crate::cable::SERVERS;
use crate::limits::Limits;
use crate::server::Server;
use crate::table::{Better, Row, Section, median, turns};

const FILE_BYTES: usize = 64 * 1000 * 1000;
const PATH: &str = "/assets/image";

/// Returns all rows of the comparison.
pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Section> {
    let folder = bench.folder.path().join("http");
    let assets = folder.join("assets");
    std::fs::create_dir_all(&assets)?;
    let file: Vec<u8> = (0..FILE_BYTES / 4)
        .flat_map(|n| (n as u32).wrapping_mul(2_246_822_519).to_le_bytes())
        .collect();
    std::fs::write(assets.join("image"), &file)?;
    let ours = start_ours(bench, &folder, &assets)?;
    let nginx = start_nginx(bench, &folder)?;
    let servers = [("boot-server", ours), ("nginx", nginx)];
    let limits = Limits::start(bench)?;
    let mut rows = Vec::new();
    for connections in [1_u64, 32] {
        let name = format!("{connections} connection(s)");
        if !bench.wants(&name) {
            continue;
        }
        // The slower the machine, the fewer times; each connection asks again on the same connection.
        let times = if connections == 1 { 16 } else { 4 };
        let mut values = vec![Vec::new(); servers.len()];
        let mut cpu = vec![Vec::new(); servers.len()];
        for (_, (address, _)) in &servers {
            fetch(*address, 1, Some(&file))?;
        }
        for round in 0..bench.repeats {
            for n in turns(round, servers.len()) {
                let (server, (address, process)) = &servers[n];
                let before = process.cpu_seconds()?;
                let seconds = fetch_all(*address, connections, times)?;
                let gigabytes = (FILE_BYTES as u64 * connections * times) as f64 / 1e9;
                eprintln!(
                    "http: {name}: {server}: {:.0} MB/s",
                    gigabytes * 1000.0 / seconds
                );
                values[n].push(gigabytes * 1000.0 / seconds);
                cpu[n].push((process.cpu_seconds()? - before) * 1000.0 / gigabytes);
            }
        }
        let cpu: Vec<String> = servers
            .iter()
            .zip(&cpu)
            .map(|((name, _), cpu)| format!("{name} {:.0}", median(cpu).unwrap_or(0.0)))
            .collect();
        rows.push(Row {
            name,
            values,
            limit: Some(limits.copy_mb_per_second(FILE_BYTES as u64, connections)?),
            remark: format!("processor ms for each GB: {}", cpu.join(", ")),
            ..Row::default()
        });
    }
    Ok(Section {
        title: "HTTP: an asset of 64 MB, megabytes a second over all connections".into(),
        note: "nginx with sendfile and tcp_nopush. The physical limit is a TCP copy from memory over the same \
               cable."
            .into(),
        servers: servers.iter().map(|(name, _)| (*name).to_owned()).collect(),
        better: Better::More,
        target: Some(0.95),
        rows,
    })
}

fn fetch_all(server: SocketAddr, connections: u64, times: u64) -> anyhow::Result<f64> {
    let start = Instant::now();
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..connections)
            .map(|_| scope.spawn(move || fetch(server, times, None)))
            .collect();
        all.into_iter()
            .try_for_each(|one| one.join().ok().context("a client ended early")?)
    })?;
    Ok(start.elapsed().as_secs_f64())
}

/// Fetches the file so often over one connection; compares it where `expected` is given.
fn fetch(server: SocketAddr, times: u64, expected: Option<&[u8]>) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(server)?;
    let mut buffer = vec![0; 1 << 18];
    for _ in 0..times {
        write!(stream, "GET {PATH} HTTP/1.1\r\nHost: {server}\r\n\r\n")?;
        let mut len = 0;
        let end = loop {
            let read = stream.read(&mut buffer[len..])?;
            ensure!(read > 0, "closed before an answer");
            len += read;
            if let Some(end) = buffer[..len]
                .windows(4)
                .position(|four| four == b"\r\n\r\n")
            {
                break end + 4;
            }
        };
        let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
        ensure!(head.contains(" 200 "), "{head}");
        let length = format!("content-length: {FILE_BYTES}\r\n");
        ensure!(head.contains(&length), "{head}");
        let mut at = 0;
        let mut part = end..len;
        loop {
            let bytes = &buffer[part.clone()];
            if let Some(expected) = expected {
                ensure!(
                    expected.get(at..at + bytes.len()) == Some(bytes),
                    "other bytes at {at}"
                );
            }
            at += bytes.len();
            if at == FILE_BYTES {
                break;
            }
            ensure!(at < FILE_BYTES, "too many bytes");
            part = 0..stream.read(&mut buffer)?;
            ensure!(!part.is_empty(), "closed after {at} bytes");
        }
    }
    Ok(())
}

fn start_ours(bench: &Bench, folder: &Path, assets: &Path) -> anyhow::Result<(SocketAddr, Server)> {
    let address = SocketAddr::from((SERVERS[0], 8080));
    let data = folder.join("data");
    std::fs::create_dir_all(data.join("specs"))?;
    std::fs::write(
        data.join("config.yaml"),
        "api_version: v1alpha1\ngroups: []\n",
    )?;
    let config = folder.join("boot-server.toml");
    let text = format!(
        "events = \"/dev/null\"\n[log]\nlevel = \"warn\"\n[http]\nlisten = \"{address}\"\ndata = {data:?}\nassets = {assets:?}\n"
    );
    std::fs::write(&config, text)?;
    let mut command = bench.cable.command(&bench.boot_server);
    command.arg("--config").arg(&config);
    let mut server = Server::start(command, folder, "boot-server")?;
    server.wait_for_port(address)?;
    Ok((address, server))
}

fn start_nginx(bench: &Bench, folder: &Path) -> anyhow::Result<(SocketAddr, Server)> {
    let address = SocketAddr::from((SERVERS[1], 8080));
    let config = folder.join("nginx.conf");
    let server = format!("listen {address}; root {};", folder.display());
    let text = nginx_config(folder, &server);
    std::fs::write(&config, text)?;
    let mut command = bench.cable.command("nginx");
    command.arg("-c").arg(&config);
    let mut server = Server::start(command, folder, "nginx")?;
    server.wait_for_port(address)?;
    Ok((address, server))
}

/// Returns a configuration of nginx with one server, its files in a folder.
pub(crate) fn nginx_config(folder: &Path, server: &str) -> String {
    let root = folder.display();
    format!(
        "daemon off; user root; worker_processes auto; pid {root}/nginx.pid; error_log {root}/error.log;\n\
         events {{ worker_connections 1024; }}\n\
         http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 10000000;\n\
         client_body_temp_path {root}/t1; proxy_temp_path {root}/t2; fastcgi_temp_path {root}/t3;\n\
         uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;\n\
         server {{ {server} }} }}\n"
    )
}
