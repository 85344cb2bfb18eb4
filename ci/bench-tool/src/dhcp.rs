//! Address exchanges (Discover, Offer, Request, Ack) beside dnsmasq and Kea, leases kept on disk.
//!
//! perfdhcp plays a relay agent and thousands of clients that have leases already and ask again. A rate
//! counts when under 1 % of it is lost. perfdhcp fills a processor near 9,600 exchanges a second, so a
//! server's processor time for each exchange is told beside the rate.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};

use crate::Bench;
use crate::dhcp_kind::Kind;
use crate::dhcp_servers::start;
use crate::leases;
use crate::limits::Limits;
use crate::perfdhcp;
use crate::table::{Better, Row, Section, median, turns};

const CLIENTS: [u32; 3] = [1_000, 10_000, 50_000];
/// Rates that are tried.
const RATES: [u32; 18] = [
    16_000, 12_000, 10_000, 8_000, 6_500, 5_000, 4_000, 3_000, 2_000, 1_000, 500, 250, 100, 50, 20,
    10, 5, 2,
];
/// The rate at which processor time is compared of all that hold it.
const COMMON_RATE: u32 = 1_000;
/// Exchanges that may be lost.
const MAX_LOST: f64 = 0.01;
/// Duration of the prepared leases, in seconds: less than that of new ones, which shows the renewed ones.
const PREPARED_SECONDS: u64 = leases::LEASE_SECONDS / 4;
/// Time limit for a server to read its leases.
const START_TIME: Duration = Duration::from_secs(60);
/// Time limit for a lease file to be complete after the last answer.
const CHECK_TIME: Duration = Duration::from_secs(3);
/// Length of an answer, for the physical limit.
const ANSWER_LEN: u32 = 300;

/// Result of a run at one rate.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// Whole exchanges a second.
    rate: f64,
    /// The share of exchanges that were not ended.
    lost: f64,
    /// Microseconds of processor time for each exchange.
    cpu_us: f64,
}

/// Rate and processor time.
pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Vec<Section>> {
    let names: Vec<String> = Kind::ALL.map(|kind| kind.name().to_owned()).to_vec();
    let (mut rates, mut cpu) = (Vec::new(), Vec::new());
    let limits = Limits::start(bench)?;
    for clients in CLIENTS {
        let name = format!("{clients} clients");
        if bench.wants(&name) {
            let (rate, cost) = highest(bench, &name, clients)?;
            let limit = Some(limits.round_trips_per_second(ANSWER_LEN)? / 2.0);
            rates.push(Row { limit, ..rate });
            let limit = Some(2.0 * limits.cpu_us_per_answer(ANSWER_LEN)?);
            cpu.push(Row { limit, ..cost });
        }
    }
    let name = format!("{} clients, {COMMON_RATE}/s", CLIENTS[0]);
    if bench.wants(&name) {
        let limit = Some(2.0 * limits.cpu_us_per_answer(ANSWER_LEN)?);
        let row = at_common_rate(bench, name)?;
        cpu.push(Row { limit, ..row });
    }
    Ok(vec![
        Section {
            title: "DHCP: exchanges of four messages a second, under 1 % lost".into(),
            note: "perfdhcp as relay agent, for clients that have leases already and ask again; all servers \
                   start from the same leases, keep them in a file before they acknowledge (it is read and \
                   compared after each run that counts) and log no single exchange; ours writes its events, \
                   to `/dev/null`. perfdhcp itself ends near 9,600/s on a processor of its own, which it does \
                   not have where there are two. The limit is the round trips of a bare UDP echo, two an \
                   exchange."
                .into(),
            servers: names.clone(),
            better: Better::More,
            target: Some(1.0),
            rows: rates,
        },
        Section {
            title: "DHCP: the server's processor time for each exchange, µs".into(),
            note: format!(
                "Of the same runs, each server at its own highest rate, where waking up serves several \
                 messages; and all at {COMMON_RATE}/s, where each message wakes its server. The limit is a bare \
                 UDP echo that sleeps between messages."
            ),
            servers: names,
            better: Better::Less,
            target: Some(0.5),
            rows: cpu,
        },
    ])
}

