//! Tests of the pool: who gets which address, and that no sequence gives one to two machines.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const A: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xa]);
const B: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xb]);

fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, last)
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
}

fn plan(first: u8, last: u8) -> PoolPlan {
    PoolPlan {
        subnet: "10.0.0.0/24".parse().unwrap(),
        first: ip(first),
        last: ip(last),
        lease_time: Duration::from_secs(3600),
        reserved: HashMap::new(),
        excluded: vec![ip(1)],
    }
}

fn pool(first: u8, last: u8) -> LeasePool<MemoryOnly> {
    LeasePool::new(plan(first, last), vec![], MemoryOnly)
}

#[test]
fn a_machine_gets_the_same_address_again_and_the_next_machine_another() {
    let mut pool = pool(10, 12);
    assert_eq!(pool.offer(A, None, at(0)), Ok(ip(10)));
    assert_eq!(pool.offer(B, None, at(0)), Ok(ip(11)));
    pool.bind(A, ip(10), at(1)).unwrap();
    assert_eq!(pool.offer(A, None, at(2)), Ok(ip(10)));
    assert_eq!(pool.offer(A, None, at(99_999)), Ok(ip(10)));
}

#[test]
fn an_asked_for_address_is_given_when_it_is_free() {
    let mut pool = pool(10, 12);
    assert_eq!(pool.offer(A, Some(ip(12)), at(0)), Ok(ip(12)));
    assert_eq!(pool.offer(B, Some(ip(12)), at(0)), Ok(ip(10)));
    assert_eq!(
        pool.offer(MacAddr([2; 6]), Some(ip(200)), at(0)),
        Ok(ip(11))
    );
}

#[test]
fn an_exhausted_pool_says_so_until_a_lease_ends() {
    let mut pool = pool(10, 10);
    pool.offer(A, None, at(0)).unwrap();
    pool.bind(A, ip(10), at(0)).unwrap();
    assert_eq!(
        pool.offer(B, None, at(3599)),
        Err(LeaseError::Exhausted {
            first: ip(10),
            last: ip(10)
        })
    );
    assert_eq!(pool.offer(B, None, at(3600)), Ok(ip(10)));
    assert!(matches!(
        pool.bind(A, ip(10), at(3601)),
        Err(LeaseError::Refused(_))
    ));
}

#[test]
fn a_reservation_outside_the_pool_is_its_machines_alone() {
    let mut plan = plan(10, 12);
    plan.reserved.insert(
        A,
        Reserved {
            address: ip(200),
            hostname: Some("node1".into()),
        },
    );
    plan.reserved.insert(
        B,
        Reserved {
            address: ip(10),
            hostname: None,
        },
    );
    let mut pool = LeasePool::new(plan, vec![], MemoryOnly);
    assert_eq!(pool.offer(A, Some(ip(11)), at(0)), Ok(ip(200)));
    assert!(matches!(
        pool.bind(A, ip(11), at(0)),
        Err(LeaseError::Refused(_))
    ));
    pool.bind(A, ip(200), at(0)).unwrap();
    assert_eq!(pool.hostname(A), Some("node1"));
    let other = MacAddr([2; 6]);
    assert_eq!(pool.offer(other, Some(ip(10)), at(0)), Ok(ip(11)));
    assert!(matches!(
        pool.bind(other, ip(200), at(0)),
        Err(LeaseError::Refused(_))
    ));
}

#[test]
fn the_servers_own_address_is_never_given() {
    let mut pool = pool(1, 2);
    assert_eq!(pool.offer(A, Some(ip(1)), at(0)), Ok(ip(2)));
    assert!(pool.offer(B, None, at(0)).is_err());
}

/// RFC 2131 §4.3.3.
#[test]
fn a_declined_address_rests_and_cannot_be_declined_by_others() {
    let mut pool = pool(10, 11);
    pool.offer(A, None, at(0)).unwrap();
    pool.bind(A, ip(10), at(0)).unwrap();
    assert!(pool.decline(B, ip(10), at(1)).is_err());
    pool.decline(A, ip(10), at(1)).unwrap();
    assert_eq!(pool.offer(A, None, at(2)), Ok(ip(11)));
    pool.bind(A, ip(11), at(2)).unwrap();
    assert!(pool.offer(B, None, at(600)).is_err());
    assert_eq!(pool.offer(B, None, at(601)), Ok(ip(10)));
}

#[test]
fn a_released_address_is_free_for_others_at_once() {
    let mut pool = pool(10, 10);
    pool.offer(A, None, at(0)).unwrap();
    pool.bind(A, ip(10), at(0)).unwrap();
    assert!(pool.release(B, ip(10), at(1)).is_err());
    pool.release(A, ip(10), at(1)).unwrap();
    assert_eq!(pool.offer(B, None, at(1)), Ok(ip(10)));
}

#[test]
fn an_offer_not_taken_is_free_for_others() {
    let mut pool = pool(10, 10);
    pool.offer(A, None, at(0)).unwrap();
    assert!(pool.offer(B, None, at(59)).is_err());
    pool.withdraw_offer(A, at(59));
    assert_eq!(pool.offer(B, None, at(59)), Ok(ip(10)));
}

struct Full;

impl LeaseStore for Full {
    fn keep(&mut self, _: LeaseRecord) -> Result<(), String> {
        Err("disk full".into())
    }
}

