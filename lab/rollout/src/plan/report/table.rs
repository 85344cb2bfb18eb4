//! A plan as a table: a line each machine, then what is wrong.

use std::collections::HashSet;
use std::fmt::Write;

use boot_server_catalog::snapshot::Folder;
use console::measure_text_width;

use super::{Colour, by, cell, cloud_cell, counted, machines, short_hash};
use crate::plan::Plan;

/// Renders a plan.
#[must_use]
pub fn render(plan: &Plan, colour: Colour) -> String {
    let header = [
        "machine",
        "group",
        "by",
        plan.layout.profile_word(),
        "script",
        "cloud-config",
        "ignition",
    ];
    let mut rows: Vec<Vec<String>> = vec![header.map(str::to_owned).into()];
    for machine in &plan.machines {
        rows.push(match &machine.outcome {
            Ok(booted) => vec![
                machine.name.clone(),
                booted.group.clone(),
                by(booted).to_owned(),
                booted.profile.clone(),
                short_hash(&booted.script),
                cloud_cell(booted),
                cell(booted.config(Folder::Ignition)),
            ],
            Err(refused) => {
                let group = refused.group.clone();
                let mut row = vec![machine.name.clone(), group.unwrap_or_else(|| "none".into())];
                row.extend(["-", "-", "404", "-", "-"].map(str::to_owned));
                row
            }
        });
    }
    let failing: Vec<bool> = std::iter::once(false)
        .chain(
            plan.machines
                .iter()
                .map(|machine| !machine.problems().is_empty()),
        )
        .collect();
    let mut text = String::new();
    for (line, failing) in aligned(&rows).iter().zip(failing) {
        match failing {
            true => text.push_str(&colour.bad(line)),
            false => text.push_str(line),
        }
        text.push('\n');
    }
    text.push('\n');
    problems(plan, &HashSet::new(), colour, &mut text);
    text
}

/// Writes the problems and the number of machines that were not listed before.
pub(super) fn problems(plan: &Plan, told: &HashSet<&str>, colour: Colour, text: &mut String) {
    let mut failing = 0;
    for machine in plan.failing() {
        failing += 1;
        if told.contains(machine.name.as_str()) {
            continue;
        }
        for problem in machine.problems() {
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "{} {problem}",
                colour.bad(&format!("{}:", machine.name))
            );
        }
    }
    let profiles: HashSet<&str> = plan
        .machines
        .iter()
        .filter_map(|machine| Some(machine.outcome.as_ref().ok()?.profile.as_str()))
        .collect();
    let word = plan.layout.profile_word();
    let all = machines(plan.machines.len());
    let by = counted(profiles.len(), word, &format!("{word}s"));
    let summary = match failing {
        0 => colour.good(&format!("{all} by {by}; each gets what it requests")),
        _ => colour.bad(&format!("{all} by {by}; {failing} with problems")),
    };
    let _ = writeln!(text, "{summary}");
}

/// Rows with columns of one width each.
fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(measure_text_width(cell));
        }
    }
    let line = |row: &Vec<String>| {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let spaces = width + 2 - measure_text_width(cell);
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', spaces));
        }
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}
