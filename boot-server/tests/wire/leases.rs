//! Leases over the server's death, and over the loss of their file.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use boot_server::lease::read_leases;
use boot_server_proto::dhcp::{Message, MessageType, code};
use boot_server_proto::mac::MacAddr;
use test_support::{passes, start_again};

use crate::support::{DEADLINE, SERVER, Server, ServerSide, client, exchange, is_inside, run};

fn config(leases: &Path) -> String {
    format!(
        "interface = \"srv\"\n[dhcp]\nsubnet = \"10.91.0.0/16\"\nfirst = \"10.91.1.0\"\n\
         last = \"10.91.200.255\"\nprobe_ms = 0\nlease_file = \"{}\"\n\
         [boot]\nscript_url = \"http://10.91.0.1/s\"\n",
        leases.display()
    )
}

fn mac(number: u32) -> MacAddr {
    let [a, b, c, d] = number.to_be_bytes();
    MacAddr([2, 0, a, b, c, d])
}

fn discover(number: u32) -> Message {
    let mut message = Message::from_client(MessageType::Discover, mac(number), number);
    message.set_broadcast();
    message
}

/// Requests what was offered.
pub(super) fn select(offer: &Message) -> Message {
    let mut message = Message::from_client(MessageType::Request, offer.mac().unwrap(), offer.xid);
    message.set_broadcast();
    message.options.set_addresses(code::SERVER_ID, &[SERVER]);
    let wanted = [offer.your_address];
    message
        .options
        .set_addresses(code::REQUESTED_ADDRESS, &wanted);
    message
}

/// Machines that ask for an address all at once, and who was told what.
struct Load {
    socket: UdpSocket,
    next: u32,
    told: BTreeMap<Ipv4Addr, MacAddr>,
}

impl Load {
    /// Goes on with new machines until so many more were told their address.
    fn run(&mut self, acknowledgements: usize) {
        let wanted = self.told.len() + acknowledgements;
        let deadline = Instant::now() + DEADLINE;
        while self.told.len() < wanted {
            assert!(Instant::now() < deadline, "{} were told", self.told.len());
            for _ in 0..50 {
                self.next += 1;
                self.send(&discover(self.next));
            }
            self.hear();
        }
    }

    fn send(&self, message: &Message) {
        let bytes = message.encode(548).unwrap();
        self.socket
            .send_to(&bytes, (Ipv4Addr::BROADCAST, 67))
            .unwrap();
    }

    /// Takes what comes until it is quiet.
    fn hear(&mut self) {
        let mut buffer = [0; 1500];
        while let Ok(len) = self.socket.recv(&mut buffer) {
            let answer = Message::decode(&buffer[..len]).unwrap();
            match answer.message_type() {
                Ok(Some(MessageType::Offer)) => self.send(&select(&answer)),
                Ok(Some(MessageType::Ack)) => {
                    let mac = answer.mac().unwrap();
                    let before = self.told.insert(answer.your_address, mac);
                    assert!(
                        before.is_none_or(|owner| owner == mac),
                        "{} was given to {before:?} and to {mac}",
                        answer.your_address
                    );
                }
                _ => {}
            }
        }
    }
}

#[test]
fn a_server_killed_under_load_and_started_again_gives_no_address_twice() {
    if !is_inside() {
        return;
    }
    let side = ServerSide::new();
    let status = side
        .command("ip")
        .args(["addr", "add", "10.91.0.1/16", "dev", "srv"])
        .status()
        .unwrap();
    assert!(status.success());
    let folder = tempfile::tempdir().unwrap();
    let leases = folder.path().join("leases");
    let socket = client();
    socket
        .set_read_timeout(Some(Duration::from_millis(30)))
        .unwrap();
    let mut load = Load {
        socket,
        next: 0,
        told: BTreeMap::new(),
    };
    for _ in 0..3 {
        let mut server = Server::start(&side, folder.path(), &config(&leases));
        load.run(150);
        // Requests are under way when it dies.
        for _ in 0..200 {
            load.next += 1;
            load.send(&discover(load.next));
        }
        server.process.0.kill().unwrap();
        server.process.0.wait().unwrap();
        load.hear();
        let kept: HashMap<Ipv4Addr, MacAddr> = read_leases(&leases)
            .unwrap()
            .into_iter()
            .map(|record| (record.address, record.mac))
            .collect();
        for (address, mac) in &load.told {
            assert_eq!(kept.get(address), Some(mac), "{address} is forgotten");
        }
    }
    assert!(load.told.len() >= 450);
}

