//! Tests of the pool: who gets which address, and that no sequence gives one to two machines.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use boot_server_proto::dhcp::{MachineId, Options};
use boot_server_proto::mac::MacAddr;
use proptest::prelude::*;

use super::*;

const A: LeaseClient<'static> = machine(0xa);
const B: LeaseClient<'static> = machine(0xb);

pub(super) const fn machine(last: u8) -> LeaseClient<'static> {
    LeaseClient {
        mac: MacAddr([2, 0, 0, 0, 0, last]),
        machine_id: None,
        client_id: None,
        hostname: None,
        circuit: None,
    }
}

pub(super) fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, last)
}

pub(super) fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
}

pub(super) fn plan(first: u8, last: u8) -> PoolPlan {
    PoolPlan {
        subnet: "10.0.0.0/24".parse().unwrap(),
        first: ip(first),
        last: ip(last),
        lease_time: Duration::from_secs(3600),
        reserved: Vec::new(),
        excluded: vec![ip(1)],
    }
}

fn pool(first: u8, last: u8) -> LeasePool {
    LeasePool::new(plan(first, last), &[])
}

/// The address offered.
fn offer(
    pool: &mut LeasePool,
    who: LeaseClient<'_>,
    wanted: Option<Ipv4Addr>,
    now: SystemTime,
) -> Result<Ipv4Addr, LeaseError> {
    pool.offer(&who, wanted, now).map(|offered| offered.address)
}

fn not_free(address: Ipv4Addr, mac: MacAddr) -> LeaseError {
    LeaseError::Refused(NotThisAddress::NotFree { address, mac })
}

fn reserved(whose: ReservedFor, address: u8, hostname: Option<&str>) -> Reserved {
    Reserved {
        whose,
        address: ip(address),
        hostname: hostname.map(str::to_owned),
        options: Options::default(),
    }
}

#[test]
fn usage_counts_what_can_be_given_and_leases_that_run() {
    let mut plan = plan(1, 12);
    plan.reserved = vec![
        reserved(ReservedFor::Mac(A.mac), 5, None),
        reserved(ReservedFor::Mac(B.mac), 99, None),
    ];
    let mut pool = LeasePool::new(plan, &[]);
    let usage = |pool: &LeasePool, second| {
        let usage = pool.usage(at(second));
        (usage.addresses, usage.leases)
    };
    // 1 to 12 without the server's own, and 99.
    assert_eq!(usage(&pool, 0), (12, 0));
    offer(&mut pool, machine(3), None, at(0)).unwrap();
    pool.bind(&A, ip(5), at(0)).unwrap();
    pool.bind(&B, ip(99), at(0)).unwrap();
    pool.bind(&machine(4), ip(7), at(10)).unwrap();
    assert_eq!(usage(&pool, 10), (12, 3), "an offer is no lease");
    pool.release(&B, ip(99), at(11)).unwrap();
    pool.decline(&A, ip(5), at(11)).unwrap();
    assert_eq!(usage(&pool, 11), (12, 1));
    assert_eq!(usage(&pool, 3610), (12, 0), "it has ended");
}

#[test]
fn a_machine_gets_the_same_address_again_and_the_next_machine_another() {
    let mut pool = pool(10, 12);
    assert_eq!(offer(&mut pool, A, None, at(0)), Ok(ip(10)));
    assert_eq!(offer(&mut pool, B, None, at(0)), Ok(ip(11)));
    pool.bind(&A, ip(10), at(1)).unwrap();
    assert_eq!(offer(&mut pool, A, None, at(2)), Ok(ip(10)));
    assert_eq!(offer(&mut pool, A, None, at(99_999)), Ok(ip(10)));
}

#[test]
fn an_asked_for_address_is_given_when_it_is_free() {
    let mut pool = pool(10, 12);
    assert_eq!(offer(&mut pool, A, Some(ip(12)), at(0)), Ok(ip(12)));
    assert_eq!(offer(&mut pool, B, Some(ip(12)), at(0)), Ok(ip(10)));
    assert_eq!(
        offer(&mut pool, machine(2), Some(ip(200)), at(0)),
        Ok(ip(11))
    );
}

#[test]
fn an_exhausted_pool_says_so_until_a_lease_ends() {
    let mut pool = pool(10, 10);
    offer(&mut pool, A, None, at(0)).unwrap();
    pool.bind(&A, ip(10), at(0)).unwrap();
    assert_eq!(
        offer(&mut pool, B, None, at(3599)),
        Err(LeaseError::Exhausted {
            first: ip(10),
            last: ip(10)
        })
    );
    assert_eq!(offer(&mut pool, B, None, at(3600)), Ok(ip(10)));
    assert_eq!(
        pool.bind(&A, ip(10), at(3601)),
        Err(not_free(ip(10), A.mac))
    );
}

