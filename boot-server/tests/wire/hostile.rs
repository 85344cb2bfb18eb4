//! A network on which somebody means harm, for two seconds: others are served, and the operator is told.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use boot_server_proto::dhcp::{Message, MessageType};
use boot_server_proto::mac::MacAddr;
use rustix::process::{Pid, Signal, kill_process};

use crate::leases::select;
use crate::support::{DEADLINE, Running, Server, ServerSide, client, exchange, is_inside, run};

/// Duration for which the hostile host sends.
const HOSTILE: Duration = Duration::from_secs(2);
const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 1]);

fn config(more: &str) -> String {
    format!(
        "interface = \"srv\"\n[dhcp]\nsubnet = \"10.91.0.0/24\"\nfirst = \"10.91.0.100\"\n\
         last = \"10.91.0.199\"\nprobe_ms = 0\n{more}\n[metrics]\nlisten = \"10.91.0.1:9100\"\n\
         [boot]\nscript_url = \"http://10.91.0.1/s\"\n"
    )
}

/// Network and folder of a test's server.
struct Net {
    side: ServerSide,
    folder: tempfile::TempDir,
}

impl Net {
    /// Network of a test; none where the test is not to go on.
    fn new() -> Option<Net> {
        is_inside().then(|| Net {
            side: ServerSide::new(),
            folder: tempfile::tempdir().unwrap(),
        })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a server and waits until it is ready.
    fn serve(&self, config: &str) -> Server {
        Server::start(&self.side, self.path(), config)
    }

    /// A server that is not started yet.
    fn command(&self, config: &str) -> Command {
        let file = self.path().join("c.toml");
        std::fs::write(&file, config).unwrap();
        let mut command = self.side.command(env!("CARGO_BIN_EXE_boot-server"));
        command.arg("--config").arg(&file);
        command
    }
}

fn discover(mac: MacAddr, xid: u32) -> Message {
    let mut message = Message::from_client(MessageType::Discover, mac, xid);
    message.set_broadcast();
    message
}

fn is_ack(answers: &[Message]) -> bool {
    answers
        .iter()
        .any(|answer| answer.message_type() == Ok(Some(MessageType::Ack)))
}

/// Sends Discovers of new MACs for as long as `lasts` says, 100 at a time with a pause behind them.
fn flood(socket: &UdpSocket, pause: Duration, lasts: impl Fn() -> bool) -> u32 {
    let mut number = 0u32;
    while lasts() {
        for _ in 0..100 {
            number += 1;
            let [a, b, c, d] = number.to_be_bytes();
            let message = discover(MacAddr([6, 1, a, b, c, d]), number | 1 << 31);
            let bytes = message.encode(548).unwrap();
            // A full queue of the card is as good as a packet that is lost.
            let _ = socket.send_to(&bytes, (Ipv4Addr::BROADCAST, 67));
        }
        std::thread::sleep(pause);
    }
    number
}

/// A socket of a host that is no client: nothing that is sent to clients fills its queue.
fn hostile_socket() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    socket.set_broadcast(true).unwrap();
    socket2::SockRef::from(&socket)
        .bind_device(Some(b"cli"))
        .unwrap();
    socket
}

/// Takes a machine through offer and acknowledgement, asking again every 200 ms among all that is said to
/// others; false when the deadline passes.
fn lease_among_others(socket: &UdpSocket, mac: MacAddr, xid: u32) -> bool {
    let deadline = Instant::now() + DEADLINE;
    let mut asks = discover(mac, xid);
    let mut ask_at = Instant::now();
    while Instant::now() < deadline {
        if Instant::now() >= ask_at {
            ask_at = Instant::now() + Duration::from_millis(200);
            let bytes = asks.encode(548).unwrap();
            socket.send_to(&bytes, (Ipv4Addr::BROADCAST, 67)).unwrap();
        }
        let mut buffer = [0; 1500];
        let Ok(len) = socket.recv(&mut buffer) else {
            continue;
        };
        let answer = Message::decode(&buffer[..len]).unwrap();
        if answer.xid != xid {
            continue;
        }
        match answer.message_type() {
            Ok(Some(MessageType::Offer)) => (asks, ask_at) = (select(&answer), Instant::now()),
            Ok(Some(MessageType::Ack)) => return true,
            _ => asks = discover(mac, xid),
        }
    }
    false
}

