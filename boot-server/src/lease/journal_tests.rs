//! Tests of the lease file: what a killed server has promised, its next run knows.

use std::fs;
use std::path::Path;
use std::time::Duration;

use boot_server_proto::dhcp::MachineId;
use proptest::prelude::*;

use super::tests::{Believed, at, ip, machine, plan};
use super::*;
use crate::state_file::StateFileError;

fn open(path: &Path) -> (Journal, LeasePool) {
    let (journal, known) = Journal::open(path, Durability::Death).unwrap();
    (journal, LeasePool::new(plan(10, 12), &known))
}

fn give(journal: &mut Journal, pool: &mut LeasePool, who: u8, address: u8, seconds: u64) {
    let record = pool.bind(&machine(who), ip(address), at(seconds)).unwrap();
    journal.keep(record);
    assert_eq!(journal.commit().unwrap(), None);
}

#[test]
fn leases_survive_a_restart_and_a_cut_last_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state/leases");
    let (mut journal, mut first) = open(&path);
    give(&mut journal, &mut first, 1, 10, 0);
    give(&mut journal, &mut first, 2, 11, 0);
    journal.keep(first.release(&machine(2), ip(11), at(1)).unwrap());
    assert_eq!(journal.commit().unwrap(), None);
    drop(journal);
    let mut text = fs::read_to_string(&path).unwrap();
    text.push_str("{\"address\":\"10.0.0.1");
    fs::write(&path, text).unwrap();
    let (_journal, mut second) = open(&path);
    assert_eq!(second.address_of(machine(1).mac, at(2)), Some(ip(10)));
    assert_eq!(second.address_of(machine(2).mac, at(2)), None);
    assert!(second.bind(&machine(2), ip(10), at(2)).is_err());
}

const GOOD: &str = r#"{"address":"10.0.0.10","mac":"02:00:00:00:00:0a","expires":5}"#;

/// Opens a lease file of these bytes; returns the leases in it and its invalid lines.
fn opened(bytes: &[u8]) -> (Vec<LeaseRecord>, Vec<InvalidLine>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases");
    fs::write(&path, bytes).unwrap();
    let (journal, known) = Journal::open(&path, Durability::Death).unwrap();
    let Some(damage) = journal.damage() else {
        let files = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, 2, "no copy of a file without invalid lines");
        return (known, Vec::new());
    };
    assert_eq!(fs::read(damage.copy.as_ref().unwrap()).unwrap(), bytes);
    let again = parse(&fs::read(&path).unwrap());
    assert_eq!(again.current.len(), known.len());
    // Leases far in the future stay until they are clamped; nothing else is left of the damage.
    let left = |line: &InvalidLine| line.problem != LineProblem::EndOutOfRange;
    assert!(!again.invalid.iter().any(left), "{again:?}");
    (known, damage.invalid.clone())
}

#[test]
fn journal_a_line_that_is_no_lease_is_skipped_and_the_file_kept_in_a_copy() {
    let deep = "[".repeat(5000);
    let long = format!("{{\"hostname\":\"{}\"", "x".repeat(20_000));
    for (line, problem) in [
        ("rubbish", LineProblem::Malformed { column: 1 }),
        ("", LineProblem::Empty),
        (" \t\r", LineProblem::Empty),
        ("\0\0\0", LineProblem::Nul),
        (&deep, LineProblem::Malformed { column: 1 }),
        (&long, LineProblem::TooLong),
        (
            r#"{"address":"10.0.0.11","mac":"02:00:00:00:00:0b","expires":-1}"#,
            LineProblem::Malformed { column: 61 },
        ),
        (
            r#"{"address":"10.0.0.11","mac":"02:00:00:00:00:0b","expires":18446744073709551616}"#,
            LineProblem::Malformed { column: 79 },
        ),
    ] {
        let (known, invalid) = opened(format!("{GOOD}\n{line}\n{GOOD}\n").as_bytes());
        assert_eq!(known.len(), 1, "{line}");
        let [only] = invalid[..] else {
            panic!("{line}: {invalid:?}")
        };
        assert_eq!(only.line, 2);
        match (only.problem, problem) {
            // serde_json's columns are its own affair.
            (LineProblem::Malformed { .. }, LineProblem::Malformed { .. }) => {}
            (found, wanted) => assert_eq!(found, wanted, "{line}"),
        }
    }
}

#[test]
fn journal_bytes_that_are_no_text_are_skipped() {
    let mut bytes = b"\xff\xfe\x00\x80\n".to_vec();
    bytes.extend(format!("{GOOD}\n").into_bytes());
    assert_eq!(opened(&bytes).0.len(), 1);
}

#[test]
fn journal_a_lease_behind_nul_bytes_or_a_byte_order_mark_is_taken() {
    for (prefix, problem) in [
        ("\0\0\0\0", LineProblem::Nul),
        ("\u{feff}", LineProblem::ByteOrderMark),
    ] {
        let (known, invalid) = opened(format!("{prefix}{GOOD}\n").as_bytes());
        assert_eq!(known.len(), 1);
        assert_eq!(invalid, [InvalidLine { line: 1, problem }]);
    }
}

