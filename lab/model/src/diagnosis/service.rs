//! Causes about the scenario's services.

use super::case::Case;
use super::{Cause, Finding, Proof};
use crate::evidence::packet::{Transfer, TransferEnd};
use crate::evidence::{Observation, STATION_PREFIX};
use crate::scenario::Service;

/// Time before a server's end within which a transfer's last packet shows that it was active.
const CUT_OFF_US: u64 = 2_000_000;

/// Detects a service that ended unexpectedly.
pub(super) fn died(case: &Case) -> Option<Finding> {
    let ended = case
        .attempt
        .records
        .iter()
        .find_map(|record| match &record.seen {
            // A station stands in for a foreign server, whose processes are unknown.
            Observation::ServiceEnded { service, detail }
            | Observation::ServiceKilled { service, detail }
                if !service.starts_with(STATION_PREFIX) =>
            {
                Some((record.at_us, service, detail))
            }
            _ => None,
        });
    let (at_us, service, detail) = ended?;
    let mut custom = case.attempt.scenario.custom_services.iter();
    let title = custom
        .find(|one| one.name == *service)
        .map_or_else(|| service.clone(), Service::title);
    let last = detail
        .lines()
        .rfind(|line| !line.trim().is_empty())
        .unwrap_or_default();
    let back = case.attempt.records.iter().any(|record| {
        record.at_us > at_us
            && matches!(&record.seen, Observation::Server { service: of, .. } if of == service)
    });
    let cut_off = case.transfers().any(|one| {
        let whole_again = |other: &Transfer| {
            other.end == TransferEnd::Whole && other.name == one.name && other.end_us > at_us
        };
        one.start_us <= at_us
            && at_us <= one.end_us.saturating_add(CUT_OFF_US)
            && one.end != TransferEnd::Whole
            && !case.transfers().any(whole_again)
    });
    // A service that was restarted need not be the cause, unless it left a transfer incomplete.
    let weight = if back && !cut_off { 58 } else { 96 };
    Some(Finding {
        cause: Cause::ServiceDied,
        sentence: format!("{title} ended by itself at {}: {last}", case.time(at_us)),
        evidence: vec![Proof::at(at_us, format!("{service}: {detail}"))],
        remedy: format!(
            "read stderr.log and stdout.log in {service}/ of the attempt's folder, correct the \
             problem that they name, and let a service manager restart the service when it ends"
        ),
        weight,
    })
}