#[test]
fn a_lease_that_cannot_be_kept_is_not_given() {
    let mut pool = LeasePool::new(plan(10, 10), vec![], Full);
    pool.offer(A, None, at(0)).unwrap();
    assert_eq!(
        pool.bind(A, ip(10), at(0)),
        Err(LeaseError::Store("disk full".into()))
    );
    assert_eq!(pool.address_of(A, at(0)), None);
}

#[test]
fn leases_survive_a_restart_and_a_cut_last_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state/leases");
    let open = || {
        let (journal, known) = Journal::open(&path).unwrap();
        LeasePool::new(plan(10, 12), known, journal)
    };
    let mut first = open();
    first.offer(A, None, at(0)).unwrap();
    first.bind(A, ip(10), at(0)).unwrap();
    first.offer(B, None, at(0)).unwrap();
    first.bind(B, ip(11), at(0)).unwrap();
    first.release(B, ip(11), at(1)).unwrap();
    // Killed: nothing is closed or flushed on purpose, and the last line is cut in the middle.
    std::mem::forget(first);
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.push_str("{\"address\":\"10.0.0.1");
    std::fs::write(&path, text).unwrap();
    let mut second = open();
    assert_eq!(second.address_of(A, at(2)), Some(ip(10)));
    assert_eq!(second.address_of(B, at(2)), None);
    assert!(second.bind(B, ip(10), at(2)).is_err());
    let other = MacAddr([2; 6]);
    assert_ne!(second.offer(other, Some(ip(10)), at(2)), Ok(ip(10)));
}

#[test]
fn a_broken_line_in_the_middle_of_the_lease_file_is_an_error_with_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases");
    let good = r#"{"address":"10.0.0.10","mac":"02:00:00:00:00:0a","expires":5}"#;
    std::fs::write(&path, format!("{good}\nrubbish\n{good}\n")).unwrap();
    let error = Journal::open(&path).unwrap_err();
    assert!(
        matches!(error, JournalError::Line { line: 2, .. }),
        "{error}"
    );
}

#[derive(Debug, Clone)]
enum Step {
    Offer(u8, Option<u8>),
    Bind(u8, u8),
    Release(u8, u8),
    Decline(u8, u8),
    Wait(u64),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let machine = 0u8..6;
    let address = 8u8..16;
    prop_oneof![
        4 => (machine.clone(), proptest::option::of(address.clone()))
            .prop_map(|(m, a)| Step::Offer(m, a)),
        6 => (machine.clone(), address.clone()).prop_map(|(m, a)| Step::Bind(m, a)),
        1 => (machine.clone(), address.clone()).prop_map(|(m, a)| Step::Release(m, a)),
        1 => (machine, address).prop_map(|(m, a)| Step::Decline(m, a)),
        2 => (0u64..4000).prop_map(Step::Wait),
        1 => Just(Step::Restart),
    ]
}

/// Remembers every record, as a file would.
#[derive(Debug, Clone, Default)]
struct Remembering(std::sync::Arc<std::sync::Mutex<Vec<LeaseRecord>>>);

impl LeaseStore for Remembering {
    fn keep(&mut self, record: LeaseRecord) -> Result<(), String> {
        self.0.lock().unwrap().push(record);
        Ok(())
    }
}

proptest! {
    #[test]
    fn no_sequence_of_messages_and_restarts_gives_one_address_to_two_machines(
        steps in proptest::collection::vec(step(), 1..80)
    ) {
        let mut plan = plan(10, 13);
        plan.reserved.insert(MacAddr([2, 0, 0, 0, 0, 0]), Reserved { address: ip(12), hostname: None });
        plan.reserved.insert(MacAddr([2, 0, 0, 0, 0, 1]), Reserved { address: ip(15), hostname: None });
        let store = Remembering::default();
        let mut pool = LeasePool::new(plan.clone(), vec![], store.clone());
        let mut now = at(0);
        // What the clients believe: the address of each lease, its owner and its end.
        let mut believed: HashMap<Ipv4Addr, (MacAddr, SystemTime)> = HashMap::new();
        let mac = |machine: u8| MacAddr([2, 0, 0, 0, 0, machine]);
        for step in steps {
            match step {
                Step::Offer(machine, wanted) => {
                    if let Ok(address) = pool.offer(mac(machine), wanted.map(ip), now)
                        && let Some((owner, until)) = believed.get(&address)
                    {
                        prop_assert!(*owner == mac(machine) || *until <= now);
                    }
                }
                Step::Bind(machine, address) => {
                    if pool.bind(mac(machine), ip(address), now).is_ok() {
                        let lease = (mac(machine), now + Duration::from_secs(3600));
                        if let Some((owner, until)) = believed.insert(ip(address), lease) {
                            prop_assert!(owner == mac(machine) || until <= now);
                        }
                    }
                }
                Step::Release(machine, address) => {
                    if pool.release(mac(machine), ip(address), now).is_ok() {
                        believed.remove(&ip(address));
                    }
                }
                Step::Decline(machine, address) => {
                    if pool.decline(mac(machine), ip(address), now).is_ok() {
                        believed.remove(&ip(address));
                    }
                }
                Step::Wait(seconds) => now += Duration::from_secs(seconds),
                Step::Restart => {
                    let mut last = HashMap::new();
                    for record in store.0.lock().unwrap().iter() {
                        last.insert(record.address, *record);
                    }
                    pool = LeasePool::new(plan.clone(), last.into_values().collect(), store.clone());
                }
            }
        }
    }
}