#[test]
fn journal_an_end_beyond_all_calendars_is_taken_and_no_arithmetic_overflows() {
    for end in [u64::MAX, 1 << 63, (1 << 63) - 1, i64::MAX as u64 / 2] {
        let line = format!(
            "{{\"address\":\"10.0.0.10\",\"mac\":\"02:00:00:00:00:0a\",\"expires\":{end}}}\n"
        );
        let (known, invalid) = opened(line.as_bytes());
        assert_eq!(invalid.len(), 1);
        let mut pool = LeasePool::new(plan(10, 12), &known);
        assert!(pool.bind(&machine(1), ip(10), at(0)).is_err());
        assert_eq!(
            pool.offer(&machine(1), None, at(0)).unwrap().address,
            ip(11)
        );
    }
}

#[test]
fn journal_a_link_or_fifo_in_the_place_of_its_files_is_refused() {
    for name in ["leases", "leases.lock"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("leases");
        let planted = folder.path().join(name);
        std::os::unix::fs::symlink(folder.path().join("target"), &planted).unwrap();
        let error = Journal::open(&path, Durability::Death).unwrap_err();
        assert!(
            matches!(error, JournalError::File(StateFileError::Link(_))),
            "{name}: {error}"
        );
        fs::remove_file(&planted).unwrap();
        nix::unistd::mkfifo(&planted, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let error = Journal::open(&path, Durability::Death).unwrap_err();
        assert!(
            matches!(error, JournalError::File(StateFileError::NotRegular(_))),
            "{name}: {error}"
        );
        assert!(!folder.path().join("target").exists());
    }
}

#[test]
fn journal_a_link_planted_while_it_is_written_is_replaced_and_its_target_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases");
    let target = folder.path().join("target");
    fs::write(&target, "secret").unwrap();
    std::os::unix::fs::symlink(&target, folder.path().join("leases.new")).unwrap();
    let (mut journal, mut pool) = open(&path);
    give(&mut journal, &mut pool, 1, 10, 0);
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&target, &path).unwrap();
    assert!(journal.commit().unwrap().is_some());
    assert!(!path.is_symlink());
    assert_eq!(fs::read(&target).unwrap(), b"secret");
}

#[test]
fn a_file_of_an_older_version_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases");
    let old = r#"{"address":"10.0.0.10","mac":"02:00:00:00:00:0a","expires":5}"#;
    fs::write(&path, format!("{old}\n")).unwrap();
    let (_journal, known) = Journal::open(&path, Durability::Death).unwrap();
    assert_eq!(known.len(), 1);
    assert_eq!(
        (known[0].address, known[0].state),
        (ip(10), LeaseState::Bound)
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{old}\n"));
}

#[test]
fn a_record_says_what_is_known_of_its_machine() {
    let uuid = uuid::Uuid::from_u128(0x16e7_d8a7_bfa9_428b_9117_3633_41bb_330b);
    let who = LeaseClient {
        machine_id: Some(MachineId(uuid.to_bytes_le())),
        client_id: Some(&[1, 0xab]),
        hostname: Some("node1"),
        ..machine(1)
    };
    let record = LeasePool::new(plan(10, 12), &[])
        .bind(&who, ip(10), at(0))
        .unwrap();
    assert_eq!(
        serde_json::to_string(&record).unwrap(),
        format!(
            "{{\"address\":\"10.0.0.10\",\"mac\":\"02:00:00:00:00:01\",\"expires\":1003600,\
             \"uuid\":\"{uuid}\",\"client_id\":\"01:ab\",\"hostname\":\"node1\"}}"
        )
    );
}

#[test]
fn a_declined_address_rests_after_a_restart_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases");
    let (mut journal, mut pool) = open(&path);
    give(&mut journal, &mut pool, 1, 10, 0);
    journal.keep(pool.decline(&machine(1), ip(10), at(1)).unwrap());
    assert_eq!(journal.commit().unwrap(), None);
    drop(journal);
    let (_journal, mut pool) = open(&path);
    assert!(pool.bind(&machine(2), ip(10), at(2)).is_err());
    assert!(pool.bind(&machine(2), ip(10), at(601)).is_ok());
}

#[test]
fn a_second_server_on_the_same_lease_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases");
    let first = Journal::open(&path, Durability::Death).unwrap();
    assert!(matches!(
        Journal::open(&path, Durability::Death),
        Err(JournalError::InUse { .. })
    ));
    drop(first);
    Journal::open(&path, Durability::Death).unwrap();
}

