//! Medians, ratios and the report as Markdown.

use std::fmt::Write;

/// One comparison: the same thing measured of several servers.
pub(crate) struct Section {
    pub(crate) title: String,
    /// What is compared and how to read it.
    pub(crate) note: String,
    /// Names of the servers, ours first.
    pub(crate) servers: Vec<String>,
    /// More is better, or less.
    pub(crate) better: Better,
    pub(crate) rows: Vec<Row>,
}

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    More,
    Less,
}

/// One line of a table.
pub(crate) struct Row {
    pub(crate) name: String,
    /// Measurements of each server; none where it does not do this.
    pub(crate) values: Vec<Vec<f64>>,
    /// What the machine itself can do, in the same unit.
    pub(crate) limit: Option<f64>,
    /// More about it.
    pub(crate) remark: String,
}

/// The middle one of the values.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        1 => sorted.get(middle).copied(),
        _ => Some((sorted.get(middle.checked_sub(1)?)? + sorted.get(middle)?) / 2.0),
    }
}

impl Section {
    fn ratio(&self, row: &Row) -> Option<f64> {
        let mut medians = row.values.iter().map(|values| median(values));
        let ours = medians.next()??;
        let peers = medians.flatten();
        match self.better {
            Better::More => peers.reduce(f64::max).map(|best| ours / best),
            Better::Less => peers.reduce(f64::min).map(|best| ours / best),
        }
    }

    fn render(&self, out: &mut String) {
        let _ = writeln!(out, "## {}\n\n{}\n", self.title, self.note);
        let compared = self.servers.len() > 1;
        let mut head = vec!["".to_owned()];
        head.extend(self.servers.iter().cloned());
        if compared {
            head.push("ours / best".into());
        }
        head.push("physical limit".into());
        head.push("".into());
        let _ = writeln!(out, "| {} |", head.join(" | "));
        let _ = writeln!(out, "|{}", " --- |".repeat(head.len()));
        for row in &self.rows {
            let mut cells = vec![row.name.clone()];
            cells.extend(row.values.iter().map(|values| number(median(values))));
            if compared {
                cells.push(
                    self.ratio(row)
                        .map_or("–".into(), |ratio| format!("**{ratio:.2}**")),
                );
            }
            cells.push(number(row.limit));
            cells.push(row.remark.clone());
            let _ = writeln!(out, "| {} |", cells.join(" | "));
        }
        let _ = writeln!(out);
    }
}

fn number(value: Option<f64>) -> String {
    match value {
        None => "–".into(),
        Some(value) if value >= 100.0 => format!("{value:.0}"),
        Some(value) => format!("{value:.1}"),
    }
}

/// All comparisons of a run.
pub(crate) struct Report {
    repeats: usize,
    sections: Vec<Section>,
}

impl Report {
    pub(crate) fn new(repeats: usize) -> Report {
        Report {
            repeats,
            sections: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, section: Section) {
        self.sections.push(section);
    }

    /// The report as Markdown.
    pub(crate) fn render(&self) -> String {
        let mut out = String::from("# boot-server beside the programs it replaces\n\n");
        // The first argument is this program; `ci/bench` hands the hidden ones in.
        let asked: Vec<String> = std::env::args().skip(1).collect();
        let hidden = ["--boot-server", "--peers"];
        let mut shown = vec!["ci/bench".to_owned()];
        let mut arguments = asked.iter();
        while let Some(argument) = arguments.next() {
            match hidden.contains(&argument.as_str()) {
                true => drop(arguments.next()),
                false => shown.push(argument.clone()),
            }
        }
        let _ = writeln!(
            out,
            "Made by `{}` on {} ({} processors, Linux {}). Each number is the median of {}; the servers of \
             a row took turns within one run, across a cable between two network namespaces.\n",
            shown.join(" "),
            processor(),
            std::thread::available_parallelism().map_or(1, usize::from),
            kernel(),
            self.repeats,
        );
        for section in &self.sections {
            section.render(&mut out);
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
        out
    }
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let name = name
        .and_then(|line| line.split_once(": "))
        .map(|(_, name)| name);
    name.unwrap_or("an unnamed processor").to_owned()
}

fn kernel() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_middle_ones() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn ours_is_compared_with_the_best_of_the_others() {
        let mut section = Section {
            title: String::new(),
            note: String::new(),
            servers: Vec::new(),
            better: Better::More,
            rows: Vec::new(),
        };
        let row = Row {
            name: String::new(),
            values: vec![vec![30.0], vec![], vec![10.0], vec![20.0]],
            limit: None,
            remark: String::new(),
        };
        assert_eq!(section.ratio(&row), Some(1.5));
        section.better = Better::Less;
        assert_eq!(section.ratio(&row), Some(3.0));
    }
}
