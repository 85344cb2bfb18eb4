//! The services themselves.

use super::case::Case;
use super::{Cause, Finding, Proof};
use crate::evidence::Seen;

/// A service of the scenario ended by itself.
pub(super) fn died(case: &Case) -> Option<Finding> {
    let ended = case
        .attempt
        .records
        .iter()
        .find_map(|record| match &record.seen {
            Seen::ServiceEnded { service, detail } => Some((record.at_us, service, detail)),
            _ => None,
        });
    let (at_us, service, detail) = ended?;
    let last = detail
        .lines()
        .rfind(|line| !line.trim().is_empty())
        .unwrap_or_default();
    let back = case.attempt.records.iter().any(|record| {
        record.at_us > at_us
            && matches!(&record.seen, Seen::Server { service: of, .. } if of == service)
    });
    // One that came back need not be the reason.
    let weight = if back { 58 } else { 96 };
    Some(Finding {
        cause: Cause::ServiceDied,
        sentence: format!("{service} ended by itself at {}: {last}", case.time(at_us)),
        evidence: vec![Proof::at(at_us, format!("{service}: {detail}"))],
        remedy: format!(
            "read {service}/stderr.log in the attempt's folder, mend what it names, and let a service \
             manager start it again when it ends"
        ),
        weight,
    })
}