/// Text of the operator's page; `None` while it cannot be fetched.
fn page(path: &str) -> (String, String) {
    let url = format!("http://10.91.0.1:9100{path}");
    let fetched = Command::new("curl")
        .args(["-sS", "--max-time", "5", "-w", "\n%{http_code}", &url])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&fetched.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').unwrap_or_default();
    (body.to_owned(), status.to_owned())
}

fn eventually(what: &str, is_true: impl Fn() -> bool) {
    test_support::eventually(DEADLINE, || test_support::is(is_true(), what));
}

#[test]
fn a_flood_of_discovers_keeps_no_machine_out_and_is_told_and_counted() {
    let Some(net) = Net::new() else {
        return;
    };
    run("ip", &["link", "set", "lo", "up"]);
    let server = net.serve(&config(""));
    run("ip", &["addr", "add", "10.91.0.99/24", "dev", "cli"]);
    let served = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&served);
    let hostile = std::thread::spawn(move || {
        let socket = hostile_socket();
        let ends = Instant::now() + DEADLINE;
        // 2,000 a second at most: what a build for debugging reads, so that none is lost before it is read.
        let lasts = || !seen.load(Ordering::Relaxed) && Instant::now() < ends;
        flood(&socket, Duration::from_millis(50), lasts)
    });
    server.wait_for("dhcp_shortage");
    let socket = client();
    // The flood goes on until it is served.
    let is_served = lease_among_others(&socket, MAC, 1);
    served.store(true, Ordering::Relaxed);
    let sent = hostile.join().unwrap();
    assert!(is_served, "among {sent} others");
    eventually("the shortage is counted", || {
        let (metrics, _) = page("/metrics");
        let counts = |line: &str| {
            line.starts_with("boot_server_dhcp_shortages_total{reason=\"too_many_offers\"}")
                && !line.ends_with(" 0")
        };
        metrics.lines().any(counts) && metrics.contains("boot_server_pool_offered{")
    });
    assert!(lease_among_others(
        &socket,
        MacAddr([0x52, 0x54, 0, 0, 0, 2]),
        2
    ));
}

#[test]
fn an_event_file_under_a_flood_is_bounded_and_dhcp_goes_on() {
    let Some(net) = Net::new() else {
        return;
    };
    let events = net.path().join("events");
    let text = format!(
        "events = \"{}\"\nevents_max_bytes = 100000\n{}",
        events.display(),
        config("")
    );
    let mut command = net.command(&text);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    let _running = Running(child);
    crate::support::wait_for_line(log, "ready");
    let socket = client();
    let ends = Instant::now() + HOSTILE;
    flood(&socket, Duration::ZERO, || Instant::now() < ends);
    let some = |answers: &[Message]| !answers.is_empty();
    exchange(&socket, &discover(MAC, 1), Ipv4Addr::BROADCAST, some);
    let len = |name: &str| std::fs::metadata(net.path().join(name)).map_or(0, |m| m.len());
    for name in ["events", "events.1"] {
        assert!(len(name) <= 100_000, "{name}: {}", len(name));
    }
    assert!(len("events.1") > 0);
}

/// Two relay agents of one link hand on each Discover twice.
#[test]
fn a_discover_that_comes_twice_is_not_answered_before_its_address_was_looked_for() {
    let Some(net) = Net::new() else {
        return;
    };
    let text = config("").replace("probe_ms = 0", "probe_ms = 500");
    run("ip", &["addr", "add", "10.91.0.100/24", "dev", "cli"]);
    let server = net.serve(&text);
    let socket = client();
    // In one batch, and again while it is looked for.
    let bytes = discover(MAC, 1).encode(548).unwrap();
    for _ in 0..20 {
        socket.send_to(&bytes, (Ipv4Addr::BROADCAST, 67)).unwrap();
    }
    server.wait_for("address_in_use");
    let some = |answers: &[Message]| !answers.is_empty();
    let answers = exchange(&socket, &discover(MAC, 1), Ipv4Addr::BROADCAST, some);
    let in_use = Ipv4Addr::new(10, 91, 0, 100);
    for answer in &answers {
        assert_ne!(answer.your_address, in_use, "{answers:#?}");
    }
}