/// Returns a row of rates and one of processor time, at the highest rate that holds.
fn highest(bench: &Bench, name: &str, clients: u32) -> anyhow::Result<(Row, Row)> {
    let mut best = vec![Vec::new(); Kind::ALL.len()];
    let mut cost = best.clone();
    let mut from = [0; Kind::ALL.len()];
    for (n, kind) in Kind::ALL.into_iter().enumerate() {
        from[n] = search(|rate| Ok(run(bench, kind, clients, rate)?.lost < MAX_LOST))?;
    }
    let mut lossy = Vec::new();
    for round in 0..bench.repeats {
        for n in turns(round, Kind::ALL.len()) {
            let kind = Kind::ALL[n];
            // Whoever does not answer even the lowest rate is not waited for again.
            if best[n].last() == Some(&0.0) {
                continue;
            }
            let (at, found) = highest_from(bench, kind, clients, from[n])?;
            tell(name, kind, found);
            let answers = found.rate > 0.0;
            ensure!(answers || kind != Kind::Ours, "ours answers nothing");
            // The next time it begins one above.
            from[n] = at.saturating_sub(1);
            best[n].push(found.rate);
            if answers {
                cost[n].push(found.cpu_us);
            }
            if found.lost >= MAX_LOST {
                lossy.push(format!(
                    "{} lost {:.0} % even of {}/s",
                    kind.name(),
                    found.lost * 100.0,
                    RATES[at]
                ));
            }
        }
    }
    lossy.dedup();
    let row = |values| Row {
        name: name.to_owned(),
        values,
        ..Row::default()
    };
    let rate = Row {
        remark: lossy.join("; "),
        ..row(best)
    };
    Ok((rate, row(cost)))
}

/// Returns the place in [`RATES`] of the highest rate that holds; the last when none does.
fn search(mut holds: impl FnMut(u32) -> anyhow::Result<bool>) -> anyhow::Result<usize> {
    let (mut from, mut to) = (0, RATES.len() - 1);
    while from < to {
        let middle = usize::midpoint(from, to);
        match holds(RATES[middle])? {
            true => to = middle,
            false => from = middle + 1,
        }
    }
    Ok(from)
}

/// Returns the highest rate that holds, from this place of [`RATES`] on.
fn highest_from(
    bench: &Bench,
    kind: Kind,
    clients: u32,
    from: usize,
) -> anyhow::Result<(usize, Run)> {
    let mut last = None;
    for (n, rate) in RATES.into_iter().enumerate().skip(from) {
        let run = run(bench, kind, clients, rate)?;
        last = Some((n, run));
        if run.lost < MAX_LOST {
            break;
        }
    }
    // When none held: what the lowest came to.
    last.context("no rates")
}

fn at_common_rate(bench: &Bench, name: String) -> anyhow::Result<Row> {
    let mut values = vec![Vec::new(); Kind::ALL.len()];
    let mut lost = vec![Vec::new(); Kind::ALL.len()];
    for round in 0..bench.repeats {
        for n in turns(round, Kind::ALL.len()) {
            let found = run(bench, Kind::ALL[n], CLIENTS[0], COMMON_RATE)?;
            tell(&name, Kind::ALL[n], found);
            values[n].push(found.cpu_us);
            lost[n].push(found.lost);
        }
    }
    let mut remarks = Vec::new();
    for (n, kind) in Kind::ALL.into_iter().enumerate() {
        let lost = median(&lost[n]).unwrap_or(0.0);
        if lost >= MAX_LOST {
            values[n].clear();
            remarks.push(format!(
                "{} does not hold it: {:.0} % lost",
                kind.name(),
                lost * 100.0
            ));
        }
    }
    let remark = remarks.join("; ");
    Ok(Row {
        name,
        values,
        remark,
        ..Row::default()
    })
}

