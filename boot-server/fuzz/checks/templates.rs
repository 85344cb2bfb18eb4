//! Templates made by a grammar → what is rendered: any of them ends within its budget, with a text or an error
//! that has a place, and with the same each time.

use std::fmt::Write;

use boot_server::catalog::template::value_from_go_json;
use go_template::{Budget, MissingKey, Template, Value};

const FIELDS: [&str; 10] = [
    ".s", ".n", ".l", ".m", ".m.a", ".ll", ".none", ".missing", "$", ".",
];
const CONSTANTS: [&str; 8] = ["1", "-1", "1.5", "\"x\"", "`r`", "'c'", "true", "nil"];
const FUNCTIONS: [&str; 12] = [
    "print", "printf", "println", "len", "index", "slice", "eq", "lt", "and", "or", "not", "html",
];
const FORMATS: [&str; 8] = [
    "\"%v\"",
    "\"%d\"",
    "\"%q\"",
    "\"%5.2f|\"",
    "\"%#v\"",
    "\"%x\"",
    "\"%*d\"",
    "\"%1000000s\"",
];

/// Budget of every template in this check.
const BUDGET: Budget = Budget {
    steps: 5_000,
    bytes: 1 << 20,
};
/// Longest template that is made.
const MOST_BYTES: usize = 16 << 10;

/// Reads the bytes as choices of a grammar; those behind a first 0 as a template's text.
pub(crate) fn check(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    let text = match first {
        0 => String::from_utf8_lossy(rest).into_owned(),
        _ => Grammar::new(rest).template(),
    };
    let json = r#"{"s": "text", "n": 1234567, "l": ["a", 2, null], "m": {"a": {"b": "c"}},
                   "ll": [[1], ["x", {"k": true}]], "none": []}"#;
    let data = boot_server_json(json);
    for missing_key in [MissingKey::Default, MissingKey::Error] {
        let template = match Template::parse("t", &text, missing_key) {
            Ok(template) => template,
            Err(error) => {
                assert!(error.place.line > 0 && error.place.column > 0, "{error}");
                continue;
            }
        };
        let rendered = template.render(Some(&data), BUDGET);
        match &rendered {
            Ok(rendered) => {
                assert!(rendered.steps <= BUDGET.steps, "{}", rendered.steps);
                assert!(rendered.bytes.len() <= BUDGET.bytes);
            }
            Err(error) => {
                assert!(error.place.line > 0 && error.place.column > 0, "{error}");
                assert!(error.to_string().len() < 64 << 10);
            }
        }
        assert_eq!(rendered, template.render(Some(&data), BUDGET));
    }
}

fn boot_server_json(text: &str) -> Value {
    let json = serde_json::from_str(text).expect("the data are JSON");
    value_from_go_json(&json)
}

/// Choices of a grammar, taken from bytes.
struct Grammar<'a> {
    choices: std::slice::Iter<'a, u8>,
    text: String,
    /// Constructs that are open.
    ends: Vec<&'static str>,
}

impl<'a> Grammar<'a> {
    fn new(choices: &'a [u8]) -> Grammar<'a> {
        Grammar {
            choices: choices.iter(),
            text: String::new(),
            ends: Vec::new(),
        }
    }

    fn choice(&mut self) -> Option<u8> {
        self.choices.next().copied()
    }

    fn one_of(&mut self, words: &[&'static str]) -> &'static str {
        let choice = self.choice().map_or(0, usize::from);
        words
            .get(choice % words.len().max(1))
            .copied()
            .unwrap_or_default()
    }

    /// Builds actions until the choices end; blocks are closed then, most of them.
    fn template(mut self) -> String {
        while let Some(choice) = self.choice() {
            if self.text.len() > MOST_BYTES {
                break;
            }
            match choice % 24 {
                0..=5 => self.action(""),
                6 => self.block("if "),
                7 => self.block("range "),
                8 => self.block("range $i, $e := "),
                9 => self.block("with "),
                10 => self.block("with $x := "),
                11 => self.text.push_str("{{else}}"),
                12 => self.action("else if "),
                13 | 14 => self.close(),
                15 => self.action("$x := "),
                16 => self.action("$x = "),
                17 => self.text.push_str("{{/* c */ -}} \n"),
                18 => self.define(),
                19 => {
                    let name = self.one_of(&["a", "b", "c"]);
                    let _ = write!(self.text, "{{{{template \"{name}\" .}}}}");
                }
                20 => {
                    let word = self.one_of(&["{{break}}", "{{continue}}", "{{end}}", "{{"]);
                    self.text.push_str(word);
                }
                21 => self.repeated(),
                _ => {
                    let text = self.one_of(&["a", " \n ", "{", "}}", "ü\n"]);
                    self.text.push_str(text);
                }
            }
        }
        while !self.ends.is_empty() {
            self.close();
        }
        self.text
    }

    /// Repeats a chosen part of the template a few times, to reach nesting and length that single choices do
    /// not reach.
    fn repeated(&mut self) {
        let times = self.choice().map_or(1, |choice| usize::from(choice % 8));
        let part = self.text.clone();
        for _ in 0..times {
            if self.text.len() + part.len() > MOST_BYTES {
                return;
            }
            self.text.push_str(&part);
        }
    }

    fn action(&mut self, word: &str) {
        let open = self.one_of(&["{{", "{{- ", "{{ "]);
        self.text.push_str(open);
        self.text.push_str(word);
        self.pipeline();
        let close = self.one_of(&["}}", " -}}", " }}"]);
        self.text.push_str(close);
    }

    fn block(&mut self, word: &str) {
        self.action(word);
        self.ends.push("{{end}}");
    }

    fn define(&mut self) {
        let name = self.one_of(&["a", "b", "c"]);
        let _ = write!(self.text, "{{{{define \"{name}\"}}}}");
        self.ends.push("{{end}}");
    }

    fn close(&mut self) {
        let end = self.ends.pop().unwrap_or_default();
        self.text.push_str(end);
    }

    fn pipeline(&mut self) {
        let mut open = 0;
        loop {
            let choice = self.choice().unwrap_or_default();
            match choice % 12 {
                0..=3 => {
                    let field = self.one_of(&FIELDS);
                    self.text.push_str(field);
                }
                4 | 5 => {
                    let constant = self.one_of(&CONSTANTS);
                    self.text.push_str(constant);
                }
                6 => self.text.push_str("$x"),
                7 => {
                    self.text.push('(');
                    open += 1;
                    continue;
                }
                8 => {
                    let format = self.one_of(&FORMATS);
                    let _ = write!(self.text, "printf {format} .n");
                }
                _ => {
                    let function = self.one_of(&FUNCTIONS);
                    let _ = write!(self.text, "{function} ");
                    continue;
                }
            }
            // Without choices left a pipeline ends.
            match self.choice().map(|choice| choice % 6) {
                Some(0) => self.text.push(' '),
                Some(1) => self.text.push_str(" | "),
                Some(2) if open > 0 => {
                    self.text.push_str(") ");
                    open -= 1;
                }
                _ => break,
            }
        }
        self.text.extend(std::iter::repeat_n(')', open));
    }
}
