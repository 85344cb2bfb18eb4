//! `[log]` and `[metrics]`: what the operator sees.

use std::net::SocketAddr;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// `[log]`: what is written to standard error.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// Least severe level that is logged.
    pub level: LogLevel,
    /// In which form.
    pub format: LogFormat,
}

/// Log level. The other names are those of logrus (matchbox) and capnslog (bootcfg).
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    ValueEnum,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
#[schemars(transform = with_aliases)]
pub enum LogLevel {
    /// Only what keeps the server from its work.
    #[value(aliases = ["critical", "c", "e", "0", "fatal", "panic"])]
    #[serde(alias = "critical")]
    Error,
    /// Also warnings, which need an operator's attention.
    #[value(aliases = ["warning", "w", "1"])]
    #[serde(alias = "warning")]
    Warn,
    /// Each boot step, too.
    #[default]
    #[value(aliases = ["notice", "n", "2", "i", "3"])]
    #[serde(alias = "notice")]
    Info,
    /// Also ignored messages and the reasons.
    #[value(aliases = ["d", "4"])]
    Debug,
    /// All log messages.
    #[value(aliases = ["t", "5"])]
    Trace,
}

/// Adds the aliases to the schema, which derived schemas omit.
fn with_aliases(schema: &mut schemars::Schema) {
    if let Some(names) = schema
        .get_mut("oneOf")
        .and_then(|names| names.as_array_mut())
    {
        names.push(serde_json::json!({
            "description": "Aliases of `error`, `warn` and `info`.",
            "enum": ["critical", "warning", "notice"],
        }));
    }
}

/// The form of log lines.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    ValueEnum,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// A line for people.
    #[default]
    Human,
    /// A JSON object a line.
    Json,
}

/// `[metrics]`: where `/metrics` and `/healthz` are served besides the HTTP service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricsConfig {
    /// Address and port, e.g. `127.0.0.1:9100`.
    pub listen: SocketAddr,
}
