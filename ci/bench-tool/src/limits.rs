//! The physical limits: what bare programs move over the same cable.
//!
//! A UDP echo answers each datagram with one of the length that was asked for; it neither reads files
//! nor sleeps. Another one sleeps between datagrams, as a server does: what it uses of the processors is
//! the kernel's share of an answer. A TCP port sends the bytes it was asked for from memory.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::Bench;
use crate::cable::SERVERS;
use crate::server::Server;

const PORT: u16 = 7;
const SLEEPING_PORT: u16 = 8;
/// Round trips of the echo.
const ROUND_TRIPS: u32 = 20_000;

/// Datagrams by which processor time is found, and the pause between two of them.
const DATAGRAMS: u32 = 4_000;
const PAUSE: Duration = Duration::from_micros(250);

/// Answers datagrams until it is ended, and sleeps between them.
pub(crate) fn echo() -> anyhow::Result<()> {
    let echo = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, SLEEPING_PORT))?;
    let (mut asked, answer) = ([0; 4], vec![0; 65_536]);
    loop {
        let (_, from) = echo.recv_from(&mut asked)?;
        let len = u32::from_be_bytes(asked) as usize;
        let _ = echo.send_to(answer.get(..len).unwrap_or(&answer), from);
    }
}

/// Serves until it is ended.
pub(crate) fn serve() -> anyhow::Result<()> {
    let here = SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT));
    let echo = UdpSocket::bind(here)?;
    echo.set_nonblocking(true)?;
    let listener = TcpListener::bind(here)?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || send_bytes(stream));
        }
    });
    let (mut asked, answer) = ([0; 4], vec![0; 65_536]);
    let mut heard = Instant::now();
    loop {
        match echo.recv_from(&mut asked) {
            Ok((_, from)) => {
                let len = u32::from_be_bytes(asked) as usize;
                let _ = echo.send_to(answer.get(..len).unwrap_or(&answer), from);
                heard = Instant::now();
            }
            // Out of use it must not take a processor from those who are measured.
            Err(_) if heard.elapsed() > Duration::from_millis(5) => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(_) => {}
        }
    }
}

fn send_bytes(mut stream: TcpStream) -> std::io::Result<()> {
    let mut asked = [0; 8];
    stream.read_exact(&mut asked)?;
    let mut left = u64::from_be_bytes(asked) as usize;
    let bytes = vec![0; 1 << 20];
    while left > 0 {
        let part = bytes.get(..left).unwrap_or(&bytes);
        left -= stream.write(part)?;
    }
    Ok(())
}

/// The bare server, for the limits of one section.
pub(crate) struct Limits {
    _server: Server,
    address: SocketAddr,
    sleeping: Server,
}

impl Limits {
    pub(crate) fn start(bench: &Bench) -> anyhow::Result<Limits> {
        let tool = std::env::current_exe()?;
        let start = |name: &str| {
            let mut command = bench.cable.command(&tool);
            command.args([name, "--boot-server=-", "--peers=-", "--results=-"]);
            Server::start(command, bench.folder.path(), name)
        };
        let mut server = start("limits")?;
        let address = SocketAddr::from((SERVERS[0], PORT));
        server.wait_for_port(address)?;
        let sleeping = start("echo")?;
        Ok(Limits {
            _server: server,
            address,
            sleeping,
        })
    }

    /// Microseconds of processor time for one answer of this length by a server that sleeps in between.
    pub(crate) fn cpu_us_per_answer(&self, answer_len: u32) -> anyhow::Result<f64> {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.connect((SERVERS[0], SLEEPING_PORT))?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        let mut answer = vec![0; 65_536];
        let mut before = 0.0;
        for n in 0..DATAGRAMS + 1 {
            let mut tries = 0;
            // It may not listen yet when the first is sent.
            while socket.send(&answer_len.to_be_bytes()).is_err()
                || socket.recv(&mut answer).is_err()
            {
                tries += 1;
                anyhow::ensure!(n == 0 && tries < 100, "the echo does not answer");
                std::thread::sleep(Duration::from_millis(10));
            }
            if n == 0 {
                before = self.sleeping.cpu_seconds()?;
            }
            std::thread::sleep(PAUSE);
        }
        Ok((self.sleeping.cpu_seconds()? - before) * 1e6 / f64::from(DATAGRAMS))
    }

    /// Round trips a second of a lockstep exchange with answers of this length.
    pub(crate) fn round_trips_per_second(&self, answer_len: u32) -> anyhow::Result<f64> {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.connect(self.address)?;
        socket.set_nonblocking(true)?;
        let mut answer = vec![0; 65_536];
        let start = Instant::now();
        for _ in 0..ROUND_TRIPS {
            socket.send(&answer_len.to_be_bytes())?;
            let asked = Instant::now();
            while socket.recv(&mut answer).is_err() {
                anyhow::ensure!(asked.elapsed().as_secs() < 5, "the echo does not answer");
            }
        }
        Ok(f64::from(ROUND_TRIPS) / start.elapsed().as_secs_f64())
    }

    /// Round trips a second of so many clients at once that sleep until they are answered, by a server
    /// that does as well.
    pub(crate) fn round_trips_of_many(&self, answer_len: u32, clients: u32) -> anyhow::Result<f64> {
        let each = ROUND_TRIPS / clients;
        let ask = || -> anyhow::Result<()> {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            socket.connect((SERVERS[0], SLEEPING_PORT))?;
            socket.set_read_timeout(Some(Duration::from_secs(5)))?;
            let mut answer = vec![0; 65_536];
            for _ in 0..each {
                socket.send(&answer_len.to_be_bytes())?;
                socket
                    .recv(&mut answer)
                    .context("the echo does not answer")?;
            }
            Ok(())
        };
        let start = Instant::now();
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..clients).map(|_| scope.spawn(ask)).collect();
            all.into_iter()
                .try_for_each(|one| one.join().ok().context("a thread ended early")?)
        })?;
        Ok(f64::from(each * clients) / start.elapsed().as_secs_f64())
    }

    /// MB a second of this many bytes over so many TCP connections at once.
    pub(crate) fn copy_mb_per_second(&self, bytes: u64, connections: u64) -> anyhow::Result<f64> {
        let start = Instant::now();
        let fetch = || -> anyhow::Result<()> {
            let mut stream = TcpStream::connect(self.address)?;
            stream.write_all(&bytes.to_be_bytes())?;
            let mut buffer = vec![0; 1 << 18];
            let mut left = bytes;
            while left > 0 {
                let len = stream.read(&mut buffer)? as u64;
                anyhow::ensure!(len > 0, "the copy broke off");
                left -= len;
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..connections).map(|_| scope.spawn(fetch)).collect();
            all.into_iter()
                .try_for_each(|one| one.join().ok().context("a thread ended early")?)
        })?;
        Ok((bytes * connections) as f64 / 1e6 / start.elapsed().as_secs_f64())
    }
}
