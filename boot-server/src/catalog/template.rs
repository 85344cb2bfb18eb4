//! Go templates in configs, and the Go spelling of values.

use std::collections::BTreeMap;
use std::sync::Arc;

use gotmpl::{Template, TemplateError, Value};

/// Values for a template, by name.
pub type Metadata = BTreeMap<Arc<str>, Value>;

/// A template does not parse, or cannot be executed with these values.
#[derive(Debug, thiserror::Error)]
#[error("template: {message}")]
pub struct InvalidTemplate {
    /// What is wrong.
    pub message: String,
    /// Line and column, counted from 1, for errors of syntax.
    pub place: Option<(usize, usize)>,
}

impl From<TemplateError> for InvalidTemplate {
    fn from(error: TemplateError) -> InvalidTemplate {
        match error {
            TemplateError::Parse {
                line, col, message, ..
            }
            | TemplateError::Lex {
                line, col, message, ..
            } => InvalidTemplate {
                message: format!("{message} (line {line})"),
                place: Some((line, col)),
            },
            other => InvalidTemplate {
                message: other.to_string(),
                place: None,
            },
        }
    }
}

/// Renders a Go template. A missing key renders as `<no value>`, as it did with bootcfg 0.2.0.
///
/// # Errors
/// The template does not parse, or a function in it does not accept its values.
pub fn render(text: &str, metadata: &Metadata) -> Result<String, InvalidTemplate> {
    let template = Template::new("").parse(text)?;
    Ok(template.execute_to_string(&Value::Map(Arc::new(metadata.clone())))?)
}

/// A template value from JSON (or YAML read as JSON): integers where they fit, like Go's YAML.
pub fn value_from_json(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(bool) => Value::Bool(*bool),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Value::Int(int),
            (None, Some(uint)) => Value::Uint(uint),
            (None, None) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(string) => Value::String(string.as_str().into()),
        serde_json::Value::Array(items) => Value::List(items.iter().map(value_from_json).collect()),
        serde_json::Value::Object(object) => Value::Map(Arc::new(
            object
                .iter()
                .map(|(key, value)| (key.as_str().into(), value_from_json(value)))
                .collect(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(json: serde_json::Value) -> Metadata {
        match value_from_json(&json) {
            Value::Map(map) => (*map).clone(),
            _ => Metadata::new(),
        }
    }

    #[test]
    fn a_missing_key_renders_as_no_value() {
        let rendered = render("a {{.b}} {{.c}}", &metadata(serde_json::json!({"b": 1}))).unwrap();
        assert_eq!(rendered, "a 1 <no value>");
    }

    #[test]
    fn nested_values_are_reached_and_listed() {
        let data = metadata(serde_json::json!({"net": {"ips": ["a", "b"]}, "big": 1_000_000}));
        let text = "{{range .net.ips}}<{{.}}>{{end}} {{index .net.ips 1}} {{.big}} {{.net.ips}}";
        assert_eq!(render(text, &data).unwrap(), "<a><b> b 1000000 [a b]");
    }

    #[test]
    fn a_syntax_error_tells_its_line() {
        let error = render("ok\n{{ if }}\n", &Metadata::new()).unwrap_err();
        assert_eq!(error.place.map(|(line, _)| line), Some(2), "{error}");
    }
}