fn tell(name: &str, kind: Kind, run: Run) {
    eprintln!(
        "dhcp: {name}: {}: {:.0}/s, {:.1} % lost, {:.1} µs each",
        kind.name(),
        run.rate,
        run.lost * 100.0,
        run.cpu_us
    );
}

/// Runs a server that was started for it, after a second at a tenth of the rate.
fn run(bench: &Bench, kind: Kind, clients: u32, rate: u32) -> anyhow::Result<Run> {
    let folder = tempfile::tempdir_in(bench.folder.path())?;
    let file = folder.path().join("leases");
    let prepared = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() + PREPARED_SECONDS;
    leases::prepare(kind, &file, clients, prepared)?;
    let server = start(bench, kind, folder.path(), &file)?;
    let measured = || -> anyhow::Result<Run> {
        // dnsmasq says that it serves long before it has read many leases.
        let started = Instant::now();
        while !perfdhcp::is_answered()? {
            let late = started.elapsed() > START_TIME;
            ensure!(!late, "nothing is answered within {START_TIME:?}");
        }
        perfdhcp::run((rate / 10).max(1), clients, 1)?;
        let before = server.cpu_seconds()?;
        let counts = perfdhcp::run(rate, clients, bench.seconds)?;
        let cpu = server.cpu_seconds()? - before;
        if counts.acks == 0 {
            // Too far behind to answer anyone in time.
            return Ok(Run {
                rate: 0.0,
                lost: 1.0,
                cpu_us: f64::INFINITY,
            });
        }
        if counts.lost() < MAX_LOST {
            let check = || check_leases(kind, &file, clients, prepared, counts);
            within(CHECK_TIME, check)?;
        }
        Ok(Run {
            rate: counts.acks as f64 / bench.seconds as f64,
            lost: counts.lost(),
            cpu_us: cpu * 1e6 / counts.acks as f64,
        })
    };
    measured().with_context(|| format!("{}: {}", kind.name(), server.last_words()))
}

/// Retries until success or timeout: dnsmasq may be rewriting its file just now.
fn within(time: Duration, attempt: impl Fn() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let start = Instant::now();
    loop {
        match attempt() {
            Err(_) if start.elapsed() < time => std::thread::sleep(Duration::from_millis(50)),
            result => return result,
        }
    }
}

/// Checks that the lease file holds every acknowledged client.
fn check_leases(
    kind: Kind,
    file: &Path,
    clients: u32,
    prepared: u64,
    counts: perfdhcp::Counts,
) -> anyhow::Result<()> {
    let renewed = leases::renewed(kind, file, prepared)?;
    // Clients ask in turn: each that was not lost is another one until all have asked.
    let lost = counts.discovers - counts.acks;
    let least = counts.acks.min(u64::from(clients).saturating_sub(lost));
    ensure!(
        renewed >= least,
        "{renewed} leases are kept where {least} clients were given one"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_ends_at_the_highest_rate_that_holds() {
        for (place, highest) in RATES.into_iter().enumerate() {
            let found = search(|rate| Ok(rate <= highest)).unwrap();
            assert_eq!(found, place, "{highest}");
        }
        assert_eq!(search(|_| Ok(false)).unwrap(), RATES.len() - 1);
    }

    #[test]
    fn acknowledged_clients_must_be_in_the_lease_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("leases");
        leases::prepare(Kind::Ours, &file, 100, 2000).unwrap();
        let check = |clients, acks| {
            let counts = perfdhcp::Counts {
                discovers: acks + 1,
                acks,
            };
            check_leases(Kind::Ours, &file, clients, 1999, counts)
        };
        assert!(check(100, 5000).is_ok());
        assert!(check(101, 5000).is_ok(), "one was lost");
        assert!(check(102, 5000).is_err());
        assert!(check(1000, 100).is_ok());
        assert!(check(1000, 101).is_err());
    }
}
