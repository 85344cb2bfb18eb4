//! Go templates in configs, and the Go spelling of values.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use go_template::{Budget, ExecError, ParseError, Reason, SyntaxError, Template, Value};

/// Values for a template, by name.
pub type Metadata = BTreeMap<Arc<str>, Value>;

/// A template does not parse, or cannot be executed with these values.
#[derive(Debug, Clone, thiserror::Error)]
#[error("template: {message}")]
pub struct InvalidTemplate {
    /// The mistake, with its line.
    pub message: String,
    /// Line and column, counted from 1.
    pub place: Option<(usize, usize)>,
    /// The kind of mistake.
    pub why: Why,
}

/// Kinds of mistakes in a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The text is not a template.
    Syntax,
    /// A key that the values lack, where that is an error.
    MissingKey(String),
    /// The render takes more than its budget.
    OverBudget,
    /// The rendered text is not UTF-8.
    NotText,
    /// A function or an action does not accept its values.
    Failed,
}

impl From<ParseError> for InvalidTemplate {
    fn from(error: ParseError) -> InvalidTemplate {
        let ParseError { place, kind, .. } = error;
        let kind = match kind {
            SyntaxError::UnexpectedEnd => "no {{end}} closes this block".to_owned(),
            kind => kind.to_string(),
        };
        InvalidTemplate {
            message: format!("{kind} (line {})", place.line),
            place: Some((place.line, place.column)),
            why: Why::Syntax,
        }
    }
}

impl From<ExecError> for InvalidTemplate {
    fn from(error: ExecError) -> InvalidTemplate {
        let ExecError {
            place,
            context,
            reason,
            ..
        } = error;
        InvalidTemplate {
            message: format!("{reason} at <{context}> (line {})", place.line),
            place: Some((place.line, place.column)),
            why: match reason {
                Reason::MissingKey(key) | Reason::KeyOfNil(key) => Why::MissingKey(key),
                Reason::Exhausted(_) | Reason::TooDeep(_) => Why::OverBudget,
                _ => Why::Failed,
            },
        }
    }
}

/// Rendering of a missing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingKey {
    /// `<no value>`, as with bootcfg 0.2.0.
    NoValue,
    /// An error, as with bootcfg 0.4 and matchbox.
    Error,
}

/// A text that may have Go template actions in it, parsed.
pub enum ConfigText {
    /// Text without template actions.
    Plain(Arc<str>),
    /// Text with template actions.
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
        let missing_key = match missing_key {
            MissingKey::NoValue => go_template::MissingKey::Default,
            MissingKey::Error => go_template::MissingKey::Error,
        };
        let template = Template::parse("", text, missing_key)?;
        Ok(ConfigText::Template(Box::new(template)))
    }

    /// Returns the text with these values, within the budget that every render has.
    ///
    /// # Errors
    /// A key is missing where that is an error, a function does not accept its values, or the budget does not
    /// suffice.
    pub fn render(&self, values: &Value) -> Result<String, InvalidTemplate> {
        let (text, _) = self.render_within(values, Budget::default())?;
        Ok(text)
    }

    /// Renders the text with these values, and returns the steps taken of a budget.
    ///
    /// # Errors
    /// As [`ConfigText::render`].
    pub fn render_within(
        &self,
        values: &Value,
        budget: Budget,
    ) -> Result<(String, u64), InvalidTemplate> {
        let template = match self {
            ConfigText::Plain(text) => return Ok(((**text).to_owned(), 0)),
            ConfigText::Template(template) => template,
        };
        let rendered = template.render(Some(values), budget)?;
        match String::from_utf8(rendered.bytes) {
            Ok(text) => Ok((text, rendered.steps)),
            Err(error) => Err(InvalidTemplate {
                message: format!("the rendered text is not UTF-8 ({})", error.utf8_error()),
                place: None,
                why: Why::NotText,
            }),
        }
    }
}

/// Finds what Go's `printf` writes for a value that a verb does not take, such as `%!d(string=x)`.
pub fn format_mistake(text: &str) -> Option<&str> {
    text.match_indices("%!").find_map(|(at, mark)| {
        let rest = text.get(at + mark.len()..)?;
        let opens = rest.find('(').filter(|open| {
            // A verb of one letter, or none.
            rest.get(..*open)
                .is_some_and(|verb| verb.chars().count() <= 1)
        })?;
        let inside = rest.get(opens..)?;
        let is_go = inside.starts_with("(MISSING)")
            || inside.starts_with("(BAD")
            || inside.starts_with("(NOVERB)")
            || inside.starts_with("(EXTRA ")
            || inside.starts_with("(<nil>)")
            || [
                "(bool=",
                "(int=",
                "(uint8=",
                "(uint64=",
                "(float64=",
                "(complex128=",
                "(string=",
            ]
            .iter()
            .any(|kind| inside.starts_with(kind))
            || inside.starts_with("([]interface {}=")
            || inside.starts_with("(map[string]");
        let end = inside.find(')').filter(|_| is_go)?;
        text.get(at..at + mark.len() + opens + end + 1)
    })
}

