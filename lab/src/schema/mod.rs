//! JSON schemas of the files that users write and that programs read, generated from the types that parse and write
//! these files.
//!
//! `docs/schemas/` has the generated files; a test compares them. Schemas are draft-07, which editors of TOML
//! understand. Configuration files are described as they may be written; artifacts as they are written, so that
//! programs know which keys are always present. Unknown keys are refused in configuration files only: artifacts may
//! get new keys.

#[cfg(test)]
pub(crate) mod tests;

use boot_server::config::Config;
use boot_server_events::Event;
use lab_model::evidence::Record;
use lab_model::fault::written::FaultFile;
use lab_model::scenario::Scenario;
use lab_report::RunSummary;
use lab_report::artifacts::AttemptVerdict;
use lab_report::live::Line;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};

/// Schema of one kind of file.
#[derive(Debug, Clone, Copy)]
pub struct Published {
    /// Name on the command line; the file in `docs/schemas/` is `NAME.schema.json`.
    pub name: &'static str,
    /// File that the schema describes.
    pub describes: &'static str,
    generate: fn() -> Schema,
}

/// All schemas.
pub const SCHEMAS: [Published; 9] = [
    Published {
        name: "scenario",
        describes: "scenario.toml, and scenario.resolved.toml of an attempt",
        generate: input::<Scenario>,
    },
    Published {
        name: "fault",
        describes: "fault.toml of a fault on purpose, and case.toml of an adversarial case",
        generate: input::<FaultFile>,
    },
    Published {
        name: "boot-server",
        describes: "boot-server.toml, the configuration of the boot server",
        generate: input::<Config>,
    },
    Published {
        name: "machines",
        describes: "list of machines in TOML, YAML or JSON",
        generate: machines,
    },
    Published {
        name: "run",
        describes: "run.json of a run",
        generate: output::<RunSummary>,
    },
    Published {
        name: "verdict",
        describes: "verdict.json of an attempt",
        generate: output::<AttemptVerdict<'static>>,
    },
    Published {
        name: "events",
        describes: "one line of events.jsonl of a run",
        generate: output::<Line<'static>>,
    },
    Published {
        name: "evidence",
        describes: "one line of evidence.jsonl of an attempt",
        generate: output::<Record>,
    },
    Published {
        name: "server-events",
        describes: "one line of the boot server's events",
        generate: output::<Event>,
    },
];

impl Published {
    /// Returns the schema.
    #[must_use]
    pub fn schema(self) -> Schema {
        let mut schema = (self.generate)();
        schema.insert("title".into(), self.describes.into());
        schema
    }

    /// Returns the schema as the text of its file.
    #[must_use]
    pub fn text(self) -> String {
        format!("{:#}\n", self.schema().as_value())
    }
}

/// Schema of a file that users write.
fn input<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft07().for_deserialize();
    settings.into_generator().into_root_schema_for::<T>()
}

/// Schema of a file that the lab or the boot server writes.
fn output<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft07().for_serialize();
    settings.into_generator().into_root_schema_for::<T>()
}

/// Schema of a list of machines, which is parsed by hand.
fn machines() -> Schema {
    match rollout::inventory::schema::schema() {
        serde_json::Value::Object(schema) => schema.into(),
        _ => Schema::default(),
    }
}