#[test]
fn a_reservation_outside_the_pool_is_its_machines_alone() {
    let mut plan = plan(10, 12);
    plan.reserved = vec![
        reserved(ReservedFor::Mac(A.mac), 200, Some("node1")),
        reserved(ReservedFor::Mac(B.mac), 10, None),
    ];
    let mut pool = LeasePool::new(plan, &[]);
    assert_eq!(offer(&mut pool, A, Some(ip(11)), at(0)), Ok(ip(200)));
    assert_eq!(
        pool.bind(&A, ip(11), at(0)),
        Err(LeaseError::Refused(NotThisAddress::Reserved {
            address: ip(200),
            mac: A.mac
        }))
    );
    let record = pool.bind(&A, ip(200), at(0)).unwrap();
    assert_eq!(record.hostname.as_deref(), Some("node1"));
    let other = machine(2);
    assert_eq!(offer(&mut pool, other, Some(ip(10)), at(0)), Ok(ip(11)));
    assert_eq!(
        pool.bind(&other, ip(200), at(0)),
        Err(not_free(ip(200), other.mac))
    );
}

#[test]
fn a_machine_is_found_by_mac_then_client_identifier_then_uuid_in_either_byte_order() {
    let uuid: uuid::Uuid = "16e7d8a7-bfa9-428b-9117-363341bb330b".parse().unwrap();
    let mut plan = plan(10, 12);
    plan.reserved = vec![
        reserved(ReservedFor::Mac(A.mac), 200, None),
        reserved(ReservedFor::ClientId(b"\0node".to_vec()), 201, None),
        reserved(ReservedFor::Machine(uuid), 202, None),
    ];
    let mut pool = LeasePool::new(plan, &[]);
    let little_endian = Some(MachineId(uuid.to_bytes_le()));
    let big_endian = Some(MachineId(uuid.into_bytes()));
    let client_id = Some(&b"\0node"[..]);
    for (who, address) in [
        (
            LeaseClient {
                client_id,
                machine_id: little_endian,
                ..A
            },
            200,
        ),
        (
            LeaseClient {
                client_id,
                machine_id: little_endian,
                ..machine(3)
            },
            201,
        ),
        (
            LeaseClient {
                machine_id: little_endian,
                ..machine(4)
            },
            202,
        ),
        (B, 10),
    ] {
        assert_eq!(offer(&mut pool, who, None, at(0)), Ok(ip(address)));
    }
    let later = at(60);
    let other_order = LeaseClient {
        machine_id: big_endian,
        ..machine(5)
    };
    assert_eq!(offer(&mut pool, other_order, None, later), Ok(ip(202)));
}

/// Two network cards of one machine have one UUID: an address is still one card's at a time.
#[test]
fn a_second_card_of_a_machine_does_not_get_the_reserved_address_while_the_first_has_it() {
    let uuid = uuid::Uuid::from_u128(7);
    let mut plan = plan(10, 12);
    plan.reserved = vec![reserved(ReservedFor::Machine(uuid), 200, None)];
    let mut pool = LeasePool::new(plan, &[]);
    let machine_id = Some(MachineId(uuid.to_bytes_le()));
    let (first, second) = (
        LeaseClient { machine_id, ..A },
        LeaseClient { machine_id, ..B },
    );
    offer(&mut pool, first, None, at(0)).unwrap();
    pool.bind(&first, ip(200), at(0)).unwrap();
    assert!(pool.bind(&second, ip(200), at(1)).is_err());
    assert_eq!(offer(&mut pool, second, None, at(1)), Ok(ip(10)));
    pool.bind(&second, ip(10), at(1)).unwrap();
}

#[test]
fn only_an_address_that_is_new_to_its_machine_is_fresh() {
    let mut plan = plan(10, 12);
    plan.reserved = vec![reserved(ReservedFor::Mac(B.mac), 200, None)];
    let mut pool = LeasePool::new(plan, &[]);
    let mut fresh = |who: &LeaseClient<'_>, now| {
        let offered = pool.offer(who, None, now).unwrap();
        pool.bind(who, offered.address, now).unwrap();
        offered.fresh
    };
    assert!(fresh(&A, at(0)));
    assert!(!fresh(&A, at(1)));
    assert!(!fresh(&A, at(99_999)));
    assert!(!fresh(&B, at(0)), "reserved");
}

#[test]
fn the_servers_own_address_is_never_given() {
    let mut pool = pool(1, 2);
    assert_eq!(offer(&mut pool, A, Some(ip(1)), at(0)), Ok(ip(2)));
    assert!(offer(&mut pool, B, None, at(0)).is_err());
}

