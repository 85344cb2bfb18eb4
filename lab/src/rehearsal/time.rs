//! Share of booting in the duration of a run. Pure.

use lab_model::evidence::Observation;
use lab_model::results::UnitOutcome;

const US_PER_SECOND: f64 = 1e6;

/// Returns the time during which at least one machine was on, in seconds.
#[must_use]
pub fn boot_seconds(outcomes: &[UnitOutcome]) -> f64 {
    let mut spans = Vec::new();
    for attempt in outcomes.iter().flat_map(|outcome| &outcome.attempts) {
        for record in &attempt.attempt.records {
            let (Observation::PowerOn, Some(node)) = (&record.seen, &record.node) else {
                continue;
            };
            let seconds = attempt.attempt.node_seconds.get(node);
            let on = record.at_us as f64 / US_PER_SECOND;
            spans.push((on, on + seconds.copied().unwrap_or_default()));
        }
    }
    union(spans)
}

/// Returns the length of the union of time spans.
fn union(mut spans: Vec<(f64, f64)>) -> f64 {
    spans.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut covered = 0.0;
    let mut until = f64::NEG_INFINITY;
    for (from, to) in spans {
        covered += (to - from.max(until)).max(0.0);
        until = until.max(to);
    }
    covered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_side_by_side_count_once() {
        let spans = vec![(10.0, 12.0), (0.0, 4.0), (1.0, 2.0), (3.0, 5.0)];
        assert_eq!(union(spans), 7.0);
        assert_eq!(union(Vec::new()), 0.0);
    }
}
