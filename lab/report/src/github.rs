//! Output for GitHub Actions: an annotation for each failed machine, and the job summary.

use std::fmt::Write;

use lab_model::verdict::NodeVerdict;

use super::excerpts::explanation;
use super::{NodeSummary, RunSummary, UnitSummary, format};

/// Maximum length of one explanation in bytes: GitHub limits a summary to 1 MiB per step.
const EXPLANATION_BYTES: usize = 8 * 1024;
/// Maximum number of explanations in one summary.
const EXPLANATIONS: usize = 60;

/// Returns workflow commands for standard output, one per line. `scenarios` is the folder of the scenarios
/// relative to the repository, because annotations name files.
#[must_use]
pub fn annotations(run: &RunSummary, scenarios: &str) -> String {
    let mut text = String::new();
    for (unit, node) in nodes(run) {
        let level = match &node.verdict {
            NodeVerdict::Fail { .. } | NodeVerdict::Infra { .. } | NodeVerdict::Leaked { .. } => {
                "error"
            }
            NodeVerdict::Flaky { .. } if run.flaky_fails => "error",
            NodeVerdict::Flaky { .. } => "warning",
            NodeVerdict::Pass | NodeVerdict::Skipped { .. } | NodeVerdict::Interrupted => continue,
        };
        let file = format!("{scenarios}/{}/scenario.toml", unit.scenario);
        let stage = match &node.verdict {
            NodeVerdict::Fail { stage, .. } => format!(" at {stage}"),
            _ => String::new(),
        };
        let title = format!(
            "{} {}: {}{stage}",
            unit.name(),
            node.name,
            node.verdict.word()
        );
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "::{level} file={},title={}::{}",
            property(&file),
            property(&title),
            data(&message(node))
        );
    }
    text
}

/// Returns the message of an annotation: the likeliest cause and its remedy, else the verdict.
fn message(node: &NodeSummary) -> String {
    node.findings.first().map_or_else(
        || node.verdict.sentence(),
        |best| format!("{}\nTry: {}", best.sentence, best.remedy),
    )
}

/// Escapes a command's message like GitHub's toolkit (`@actions/core`, `escapeData`).
fn data(text: &str) -> String {
    let text = strip_ansi_escapes::strip_str(text);
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// Escapes a property of a command like GitHub's toolkit (`escapeProperty`).
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// Renders the job summary in Markdown: the table, and the explanation of each failure.
#[must_use]
pub fn summary(run: &RunSummary) -> String {
    let mut text = String::new();
    let counts: Vec<String> = run
        .counts()
        .into_iter()
        .map(|(word, count)| format!("{count} {word}"))
        .collect();
    let _ = writeln!(text, "## Network boot: {}\n", counts.join(", "));
    let _ = writeln!(
        text,
        "Run {} in {}, on {}.",
        run.run_id,
        format::seconds(run.seconds),
        cell(&run.accelerator)
    );
    for caveat in run.caveats() {
        let _ = writeln!(text, "{caveat}");
    }
    text.push_str("\n| | scenario | machine | verdict | time |\n|---|---|---|---|---:|\n");
    for (unit, node) in nodes(run) {
        let stage = match &node.verdict {
            NodeVerdict::Fail { stage, .. } => format!(" at `{stage}`"),
            _ => String::new(),
        };
        let time = node.seconds.map_or("–".into(), format::seconds);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {}{stage} | {time} |",
            sign(&node.verdict),
            cell(&unit.name()),
            cell(&node.name),
            node.verdict.word()
        );
    }
    for (unit, node) in nodes(run)
        .filter(|(_, node)| !["pass", "skipped", "interrupted"].contains(&node.verdict.word()))
        .take(EXPLANATIONS)
    {
        let (unit_name, name) = (cell(&unit.name()), cell(&node.name));
        let why = cell(message(node).lines().next().unwrap_or_default());
        let told = unit.last().map_or_else(
            || node.verdict.sentence(),
            |last| explanation(run, last, node),
        );
        let _ = writeln!(
            text,
            "\n<details><summary><b>{unit_name} {name}</b>: {why}</summary>\n\n<pre>\n{}\n</pre>\n</details>",
            block(&told)
        );
    }
    text
}