/// Returns a template value from JSON (or YAML read as JSON): integers where they fit, like Go's YAML.
pub fn value_from_json(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(bool) => Value::Bool(*bool),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Value::Int(int),
            (None, Some(uint)) => Value::Uint(uint),
            (None, None) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(string) => Value::from(string.as_str()),
        serde_json::Value::Array(items) => Value::list(items.iter().map(value_from_json)),
        serde_json::Value::Object(object) => Value::Map(Arc::new(
            object
                .iter()
                .map(|(key, value)| (key.as_str().into(), value_from_json(value)))
                .collect(),
        )),
    }
}

/// Returns the same for a reader that decodes every number as `float64`, as Go's `encoding/json` does.
pub fn value_from_go_json(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Number(number) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::Array(items) => Value::list(items.iter().map(value_from_go_json)),
        serde_json::Value::Object(object) => Value::Map(Arc::new(go_json_map(object))),
        other => value_from_json(other),
    }
}

/// Returns the values of an object, with numbers as `float64`.
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
        assert!(error.why == Why::MissingKey("c".to_owned()), "{error}");
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
    fn numbers_of_json_keep_their_last_digit() {
        for text in ["51.248178375505404", "31.245270191439438", "8.9255e-18"] {
            let json = format!("{{\"n\": {text}, \"l\": [{text}]}}");
            let json: serde_json::Value = serde_json::from_str(&json).unwrap();
            for data in [value_from_go_json(&json), value_from_json(&json)] {
                let template = ConfigText::parse("{{.n}} {{.l}}", MissingKey::Error).unwrap();
                assert_eq!(template.render(&data).unwrap(), format!("{text} [{text}]"));
            }
        }
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

    #[test]
    fn p1_comment_trimmed_left_keeps_the_newline_behind_it() {
        let text = "hostname: {{.h}}\n{{- /* c */}}\nssh_authorized_keys: []\n";
        let data = metadata(serde_json::json!({"h": "n1"}));
        assert_eq!(
            render(text, &data).unwrap(),
            "hostname: n1\nssh_authorized_keys: []\n"
        );
    }

    #[test]
    fn f5_numbers_stay_numbers() {
        let json = serde_json::json!({"big": 1_234_567, "huge": 12_345_678_901_u64, "l": ["a", 1]});
        let data = Value::Map(Arc::new(go_json_map(json.as_object().unwrap())));
        for (text, expected) in [
            ("{{printf \"%.0f\" .big}}", "1234567"),
            ("{{print .big .huge}}", "1.234567e+06 1.2345678901e+10"),
            ("{{printf \"%q\" .l}}", "[\"a\" %!q(float64=1)]"),
            ("{{gt .huge .big}}", "true"),
        ] {
            let template = ConfigText::parse(text, MissingKey::Error).unwrap();
            assert_eq!(template.render(&data).unwrap(), expected);
        }
    }

    #[test]
    fn f14_escaping_functions_take_several_arguments() {
        let text = "{{urlquery \"a b\" \"c&d\"}} {{html \"<\" 1 2}} {{js \"'\" \"=\"}}";
        assert_eq!(
            render(text, &Metadata::new()).unwrap(),
            "a+bc%26d &lt;1 2 \\'\\u003D"
        );
    }

    #[test]
    fn p12_templates_without_data_lists_braces_and_else_are_gos() {
        let data = metadata(serde_json::json!({"s": "x", "l": ["a", "b", "c"], "none": []}));
        for (text, expected) in [
            (
                "{{define \"a\"}}{{.s}}{{end}}{{template \"a\"}}",
                "<no value>",
            ),
            ("{{printf \"%s\" .l}}", "[a b c]"),
            ("{{printf \"%q\" .l}}", "[\"a\" \"b\" \"c\"]"),
            ("{{.s}}{", "x{"),
            (
                "{{range $i, $e := .none}}x{{else}}{{$i}}{{$e}}{{end}}",
                "[][]",
            ),
        ] {
            assert_eq!(render(text, &data).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn p8_values_that_a_verb_does_not_take_are_found() {
        for (text, found) in [
            ("mem: %!f(string=4)\n", Some("%!f(string=4)")),
            ("%!d([]interface {}=[1])", Some("%!d([]interface {}=[1])")),
            ("a %!s(MISSING) b", Some("%!s(MISSING)")),
            ("%!(EXTRA int=1)", Some("%!(EXTRA int=1)")),
            ("100%! (sure)", None),
            ("printf '%!' (x)", None),
        ] {
            assert_eq!(format_mistake(text), found, "{text}");
        }
    }

    #[test]
    fn rendered_text_that_is_not_utf8_is_refused() {
        let data = metadata(serde_json::json!({"u": "ü"}));
        let error = render("{{slice .u 0 1}}", &data).unwrap_err();
        assert_eq!(error.why, Why::NotText);
    }
}