/// RFC 2131 §4.3.3.
#[test]
fn a_declined_address_rests_and_cannot_be_declined_by_others() {
    let mut pool = pool(10, 11);
    offer(&mut pool, A, None, at(0)).unwrap();
    pool.bind(&A, ip(10), at(0)).unwrap();
    assert!(pool.decline(&B, ip(10), at(1)).is_err());
    pool.decline(&A, ip(10), at(1)).unwrap();
    assert_eq!(offer(&mut pool, A, None, at(2)), Ok(ip(11)));
    pool.bind(&A, ip(11), at(2)).unwrap();
    assert!(pool.bind(&B, ip(10), at(600)).is_err());
    pool.bind(&B, ip(10), at(601)).unwrap();
}

/// A machine that declines all it gets takes no pool from the others (D2 of the debatable cases): ISC dhcpd
/// reclaims abandoned addresses, too.
#[test]
fn offer_in_an_empty_pool_reclaims_what_was_declined_longest_ago_for_another_machine() {
    let mut pool = pool(10, 12);
    for (second, last) in [(0, 10), (1, 11), (2, 12)] {
        assert_eq!(offer(&mut pool, A, None, at(second)), Ok(ip(last)));
        pool.bind(&A, ip(last), at(second)).unwrap();
        pool.decline(&A, ip(last), at(second)).unwrap();
    }
    assert!(matches!(
        offer(&mut pool, A, None, at(3)),
        Err(LeaseError::Exhausted { .. })
    ));
    let offered = pool.offer(&B, None, at(3)).unwrap();
    assert_eq!(
        (offered.address, offered.fresh),
        (ip(10), true),
        "it is looked for"
    );
    assert_eq!(pool.usage(at(3)).declined_reclaimed, 1);
    // Found in use, it rests again, behind the others.
    pool.found_in_use(&B, ip(10), at(4)).unwrap();
    assert_eq!(offer(&mut pool, B, None, at(4)), Ok(ip(11)));
    pool.bind(&B, ip(11), at(4)).unwrap();
    assert_eq!(offer(&mut pool, machine(2), None, at(5)), Ok(ip(12)));
}

#[test]
fn found_in_use_an_acknowledged_lease_stays_a_lease() {
    let mut pool = pool(10, 12);
    offer(&mut pool, A, None, at(0)).unwrap();
    pool.bind(&A, ip(10), at(0)).unwrap();
    assert!(pool.found_in_use(&A, ip(10), at(1)).is_err());
    assert_eq!(pool.address_of(A.mac, at(1)), Some(ip(10)));
}

#[test]
fn a_released_address_is_free_for_others_at_once() {
    let mut pool = pool(10, 10);
    offer(&mut pool, A, None, at(0)).unwrap();
    pool.bind(&A, ip(10), at(0)).unwrap();
    assert!(pool.release(&B, ip(10), at(1)).is_err());
    pool.release(&A, ip(10), at(1)).unwrap();
    assert_eq!(offer(&mut pool, B, None, at(1)), Ok(ip(10)));
}

#[test]
fn an_offer_not_taken_is_free_for_others() {
    let mut pool = pool(10, 10);
    offer(&mut pool, A, None, at(0)).unwrap();
    assert!(offer(&mut pool, B, None, at(0)).is_err());
    pool.withdraw_offer(A.mac, at(0));
    assert_eq!(offer(&mut pool, B, None, at(0)), Ok(ip(10)));
}

/// M8: a hundred made-up MACs a minute took a pool of a hundred addresses.
#[test]
fn offer_in_an_empty_pool_takes_back_the_oldest_that_was_not_requested() {
    let mut pool = pool(10, 12);
    offer(&mut pool, A, None, at(0)).unwrap();
    pool.bind(&A, ip(10), at(0)).unwrap();
    offer(&mut pool, machine(1), None, at(1)).unwrap();
    offer(&mut pool, machine(2), None, at(2)).unwrap();
    // Asking again makes an offer no younger.
    offer(&mut pool, machine(1), None, at(19)).unwrap();
    assert_eq!(offer(&mut pool, B, None, at(20)), Ok(ip(11)));
    assert_eq!(
        pool.bind(&machine(1), ip(11), at(21)),
        Err(not_free(ip(11), machine(1).mac))
    );
    pool.bind(&B, ip(11), at(21)).unwrap();
    assert_eq!(offer(&mut pool, machine(3), None, at(22)), Ok(ip(12)));
    // Leases and reservations are nobody's to take.
    pool.bind(&machine(3), ip(12), at(22)).unwrap();
    assert!(matches!(
        offer(&mut pool, machine(4), None, at(40)),
        Err(LeaseError::Exhausted { .. })
    ));
    assert_eq!(pool.usage(at(40)).offers_taken_back, 2);
}

fn flooder(number: u32) -> LeaseClient<'static> {
    let [a, b, c, d] = number.to_be_bytes();
    LeaseClient::of_mac(MacAddr([6, 1, a, b, c, d]))
}