fn nodes(run: &RunSummary) -> impl Iterator<Item = (&UnitSummary, &NodeSummary)> {
    run.units
        .iter()
        .flat_map(|unit| unit.nodes.iter().map(move |node| (unit, node)))
}

fn sign(verdict: &NodeVerdict) -> &'static str {
    match verdict {
        NodeVerdict::Pass => "✅",
        NodeVerdict::Fail { .. } | NodeVerdict::Leaked { .. } => "❌",
        NodeVerdict::Flaky { .. } | NodeVerdict::Infra { .. } => "⚠️",
        NodeVerdict::Skipped { .. } | NodeVerdict::Interrupted => "⏭️",
    }
}

/// Escapes text for one table cell of Markdown.
fn cell(text: &str) -> String {
    let line = strip_ansi_escapes::strip_str(text).replace(['\r', '\n'], " ");
    let mut safe = String::new();
    for letter in line.chars().filter(|letter| !letter.is_control()) {
        match letter {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => {
                safe.push('\\');
                safe.push(letter);
            }
            letter => safe.push(letter),
        }
    }
    safe
}

/// Escapes text inside `<pre>`. Empty lines would end the HTML block in Markdown, so each gets a space.
fn block(text: &str) -> String {
    let plain = strip_ansi_escapes::strip_str(text).replace('\r', "");
    let mut end = plain.len().min(EXPLANATION_BYTES);
    while !plain.is_char_boundary(end) {
        end -= 1;
    }
    let (shown, rest) = plain.split_at(end);
    let escaped = shown
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let mut lines: Vec<&str> = escaped
        .lines()
        .map(|line| {
            if line.trim().is_empty() {
                "&nbsp;"
            } else {
                line
            }
        })
        .collect();
    if !rest.is_empty() {
        lines.push("…");
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample_run::run;

    #[test]
    fn an_annotation_is_one_line_whatever_the_machine_said() {
        let folder = tempfile::tempdir().unwrap();
        let run = run(folder.path());
        let text = annotations(&run, "scenarios");
        let lines: Vec<&str> = text.lines().collect();
        // node2 failed, node3 was flaky, node4 was not the machine's fault, node6 left something.
        assert_eq!(lines.len(), 4, "{text}");
        let expected = "::error file=scenarios/pxe-dhcp/scenario.toml,title=pxe-dhcp@bios node2%3A fail at \
                        cloud-config::cloud-config: </testcase>]]> <script>alert(1)</script> | ``` </details> \
                        %250A::error::x%0Anext, line: 2%25";
        assert_eq!(lines[0].replace('\u{8}', ""), expected);
        assert!(lines[1].starts_with("::warning file="), "{}", lines[1]);
    }

    #[test]
    fn a_pass_on_a_retry_is_an_error_where_flaky_fails() {
        let folder = tempfile::tempdir().unwrap();
        let mut run = run(folder.path());
        run.flaky_fails = true;
        assert!(!annotations(&run, "scenarios").contains("::warning"));
    }

    #[test]
    fn the_summary_is_a_table_and_a_folded_explanation_for_each_failure() {
        let folder = tempfile::tempdir().unwrap();
        let text = summary(&run(folder.path()));
        let rows = text
            .lines()
            .filter(|line| line.starts_with("| ") && line.ends_with(" |"));
        // The heads and seven machines.
        assert_eq!(rows.count(), 8, "{text}");
        assert!(
            text.contains("| ❌ | pxe-dhcp@bios | node2 | fail at `cloud-config` | 41.2 s |"),
            "{text}"
        );
        assert_eq!(text.matches("<details>").count(), 4);
        assert_eq!(
            text.matches("</details>").count(),
            4,
            "a machine's words close nothing"
        );
        assert!(
            text.contains("explained: &lt;/testcase&gt;]]&gt; &lt;script&gt;"),
            "{text}"
        );
        assert!(!text.contains("<script>"));
        let within = text
            .split("<pre>")
            .nth(1)
            .unwrap()
            .split("</pre>")
            .next()
            .unwrap();
        assert!(
            !within.trim_matches('\n').lines().any(str::is_empty),
            "Markdown would end the HTML there"
        );
    }
}
