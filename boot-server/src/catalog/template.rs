//! Go templates in configs, and the Go spelling of values.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use gotmpl::{Template, TemplateError, Value};

use super::problem::place_after;

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

/// What a key that is not there renders as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingKey {
    /// `<no value>`, as with bootcfg 0.2.0.
    NoValue,
    /// An error, as with bootcfg 0.4 and matchbox.
    Error,
}

/// A text that may have Go template actions in it, parsed.
pub enum ConfigText {
    /// It has none.
    Plain(Arc<str>),
    /// It has some.
    Template(Box<Template>),
}

impl fmt::Debug for ConfigText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ConfigText::Plain(_) => "Plain",
            ConfigText::Template(_) => "Template",
        })
    }
}

impl ConfigText {
    /// Parses a text.
    ///
    /// # Errors
    /// The template does not parse.
    pub fn parse(text: &str, missing_key: MissingKey) -> Result<ConfigText, InvalidTemplate> {
        if !text.contains("{{") {
            return Ok(ConfigText::Plain(text.into()));
        }
        let template = Template::new("").missing_key(match missing_key {
            MissingKey::NoValue => gotmpl::MissingKey::Invalid,
            MissingKey::Error => gotmpl::MissingKey::Error,
        });
        let template = template.parse(text)?;
        let invalid = |what: &str, place: (usize, usize)| InvalidTemplate {
            message: format!("{what} (line {})", place.0),
            place: Some(place),
        };
        match (stray_end(text), open_block(text)) {
            (Some(place), _) => Err(invalid("unexpected {{end}}", place)),
            (None, Some(place)) => Err(invalid("no {{end}} closes this block", place)),
            (None, None) => Ok(ConfigText::Template(Box::new(template))),
        }
    }

    /// The text with these values.
    ///
    /// # Errors
    /// A key is missing where that is an error, or a function does not accept its values.
    pub fn render(&self, values: &Value) -> Result<String, InvalidTemplate> {
        match self {
            ConfigText::Plain(text) => Ok((**text).to_owned()),
            ConfigText::Template(template) => Ok(template.execute_to_string(values)?),
        }
    }
}

/// Where an `{{end}}` closes nothing. The engine takes it for the end of the template and drops what
/// follows; Go refuses it. So what follows is made wrong: if that does not matter, it is dropped.
fn stray_end(text: &str) -> Option<(usize, usize)> {
    if !is_dropped(text) {
        return None;
    }
    let mut ends = text.match_indices("}}").map(|(at, close)| at + close.len());
    let end = ends.find(|end| text.get(..*end).is_some_and(is_dropped))?;
    let before = text.get(..end)?;
    let action = before.get(..before.rfind("{{")?)?;
    Some(place_after(action))
}

/// Whether the engine drops what follows a text.
fn is_dropped(text: &str) -> bool {
    const WRONG: &str = "{{if}}";
    Template::new("").parse(&format!("{text}{WRONG}")).is_ok()
}

/// Where a block begins that nothing closes. The engine lets the end of the text close it; Go refuses it.
/// So an `{{end}}` is added: where no block is open it closes nothing, and what follows is dropped.
fn open_block(text: &str) -> Option<(usize, usize)> {
    if is_dropped(&format!("{text}{{{{end}}}}")) {
        return None;
    }
    let mut open = Vec::new();
    for (at, _) in text.match_indices("{{") {
        let action = text.get(at + 2..).unwrap_or_default();
        let action = action.trim_start_matches('-').trim_start();
        let word = action.split(|c: char| !c.is_ascii_alphabetic()).next();
        match word {
            Some("if" | "range" | "with" | "define" | "block") => open.push(at),
            Some("end") => {
                open.pop();
            }
            _ => {}
        }
    }
    let at = open.last().copied().unwrap_or_default();
    Some(place_after(text.get(..at)?))
}

/// A template value from JSON (or YAML read as JSON): integers where they fit, like Go's YAML.
pub fn value_from_json(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(bool) => Value::Bool(*bool),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Value::Int(int),
            (None, Some(uint)) => Value::Uint(uint),
            (None, None) => float(number.as_f64().unwrap_or(f64::NAN)),
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

/// A float as Go's `%v` writes it: with an exponent from a million on, and below 0.0001.
///
/// The template engine writes all floats without one, so that these become their text. They can no
/// more be compared with numbers.
fn float(number: f64) -> Value {
    const EXPONENTS: std::ops::Range<i32> = -4..6;
    let text = format!("{number:e}");
    let parts = text.split_once('e');
    match parts.and_then(|(digits, exponent)| Some((digits, exponent.parse::<i32>().ok()?))) {
        Some((digits, exponent)) if !EXPONENTS.contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            let size = exponent.unsigned_abs();
            Value::String(format!("{digits}e{sign}{size:02}").into())
        }
        _ => Value::Float(number),
    }
}