#[test]
fn a_lost_lease_file_is_written_anew_and_a_full_disk_gives_no_lease() {
    if !is_inside() {
        return;
    }
    // A disk of our own, in a mount namespace of our own.
    if std::env::var_os("BOOT_SERVER_TEST_MOUNT").is_none() {
        let mut inside = start_again(&["unshare", "--mount", "--"]);
        return passes(inside.env("BOOT_SERVER_TEST_MOUNT", "1"));
    }
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let disk_path = disk.to_str().unwrap();
    run(
        "mount",
        &["-t", "tmpfs", "-o", "size=64k", "tmpfs", disk_path],
    );
    let leases = disk.join("leases");
    let side = ServerSide::new();
    let text = config(&leases).replace("10.91.0.0/16", "10.91.0.0/24");
    let text = text.replace("10.91.1.0", "10.91.0.10");
    let text = text.replace("10.91.200.255", "10.91.0.200");
    let server = Server::start(&side, folder.path(), &text);
    let socket = client();
    let patience = Some(Duration::from_millis(30));
    socket.set_read_timeout(patience).unwrap();
    let lease = |number: u32| {
        let answered = |answers: &[Message]| !answers.is_empty();
        let offers = exchange(&socket, &discover(number), Ipv4Addr::BROADCAST, answered);
        select(&offers[0])
    };
    let acked = |answers: &[Message]| {
        let is_ack = |answer: &Message| answer.message_type() == Ok(Some(MessageType::Ack));
        answers.iter().any(is_ack)
    };
    exchange(&socket, &lease(1), Ipv4Addr::BROADCAST, acked);

    std::fs::remove_file(&leases).unwrap();
    let event = server.wait_for("lease_file");
    assert!(event.contains("Ok") && event.contains("removed"), "{event}");
    assert_eq!(read_leases(&leases).unwrap().len(), 1);

    // Nothing fits the disk any more.
    let filler = disk.join("filler");
    let _ = std::fs::write(&filler, vec![0; 128 * 1024]);
    // The page that the file has is filled as well, then there is no other.
    let mut number = 2;
    let (told_full, last) = loop {
        let request = lease(number);
        let bytes = request.encode(548).unwrap();
        socket.send_to(&bytes, (Ipv4Addr::BROADCAST, 67)).unwrap();
        let event = server.wait_for(&format!("\"xid\":{number},\"message\":\"request\""));
        assert!(event.contains("dhcp_request"));
        let outcome = server.wait_for("event");
        if outcome.contains("lease_file") {
            break (outcome, request);
        }
        number += 1;
        assert!(number < 200, "the disk never was full");
    };
    assert!(
        told_full.contains("Err") && told_full.contains("space"),
        "{told_full}"
    );
    let ignored = server.wait_for("dhcp_ignored");
    let ignored: serde_json::Value = serde_json::from_str(&ignored).unwrap();
    assert_eq!(ignored["reason_code"], "lease_not_kept", "{ignored}");

    // There is room again: the same machine gets its lease, and nothing was forgotten.
    std::fs::remove_file(&filler).unwrap();
    exchange(&socket, &last, Ipv4Addr::BROADCAST, acked);
    let known = read_leases(&leases).unwrap();
    let owner = |number: u32| {
        known
            .iter()
            .filter(|lease| lease.mac == mac(number))
            .count()
    };
    for number in 1..=number {
        assert_eq!(owner(number), 1, "machine {number}");
    }
    run("umount", &["-l", disk_path]);
}

#[test]
fn leases_are_listed_while_the_server_runs_and_a_second_server_is_refused() {
    if !is_inside() {
        return;
    }
    let side = ServerSide::new();
    let folder = tempfile::tempdir().unwrap();
    let leases = folder.path().join("leases");
    let text = config(&leases)
        .replace("10.91.0.0/16", "10.91.0.0/24")
        .replace("10.91.1.0", "10.91.0.10")
        .replace("10.91.200.255", "10.91.0.200");
    let _server = Server::start(&side, folder.path(), &text);
    let socket = client();
    let some = |answers: &[Message]| !answers.is_empty();
    let offers = exchange(&socket, &discover(1), Ipv4Addr::BROADCAST, some);
    let mut request = select(&offers[0]);
    request.options.set(code::HOST_NAME, *b"node1");
    exchange(&socket, &request, Ipv4Addr::BROADCAST, |answers| {
        let is_ack = |answer: &Message| answer.message_type() == Ok(Some(MessageType::Ack));
        answers.iter().any(is_ack)
    });
    let program = env!("CARGO_BIN_EXE_boot-server");
    let file = folder.path().join("boot-server.toml");
    let listed = Command::new(program)
        .args(["leases", "--json", "--config"])
        .arg(&file)
        .output()
        .unwrap();
    let text = String::from_utf8(listed.stdout).unwrap();
    assert!(
        listed.status.success() && text.lines().count() == 1,
        "{text}"
    );
    let row: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(row["address"], "10.91.0.10");
    assert_eq!(
        (&row["state"], &row["hostname"]),
        (&"bound".into(), &"node1".into())
    );
    let second = side
        .command(program)
        .arg("--config")
        .arg(&file)
        .output()
        .unwrap();
    let error = String::from_utf8(second.stderr).unwrap();
    assert_eq!(
        error.lines().last(),
        Some(&*format!(
            "boot-server: lease file {} is in use by another boot-server; each needs a file of its own",
            leases.display()
        ))
    );
}
