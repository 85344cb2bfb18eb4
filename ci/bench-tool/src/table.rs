//! Comparisons as Markdown tables: medians with their spread, ratios, and whether a target is met.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

/// Comparison: the same measurement of several servers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Section {
    pub(crate) title: String,
    /// Comparison made in the section, and how to read it.
    pub(crate) note: String,
    /// Names of the servers, ours first.
    pub(crate) servers: Vec<String>,
    /// More is better, or less.
    pub(crate) better: Better,
    /// Target for the ratio of ours to the best of the others.
    pub(crate) target: Option<f64>,
    pub(crate) rows: Vec<Row>,
}

/// Direction of improvement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Better {
    More,
    Less,
}

/// Row of a table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// Measurements of each server; none where it does not do this.
    pub(crate) values: Vec<Vec<f64>>,
    /// Limit of the machine itself, in the same unit.
    pub(crate) limit: Option<f64>,
    /// True if a target other than a ratio to the others is met.
    pub(crate) met: Option<bool>,
    /// More about it.
    pub(crate) remark: String,
}

/// Returns the median of the values.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        1 => sorted.get(middle).copied(),
        _ => Some((sorted.get(middle.checked_sub(1)?)? + sorted.get(middle)?) / 2.0),
    }
}

/// Returns the order of the servers in a round: each round begins one further, so that no server is always
/// first.
pub(crate) fn turns(round: usize, servers: usize) -> impl Iterator<Item = usize> {
    (0..servers).map(move |n| (round + n) % servers)
}

impl Section {
    /// Returns our result divided by the best of the others.
    fn ratio(&self, row: &Row) -> Option<f64> {
        let mut medians = row.values.iter().map(|values| median(values));
        let ours = medians.next()??;
        let peers = medians.flatten();
        match self.better {
            Better::More => peers.reduce(f64::max).map(|best| ours / best),
            Better::Less => peers.reduce(f64::min).map(|best| ours / best),
        }
    }

    /// Returns true if a row meets its target; `None` when it has none.
    pub(crate) fn is_met(&self, row: &Row) -> Option<bool> {
        let by_ratio = self.target.zip(self.ratio(row));
        let by_ratio = by_ratio.map(|(target, ratio)| match self.better {
            Better::More => ratio >= target,
            Better::Less => ratio <= target,
        });
        match (by_ratio, row.met) {
            (Some(one), Some(other)) => Some(one && other),
            (one, other) => one.or(other),
        }
    }

    pub(crate) fn render(&self, out: &mut String) {
        let _ = writeln!(out, "## {}\n\n{}\n", self.title, self.note);
        let compared = self.servers.len() > 1;
        let mut head = vec![String::new()];
        head.extend(self.servers.iter().cloned());
        if compared {
            head.push(match (self.target, self.better) {
                (Some(target), Better::More) => format!("ours / best (at least {target})"),
                (Some(target), Better::Less) => format!("ours / best (at most {target})"),
                (None, _) => "ours / best".into(),
            });
        }
        head.extend(["target".into(), "physical limit".into(), String::new()]);
        let _ = writeln!(out, "| {} |", head.join(" | "));
        let _ = writeln!(out, "|{}", " --- |".repeat(head.len()));
        for row in &self.rows {
            let mut cells = vec![row.name.clone()];
            cells.extend(row.values.iter().map(|values| spread(values)));
            if compared {
                let ratio = self.ratio(row).map(|ratio| format!("**{ratio:.2}**"));
                cells.push(ratio.unwrap_or("–".into()));
            }
            let met = match self.is_met(row) {
                Some(true) => "met",
                Some(false) => "**missed**",
                None => "–",
            };
            cells.push(met.into());
            cells.push(row.limit.map_or("–".into(), number));
            cells.push(row.remark.clone());
            let _ = writeln!(out, "| {} |", cells.join(" | "));
        }
        let _ = writeln!(out);
    }
}

/// Returns the median and the range of the measurements.
fn spread(values: &[f64]) -> String {
    let Some(middle) = median(values) else {
        return "–".into();
    };
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    format!("{} ({}…{})", number(middle), number(least), number(most))
}

fn number(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(better: Better, target: f64) -> Section {
        Section {
            title: "Title".into(),
            note: "Note.".into(),
            servers: ["ours", "a", "b", "c"].map(str::to_owned).to_vec(),
            better,
            target: Some(target),
            rows: Vec::new(),
        }
    }

    fn row() -> Row {
        Row {
            name: "row".into(),
            values: vec![vec![30.0, 29.0, 31.5], vec![], vec![10.0], vec![20.0]],
            ..Row::default()
        }
    }

    #[test]
    fn the_median_is_the_middle_or_between_the_two_middle_ones() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn ours_is_compared_with_the_best_of_the_others() {
        assert_eq!(section(Better::More, 1.0).ratio(&row()), Some(1.5));
        assert_eq!(section(Better::Less, 1.0).ratio(&row()), Some(3.0));
    }

    #[test]
    fn a_target_is_met_on_its_better_side_only() {
        assert_eq!(section(Better::More, 1.5).is_met(&row()), Some(true));
        assert_eq!(section(Better::More, 1.6).is_met(&row()), Some(false));
        assert_eq!(section(Better::Less, 3.0).is_met(&row()), Some(true));
        assert_eq!(section(Better::Less, 2.9).is_met(&row()), Some(false));
    }

    #[test]
    fn a_row_with_a_target_of_its_own_must_meet_both() {
        let other = |met| Row { met, ..row() };
        assert_eq!(
            section(Better::More, 1.0).is_met(&other(Some(false))),
            Some(false)
        );
        let mut alone = section(Better::More, 1.0);
        alone.target = None;
        assert_eq!(alone.is_met(&other(Some(true))), Some(true));
        assert_eq!(alone.is_met(&row()), None);
    }

    #[test]
    fn a_table_tells_medians_spread_ratio_and_verdict() {
        let mut section = section(Better::More, 1.6);
        section.rows.push(Row {
            limit: Some(200.0),
            ..row()
        });
        let mut text = String::new();
        section.render(&mut text);
        let line = "| row | 30.0 (29.0…31.5) | – | 10.0 (10.0…10.0) | 20.0 (20.0…20.0) | **1.50** | \
                    **missed** | 200 |  |";
        assert!(text.lines().any(|other| other == line), "{text}");
    }

    #[test]
    fn each_server_has_each_place_in_the_order() {
        let orders: Vec<Vec<usize>> = (0..3).map(|round| turns(round, 3).collect()).collect();
        assert_eq!(orders, [[0, 1, 2], [1, 2, 0], [2, 0, 1]]);
    }
}
