//! Stalls, step by step.

use boot_server_events::Event;

use super::*;
use crate::scenario::Firmware;
use crate::verdict::fixture::{evidence, scenario};

const SECOND: u64 = 1_000_000;

fn stall_detector() -> StallDetector {
    StallDetector::new(StallTimeouts::TCG, 0)
}

fn seconds(stall_detector: &StallDetector) -> Option<u64> {
    stall_detector.deadline().at_us.map(|at_us| at_us / SECOND)
}

/// The records of a passing boot of a scenario, as servers and console give them.
fn passing(name: &str) -> (Scenario, Vec<Record>) {
    let scenario = scenario(name);
    let records = evidence(&scenario, &scenario.nodes[0], Firmware::Bios);
    (scenario, records)
}

fn at(record: &Record, second: u64) -> Record {
    let mut record = record.clone();
    record.at_us = second * SECOND;
    if let Observation::Server { entry, .. } = &mut record.seen {
        entry.at_us = second * SECOND;
    }
    record
}

fn event(record: &Record) -> Option<&BootEvent> {
    match &record.seen {
        Observation::Server { entry, .. } => Some(&entry.what),
        _ => None,
    }
}

#[test]
fn a_machine_that_says_nothing_is_given_up_after_the_firmwares_silence() {
    assert_eq!(seconds(&stall_detector()), Some(120));
    let reason = stall_detector().deadline().reason;
    assert_eq!(
        reason,
        "no progress for 120 s at stage power-on; last observation: it was switched on"
    );
}

#[test]
fn discovers_and_dots_do_not_prolong_the_wait_for_an_address() {
    let (scenario, records) = passing("ipxe-chainload");
    let discover = records
        .iter()
        .find(|record| matches!(event(record), Some(BootEvent::DhcpRequest { .. })));
    let mut stall_detector = stall_detector();
    for second in [10, 12, 16, 24, 40, 72] {
        stall_detector.saw(&at(discover.unwrap(), second), &scenario);
        stall_detector.console_grew(second * SECOND);
        stall_detector.received(second * SECOND, second * 100);
    }
    assert_eq!(seconds(&stall_detector), Some(10 + 90));
    let reason = stall_detector.deadline().reason;
    assert_eq!(
        reason,
        "no progress for 90 s at stage dhcp; last observation: discover on port 67, architecture [0]"
    );
}

#[test]
fn every_step_of_a_boot_begins_the_silence_anew() {
    for name in ["pxe-dhcp", "proxy-dhcp", "ipxe-chainload", "pixiecore"] {
        let (scenario, records) = passing(name);
        let mut stall_detector = stall_detector();
        // A minute between any two signs: as slow as a boot may be.
        for (index, record) in (1..).zip(&records) {
            let second = index * 60;
            let overdue = seconds(&stall_detector).is_some_and(|deadline| deadline < second);
            assert!(
                !overdue,
                "{name} at {record:?}: {}",
                stall_detector.deadline().reason
            );
            stall_detector.saw(&at(record, second), &scenario);
        }
        // Inside, the commands have deadlines of their own.
        assert_eq!(seconds(&stall_detector), None);
    }
}

#[test]
fn a_slow_transfer_is_waited_for_and_a_dead_one_is_not() {
    let (scenario, records) = passing("ipxe-chainload");
    let mut stall_detector = stall_detector();
    let script = records
        .iter()
        .find(|record| matches!(event(record), Some(BootEvent::HttpRequest { .. })));
    stall_detector.saw(&at(script.unwrap(), 20), &scenario);
    // 700 bytes a second, as TFTP with much loss has it.
    for second in 20..1000 {
        stall_detector.received(second * SECOND, second * 700);
        assert!(
            seconds(&stall_detector) > Some(second),
            "given up at {second} s"
        );
    }
    let last = seconds(&stall_detector).unwrap();
    assert!((1000..1000 + 90).contains(&last), "{last}");
    // Answers to questions asked again are no transfer.
    for second in 1000..1090 {
        stall_detector.received(second * SECOND, 700 * 1000 + second);
    }
    assert_eq!(seconds(&stall_detector), Some(last));
}

#[test]
fn what_another_ones_server_sends_is_progress_too() {
    let mut stall_detector = stall_detector();
    stall_detector.received(100 * SECOND, 1_000_000);
    assert_eq!(seconds(&stall_detector), Some(190));
    assert_eq!(
        stall_detector.deadline().reason,
        "no progress for 90 s at stage nbp; last observation: 1000 kB over the network"
    );
}

#[test]
fn the_systems_silence_counts_from_its_last_line() {
    let (scenario, _) = passing("ipxe-chainload");
    let console = |line: &str, second: u64| Record {
        at_us: second * SECOND,
        node: Some("node1".into()),
        seen: Observation::Console { line: line.into() },
    };
    let mut stall_detector = stall_detector();
    stall_detector.saw(&console("[    0.000000] Linux version 6.1", 50), &scenario);
    stall_detector.saw(&console("systemd[1]: Started x", 60), &scenario);
    assert_eq!(seconds(&stall_detector), Some(60 + 180));
    // Firmware's or DHCP's events are no step back.
    let reload = Event {
        at_us: 70 * SECOND,
        what: BootEvent::Ready {
            listeners: Vec::new(),
        },
    };
    let seen = Observation::Server {
        service: "server".into(),
        entry: Box::new(reload),
    };
    stall_detector.saw(
        &Record {
            at_us: 70 * SECOND,
            node: None,
            seen,
        },
        &scenario,
    );
    assert_eq!(seconds(&stall_detector), Some(60 + 180));
}

#[test]
fn a_loop_of_boot_programs_ends_the_wait_at_once() {
    let (scenario, records) = passing("ipxe-chainload");
    let load = records
        .iter()
        .find(|record| matches!(event(record), Some(BootEvent::TftpDone { .. })));
    let mut stall_detector = stall_detector();
    for second in 1..8 {
        stall_detector.saw(&at(load.unwrap(), second), &scenario);
        assert!(seconds(&stall_detector) > Some(second));
    }
    stall_detector.saw(&at(load.unwrap(), 8), &scenario);
    assert_eq!(seconds(&stall_detector), Some(0));
    assert_eq!(
        stall_detector.deadline().reason,
        "undionly.kpxe was loaded 8 times: a loop"
    );
}

#[test]
fn a_reset_machine_has_the_firmwares_silence_again() {
    let scenario = scenario("pxe-dhcp");
    let at = |second: u64, seen: Observation| Record {
        at_us: second * SECOND,
        node: Some("node1".into()),
        seen,
    };
    let mut stall_detector = stall_detector();
    stall_detector.saw(&at(50, Observation::ShellReady), &scenario);
    assert_eq!(seconds(&stall_detector), None);
    stall_detector.saw(&at(60, Observation::Reset), &scenario);
    assert_eq!(seconds(&stall_detector), Some(60 + 120));
    assert_eq!(
        stall_detector.deadline().reason,
        "no progress for 120 s at stage power-on; last observation: it was reset"
    );
}
