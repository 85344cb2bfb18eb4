//! Full report of one machine: the reasons, and every byte it gets.

use std::fmt::Write;

use super::{Colour, by};
use crate::plan::{Asked, Document, MachinePlan, Plan, folder_word};

/// Renders a machine of a plan.
#[must_use]
pub fn render(plan: &Plan, machine: &MachinePlan, colour: Colour) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(text, "{}", colour.strong(&machine.name));
    let _ = writeln!(text, "  asks         {}", machine.request);
    let booted = match &machine.outcome {
        Ok(booted) => booted,
        Err(refused) => {
            let _ = writeln!(
                text,
                "  {}",
                colour.bad(&format!("404          {}", refused.reason))
            );
            return text;
        }
    };
    let _ = writeln!(text, "  group        `{}`, by {}", booted.group, by(booted));
    let _ = writeln!(text, "  why          {}", booted.why);
    let _ = writeln!(
        text,
        "  {:12} {}",
        plan.layout.profile_word(),
        booted.profile
    );
    let _ = writeln!(text, "  kernel       {}", booted.kernel);
    for initrd in &booted.initrd {
        let _ = writeln!(text, "  initrd       {initrd}");
    }
    if !booted.command_line.is_empty() {
        let _ = writeln!(text, "  command line {}", booted.command_line);
    }
    if let Some(seed) = &booted.seed {
        let _ = writeln!(text, "  seed         {}", seed.url);
    }
    for problem in machine.problems() {
        let _ = writeln!(text, "  {}", colour.bad(&problem));
    }
    document("iPXE script", "", &booted.script, colour, &mut text);
    for config in &booted.configs {
        let what = folder_word(config.folder);
        let asked = match config.asked {
            Asked::ByKernelOption => "",
            Asked::ByNothing => ", which no kernel option requests",
        };
        if let Some(source) = &config.source {
            let file = match &config.served {
                Ok(Document {
                    file: Some(file), ..
                }) => format!(" of {file}"),
                _ => String::new(),
            };
            let title = format!("--- {}{file}, as rendered", source.language.name());
            let _ = writeln!(
                text,
                "\n{}\n{}",
                colour.strong(&title),
                source.text.trim_end_matches('\n')
            );
        }
        match &config.served {
            Ok(served) => document(what, asked, served, colour, &mut text),
            Err(reason) => {
                let none = format!("no {what}{asked}: {reason}");
                let _ = writeln!(text, "\n{}", colour.bad(&none));
            }
        }
    }
    if let Some(seed) = &booted.seed {
        for planned in &seed.files {
            let what = format!("{} (NoCloud seed)", planned.file);
            match &planned.served {
                Ok(served) => document(&what, "", served, colour, &mut text),
                Err(reason) => {
                    let none = format!("no {what}: {reason}");
                    let _ = writeln!(text, "\n{}", colour.bad(&none));
                }
            }
        }
    }
    text
}

fn document(what: &str, asked: &str, document: &Document, colour: Colour, text: &mut String) {
    let file = document
        .file
        .as_ref()
        .map_or_else(String::new, |file| format!(" of {file}"));
    let title = format!("--- {what}{file}{asked}");
    let _ = writeln!(
        text,
        "\n{}\n--- GET {}\n--- {} bytes, sha256 {}\n{}",
        colour.strong(&title),
        document.request,
        document.text.len(),
        document.sha256(),
        document.text.trim_end_matches('\n')
    );
}
