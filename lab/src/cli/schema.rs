//! `lab schema`: JSON schemas for editors and for programs that read the artifacts.

use clap::Args;
use clap::builder::PossibleValuesParser;
use lab_report::exit_code::ExitCode;

use crate::schema::SCHEMAS;

/// Arguments of `lab schema`.
#[derive(Debug, Args)]
pub(super) struct SchemaArguments {
    /// Name of the schema; all names are listed when it is omitted
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(SCHEMAS.map(|schema| schema.name)))]
    name: Option<String>,
}

/// Prints a schema, or the list of them.
pub(super) fn run(arguments: &SchemaArguments) -> ExitCode {
    let wanted = |name: &String| SCHEMAS.into_iter().find(|schema| schema.name == *name);
    match arguments.name.as_ref().and_then(wanted) {
        Some(schema) => print!("{}", schema.text()),
        None => {
            for schema in SCHEMAS {
                println!("{:<14} {}", schema.name, schema.describes);
            }
        }
    }
    ExitCode::Ok
}