/// Thousands of new MACs a second: who asks a second time goes before them.
#[test]
fn offer_under_a_flood_of_new_machines_serves_one_that_asks_again() {
    let mut pool = pool(10, 109);
    let millis = |n: u64| at(0) + Duration::from_millis(n);
    let mut served_at = None;
    for n in 0..14_000u32 {
        let now = millis(u64::from(n) / 7);
        let _ = offer(&mut pool, flooder(n), None, now);
        // It begins after a while, and asks four times a second.
        if n >= 5_000 && n % 1_750 == 0 && offer(&mut pool, A, None, now).is_ok() {
            served_at = Some(n);
            pool.bind(&A, pool.recorded(&A).unwrap(), now).unwrap();
            break;
        }
    }
    assert!(served_at.is_some_and(|n| n <= 8_750), "{served_at:?}");
}

/// A machine that asks for the first time after a flood is served at once.
#[test]
fn offer_after_a_flood_serves_a_machine_that_asks_once() {
    let mut pool = pool(10, 109);
    for n in 0..5_000 {
        let _ = offer(&mut pool, flooder(n), None, at(0));
    }
    assert!(offer(&mut pool, A, None, at(1)).is_ok());
}

/// A port of a switch that floods takes from itself.
#[test]
fn offer_in_an_empty_pool_takes_from_the_crowded_circuit_first() {
    let mut pool = pool(10, 59);
    let behind = |who: LeaseClient<'static>, circuit: &'static [u8]| LeaseClient {
        circuit: Some(circuit),
        ..who
    };
    offer(&mut pool, behind(B, b"port 2"), None, at(0)).unwrap();
    for n in 0..5_000 {
        let _ = offer(&mut pool, behind(flooder(n), b"port 1"), None, at(0));
    }
    let before = pool.usage(at(0));
    assert_eq!(before.offered, 50);
    assert!(offer(&mut pool, behind(A, b"port 3"), None, at(0)).is_ok());
    assert!(offer(&mut pool, machine(7), None, at(0)).is_ok());
    assert_eq!(
        offer(&mut pool, behind(B, b"port 2"), None, at(0)),
        Ok(ip(10))
    );
}

/// Addresses that clients believe to own: the owner of each address, and the end.
#[derive(Debug, Clone, Default)]
pub(super) struct Believed(HashMap<Ipv4Addr, (MacAddr, u64)>);

impl Believed {
    /// A client was told, or told us, what a record says.
    pub(super) fn learn(&mut self, record: &LeaseRecord) {
        match record.state {
            LeaseState::Bound => {
                self.0.insert(record.address, (record.mac, record.expires));
            }
            LeaseState::Released | LeaseState::Declined => {
                self.0.remove(&record.address);
            }
        }
    }

    /// True if no other client believes to own this address.
    pub(super) fn may_have(&self, address: Ipv4Addr, mac: MacAddr, now: SystemTime) -> bool {
        let now = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        self.0
            .get(&address)
            .is_none_or(|(owner, until)| *owner == mac || *until <= now)
    }
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

proptest! {
    #[test]
    fn no_sequence_of_messages_and_restarts_gives_one_address_to_two_machines(
        steps in proptest::collection::vec(step(), 1..80)
    ) {
        let mut plan = plan(10, 13);
        plan.reserved = vec![
            reserved(ReservedFor::Mac(machine(0).mac), 12, None),
            reserved(ReservedFor::Mac(machine(1).mac), 15, None),
        ];
        let mut kept: HashMap<Ipv4Addr, LeaseRecord> = HashMap::new();
        let mut pool = LeasePool::new(plan.clone(), &[]);
        let mut now = at(0);
        let mut clients = Believed::default();
        for step in steps {
            match step {
                Step::Offer(m, wanted) => {
                    if let Ok(address) = offer(&mut pool, machine(m), wanted.map(ip), now) {
                        prop_assert!(clients.may_have(address, machine(m).mac, now));
                    }
                }
                Step::Bind(m, address) => {
                    if let Ok(record) = pool.bind(&machine(m), ip(address), now) {
                        prop_assert!(clients.may_have(ip(address), machine(m).mac, now));
                        clients.learn(&record);
                        kept.insert(record.address, record);
                    }
                }
                Step::Release(m, address) => {
                    if let Ok(record) = pool.release(&machine(m), ip(address), now) {
                        clients.learn(&record);
                        kept.insert(record.address, record);
                    }
                }
                Step::Decline(m, address) => {
                    if let Ok(record) = pool.decline(&machine(m), ip(address), now) {
                        clients.learn(&record);
                        kept.insert(record.address, record);
                    }
                }
                Step::Wait(seconds) => now += Duration::from_secs(seconds),
                Step::Restart => {
                    let known: Vec<LeaseRecord> = kept.values().cloned().collect();
                    pool = LeasePool::new(plan.clone(), &known);
                }
            }
        }
    }
}
