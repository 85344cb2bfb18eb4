//! `lab butane FILE`: prints the Ignition config that a Butane or Container Linux Config is translated to.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use boot_server_catalog::ignition::{self, ConfigLanguage, Note, Options, Output};
use boot_server_catalog::problem::{Problem, Severity, render_problems};
use boot_server_catalog::raw_text;
use clap::Args;
use lab_report::exit_code::ExitCode;

use super::ignition_mode::IgnitionName;

/// Arguments of `lab butane`.
#[derive(Debug, Args)]
pub(super) struct ButaneArguments {
    /// Butane or Container Linux Config; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Indent the result
    #[arg(short, long)]
    pretty: bool,
    /// Refuse a config with warnings
    #[arg(short, long)]
    strict: bool,
    /// Folder of the files that the config has under `local`, `contents_local` and `trees`
    #[arg(short = 'd', long, value_name = "DIR")]
    files_dir: Option<PathBuf>,
    /// Translate as this setting of the boot server does [default: by the language, as `butane`]
    #[arg(long, value_name = "MODE")]
    ignition: Option<IgnitionName>,
}

/// Prints the translation and returns the exit code.
pub(super) fn run(arguments: &ButaneArguments) -> ExitCode {
    let bytes = match read(&arguments.file) {
        Ok(bytes) => bytes,
        Err(error) => {
            eprintln!("lab: cannot read {}: {error}", arguments.file.display());
            return ExitCode::InvalidInput;
        }
    };
    let text = raw_text::from_bytes(bytes);
    let mode = arguments.ignition.map(Into::into);
    let Some(language) = ignition::language(&text, mode) else {
        let what = match mode {
            Some(ignition::IgnitionMode::Raw) => "translation is off (--ignition raw)",
            _ => "an Ignition config, which needs no translation",
        };
        eprintln!("lab: not translated: {} ({what})", arguments.file.display());
        return ExitCode::InvalidInput;
    };
    let output = match (mode, arguments.pretty) {
        (Some(ignition::IgnitionMode::AsMatchbox011), _) => Output::Matchbox011,
        (_, true) => Output::Pretty,
        (_, false) => Output::Butane,
    };
    let options = Options {
        files_dir: arguments.files_dir.as_deref(),
        output,
    };
    let translation = ignition::translate_with(&text, language, &options);
    let problem = |note: &Note| problem(note, language, &text, &arguments.file);
    let problems: Vec<Problem> = translation.notes.iter().map(problem).collect();
    eprint!("{}", render_problems(&problems));
    if text.contains("{{") && translation.result.is_err() {
        eprintln!(
            "help: the file has template actions; `lab plan DIR --show NAME` renders them for a machine"
        );
    }
    let is_refused = arguments.strict && !problems.is_empty();
    let (Ok(config), false) = (translation.result, is_refused) else {
        return ExitCode::InvalidInput;
    };
    // Butane's own results are indented already.
    let is_indented = output == Output::Pretty && language == ConfigLanguage::Butane;
    let config = match arguments.pretty && !is_indented {
        true => ignition::indented(&config),
        false => config,
    };
    // A closed pipe is not an error.
    drop(writeln!(io::stdout(), "{config}"));
    ExitCode::Ok
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    if file != Path::new("-") {
        return std::fs::read(file);
    }
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn problem(note: &Note, language: ConfigLanguage, text: &str, file: &Path) -> Problem {
    let (severity, help, rule) = match note.is_error {
        true => (Severity::Error, "correct the config", "translation-refused"),
        false => (
            Severity::Warning,
            "the config is translated; --strict refuses it",
            "translation-warning",
        ),
    };
    let message = format!("{}: {}", language.name(), note.message);
    let (line, column) = note.place;
    Problem::of_file(severity, file, message, help)
        .of_rule(rule)
        .at(text, line, column)
}