#[test]
fn a_lease_file_that_cannot_be_written_makes_the_server_unhealthy_until_it_can() {
    let Some(net) = Net::new() else {
        return;
    };
    let leases = net.path().join("leases");
    let text = config(&format!("lease_file = \"{}\"", leases.display()));
    let server = net.serve(&text);
    run("ip", &["addr", "add", "10.91.0.99/24", "dev", "cli"]);
    assert_eq!(page("/healthz").1, "200");
    // A folder where the new file is to be: an error for root, too.
    let obstacle = net.path().join("leases.new");
    std::fs::create_dir(&obstacle).unwrap();
    std::fs::remove_file(&leases).unwrap();
    let event = server.wait_for("lease_file");
    assert!(event.contains("Err"), "{event}");
    eventually("unhealthy", || page("/healthz").1 == "503");
    let socket = client();
    let some = |answers: &[Message]| !answers.is_empty();
    let offers = exchange(&socket, &discover(MAC, 1), Ipv4Addr::BROADCAST, some);
    let bytes = select(&offers[0]).encode(548).unwrap();
    socket.send_to(&bytes, (Ipv4Addr::BROADCAST, 67)).unwrap();
    let event = server.wait_for("dhcp_shortage");
    assert!(event.contains("lease_not_kept"), "{event}");
    std::fs::remove_dir(&obstacle).unwrap();
    eventually("healthy", || page("/healthz").1 == "200");
    exchange(&socket, &select(&offers[0]), Ipv4Addr::BROADCAST, is_ack);
}

#[test]
fn sigterm_ends_a_server_whose_events_nobody_reads() {
    let Some(net) = Net::new() else {
        return;
    };
    let mut command = net.command(&config(""));
    command
        .args(["--events", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut events = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    events.read_line(&mut first).unwrap();
    assert!(first.contains("ready"), "{first}");
    let mut running = Running(child);
    // From here on nobody reads: 64 KiB fit the pipe.
    let socket = client();
    let ends = Instant::now() + HOSTILE;
    flood(&socket, Duration::ZERO, || Instant::now() < ends);
    let pid = Pid::from_child(&running.0);
    kill_process(pid, Signal::TERM).unwrap();
    test_support::eventually(Duration::from_secs(15), || {
        let ended = running.0.try_wait().unwrap();
        ended.ok_or_else(|| "it is still there".to_owned())
    });
    let mut rest = Vec::new();
    events.read_to_end(&mut rest).unwrap();
}

/// Lines of a lease file that are none are skipped, told and kept.
#[test]
fn a_damaged_lease_file_does_not_keep_the_server_from_starting() {
    let Some(net) = Net::new() else {
        return;
    };
    let leases = net.path().join("leases");
    let lease = |last: u8, end: &str| {
        format!(
            "{{\"address\":\"10.91.0.{last}\",\"mac\":\"02:00:00:00:00:{last:02x}\",\"expires\":{end}}}\n"
        )
    };
    let damaged = [
        "\u{feff}".to_owned() + &lease(100, "4000000000"),
        "\n".into(),
        "\0\0\0\n".into(),
        lease(101, "18446744073709551615"),
        lease(102, "-1"),
    ];
    std::fs::write(&leases, damaged.concat()).unwrap();
    let text = config(&format!("lease_file = \"{}\"", leases.display()));
    let server = net.serve(&text);
    let copies = || {
        let files = std::fs::read_dir(net.path()).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("leases.bad-")).count()
    };
    assert_eq!(copies(), 1);
    let socket = client();
    let some = |answers: &[Message]| !answers.is_empty();
    let offers = exchange(&socket, &discover(MAC, 1), Ipv4Addr::BROADCAST, some);
    let offered = offers[0].your_address;
    assert_eq!(offered, Ipv4Addr::new(10, 91, 0, 102), "two are leased");
    drop(server);
    let _again = net.serve(&text);
    assert_eq!(copies(), 1, "the file was written anew without them");
    let listed = listed(net.path());
    assert!(
        listed.contains("10.91.0.100") && listed.contains("10.91.0.101"),
        "{listed}"
    );
}

fn listed(folder: &Path) -> String {
    let listed = Command::new(env!("CARGO_BIN_EXE_boot-server"))
        .args(["leases", "--json", "--config"])
        .arg(folder.join("boot-server.toml"))
        .output()
        .unwrap();
    assert!(listed.status.success(), "{listed:?}");
    String::from_utf8(listed.stdout).unwrap()
}
