//! A lease file is anything: no panic, no lease lost that a line says, and a pool that goes on with it gives
//! no address to two machines.

use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use boot_server::lease::{LeaseClient, LeasePool, LeaseRecord, PoolPlan, clamp_ends, parse};
use boot_server_proto::mac::MacAddr;

/// Reads a file, and starts a pool with it.
pub(crate) fn check(data: &[u8]) {
    let file = parse(data);
    let lines = data.split_inclusive(|byte| *byte == b'\n').count();
    assert!(file.invalid.len() <= lines);
    assert!(
        file.invalid
            .iter()
            .all(|invalid| (1..=lines).contains(&invalid.line))
    );
    let _ = file.problems();
    let valid = |line: &[u8]| serde_json::from_slice::<LeaseRecord>(line).ok();
    if let Some(record) = data.split(|byte| *byte == b'\n').rev().find_map(valid) {
        assert!(
            file.current.contains_key(&record.address),
            "{record:?} is lost"
        );
    }
    let mut known: Vec<LeaseRecord> = file.current.into_values().collect();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let lease_time = Duration::from_secs(3600);
    let written = now.checked_add(Duration::from_secs(data.len() as u64));
    clamp_ends(&mut known, written, |_| lease_time, now);
    let plan = PoolPlan {
        subnet: "10.0.0.0/24".parse().expect("a subnet"),
        first: Ipv4Addr::new(10, 0, 0, 10),
        last: Ipv4Addr::new(10, 0, 0, 13),
        lease_time,
        reserved: Vec::new(),
        excluded: Vec::new(),
    };
    let mut pool = LeasePool::new(plan, &known);
    let mut given = Vec::new();
    for last in 0..6 {
        let who = LeaseClient::of_mac(MacAddr([2, 0, 0, 0, 0, last]));
        let Ok(offered) = pool.offer(&who, None, now) else {
            continue;
        };
        if pool.bind(&who, offered.address, now).is_ok() {
            assert!(
                !given.contains(&offered.address),
                "{} twice",
                offered.address
            );
            given.push(offered.address);
        }
    }
    pool.shift(-1_800_000_000);
    pool.shift(i64::MAX);
    let _ = pool.usage(now);
}