#[test]
fn a_lease_file_that_is_removed_replaced_or_changed_is_written_anew_and_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state/leases");
    let (mut journal, mut pool) = open(&path);
    give(&mut journal, &mut pool, 1, 10, 0);
    let break_it: [(ForeignChange, &dyn Fn()); 4] = [
        (ForeignChange::Removed, &|| fs::remove_file(&path).unwrap()),
        (ForeignChange::Removed, &|| {
            fs::remove_dir_all(path.parent().unwrap()).unwrap()
        }),
        (ForeignChange::Replaced, &|| {
            fs::write(folder.path().join("other"), "").unwrap();
            fs::rename(folder.path().join("other"), &path).unwrap();
        }),
        (ForeignChange::Edited, &|| fs::write(&path, "").unwrap()),
    ];
    for (change, break_it) in break_it {
        break_it();
        let warning = journal.commit().unwrap().unwrap();
        assert_eq!(warning.change, change);
        assert_eq!(journal.commit().unwrap(), None);
        let known = read_leases(&path).unwrap();
        assert_eq!(known.len(), 1, "after it {change}");
    }
    give(&mut journal, &mut pool, 2, 11, 0);
    assert_eq!(read_leases(&path).unwrap().len(), 2);
}

/// A folder in the place of the file that is to be written: an error for root as well.
#[test]
fn what_cannot_be_kept_is_an_error_and_is_kept_when_it_can_be_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases");
    let (mut journal, mut pool) = open(&path);
    fs::remove_file(&path).unwrap();
    fs::create_dir(folder.path().join("leases.new")).unwrap();
    journal.keep(pool.bind(&machine(1), ip(10), at(0)).unwrap());
    let error = journal.commit().unwrap_err();
    assert!(
        matches!(&error, JournalError::Io { path: of, .. } if *of == path),
        "{error}"
    );
    assert!(read_leases(&path).is_err());
    fs::remove_dir(folder.path().join("leases.new")).unwrap();
    assert_eq!(journal.commit().unwrap(), None);
    assert_eq!(read_leases(&path).unwrap().len(), 1);
}

/// A disk that does not take what it was given, found out only when it is waited for.
#[test]
fn a_lease_that_is_to_survive_a_loss_of_power_is_not_kept_before_the_disk_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases");
    for (durability, is_kept) in [(Durability::Death, true), (Durability::PowerLoss, false)] {
        let (mut journal, known) = Journal::open(&path, durability).unwrap();
        let mut pool = LeasePool::new(plan(10, 12), &known);
        journal.sync = |_| Err(std::io::Error::other("the disk is gone"));
        journal.keep(pool.bind(&machine(1), ip(10), at(0)).unwrap());
        let kept = journal.commit();
        assert_eq!(kept.is_ok(), is_kept, "{durability:?}: {kept:?}");
        // What is tried again is written anew, and waited for in any case.
        assert_eq!(journal.commit().unwrap(), None);
    }
}

#[test]
fn the_file_does_not_grow_with_every_renewal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases");
    let (mut journal, mut pool) = open(&path);
    for seconds in 0..25_000 {
        journal.keep(pool.bind(&machine(1), ip(10), at(seconds)).unwrap());
        if seconds % 100 == 0 {
            assert_eq!(journal.commit().unwrap(), None);
        }
    }
    assert_eq!(journal.commit().unwrap(), None);
    let lines = fs::read_to_string(&path).unwrap().lines().count();
    assert!(lines < 15_000, "{lines}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The file as it was after any byte that was ever written to it, from the last commit on: the
    /// next run gives no address that a client was told is its own.
    #[test]
    fn no_cut_of_the_lease_file_gives_one_address_to_two_machines(
        steps in proptest::collection::vec((1u8..5, 10u8..13, 0u8..8, 0u64..2000), 1..12)
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("leases");
        let (mut journal, mut pool) = open(&path);
        let mut clients = Believed::default();
        let mut now = at(0);
        for (who, address, kind, wait) in steps {
            now += Duration::from_secs(wait);
            let before = fs::read(&path).unwrap();
            let (who, address) = (machine(who), ip(address));
            let record = match kind {
                0 => pool.release(&who, address, now),
                1 => pool.decline(&who, address, now),
                _ => pool.bind(&who, address, now),
            };
            let Ok(record) = record else { continue };
            if record.state != LeaseState::Bound {
                // It gave it up the moment it said so.
                clients.learn(&record);
            }
            journal.keep(record.clone());
            prop_assert_eq!(journal.commit().unwrap(), None);
            let after = fs::read(&path).unwrap();
            prop_assert!(after.starts_with(&before));
            let mut told = clients.clone();
            told.learn(&record);
            for cut in before.len()..=after.len() {
                let known: Vec<LeaseRecord> = parse(&after[..cut]).current.into_values().collect();
                let believed = if cut == after.len() { &told } else { &clients };
                for thief in 1..5 {
                    for address in 10..13 {
                        let mut next = LeasePool::new(plan(10, 12), &known);
                        if next.bind(&machine(thief), ip(address), now).is_ok() {
                            prop_assert!(believed.may_have(ip(address), machine(thief).mac, now));
                        }
                    }
                }
            }
            clients = told;
        }
    }
}