/// The same for a reader that takes every number for a `float64`, as Go's `encoding/json` does.
pub fn value_from_go_json(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Number(number) => float(number.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::Array(items) => {
            Value::List(items.iter().map(value_from_go_json).collect())
        }
        serde_json::Value::Object(object) => Value::Map(Arc::new(go_json_map(object))),
        other => value_from_json(other),
    }
}

/// The values of an object, likewise.
pub fn go_json_map(object: &serde_json::Map<String, serde_json::Value>) -> Metadata {
    object
        .iter()
        .map(|(key, value)| (key.as_str().into(), value_from_go_json(value)))
        .collect()
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

    fn render(text: &str, metadata: &Metadata) -> Result<String, InvalidTemplate> {
        let text = ConfigText::parse(text, MissingKey::NoValue)?;
        text.render(&Value::Map(Arc::new(metadata.clone())))
    }

    #[test]
    fn a_missing_key_renders_as_no_value_or_is_an_error() {
        let data = metadata(serde_json::json!({"b": 1}));
        assert_eq!(render("a {{.b}} {{.c}}", &data).unwrap(), "a 1 <no value>");
        let strict = ConfigText::parse("a {{.b}} {{.c}}", MissingKey::Error).unwrap();
        let error = strict.render(&Value::Map(Arc::new(data))).unwrap_err();
        assert!(error.to_string().contains("key: c"), "{error}");
    }

    #[test]
    fn an_end_that_closes_nothing_is_refused_with_its_place() {
        let text = "a {{if .b}}\n{{end}}\nx {{end}}\nlost {{.c}}\n";
        let error = render(text, &Metadata::new()).unwrap_err();
        assert_eq!(error.place, Some((3, 3)), "{error}");
        let closed = "a {{if .b}}b{{else}}c{{end}} {{/* end */}}{{range .d}}{{end}}";
        assert_eq!(render(closed, &Metadata::new()).unwrap(), "a c ");
    }

    #[test]
    fn a_block_that_nothing_closes_is_refused_with_its_place() {
        let text = "{{if .b}}x{{end}}\n y {{- range .c}}z\n";
        let error = render(text, &Metadata::new()).unwrap_err();
        assert_eq!(error.place, Some((2, 4)), "{error}");
    }

    #[test]
    fn numbers_of_json_are_floats_to_go() {
        let value = value_from_go_json(&serde_json::json!([
            12_345_678, 2, 1.5, 0.00001, 123_456.5, 1_000_000, -0.0001, 0
        ]));
        assert_eq!(
            value.to_string(),
            "[1.2345678e+07 2 1.5 1e-05 123456.5 1e+06 -0.0001 0]"
        );
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

    /// On a thread with as little stack as those that answer have.
    #[test]
    fn a_template_without_end_is_an_error_and_not_the_end_of_the_server() {
        let endless = [
            "{{define \"a\"}}{{template \"a\" .}}{{end}}{{template \"a\" .}}".to_owned(),
            "{{define \"a\"}}{{template \"b\" .}}{{end}}{{define \"b\"}}x{{if true}}{{template \"a\" .}}{{end}}{{end}}{{template \"a\" .}}"
                .to_owned(),
            format!("{}x{}", "{{if true}}".repeat(5_000), "{{end}}".repeat(5_000)),
            format!("{{{{ {}1{} }}}}", "(".repeat(5_000), ")".repeat(5_000)),
        ];
        let thread = std::thread::Builder::new().stack_size(2 << 20);
        let rendered = thread.spawn(move || {
            let render = |text: &String| render(text, &Metadata::new()).unwrap_err();
            endless.iter().map(render).collect::<Vec<_>>()
        });
        for error in rendered.unwrap().join().unwrap() {
            let error = error.to_string();
            assert!(
                error.contains("recursion") || error.contains("depth"),
                "{error}"
            );
        }
    }
}
