//! A server killed in the middle of any write of its lease file: cut at every byte, rewritten or
//! appended to.
//!
//! The kernel does the cutting. A process that writes past its limit of file sizes is ended by SIGXFSZ,
//! with all bytes up to the limit in the file: this program starts itself with each limit.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use boot_server::lease::{
    Durability, Journal, LeaseClient, LeasePool, LeaseRecord, LeaseState, LeaseStore, PoolPlan,
    read_leases,
};
use boot_server_proto::mac::MacAddr;
use rustix::process::{Resource, Rlimit, setrlimit};

const LIMIT: &str = "BOOT_SERVER_TEST_LIMIT";
const FILE: &str = "BOOT_SERVER_TEST_LEASES";
const SIGXFSZ: i32 = 25;
/// More bytes than all that is written has.
const ENOUGH: u64 = 4096;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
}

fn machine(last: u8) -> LeaseClient<'static> {
    LeaseClient::of_mac(MacAddr([2, 0, 0, 0, 0, last]))
}

fn open(path: &Path) -> (Journal, LeasePool) {
    let (journal, known) = Journal::open(path, Durability::Death).unwrap();
    (journal, pool(&known))
}

/// From a second on gives two leases, has one given back, and renews the other; each is told as soon
/// as it is kept.
fn give(path: &Path, from: u64, mut tell: impl FnMut(&LeaseRecord)) {
    let (mut journal, mut pool) = open(path);
    let mut keep = |record: LeaseRecord| {
        journal.keep(record.clone());
        journal.commit().unwrap();
        tell(&record);
    };
    for (last, second) in [(1, from), (2, from + 1)] {
        let address = pool
            .offer(&machine(last), None, at(second))
            .unwrap()
            .address;
        keep(pool.bind(&machine(last), address, at(second)).unwrap());
    }
    let second = pool.address_of(machine(2).mac, at(from + 2)).unwrap();
    keep(pool.release(&machine(2), second, at(from + 2)).unwrap());
    let first = pool.address_of(machine(1).mac, at(from + 3)).unwrap();
    keep(pool.bind(&machine(1), first, at(from + 3)).unwrap());
}

/// The part of the process that dies.
fn give_until_killed(path: PathBuf, limit: u64) {
    let limits = |bytes| Rlimit {
        current: Some(bytes),
        maximum: Some(bytes),
    };
    setrlimit(Resource::Core, limits(0)).unwrap();
    setrlimit(Resource::Fsize, limits(limit)).unwrap();
    give(&path, LATER, |record| {
        println!("told {}", serde_json::to_string(record).unwrap());
        std::io::stdout().flush().unwrap();
    });
}

/// Returns the acknowledgements that this program sent before it was killed, and true if it was killed.
fn killed_at(limit: u64, path: &Path) -> (Vec<LeaseRecord>, bool) {
    let output = test_support::start_again(&[])
        .env(LIMIT, limit.to_string())
        .env(FILE, path)
        .stderr(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    // The harness writes the test's name before what it says first.
    let told = said.lines().filter_map(|line| line.split_once("told "));
    let told = told.map(|(_, json)| serde_json::from_str(json).unwrap());
    let killed = output.status.signal() == Some(SIGXFSZ);
    assert!(
        killed || test_support::ran_one(&output),
        "{:?}: {said}",
        output.status
    );
    (told.collect(), killed)
}

/// Start of the run that is killed, in seconds.
const LATER: u64 = 100;

#[test]
fn no_cut_of_the_lease_file_forgets_a_lease_or_gives_one_address_to_two_machines() {
    if let (Some(limit), Some(path)) = (std::env::var(LIMIT).ok(), std::env::var_os(FILE)) {
        return give_until_killed(path.into(), limit.parse().unwrap());
    }
    let mut told_before_death = 0;
    for limit in 0..ENOUGH {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("leases");
        // An earlier run, so that there is something to forget, and lines that are superseded.
        let mut told = BTreeMap::new();
        give(&path, 0, |record| {
            told.insert(record.address, record.clone());
        });
        let (later, killed) = killed_at(limit, &path);
        told_before_death = told_before_death.max(later.len());
        told.extend(later.into_iter().map(|record| (record.address, record)));
        assert_recovered(&path, &told, limit);
        if !killed {
            assert_eq!(told_before_death, 4, "the last run ended by itself");
            assert!(limit > 300, "{limit}");
            return;
        }
    }
    panic!("{ENOUGH} bytes were not enough");
}

/// The next run knows every lease that was told, and gives its address to nobody else.
fn assert_recovered(path: &Path, told: &BTreeMap<Ipv4Addr, LeaseRecord>, limit: u64) {
    let (_journal, mut next) = open(path);
    let known = read_leases(path).unwrap();
    for record in told.values().filter(|r| r.state == LeaseState::Bound) {
        let kept = known.iter().find(|kept| kept.address == record.address);
        let kept = kept.unwrap_or_else(|| panic!("cut at {limit}: {record:?} is forgotten"));
        assert_eq!(kept.mac, record.mac, "cut at {limit}");
        if kept.state == LeaseState::Released {
            // The machine gave it back; the server was killed before it could say that it heard.
            continue;
        }
        assert!(kept.expires >= record.expires, "cut at {limit}: {kept:?}");
        assert_eq!(
            next.address_of(record.mac, at(LATER + 4)),
            Some(record.address),
            "cut at {limit}"
        );
        let stolen = next.bind(&machine(9), record.address, at(LATER + 4));
        assert!(
            stolen.is_err(),
            "cut at {limit}: {} has two owners",
            record.address
        );
    }
}

fn pool(known: &[LeaseRecord]) -> LeasePool {
    let plan = PoolPlan {
        subnet: "10.0.0.0/24".parse().unwrap(),
        first: Ipv4Addr::new(10, 0, 0, 10),
        last: Ipv4Addr::new(10, 0, 0, 12),
        lease_time: Duration::from_secs(3600),
        reserved: Vec::new(),
        excluded: Vec::new(),
    };
    LeasePool::new(plan, known)
}
